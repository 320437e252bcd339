#!/bin/bash
# Sees to it that the servers of "make test" are there, and says what they run in: images are built where a container engine
# answers; else the packages are installed, which takes root on Debian 12 or newer. With neither it fails at once.
#
# POSTERN_SERVERS=containers or =processes leaves no choice; auto (the default) prefers containers.
set -eu
cd "$(dirname "$0")/.."
choice=${POSTERN_SERVERS:-auto}

engine_answers() {
	if command -v docker >/dev/null; then
		timeout 4 docker version >/dev/null 2>&1
	else
		local socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
		[ -S "${socket#unix://}" ] && timeout 4 curl -fs --unix-socket "${socket#unix://}" http://localhost/_ping >/dev/null
	fi
}

# packages says whether the packages are there, or can be installed.
packages() {
	[ -e /etc/debian_version ] || return 1
	[ "$(id -u)" = 0 ] || ./scripts/install-servers.sh >/dev/null 2>&1
}

case $choice in
containers)
	engine_answers || { echo "servers: POSTERN_SERVERS=containers, but no container engine answers" >&2; exit 1; }
	;;
processes) ;;
auto)
	if engine_answers; then
		choice=containers
	elif packages; then
		choice=processes
	else
		cat >&2 <<-X
		servers: there is nothing to run Prosody, ejabberd and Postgres in. Do one of:
		  - start a container engine (Docker, or Podman with DOCKER_HOST set to its socket);
		  - be root on Debian 12 or newer, where "make servers" installs them.
		"make test-unit" runs the tests that need only Go.
		X
		exit 1
	fi
	;;
*)
	echo "servers: POSTERN_SERVERS=$choice: want containers, processes or auto" >&2
	exit 1
	;;
esac

if [ "$choice" = processes ]; then
	./scripts/install-servers.sh
fi
POSTERN_SERVERS=$choice go run ./servertest/prepare
