#!/bin/bash
# compose.sh ARGUMENT ...: docker compose (v2), or docker-compose (1.28 or newer) where that is what the machine has, on this
# project's file and under its own project name.
set -eu
cd "$(dirname "$0")/.."
if docker compose version >/dev/null 2>&1; then
	compose=(docker compose)
elif command -v docker-compose >/dev/null; then
	compose=(docker-compose)
else
	echo "neither 'docker compose' nor 'docker-compose' is installed" >&2
	exit 1
fi
# The secret that up.sh made, for as long as there is one.
if [ -s dist/gateway.secret ]; then
	GATEWAY_SECRET=$(<dist/gateway.secret)
	export GATEWAY_SECRET
fi
exec "${compose[@]}" -p postern -f docker-compose.yml "$@"
