#!/usr/bin/env bash
# A private stand of the services the engine needs: PostgreSQL and Redis, with --kafka also a real Kafka
# broker. For ./dev and for the tests. All data is below one folder, all sockets are private, all ports
# are free loopback ports; nothing of the machine's own services is touched.
#
# PostgreSQL refuses to run as root, so root's stands run as the user khien-dev (./dev setup makes it);
# everybody else's run as themselves. When that user cannot enter the folder, because it lies below a
# private home, the data goes to /var/tmp/khien-HASH and the folder keeps a note of it.
#
# Local users of this machine are trusted: this is for development, tests and the demo.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$HERE/../.." && pwd)
. "$HERE/packages.sh"
PG_BIN=${KHIEN_PG_BIN:-/usr/lib/postgresql/15/bin}
KAFKA_LOCAL=$TOP/tests/kafka-local

usage() {
	cat <<'U'
usage: stand.sh COMMAND --dir DIR [--kafka] [--only pg,redis,kafka]
  start    start what is not running, wait until it answers, print where it is as shell variables
  status   print the same for what is running; exit 3 when something asked for is stopped
  stop     stop what is running; the data stays
  destroy  stop and delete the data
PGHOST and PGPORT are a socket directory and the port, which is also open on 127.0.0.1; PGUSER and
PGDATABASE are khien. A second start finds the data of the first.
U
}
say() { printf 'stand: %s\n' "$*" >&2; }
die() {
	say "$*"
	exit 1
}

# as_service COMMAND...: as the user the services run as, with nothing of our terminal or locks.
as_service() {
	if [ "$(id -u)" = 0 ]; then
		(cd / && umask 077 && env LC_ALL=C.UTF-8 HOME=/ setpriv --reuid "$SERVICE_USER" \
			--regid "$(id -g "$SERVICE_USER")" --clear-groups -- "$@" 9>&-)
	else
		(cd / && umask 077 && env LC_ALL=C.UTF-8 "$@" 9>&-)
	fi
}
own() { # DIR: made, private, the service user's
	mkdir -p "$1"
	chmod 700 "$1"
	[ "$(id -u)" != 0 ] || chown -R "$SERVICE_USER:" "$1"
}

port_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
pick_port() { # [OLD]: the old one when it is free, else one below the kernel's range for outgoing connections
	local p=${1:-} i
	for i in $(seq 200); do
		if [ -n "$p" ] && port_free "$p"; then
			printf '%s\n' "$p"
			return
		fi
		p=$((15000 + (RANDOM * 32768 + RANDOM) % 16000))
	done
	die "no free port found after $i tries"
}
kept() { # NAME [DEFAULT]: what the folder remembers
	if [ -s "$DIR/$1" ]; then cat "$DIR/$1"; else printf '%s\n' "${2:-}"; fi
}

# home: sets HOME_DIR, where the data is, and SOCK, the short folder of the sockets.
home() {
	local hash
	if [ "$(id -u)" = 0 ]; then
		id "$SERVICE_USER" >/dev/null 2>&1 || die "there is no user $SERVICE_USER; run ./dev setup"
	fi
	HOME_DIR=$(kept home)
	if [ -z "$HOME_DIR" ]; then
		HOME_DIR=$DIR
		if ! as_service test -x "$DIR"; then
			hash=$(printf '%s' "$DIR" | sha256sum | cut -c1-12)
			HOME_DIR=/var/tmp/khien-$hash
			say "the user of the services cannot enter $DIR: the data goes to $HOME_DIR"
		fi
		printf '%s\n' "$HOME_DIR" >"$DIR/home"
	fi
	SOCK=$(kept sockets /nonexistent)
	[ "$command" = start ] || return 0
	if [ ! -d "$SOCK" ]; then
		SOCK=$(mktemp -d /tmp/kh-XXXXXX)
		printf '%s\n' "$SOCK" >"$DIR/sockets"
		own "$SOCK"
	fi
	mkdir -p "$HOME_DIR"
	if [ "$HOME_DIR" != "$DIR" ]; then
		[ -O "$HOME_DIR" ] || die "$HOME_DIR belongs to somebody else"
		chmod 711 "$HOME_DIR"
	fi
}

# --- PostgreSQL

