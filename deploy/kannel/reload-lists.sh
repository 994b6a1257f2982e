#!/bin/sh
# Brings the blocklist to Kannel. Kannel fetches black-list by itself, at its start and whenever it is told, and when that fails it has no
# list at all and reports success. So it never asks the network: this script fetches the list from the engine, proves it, and puts it
# into a folder of this machine, which khien-list.service serves on the loopback address in black-list. Kannel is told when the list has
# changed, and every RELOAD_S seconds all the same, but only while that address gives exactly this list. For a timer or cron, every minute:
#   * * * * * kannel  /usr/local/share/khien/deploy/kannel/reload-lists.sh
# with FEED=http://kannel:TOKEN@10.0.0.5:8156/v1/feed/kannel.txt?service=sms and KANNEL_PASSWORD=… of the admin interface, quoted as for
# a shell, in CONF, which is for that user alone. Exit 1, with a line for the log, when something is wrong; the list that Kannel holds stays.
set -eu
CONF=${CONF:-/etc/kannel/khien-list.conf}
[ ! -r "$CONF" ] || . "$CONF"
: "${FEED:?the address of kannel.txt}" "${KANNEL_PASSWORD:?of the admin interface}"
ADMIN=${ADMIN:-http://127.0.0.1:13000}
LOCAL=${LOCAL:-http://127.0.0.1:8157/khien-list.txt}
DIR=${DIR:-/var/lib/kannel/khien}
STATE=${STATE:-/var/lib/kannel/khien-list.sum}
FRESH_S=${FRESH_S:-300}
RELOAD_S=${RELOAD_S:-300}
umask 027
alarm() {
	logger -p daemon.alert -t khien-kannel "alarm=$1" 2>/dev/null || true
	echo "khien-kannel: alarm=$1" >&2
	exit 1
}
# Addresses hold secrets: they go in by a pipe, not as words that everybody on the machine can read.
get() {
	address=$1
	shift
	printf 'url = "%s"\n' "$(printf %s "$address" | sed 's/[\\"]/\\&/g')" | curl -fsS --max-time 20 -K - "$@" 2>/dev/null
}
served() {
	get "$LOCAL" -o "$new.served" && cmp -s "$new" "$new.served"
}
mkdir -p "$DIR"
new=$(mktemp "$DIR/.new.XXXXXX")
trap 'rm -f "$new" "$new.head" "$new.served"' EXIT
get "$FEED" -D "$new.head" -o "$new" || alarm no_list
grep -qi '^content-type: text/plain' "$new.head" || alarm no_list
# Bytes, not lines: an empty list is a list.
[ ! -s "$new" ] || [ "$(tail -c 1 "$new" | od -An -tx1 | tr -d ' ')" = 0a ] || alarm cut_list
age=$(sed -n 's/^[Aa]ge: *\([0-9]*\).*/\1/p' "$new.head")
[ "${age:-0}" -le "$FRESH_S" ] || alarm stale_list_"${age}"_s
cp "$new" "$new.served"
chmod 640 "$new.served"
mv -f "$new.served" "$DIR/khien-list.txt"
sum=$(sha256sum <"$new")
now=$(date +%s)
told=$(stat -c %Y "$STATE" 2>/dev/null || echo 0)
if [ "$sum" != "$(cat "$STATE" 2>/dev/null)" ] || [ $((now - told)) -ge "$RELOAD_S" ]; then
	served || alarm not_served
	get "$ADMIN/reload-lists?password=$KANNEL_PASSWORD" | grep -q 're-loaded' || alarm not_reloaded
	# Gone in the middle of it: Kannel may be without any list, and is told again the next time.
	served || { rm -f "$STATE"; alarm not_served; }
	printf '%s\n' "$sum" >"$STATE"
fi
