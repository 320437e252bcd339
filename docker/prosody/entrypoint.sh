#!/bin/bash
# Prosody for development and tests, configured by environment variables. It runs as a container's entry point and, with
# other values, as a child process of a test; never with accounts or data that matter.
#
#   entrypoint.sh                          run in the foreground until TERM
#   entrypoint.sh register USER PASSWORD   create an account; USER may be user@host; works while the server runs
#   entrypoint.sh token USER               print an access token of an account of the running server (OAUTHBEARER)
#   entrypoint.sh healthy                  succeed if the running server answers
#
# XMPP_DATA        folder for data, certificates and the like (default /data)
# XMPP_CERTS       folder for the certificates (default XMPP_DATA/certs)
# XMPP_HOST        the virtual host (default xmpp.test)
# XMPP_COMPONENTS  "domain=secret domain=secret ..."
# XMPP_ACCOUNTS    "user=password user=password ..."
# XMPP_CONFLICT    kick_new (default) or kick_old: which of two links of one component loses
# XMPP_ARCHIVE     on (default) or off: message archive (XEP-0313)
# XMPP_WITHOUT     modules that are left out
# XMPP_EXTRA       file with more configuration, read last
# XMPP_LOG_LEVEL   debug, info (default), warn, error
# XMPP_LISTEN      address to listen on (default 0.0.0.0)
# XMPP_PORT_C2S, XMPP_PORT_C2S_TLS, XMPP_PORT_COMPONENT, XMPP_PORT_HTTP, XMPP_PORT_HTTPS   ports (5222, 5223, 5347, 5280, 5443)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export XMPP_DATA="${XMPP_DATA:-/data}" XMPP_HOST="${XMPP_HOST:-xmpp.test}"
export XMPP_CERTS="${XMPP_CERTS:-$XMPP_DATA/certs}"
config="$here/prosody.cfg.lua"

register() {
	local host="$XMPP_HOST"
	case $1 in *@*) host=${1#*@} ;; esac
	local said # prosodyctl reports its troubles on standard output
	said=$(prosodyctl --config "$config" register "${1%%@*}" "$host" "$2" 2>&1) || {
		printf 'prosodyctl register %s: %s\n' "$1" "$said" >&2
		return 1
	}
}

token() {
	local at="$XMPP_HOST"
	case $1 in *@*) at=${1#*@} ;; esac
	printf '> local m, jid = require"prosody.core.modulemanager".get_module("%s", "tokenauth"), "%s"; local g = m.create_grant(jid, jid, 3600); return (m.create_token(jid, g, nil, 3600, "oauth2"))\n' \
		"$at" "${1%%@*}@$at" | prosodyctl --config "$config" shell
}

# The hash is given since Prosody 13.0 offers "auto" to its first client only (XEP-0440, tls-server-end-point).
hash_certificate() {
	XMPP_CERTIFICATE_HASH=$(openssl x509 -in "$XMPP_CERTS/server.crt" -outform der | sha256sum | cut -d' ' -f1)
	export XMPP_CERTIFICATE_HASH
}

case ${1:-run} in
run)
	mkdir -p "$XMPP_DATA/prosody"
	bash "$here/certificates.sh" "$XMPP_CERTS" "$XMPP_HOST"
	hash_certificate
	if [ ! -e "$XMPP_DATA/prosody/.registered" ]; then # once, so that an account deleted by hand stays away
		for account in ${XMPP_ACCOUNTS:-}; do
			register "${account%%=*}" "${account#*=}"
		done
		: >"$XMPP_DATA/prosody/.registered"
	fi
	exec prosody -F --config "$config"
	;;
register)
	hash_certificate
	register "$2" "$3"
	;;
token)
	hash_certificate
	token "$2"
	;;
healthy)
	exec bash "$here/healthy.sh" "${XMPP_PORT_C2S:-5222}" "$XMPP_HOST"
	;;
*)
	exec "$@"
	;;
esac
