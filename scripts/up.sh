#!/bin/bash
# Starts Prosody, Postgres and the gateway in containers, and says how to log in. PROFILE=ejabberd adds an ejabberd with a gateway of
# its own. Calling it again brings everything up to date.
set -eu
cd "$(dirname "$0")/.."
compose=(./scripts/compose.sh)
services=(prosody postgres)
gateways=("gateway ${GATEWAY_ADMIN_PORT:-9180}")
if [ -n "${PROFILE:-}" ]; then
	[ "$PROFILE" = ejabberd ] || { echo "up: PROFILE=$PROFILE: the only profile is ejabberd" >&2; exit 1; }
	compose+=(--profile ejabberd)
	services+=(ejabberd)
	gateways+=("gateway-ejabberd ${GATEWAY_EJABBERD_ADMIN_PORT:-9181}")
fi

timeout 5 docker version >/dev/null 2>&1 || {
	echo "up: no container engine answers. Start Docker, or try 'make run', which needs only Go." >&2
	exit 1
}
mkdir -p dist
[ -s dist/gateway.secret ] || (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >dist/gateway.secret)
./scripts/base-image.sh
"${compose[@]}" build "${services[@]}"
./scripts/image.sh
"${compose[@]}" up -d --no-build

# ready PORT succeeds if the gateway whose admin listener has this port is connected to its server.
ready() {
	local status
	exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
	printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
	IFS= read -r -t 3 status <&3 || return 1
	exec 3>&-
	case $status in "HTTP/1."?" 200"*) return 0 ;; esac
	return 1
}

for entry in "${gateways[@]}"; do
	read -r name port <<<"$entry"
	for ((i = 0; ; i++)); do
		(ready "$port") 2>/dev/null && break
		if [ "$i" = 60 ]; then
			"${compose[@]}" logs --tail=30 >&2
			echo "up: $name is not ready after a minute; its log is above" >&2
			exit 1
		fi
		sleep 1
	done
done

"${compose[@]}" exec -T prosody cat /certs/ca.crt >dist/ca.crt
cat <<X

The gateway is gateway.localhost, behind Prosody on localhost:${PROSODY_C2S_PORT:-5222} (direct TLS: ${PROSODY_C2S_TLS_PORT:-5223}).
Log in with any client as test@localhost, password test, or as user2 or admin alike. The certificate's authority is dist/ca.crt.
A gateway of your own in its place: scripts/compose.sh stop gateway, then connect to 127.0.0.1:${PROSODY_COMPONENT_PORT:-5347} with the
secret in dist/gateway.secret.
X
if [ "${PROFILE:-}" = ejabberd ]; then
	echo "The same behind ejabberd on localhost:${EJABBERD_C2S_PORT:-5322} (direct TLS: ${EJABBERD_C2S_TLS_PORT:-5323})."
fi
cat <<X
Metrics and health: http://127.0.0.1:${GATEWAY_ADMIN_PORT:-9180}/metrics, /healthz, /readyz. Logs: scripts/compose.sh logs -f
"make down" ends it and deletes its data.
X
