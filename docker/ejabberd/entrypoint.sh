#!/bin/bash
# ejabberd for development and tests, configured by environment variables. It runs as a container's entry point and, with
# other values, as a child process of a test; never with accounts or data that matter.
#
#   entrypoint.sh                          run in the foreground until TERM
#   entrypoint.sh register USER PASSWORD   create an account on the running server; USER may be user@host
#   entrypoint.sh token USER               print an access token of an account of the running server (X-OAUTH2)
#   entrypoint.sh healthy                  succeed if the running server answers
#
# XMPP_DATA        folder for data, certificates and the like (default /data)
# XMPP_CERTS       folder for the certificates (default XMPP_DATA/certs)
# XMPP_HOST        the virtual host (default xmpp.test)
# XMPP_COMPONENTS  "domain=secret domain=secret@port domain=secret@port/tls ...": one listener for each, since ejabberd gives
#                  a connection every domain of its listener; the port defaults to XMPP_PORT_COMPONENT
# XMPP_ANY_SECRET  with XMPP_PORT_ANY and XMPP_PORT_ANY_TLS: listeners that take a component of any domain with this secret
# XMPP_ACCOUNTS    "user=password user=password ..."
# XMPP_ARCHIVE     on (default) or off: message archive (XEP-0313)
# XMPP_WITHOUT     modules that are left out, without "mod_"
# XMPP_EXTRA       file with more configuration (YAML), merged in
# XMPP_LOG_LEVEL   debug, info (default), warning, error
# XMPP_LISTEN      address to listen on (default 0.0.0.0)
# XMPP_PORT_C2S, XMPP_PORT_C2S_TLS, XMPP_PORT_COMPONENT, XMPP_PORT_HTTP, XMPP_PORT_HTTPS   ports (5222, 5223, 5347, 5280, 5443)
# XMPP_PORT_C2S_CERT  where set: a port for clients that show a certificate of the authority (EXTERNAL)
# XMPP_PORT_API    port of the HTTP API, on loopback only (5281)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
data="${XMPP_DATA:-/data}" host="${XMPP_HOST:-xmpp.test}"
certs="${XMPP_CERTS:-$data/certs}"
home="$data/ejabberd"
api="${XMPP_PORT_API:-5281}"

# json STRING quotes for JSON, which is also a quoted scalar of YAML and near enough to a string of Erlang.
json() {
	local s=${1//\\/\\\\}
	printf '"%s"' "${s//\"/\\\"}"
}

# Asking the HTTP API is ten times as fast as ejabberdctl, which starts an Erlang machine for each command.
register() {
	local at="$host" body answer
	case $1 in *@*) at=${1#*@} ;; esac
	body="{\"user\":$(json "${1%%@*}"),\"host\":$(json "$at"),\"password\":$(json "$2")}"
	answer=$(ask register "$body")
	case $answer in
	"HTTP/1."?" 200 "*) ;;
	*) printf 'register %s: %s\n' "$1" "$answer" >&2; return 1 ;;
	esac
}

# ask COMMAND BODY asks the HTTP API and prints all of its answer.
ask() {
	exec 3<>"/dev/tcp/127.0.0.1/$api"
	printf 'POST /api/%s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
		"$1" "$(printf %s "$2" | wc -c)" "$2" >&3
	cat <&3
}

# listener PORT [tls] begins the listener of a component.
listener() {
	cat <<-X
	  -
	    port: $1
	    ip: "$listen"
	    module: ejabberd_service
	    access: all
	    max_stanza_size: 524288
	X
	if [ "${2:-}" = tls ]; then # a listener of this kind takes no notice of certfiles
		printf '    tls: true\n    certfile: %s\n' "$(json "$certs/server.pem")"
	fi
}

