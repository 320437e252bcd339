#!/bin/bash
# healthy.sh PORT HOST: succeeds if the server on this machine answers a client's stream header (RFC 6120 section 4.2) within 3 s.
set -eu
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='%s' version='1.0'>" "$2" >&3
while IFS= read -r -t 3 -d '>' tag <&3; do
	case $tag in *'<stream:stream'*) exit 0 ;; esac
done
echo "no stream header on port $1" >&2
exit 1
