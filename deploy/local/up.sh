#!/usr/bin/env bash
# ./dev up: the whole engine on this machine with sample reports, from nothing to ready curl lines. It starts private
# services and the embedded broker, lets the engine work, shows what came of it (summary.py), and stops
# all of it at the end. Leaves out: how the services run (stand.sh) and what is right (summary.py check).
set -euo pipefail

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HERE=$TOP/deploy/local
cd "$TOP"
PYTHON=/usr/bin/python3

usage() {
	cat <<'U'
usage: ./dev up [--once] [--kafka HOST:PORT] [--samples] [--conf FILE] [--port N]
  --once             end after the summary: exit 0 when every invariant holds
  --kafka HOST:PORT  read this broker's topic complaints instead of the embedded one; then the mode is review, no
                     blocklist topic is written, and no sample report is sent unless --samples asks for it
  --samples          send the sample reports to the broker of --kafka
  --conf FILE        a configuration laid over the one made here: its settings win
  --port N           the API's port (8156)
  --fresh            forget the data of earlier runs
Data is kept below var/up (or $var/up; of --kafka beside it): a second start takes seconds and finds it again.
U
}

ONCE='' KAFKA='' SAMPLES='' OVER='' PORT=8156 FRESH=''
while [ $# -gt 0 ]; do
	case $1 in
	--once) ONCE=1 ;;
	--samples) SAMPLES=1 ;;
	--fresh) FRESH=1 ;;
	--kafka | --conf | --port)
		[ $# -gt 1 ] || {
			usage >&2
			exit 2
		}
		case $1 in
		--kafka) KAFKA=$2 ;;
		--conf) OVER=$(realpath -e -- "$2") ;;
		--port) PORT=$2 ;;
		esac
		shift
		;;
	-h | --help)
		usage
		exit
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
	shift
done
case $PORT in '' | *[!0-9]*) usage >&2 && exit 2 ;; esac
case $KAFKA in '' | *:*) ;; *) usage >&2 && exit 2 ;; esac

VAR=${var:-$TOP/var}
DIR=$VAR/up
# What came from another broker is another installation's.
[ -z "$KAFKA" ] || DIR=$VAR/up-$(printf '%s' "$KAFKA" | tr -c 'A-Za-z0-9.' '-')
KHIEN=$TOP/build/khien
ENGINE='' BROKER='' STARTED='' STAMP=''