listeners() {
	local component secret port tls
	for component in ${XMPP_COMPONENTS:-}; do
		secret=${component#*=} port="${XMPP_PORT_COMPONENT:-5347}" tls=
		case $secret in */tls) tls=tls secret=${secret%/tls} ;; esac
		case $secret in *@*) port=${secret##*@} secret=${secret%@*} ;; esac
		listener "$port" "$tls"
		printf '    hosts:\n      %s:\n        password: %s\n' "$(json "${component%%=*}")" "$(json "$secret")"
	done
	if [ -n "${XMPP_PORT_C2S_CERT:-}" ]; then
		cat <<-X
		  -
		    port: $XMPP_PORT_C2S_CERT
		    ip: "$listen"
		    module: ejabberd_c2s
		    starttls: true
		    starttls_required: true
		    tls_verify: true
		    cafile: $(json "$certs/ca.crt")
		    max_stanza_size: 262144
		    access: c2s
		X
	fi
	if [ -n "${XMPP_ANY_SECRET:-}" ]; then
		listener "$XMPP_PORT_ANY"
		printf '    password: %s\n' "$(json "$XMPP_ANY_SECRET")"
		listener "$XMPP_PORT_ANY_TLS" tls
		printf '    password: %s\n' "$(json "$XMPP_ANY_SECRET")"
	fi
}

configure() {
	local listen="${XMPP_LISTEN:-0.0.0.0}" archive=always name without=()
	for name in ${XMPP_WITHOUT:-}; do without+=(-e "/^  mod_$name: {}\$/d"); done
	[ "${XMPP_ARCHIVE:-on}" = off ] && archive=never
	sed -e "s|@DOMAIN@|$host|g; s|@LISTEN@|$listen|g; s|@CERTS@|$certs|g; s|@HOME@|$home|g; s|@ARCHIVE@|$archive|g" \
		-e "s|@LOG_LEVEL@|${XMPP_LOG_LEVEL:-info}|g; s|@C2S@|${XMPP_PORT_C2S:-5222}|g; s|@C2S_TLS@|${XMPP_PORT_C2S_TLS:-5223}|g" \
		-e "s|@HTTP@|${XMPP_PORT_HTTP:-5280}|g; s|@HTTPS@|${XMPP_PORT_HTTPS:-5443}|g; s|@API@|$api|g" -e '/@LISTENERS@/{r '<(listeners) -e 'd}' "${without[@]}" "$here/ejabberd.yml"
	if [ -n "${XMPP_EXTRA:-}" ]; then
		printf '\ninclude_config_file:\n  %s: {}\n' "$(json "$XMPP_EXTRA")"
	fi
}

case ${1:-run} in
run)
	mkdir -p "$home/spool" "$home/upload"
	bash "$here/certificates.sh" "$certs" "$host"
	configure >"$home/ejabberd.yml"
	printf '{lookup,[file,native]}.\n' >"$home/inetrc"

	accounts= # created by the server itself once it is up
	for account in ${XMPP_ACCOUNTS:-}; do
		user=${account%%=*} at="$host"
		case $user in *@*) at=${user#*@} user=${user%%@*} ;; esac
		accounts+="ejabberd_auth:try_register(<<$(json "$user")>>,<<$(json "$at")>>,<<$(json "${account#*=}")>>),"
	done

	export EJABBERD_CONFIG_PATH="$home/ejabberd.yml" EJABBERD_LOG_PATH="$home/ejabberd.log"
	export ERL_CRASH_DUMP_BYTES=0 ERL_INETRC="$home/inetrc" HOME="$home"
	ERL_LIBS=$(dirname "$(ls -d /usr/lib/*/ejabberd-[0-9]* /usr/lib/ejabberd-[0-9]* 2>/dev/null | head -1)")
	export ERL_LIBS
	# Straight to the Erlang machine, not through ejabberdctl: one process, which gets the signals, under any user; and no node name,
	# so that neither a port for Erlang's distribution nor its port mapper is opened.
	exec erl +K true +P 250000 -noinput -mnesia dir "\"$home/spool\"" -ejabberd log_rotate_count 0 \
		-s ejabberd -eval "$accounts io:format(\"ejabberd is ready~n\")."
	;;
register)
	register "$2" "$3"
	;;
token)
	at="$host"
	case $2 in *@*) at=${2#*@} ;; esac
	ask oauth_issue_token "{\"jid\":$(json "${2%%@*}@$at"),\"ttl\":3600,\"scopes\":[\"sasl_auth\"]}"
	;;
healthy)
	exec bash "$here/healthy.sh" "${XMPP_PORT_C2S:-5222}" "$host"
	;;
*)
	exec "$@"
	;;
esac
