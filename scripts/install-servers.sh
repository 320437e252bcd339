#!/bin/bash
# Installs the real servers that the integration tests talk to, from Debian's own packages: Prosody 13, ejabberd 24.12,
# Postgres, and slixmpp. Needs root on Debian 12 or newer. On a release older than Debian 13 all but Postgres comes from
# that release's backports, which are added to apt's sources for it.
#
# No service is started: the tests start their own instances, with their own data and ports, and stop them again.
# It is cheap to call when everything is there already.
set -eu
say() { printf 'install-servers: %s\n' "$*"; }
die() { printf 'install-servers: %s\n' "$*" >&2; exit 1; }

PACKAGES=(prosody prosody-modules lua-unbound lua-readline ejabberd erlang-p1-oauth2 python3-slixmpp)
PLAIN=(postgresql openssl)

missing() {
	local p
	for p in "$@"; do
		dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || printf '%s\n' "$p"
	done
}
# Prosody of Debian 12 itself (0.12) lacks what the tests need, so an installed package has to be new enough as well.
outdated() {
	dpkg --compare-versions "$(dpkg-query -W -f '${Version}' prosody)" lt 13 && echo prosody
	dpkg --compare-versions "$(dpkg-query -W -f '${Version}' ejabberd)" lt 24 && echo ejabberd
	dpkg --compare-versions "$(dpkg-query -W -f '${Version}' python3-slixmpp)" lt 1.10 && echo python3-slixmpp
	return 0
}

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || die "this is not Debian: use a container engine instead"
if [ -z "$(missing "${PACKAGES[@]}" "${PLAIN[@]}")" ] && [ -z "$(outdated)" ]; then
	say "all packages are installed"
	exit 0
fi
. /etc/os-release
[ "${ID:-}" = debian ] || die "this is ${PRETTY_NAME:-not Debian}: use a container engine, or Debian 12 or newer"
[ "$(id -u)" = 0 ] || die "packages are missing ($(missing "${PACKAGES[@]}" "${PLAIN[@]}" | tr '\n' ' ')): run 'make servers' as root, or start a container engine"
[ "${VERSION_ID:-99}" -ge 12 ] || die "Debian ${VERSION_ID} is too old: Debian 12 or newer is needed"

# Debian's packages start their service on installation unless this policy says no. An existing policy is kept.
POLICY=/usr/sbin/policy-rc.d
if [ ! -e "$POLICY" ]; then
	printf '#!/bin/sh\nexit 101\n' >"$POLICY"
	chmod 755 "$POLICY"
	trap 'rm -f "$POLICY"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
TARGET=()
if [ "${VERSION_ID:-99}" -lt 13 ]; then
	SUITE="${VERSION_CODENAME}-backports"
	TARGET=(-t "$SUITE")
	if ! grep -qrs "$SUITE" /etc/apt/sources.list /etc/apt/sources.list.d --include='*.list' --include='*.sources'; then
		MIRROR=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
		[ -n "$MIRROR" ] || MIRROR=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | head -1)
		if [ -z "$MIRROR" ]; then
			echo "install-servers: cannot tell which mirror apt uses; add $SUITE to its sources, then try again" >&2
			exit 1
		fi
		say "adding $SUITE to apt's sources (/etc/apt/sources.list.d/postern-backports.list)"
		printf 'deb %s %s main\n' "$MIRROR" "$SUITE" >/etc/apt/sources.list.d/postern-backports.list
	fi
fi

# A second run at the same time waits for apt's lock instead of failing.
APT=(apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
say "reading the package lists"
"${APT[@]}" update >/dev/null
say "installing ${PACKAGES[*]}"
"${APT[@]}" install -y --no-install-recommends "${TARGET[@]}" "${PACKAGES[@]}" >/dev/null
say "installing ${PLAIN[*]}"
"${APT[@]}" install -y --no-install-recommends "${PLAIN[@]}" >/dev/null
for p in prosody ejabberd postgresql python3-slixmpp; do
	say "$p $(dpkg-query -W -f '${Version}' "$p")"
done