pg_pid() { # of a postmaster that lives; one that is dead and not yet reaped has no command line
	local pid
	pid=$(head -n 1 "$HOME_DIR/pg/postmaster.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
	tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q postgres || return 1
	printf '%s\n' "$pid"
}
pg_running() { pg_pid >/dev/null; }
pg_answers() { "$PG_BIN/pg_isready" -q -h "$SOCK" -p "$(kept pg.port 0)"; }

pg_init() {
	[ -x "$PG_BIN/initdb" ] || die "there is no PostgreSQL 15 in $PG_BIN; run ./dev setup"
	[ ! -e "$HOME_DIR/pg/PG_VERSION" ] || return 0
	rm -rf "$HOME_DIR/pg" "$HOME_DIR/pg.new"
	own "$HOME_DIR/pg.new"
	as_service "$PG_BIN/initdb" -D "$HOME_DIR/pg.new" -U khien --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
		--data-checksums --no-instructions >"$DIR/initdb.log" 2>&1 || {
		tail -n 20 "$DIR/initdb.log" >&2
		die "the database could not be made"
	}
	echo "include 'stand.conf'" >>"$HOME_DIR/pg.new/postgresql.conf"
	mv "$HOME_DIR/pg.new" "$HOME_DIR/pg"
}

pg_start() {
	local port end=$((SECONDS + 60))
	if pg_running; then
		# Somebody's start may be on its way, or a recovery.
		until pg_answers; do
			pg_running && [ $SECONDS -lt $end ] || break
			sleep 0.05
		done
		pg_answers && return 0
	fi
	pg_init
	while :; do
		port=$(pick_port "$(kept pg.port)")
		printf '%s\n' "$port" >"$DIR/pg.port"
		cat >"$HOME_DIR/pg/stand.conf" <<C
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$SOCK'
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
fsync = on
synchronous_commit = on
full_page_writes = on
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%a '
C
		if as_service "$PG_BIN/pg_ctl" -D "$HOME_DIR/pg" -l "$HOME_DIR/pg/server.log" -s -w -t 120 start \
			</dev/null >/dev/null 2>&1; then
			break
		fi
		# After a kill the old processes need a moment to go; a port may have been taken meanwhile.
		[ $SECONDS -lt $end ] || {
			tail -n 20 "$HOME_DIR/pg/server.log" >&2
			die "PostgreSQL did not start; its log is $HOME_DIR/pg/server.log"
		}
		tail -n 5 "$HOME_DIR/pg/server.log" | grep -q 'Address already in use' && rm -f "$DIR/pg.port"
		sleep 0.2
	done
	if [ -z "$(psql -h "$SOCK" -p "$port" -U khien -d postgres -Atqc \
		"select 1 from pg_database where datname = 'khien'")" ]; then
		psql -h "$SOCK" -p "$port" -U khien -d postgres -Atqc 'create database khien'
	fi
}

pg_stop() {
	local mode=fast
	pg_running || return 0
	# What is deleted next needs no checkpoint.
	[ "$command" != destroy ] || mode=immediate
	as_service "$PG_BIN/pg_ctl" -D "$HOME_DIR/pg" -s -w -t 60 -m $mode stop ||
		as_service "$PG_BIN/pg_ctl" -D "$HOME_DIR/pg" -s -w -t 60 -m immediate stop
}

pg_print() {
	printf 'PGHOST=%s\nPGPORT=%s\nPGUSER=khien\nPGDATABASE=khien\nPGDATA=%s\nPGPID=%s\n' "$SOCK" "$(kept pg.port)" \
		"$HOME_DIR/pg" "$(pg_pid)"
}

# --- Redis

redis_pid() {
	local pid
	[ -s "$HOME_DIR/redis/pid" ] || return 1
	pid=$(<"$HOME_DIR/redis/pid")
	# The pid file alone is not believed: it must be a server on this stand's port.
	[ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q "redis-server.*:$(kept redis.port 0)" || return 1
	printf '%s\n' "$pid"
}
redis_running() { redis_pid >/dev/null; }
redis_answers() { [ "$(redis-cli -h 127.0.0.1 -p "$(kept redis.port 0)" ping 2>/dev/null)" = PONG ]; }

redis_start() {
	local port try end
	redis_running && return 0
	command -v redis-server >/dev/null || die 'there is no redis-server; run ./dev setup'
	own "$HOME_DIR/redis"
	for try in 1 2 3; do
		port=$(pick_port "$(kept redis.port)")
		printf '%s\n' "$port" >"$DIR/redis.port"
		rm -f "$HOME_DIR/redis/pid"
		as_service redis-server --bind 127.0.0.1 --port "$port" --unixsocket "$SOCK/redis" --unixsocketperm 700 \
			--dir "$HOME_DIR/redis" --daemonize yes --pidfile "$HOME_DIR/redis/pid" \
			--logfile "$HOME_DIR/redis/server.log" --save '' --appendonly yes --appendfsync everysec \
			--maxmemory 2gb --maxmemory-policy noeviction </dev/null >/dev/null 2>&1 || true
		end=$((SECONDS + 30))
		while [ $SECONDS -lt $end ]; do
			if redis_running && redis_answers; then return 0; fi
			tail -n 5 "$HOME_DIR/redis/server.log" 2>/dev/null | grep -q 'Address already in use' && break
			sleep 0.05
		done
		rm -f "$DIR/redis.port"
	done
	tail -n 20 "$HOME_DIR/redis/server.log" >&2 || true
	die "Redis did not start after $try tries; its log is $HOME_DIR/redis/server.log"
}

redis_stop() {
	local pid end
	pid=$(redis_pid) || return 0
	kill "$pid" 2>/dev/null || true
	end=$((SECONDS + 20))
	while redis_running; do
		[ $SECONDS -lt $end ] || kill -9 "$pid" 2>/dev/null || true
		sleep 0.05
	done
}

redis_print() { printf 'REDIS_URL=redis://127.0.0.1:%s\nREDIS_PID=%s\n' "$(kept redis.port)" "$(redis_pid)"; }

# --- Kafka

kafka_running() { "$KAFKA_LOCAL" status --dir "$DIR/kafka" >/dev/null 2>&1; }
kafka_start() {
	local port
	kafka_running && return 0
	port=$(kept kafka/port)
	if [ -n "$port" ] && port_free "$port"; then
		"$KAFKA_LOCAL" start --dir "$DIR/kafka" >/dev/null 9>&-
	else
		"$KAFKA_LOCAL" start --port 0 --dir "$DIR/kafka" >/dev/null 9>&-
	fi
}
kafka_stop() { [ ! -e "$DIR/kafka/pid" ] || "$KAFKA_LOCAL" stop --dir "$DIR/kafka"; }
kafka_print() { printf 'KAFKA=127.0.0.1:%s\nKAFKA_PID=%s\n' "$(kept kafka/port)" "$(kept kafka/pid)"; }

# --- commands

[ $# -gt 0 ] || {
	usage >&2
	exit 2
}
command=$1 DIR='' ONLY=() KAFKA='' HOME_DIR='' SOCK=''
shift
while [ $# -gt 0 ]; do
	case $1 in
	--dir)
		DIR=${2:?--dir needs a folder}
		shift 2
		;;
	--kafka)
		KAFKA=1
		shift
		;;
	--only)
		IFS=, read -r -a ONLY <<<"${2:?--only needs a list}"
		shift 2
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
done
case $command in
help | -h | --help)
	usage
	exit
	;;
