#!/bin/bash
# certificates.sh DIR HOST: makes an authority and a server certificate for HOST in DIR, unless they are there already.
#
#   DIR/ca.crt       the authority to trust in a client (its key is thrown away)
#   DIR/server.crt   for HOST, *.HOST, localhost, 127.0.0.1 and ::1
#   DIR/server.key   its key; server.pem holds certificate and key in one file
#   DIR/client.pem   the same for a client: the accounts test@HOST and test@cert.HOST (XEP-0178)
#
# Two servers may share DIR: the second waits for what the first is making.
set -eu
dir=$1 host=$2
mkdir -p "$dir"
[ -s "$dir/client.pem" ] && exit 0
# Made if need be, but opened for reading: the two servers run as different users.
(set -C && : >"$dir/.lock") 2>/dev/null || true
exec 9<"$dir/.lock"
flock 9
[ -s "$dir/client.pem" ] && exit 0

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
days=3650
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days $days \
	-subj "/CN=Postern test authority" -keyout "$tmp/ca.key" -out "$tmp/ca.crt" \
	-addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 \
	-subj "/CN=$host" -keyout "$tmp/server.key" -out "$tmp/server.csr" 2>/dev/null
cat >"$tmp/extensions" <<X
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=DNS:$host,DNS:*.$host,DNS:localhost,IP:127.0.0.1,IP:::1
X
cat >"$tmp/client" <<X
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth
subjectAltName=otherName:1.3.6.1.5.5.7.8.5;UTF8:test@$host,otherName:1.3.6.1.5.5.7.8.5;UTF8:test@cert.$host
X
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 \
	-subj "/CN=test" -keyout "$tmp/client.key" -out "$tmp/client.csr" 2>/dev/null
openssl x509 -req -in "$tmp/client.csr" -CA "$tmp/ca.crt" -CAkey "$tmp/ca.key" -set_serial "0x$(openssl rand -hex 8)" \
	-days $days -sha256 -extfile "$tmp/client" -out "$tmp/client.crt" 2>/dev/null
openssl x509 -req -in "$tmp/server.csr" -CA "$tmp/ca.crt" -CAkey "$tmp/ca.key" -set_serial "0x$(openssl rand -hex 8)" \
	-days $days -sha256 -extfile "$tmp/extensions" -out "$tmp/server.crt" 2>/dev/null
cat "$tmp/server.crt" "$tmp/server.key" >"$tmp/server.pem"
cat "$tmp/client.crt" "$tmp/client.key" >"$tmp/client.pem"
# Readable by every user on purpose: these keys protect nothing but tests, and the two servers run as different users.
chmod 644 "$tmp"/*
cp "$tmp/ca.crt" "$tmp/server.crt" "$tmp/server.key" "$tmp/server.pem" "$dir/"
cp "$tmp/client.pem" "$dir/client.pem" # last: its presence says that all is there
