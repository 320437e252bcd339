#!/bin/bash
# rootfs.sh SUITE: writes the file system of a minimal Debian SUITE as a tar archive to standard output. It is for a machine that
# runs containers but reaches no image registry: root on Debian, whose own mirror it uses.
#
#   rootfs.sh trixie | docker import --change 'CMD ["bash"]' - debian:trixie-slim
set -eu
suite=${1:?suite}
die() { printf 'rootfs: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" = 0 ] && [ -e /etc/debian_version ] || die "needs root on Debian"
if ! command -v mmdebstrap >/dev/null; then
	{
		apt-get -q -o DPkg::Lock::Timeout=300 update
		DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends mmdebstrap
	} >&2 || die "cannot install mmdebstrap"
fi
mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
# Without documentation and apt's package lists, as the published image is.
exec mmdebstrap --variant=minbase --quiet --format=tar \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
	--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin' \
	"$suite" - ${mirror:+"$mirror"}
