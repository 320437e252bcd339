#!/bin/bash
# Ends what up.sh started, and deletes its containers, networks and data. The images stay, so that the next "up" is quick;
# IMAGES=remove deletes them too.
set -eu
cd "$(dirname "$0")/.."
./scripts/compose.sh --profile ejabberd down --volumes --remove-orphans
rm -f dist/ca.crt dist/gateway.secret
[ "${IMAGES:-keep}" = remove ] || exit 0
for image in postern/prosody postern/ejabberd postern/postgres postern/gateway; do
	if docker image inspect "$image" >/dev/null 2>&1; then
		docker image rm "$image" >/dev/null
	fi
done