start | stop | status | destroy) ;;
*)
	usage >&2
	exit 2
	;;
esac
[ -n "$DIR" ] || die '--dir is missing'
if [ ! -d "$DIR" ]; then
	case $command in
	stop | destroy) exit 0 ;;
	status) exit 3 ;;
	esac
	mkdir -p "$DIR"
fi
DIR=$(cd "$DIR" && pwd -P)
if [ ${#ONLY[@]} = 0 ]; then
	ONLY=(pg redis)
	# A stop stops whatever runs; a start starts Kafka only when asked.
	case $command in
	stop | destroy) ONLY+=(kafka) ;;
	*) [ -z "$KAFKA" ] || ONLY+=(kafka) ;;
	esac
fi
for one in "${ONLY[@]}"; do
	case $one in pg | redis | kafka) ;; *) die "no such service: $one" ;; esac
done
exec 9>"$DIR/lock"
flock -w 300 9 || die "another start or stop of $DIR does not end"
home
case $command in
start)
	for one in "${ONLY[@]}"; do "${one}_start"; done
	for one in "${ONLY[@]}"; do "${one}_print"; done
	;;
status)
	rc=0
	for one in "${ONLY[@]}"; do
		if "${one}_running"; then "${one}_print"; else rc=3; fi
	done
	exit $rc
	;;
stop | destroy)
	for one in "${ONLY[@]}"; do "${one}_stop"; done
	if [ "$command" = destroy ]; then
		rm -rf "$HOME_DIR/pg" "$HOME_DIR/redis" "$SOCK" "$DIR"/{kafka,home,sockets,pg.port,redis.port,initdb.log,lock}
		[ "$HOME_DIR" = "$DIR" ] || rm -rf "$HOME_DIR"
		rmdir "$DIR" 2>/dev/null || true
	fi
	if ! pg_running && ! redis_running; then
		case $SOCK in /tmp/kh-*) rm -rf "$SOCK" ;; esac
		rm -f "$DIR/sockets"
	fi
	;;
esac
