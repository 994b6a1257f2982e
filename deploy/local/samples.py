#!/usr/bin/python3
"""Makes report files of today from the samples: each {{-2h5m}} in them becomes the time that long ago, in RFC 3339 of Vietnam.
Everything else stays byte for byte, also what is not UTF-8.

    samples.py FROM_DIR TO_DIR [NOW]     NOW: unix seconds; prints how many records there are
"""
import datetime
import os
import re
import sys
import time

UNITS = {b"d": 86400, b"h": 3600, b"m": 60, b"s": 1}
TOKEN = re.compile(rb"\{\{([+-]?)((?:\d+[dhms])*)\}\}")
ZONE = datetime.timezone(datetime.timedelta(hours=7))


def main():
    source, target = sys.argv[1:3]
    now = float(sys.argv[3]) if len(sys.argv) > 3 else time.time()

    def when(found):
        span = sum(int(n) * UNITS[unit] for n, unit in re.findall(rb"(\d+)([dhms])", found[2]))
        at = int(now) + (span if found[1] == b"+" else -span)
        return datetime.datetime.fromtimestamp(at, ZONE).isoformat().encode()

    os.makedirs(target, exist_ok=True)
    count = 0
    for name in sorted(os.listdir(source)):
        if not name.endswith(".jsonl"):
            continue
        with open(os.path.join(source, name), "rb") as lines:
            text = TOKEN.sub(when, lines.read())
        with open(os.path.join(target, name), "wb") as out:
            out.write(text)
        count += sum(1 for line in text.split(b"\n") if line)
    if not count:
        print(f"samples: there is no report in {source}", file=sys.stderr)
        return 1
    print(count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
