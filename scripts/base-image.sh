#!/bin/bash
# Sees to it that the image that ours are built on is there: pulled, or, where no registry is in reach, made from Debian's packages.
set -eu
cd "$(dirname "$0")/.."
image=debian:trixie-slim suite=trixie

docker image inspect "$image" >/dev/null 2>&1 && exit 0
docker pull -q "$image" 2>/dev/null && exit 0
echo "base-image: $image cannot be pulled: making it from Debian's packages, which takes a minute or two"
rootfs=$(mktemp)
trap 'rm -f "$rootfs"' EXIT
docker/base/rootfs.sh "$suite" >"$rootfs"
docker import --change 'CMD ["bash"]' - "$image" <"$rootfs" >/dev/null
