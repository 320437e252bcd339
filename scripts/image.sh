#!/bin/bash
# Builds the gateway's image, postern/gateway (IMAGE=name:tag for another name): a static binary, built by the Go of this machine for
# the engine's architecture, alone in an empty image. Authorities for TLS are compiled in, since there are none in it (tag fallbackroots).
set -eu
cd "$(dirname "$0")/.."
image=${IMAGE:-postern/gateway}
context=dist/image

rm -rf "$context"
mkdir -p "$context"
CGO_ENABLED=0 GOOS=linux GOARCH=$(docker version --format '{{.Server.Arch}}') \
	go build -tags fallbackroots -trimpath -ldflags '-s -w' -o "$context/gateway" ./cmd/gateway
go version -m "$context/gateway" | grep -q x509roots || { echo "$0: the program has no authorities for TLS" >&2; exit 1; }
docker build -q -f docker/gateway/Dockerfile -t "$image" "$context" >/dev/null
echo "image: $image"