step() { printf '\033[1m== %s\033[0m\n' "$*"; }
[ -t 1 ] || step() { printf '== %s\n' "$*"; }
die() {
	printf 'up: %s\n' "$*" >&2
	exit 1
}
# answers HOST PORT: something takes connections there.
answers() { timeout 5 bash -c 'exec 3<>"/dev/tcp/$1/$2"' - "$1" "$2" 2>/dev/null; }
port_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# ours PID: that process lives and is one that a run in this folder started.
ours() { [ -n "$1" ] && tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF -- "$DIR/"; }
alive() { # PID: has not ended; one that was not waited for yet is a zombie
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	stat=${stat##*) }
	[ "${stat%% *}" != Z ]
}
end() { # PID SECONDS: asks it to end, waits, insists
	local pid=$1 until=$((SECONDS + $2))
	[ -n "$pid" ] && ours "$pid" || return 0
	kill -TERM "$pid" 2>/dev/null || true
	while ours "$pid"; do
		[ $SECONDS -lt $until ] || {
			kill -KILL "$pid" 2>/dev/null || true
			printf 'up: process %s did not end within %s s and was killed\n' "$pid" "$2" >&2
			break
		}
		sleep 0.1
	done
}
cleanup() {
	local rc=$?
	trap '' INT TERM HUP PIPE
	trap - EXIT
	set +e # whatever fails, the rest is stopped
	if [ -n "$STARTED" ]; then
		[ -n "$ONCE" ] || printf '\n'
		step 'stopping what was started'
		[ ! -s "$DIR/sender.pid" ] || end "$(<"$DIR/sender.pid")" 5
		end "$ENGINE" 20
		end "$BROKER" 5
		"$HERE/stand.sh" stop --dir "$DIR/stand" || true
		rm -f "$DIR"/{sender,engine,broker}.pid
	fi
	exit "$rc"
}
# Why the engine is not ready, a line per part of it; nothing when it is.
unready() { curl -sS --max-time 2 "http://127.0.0.1:$PORT/readyz" 2>&1 | grep -vx ready || true; }
# The engine works. On somebody's broker the topics that it writes may not be there yet: then they wait, not we.
ready() {
	local left
	left=$(unready)
	[ -z "$KAFKA" ] || left=$(grep -v '^relay-' <<<"$left" || true)
	[ -z "$left" ]
}
# wait_for SECONDS WHAT PID LOG COMMAND...: until the command succeeds, while the process lives.
wait_for() {
	local until=$((SECONDS + $1)) what=$2 pid=$3 log=$4
	shift 4
	until "$@" >/dev/null 2>&1; do
		alive "$pid" || {
			tail -n 15 "$log" >&2
			die "$what ended; its log is $log"
		}
		[ $SECONDS -lt "$until" ] || {
			tail -n 15 "$log" >&2
			[ "$what" != 'the engine' ] || unready | sed 's/^/  waiting: /' >&2
			[ -z "$KAFKA" ] || printf 'up: has %s a topic complaints, and does it let us read it?\n' "$KAFKA" >&2
			die "$what is not ready; its log is $log"
		}
		sleep 0.2
	done
}

prepare() {
	step 'packages and program'
	. "$HERE/packages.sh"
	packages_setup "${PACKAGES_BUILD[@]}" "${PACKAGES_RUN[@]}"
	if [ -t 1 ]; then
		./dev build
	else
		./dev build | awk '!/^\[/ || ++n % 25 == 1 { print; fflush() }'
	fi
	mkdir -p "$DIR"
	DIR=$(cd "$DIR" && pwd -P)
	exec 7>"$DIR/lock"
	flock -n 7 || die "another ./dev up runs on $DIR"
	# A run that was killed could not clean up.
	local name
	for name in sender engine broker; do
		[ ! -s "$DIR/$name.pid" ] || end "$(<"$DIR/$name.pid")" 10
	done
	port_free "$PORT" || die "port $PORT is taken; choose another by --port N"
	[ -z "$KAFKA" ] || answers "${KAFKA%:*}" "${KAFKA##*:}" || die "nothing answers at $KAFKA"
	if [ -n "$FRESH" ]; then
		"$HERE/stand.sh" destroy --dir "$DIR/stand"
		rm -rf "$DIR"/{keys,reports,sending,sent,token,console-password,khien.yaml,active,audit-heads.log}
	fi
}

services() {
	local line
	step 'private PostgreSQL and Redis'
	STARTED=1
	line=$("$HERE/stand.sh" start --dir "$DIR/stand" 7>&-)
	while IFS='=' read -r name value; do export "$name=$value"; done <<<"$line"
	printf '  PostgreSQL %s port %s, Redis %s\n' "$PGHOST" "$PGPORT" "$REDIS_URL"
}

broker() {
	if [ -n "$KAFKA" ]; then
		step "the broker at $KAFKA"
		MODE=review
		# One source for one broker: offsets go on where they ended.
		KHIEN_SOURCE=${DIR##*/}
		BROKER_LINES="  brokers: \"$KAFKA\""
	else
		step 'the embedded broker (forgets everything when it ends; for demonstrations only)'
		MODE=auto
		rm -f "$DIR/broker.file"
		setsid "$KHIEN" broker --topics complaints:4,contacts:1,activity:1,poll-answers:1,provisioning-results:1,notice-results:1,subscriptions:1,outcomes:1,registry-requests:1,audit-heads:1,blocklist:1,provisioning:1,notices:1,polls:1,referrals:1 \
			--file "$DIR/broker.file" >"$DIR/broker.log" 2>&1 7>&- &
		BROKER=$!
		printf '%s\n' "$BROKER" >"$DIR/broker.pid"
		wait_for 20 'the embedded broker' "$BROKER" "$DIR/broker.log" test -s "$DIR/broker.file"
		KHIEN_SOURCE=$(sed -n 's/^source //p' "$DIR/broker.file")
		BROKER_LINES="  brokers_file: $DIR/broker.file"
		printf '  %s\n' "$(head -n 1 "$DIR/broker.file")"
	fi
	export KHIEN_SOURCE
}

configure() {
	local shielded=$TOP/tests/data/reports/protected.csv
	# The samples have protected senders of their own; somebody's own reports are judged by the shipped list.
	[ -z "$KAFKA" ] || [ -n "$SAMPLES" ] || shielded=$TOP/etc/protected.csv
	[ -e "$DIR/keys/token.key" ] || "$KHIEN" keys --dir "$DIR/keys" >/dev/null
	cat >"$DIR/khien.yaml" <<Y
# Written by ./dev up at every start; lay your own settings over it by --conf.
source: $KHIEN_SOURCE
mode: $MODE
workers: 1
keys: {dir: $DIR/keys}
kafka:
$BROKER_LINES
  group: khien-up
database:
  dsn: "host=$PGHOST port=$PGPORT user=khien dbname=khien"
redis:
  urls: [$REDIS_URL]
api: {listen: "127.0.0.1:$PORT"}
policy: {file: $TOP/etc/policy.yaml}
rules: {dir: $TOP/etc/rules, homoglyphs: $TOP/etc/fold/homoglyphs.tsv, cache_dir: $DIR/rules-cache}
model: {file: $TOP/etc/model/shipped.khm}
numbers: {dir: $TOP/etc/numbers}
protected: {file: $shielded}
audit: {heads_file: $DIR/audit-heads.log}
send: {state_dir: $DIR/sending}
Y
	[ -z "$OVER" ] || "$PYTHON" - "$DIR/khien.yaml" "$OVER" <<'PY'
import sys
import yaml


def lay(under, over):
    for name, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(name), dict):
            lay(under[name], value)
        else:
            under[name] = value
    return under


path, over = sys.argv[1:]
with open(path, encoding="utf-8") as one, open(over, encoding="utf-8") as two:
    merged = lay(yaml.safe_load(one), yaml.safe_load(two) or {})
with open(path, "w", encoding="utf-8") as out:
    yaml.safe_dump(merged, out, allow_unicode=True)
PY
	MODE=$(sed -n 's/^mode: *//p' "$DIR/khien.yaml")
	# What was checked and activated by an earlier start needs it no more: loading the packs takes seconds each time.
	STAMP=$({
		printf '%s\n' "$MODE"
		find "$KHIEN" etc "$shielded" ${OVER:+"$OVER"} -type f -exec sha256sum {} + | sort
	} | sha256sum)
	[ "$(cat "$DIR/active" 2>/dev/null)" != "$STAMP" ] || return 0
	"$KHIEN" check -c "$DIR/khien.yaml" >"$DIR/check.log" 2>&1 || {
		cat "$DIR/check.log" >&2
		die 'the configuration does not hold'
	}
}

engine() {
	step 'schema and engine'
	"$KHIEN" migrate -c "$DIR/khien.yaml" >"$DIR/migrate.log" 2>&1 || {
		cat "$DIR/migrate.log" >&2
		die 'the schema could not be brought up to date; --fresh forgets the data of earlier runs'
	}
	if [ "$(cat "$DIR/active" 2>/dev/null)" != "$STAMP" ]; then
		"$KHIEN" activate -c "$DIR/khien.yaml" >"$DIR/activate.log" 2>&1 || {
			cat "$DIR/activate.log" >&2
			die 'mode, policy and rule packs could not be activated'
		}
		printf '%s\n' "$STAMP" >"$DIR/active"
	fi
	# In a session of its own: Ctrl-C is for this script, which ends things in order.
	setsid "$KHIEN" run -c "$DIR/khien.yaml" >"$DIR/engine.log" 2>&1 7>&- &
	ENGINE=$!
	printf '%s\n' "$ENGINE" >"$DIR/engine.pid"
	wait_for 60 'the engine' "$ENGINE" "$DIR/engine.log" ready
	printf '  ready on http://127.0.0.1:%s, mode %s, log %s\n' "$PORT" "$MODE" "$DIR/engine.log"
}

send() {
	local before want sender
	if [ -n "$KAFKA" ] && [ -z "$SAMPLES" ]; then
		step 'reading what the topic holds; sample reports are sent only with --samples'
		caught_up
		return
	fi
	if [ -e "$DIR/sent" ]; then
		step "the reports of an earlier run are here: $(<"$DIR/sent"); --fresh starts anew"
		"$HERE/summary.py" wait 0 60
		return
	fi
	step 'sample reports'
	"$PYTHON" tests/data/reports/render.py now "$DIR/reports"
	want=$(cat "$DIR"/reports/*.jsonl | grep -c .)
	before=$("$HERE/summary.py" records)
	# A group takes some seconds to form; so what is sent is seen to be worked on.
	wait_for 60 'the engine' "$ENGINE" "$DIR/engine.log" "$HERE/summary.py" reading
	"$KHIEN" send -c "$DIR/khien.yaml" --rate "${RATE:-100}" "$DIR"/reports/*.jsonl >"$DIR/send.log" 2>&1 7>&- &
	sender=$!
	printf '%s\n' "$sender" >"$DIR/sender.pid"
	"$HERE/summary.py" wait $((before + want)) 180 || {
		tail -n 5 "$DIR/send.log" "$DIR/engine.log" >&2
		die "not every report was settled; the logs are $DIR/send.log and $DIR/engine.log"
	}
	wait "$sender" || {
		cat "$DIR/send.log" >&2
		die 'the reports could not be sent'
	}
	date '+%Y-%m-%d %H:%M:%S' >"$DIR/sent"
}

# caught_up: waits until the engine has read what the broker's topic holds.
caught_up() {
	local last=-1 now=0 same=0 i
	for ((i = 0; i < 300; i++)); do
		"$HERE/summary.py" reading && break
		alive "$ENGINE" || die "the engine ended; its log is $DIR/engine.log"
		sleep 0.2
	done
	[ $i -lt 300 ] || {
		tail -n 5 "$DIR/engine.log" >&2
		die "the engine got no partition of topic complaints at $KAFKA: does the topic exist?"
	}
	while [ $same -lt 6 ]; do
		now=$("$HERE/summary.py" records)
		if [ "$now" = "$last" ]; then
			same=$((same + 1))
		else
			same=0
			printf '  %s records read\n' "$now"
		fi
		last=$now
		alive "$ENGINE" || die "the engine ended; its log is $DIR/engine.log"
		sleep 0.5
	done
	"$HERE/summary.py" wait "$now" 60
}

# A person for the demonstration's console, with a password of its own that stays in the folder.
console_user() {
	local password
	[ -e "$TOP/build/console/built" ] || return 0
	if [ ! -s "$DIR/console-password" ] || ! "$KHIEN" user list -c "$DIR/khien.yaml" 2>/dev/null | grep -q '"demo"'; then
		password=$(od -An -N 12 -tx1 /dev/urandom | tr -d ' \n')
		printf '%s\n' "$password" | "$KHIEN" user create -c "$DIR/khien.yaml" --name demo --role supervisor >"$DIR/user.log" 2>&1 || {
			cat "$DIR/user.log" >&2
			return 0
		}
		(umask 077 && printf '%s\n' "$password" >"$DIR/console-password")
	fi
	printf '\nThe console: http://127.0.0.1:%s/  name demo, password %s\n' "$PORT" "$(<"$DIR/console-password")"
}

print_lines() {
	local token auth=() name value
	token=$(cat "$DIR/token" 2>/dev/null || true)
	if [ -z "$token" ] || ! curl -fsS --max-time 5 -o /dev/null -H "Authorization: Bearer $token" \
		"http://127.0.0.1:$PORT/v1/me" 2>/dev/null; then
		token=$("$KHIEN" token create -c "$DIR/khien.yaml" --name "demo-$(date +%s)" --role supervisor --loopback 2>"$DIR/token.log") || {
			cat "$DIR/token.log" >&2
			die 'no token could be made'
		}
		(umask 077 && printf '%s\n' "$token" >"$DIR/token")
	fi
	console_user
	while IFS='=' read -r name value; do local "$name=$value"; done < <("$HERE/summary.py" pick)
	if [ -n "$ONCE" ]; then
		printf '\nWhat to ask it; with --once it ends now, so start it by ./dev up first:\n'
	else
		printf '\nAsk it (the token answers only on this machine):\n'
	fi
	cat <<L
  T=$token; A=http://127.0.0.1:$PORT
  curl -s \$A/readyz
  curl -s -H "Authorization: Bearer \$T" \$A/v1/stats | jq
L
	[ -z "$BLOCKED" ] || cat <<L
  # a blocked sender: what a switch would be told, and why
  curl -s -H "Authorization: Bearer \$T" "\$A/v1/lookup/$BLOCKED?service=$BLOCKED_SERVICE" | jq
  curl -s -H "Authorization: Bearer \$T" \$A/v1/senders/$BLOCKED/why | jq
L
	[ -n "$BLOCKED" ] || [ -z "$PROPOSED" ] || cat <<L
  # a sender that the engine would block: people decide
  curl -s -H "Authorization: Bearer \$T" \$A/v1/senders/$PROPOSED/why | jq
L
	[ -z "$PROTECTED" ] || cat <<L
  # a protected sender that was reported: in a queue for people, never barred by itself
  curl -s -H "Authorization: Bearer \$T" \$A/v1/senders/$PROTECTED/why | jq
L
	[ -z "$REPORT" ] || cat <<L
  # what became of one report
  curl -s -H "Authorization: Bearer \$T" \$A/v1/reports/$REPORT | jq
L
	[ -z "$BRIGADED" ] || cat <<L
  # many reports and no independent signal: held for people, not blocked
  curl -s -H "Authorization: Bearer \$T" \$A/v1/senders/$BRIGADED/why | jq
L
	cat <<L
  # the list as a subscriber gets it, and the figures
  curl -s -H "Authorization: Bearer \$T" "\$A/v1/feed/snapshot?service=sms" | head -n 3
  curl -s \$A/metrics | grep -E '^khien_(records|batch_seconds_(sum|count)|blocklist|lookup)'
  psql -h $PGHOST -p $PGPORT -U khien khien -c 'select * from conservation'
L
}

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP PIPE
prepare
services
broker
configure
engine
send
"$HERE/summary.py" show
rc=0
"$HERE/summary.py" check || rc=1
[ -z "$KAFKA" ] || "$HERE/summary.py" waiting
print_lines
if [ -n "$ONCE" ]; then exit $rc; fi
printf '\nRunning; Ctrl-C ends it.\n'
wait_rc=0
wait "$ENGINE" || wait_rc=$?
tail -n 15 "$DIR/engine.log" >&2
die "the engine ended by itself ($wait_rc); its log is $DIR/engine.log"
