#!/bin/sh
# Tells Kannel to load the blocklist again, but only when the engine serves one: a failed download leaves Kannel without any list, and
# it reports success all the same. For cron, every minute:
#   * * * * * kannel  . /etc/kannel/khien.env; /usr/local/share/khien/deploy/kannel/reload-lists.sh
# with, in a file that only that user may read,
#   export KANNEL_PASSWORD=… FEED='http://kannel:TOKEN@10.0.0.5:8156/v1/feed/kannel.txt?service=sms'
# Token and password never stand in a command line: ps shows those to every user.
# Exit 1, with a line for the log, when the list cannot be had; the one that Kannel holds stays in force.
set -eu
: "${FEED:?the address in black-list}" "${KANNEL_PASSWORD:?of the admin interface}"
ADMIN=${ADMIN:-http://127.0.0.1:13000}
STATE=${STATE:-/var/lib/kannel/khien-list.sum}
FRESH_S=${FRESH_S:-300}
alarm() {
	logger -p daemon.alert -t khien-kannel "alarm=$1" 2>/dev/null || true
	echo "khien-kannel: alarm=$1" >&2
	exit 1
}
# curl with the address from its standard input.
get() {
	at=$1
	shift
	printf 'url = "%s"\n' "$(printf %s "$at" | sed 's/[\\"]/\\&/g')" | curl -fsS -K - --max-time 20 "$@" 2>/dev/null
}
new=$(mktemp)
trap 'rm -f "$new" "$new.head"' EXIT
get "$FEED" -D "$new.head" -o "$new" || alarm no_list
grep -qi '^content-type: text/plain' "$new.head" || alarm no_list
# Bytes, not lines: an empty list is a list.
[ ! -s "$new" ] || [ "$(tail -c 1 "$new" | od -An -tx1 | tr -d ' ')" = 0a ] || alarm cut_list
age=$(sed -n 's/^[Aa]ge: *\([0-9]*\).*/\1/p' "$new.head")
[ "${age:-0}" -le "$FRESH_S" ] || alarm stale_list_"${age}"_s
sum=$(sha256sum <"$new")
if [ "$sum" != "$(cat "$STATE" 2>/dev/null)" ]; then
	get "$ADMIN/reload-lists?password=$KANNEL_PASSWORD" | grep -q 're-loaded' || alarm not_reloaded
	printf '%s\n' "$sum" >"$STATE"
fi
