#!/bin/bash
# A stand-in for the official Postgres image, made from Debian's packages. It honours that image's environment:
#
# POSTGRES_USER              superuser (default postgres)
# POSTGRES_PASSWORD          its password; needed unless POSTGRES_HOST_AUTH_METHOD is trust
# POSTGRES_DB                database to create (default: the superuser's name)
# POSTGRES_INITDB_ARGS       more arguments for initdb
# POSTGRES_INITDB_WALDIR     folder for the write-ahead log
# POSTGRES_HOST_AUTH_METHOD  for pg_hba.conf (default: the server's password_encryption)
# PGDATA                     data folder (default /var/lib/postgresql/data)
#
# POSTGRES_{USER,PASSWORD,DB,INITDB_ARGS}_FILE name a file that holds the value. Scripts in /docker-entrypoint-initdb.d
# (*.sh, *.sql, *.sql.gz, *.sql.xz, *.sql.zst) are run once, on an empty data folder, in the order of their names.
#
#   entrypoint.sh [postgres] [-c setting=value ...]   run in the foreground
#   entrypoint.sh COMMAND [ARGUMENT ...]              run something else, such as psql
set -eu

say() { printf 'postgres: %s\n' "$*"; }
die() { printf 'postgres: %s\n' "$*" >&2; exit 1; }

# from_file NAME DEFAULT sets NAME from NAME or from the file that NAME_FILE names.
from_file() {
	local name=$1 file="$1_FILE"
	[ -z "${!name:-}" ] || [ -z "${!file:-}" ] || die "both $name and $file are set"
	if [ -n "${!file:-}" ]; then
		export "$name=$(<"${!file}")"
	else
		export "$name=${!name:-$2}"
	fi
	unset "$file"
}

# Debian keeps the server's programs apart by version; the newest is taken.
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
[ -n "$bin" ] && export PATH="$bin:$PATH"
export PGDATA="${PGDATA:-/var/lib/postgresql/data}"
initdb_d="${POSTGRES_INITDB_D:-/docker-entrypoint-initdb.d}"

# sql ... runs psql on the temporary server, as the superuser.
sql() { PGHOST="$socket" PGPORT=5432 PGUSER="$POSTGRES_USER" psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --quiet "$@"; }

run_scripts() {
	local f
	export PGHOST="$socket" PGPORT=5432 PGUSER="$POSTGRES_USER" PGDATABASE="$POSTGRES_DB" # scripts expect to reach the server
	for f in "$initdb_d"/*; do
		case $f in
		*.sh) say "running $f"; if [ -x "$f" ]; then "$f"; else . "$f"; fi ;;
		*.sql) say "running $f"; sql -f "$f" ;;
		*.sql.gz) say "running $f"; gunzip -c "$f" | sql ;;
		*.sql.xz) say "running $f"; xzcat "$f" | sql ;;
		*.sql.zst) say "running $f"; zstd -dc "$f" | sql ;;
		"$initdb_d/*") ;;
		*) say "ignoring $f" ;;
		esac
	done
	unset PGHOST PGPORT PGUSER PGDATABASE
}

initialise() {
	[ -n "$POSTGRES_PASSWORD" ] || [ "${POSTGRES_HOST_AUTH_METHOD:-}" = trust ] ||
		die "POSTGRES_PASSWORD is empty: set it, or POSTGRES_HOST_AUTH_METHOD=trust to let everybody in"
	local args=()
	[ -n "${POSTGRES_INITDB_WALDIR:-}" ] && args+=(--waldir "$POSTGRES_INITDB_WALDIR")
	# The words of POSTGRES_INITDB_ARGS are meant to be split.
	# shellcheck disable=SC2086
	initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --encoding=UTF8 \
		"${args[@]}" $POSTGRES_INITDB_ARGS >/dev/null
	local method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption)}
	printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"

	# While it is being filled, the server listens on a socket of its own, so that nobody takes it for ready.
	socket=$(mktemp -d)
	pg_ctl -D "$PGDATA" -w -s -o "-c listen_addresses='' -c port=5432 -c unix_socket_directories=$socket" -l "$socket/log" start ||
		{ cat "$socket/log" >&2; exit 1; }
	if [ "$POSTGRES_DB" != postgres ]; then
		sql -d postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
	fi
	run_scripts
	pg_ctl -D "$PGDATA" -w -s -m fast stop
	rm -rf "$socket"
}

case ${1:-} in '' | -*) set -- postgres "$@" ;; esac
if [ "$1" = postgres ]; then
	if [ "$(id -u)" = 0 ]; then
		mkdir -p "$PGDATA" /var/run/postgresql
		chown -R postgres:postgres "$PGDATA" /var/run/postgresql
		chmod 700 "$PGDATA"
		exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
	fi
	if [ ! -s "$PGDATA/PG_VERSION" ]; then
		from_file POSTGRES_USER postgres
		from_file POSTGRES_PASSWORD ''
		from_file POSTGRES_DB "$POSTGRES_USER"
		from_file POSTGRES_INITDB_ARGS ''
		mkdir -p "$PGDATA"
		chmod 700 "$PGDATA"
		initialise
	fi
	unset POSTGRES_PASSWORD
fi
exec "$@"
