#!/usr/bin/python3
"""Writes the sample reports with real times.

    render.py NOW OUT_DIR

NOW is an RFC 3339 time or the word `now`; it is rounded down to the minute. Every NN-name.jsonl beside this file is written
to OUT_DIR under its own name, each token {{-26h30m}} replaced by NOW minus that span, as 2026-01-05T09:15:00+07:00. Units
are d, h, m, s, in this order, each at most once. Lines that begin with byte 0x01 (escaped records) are copied as they are. Nothing is
written when a token cannot be read. Leaves out: sending the files, which is `khien send`'s work.
"""
import datetime
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ZONE = datetime.timezone(datetime.timedelta(hours=7))
MARK = re.compile(rb"\{\{[-+0-9][^}\n]*\}\}")
TOKEN = re.compile(rb"\{\{-(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?\}\}")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)")


def parse_now(text):
    """The time NOW stands for, in +07:00 and without seconds."""
    if text == "now":
        at = datetime.datetime.now(ZONE)
    elif RFC3339.fullmatch(text):
        at = datetime.datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text.replace("t", "T")))
    else:
        raise ValueError(f"{text}: neither RFC 3339 with a zone nor the word now")
    return at.astimezone(ZONE).replace(second=0, microsecond=0)


def expand(line, now, where):
    """One line with its tokens replaced."""
    if line.startswith(b"\x01"):
        return line

    def one(mark):
        token = TOKEN.fullmatch(mark.group())
        if token is None:
            raise ValueError(f"{where}: {mark.group().decode(errors='replace')} is no time token")
        days, hours, minutes, seconds = (int(n or 0) for n in token.groups())
        at = now - datetime.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        return at.isoformat(timespec="seconds").encode()

    return MARK.sub(one, line)


def main(argv):
    if len(argv) != 3:
        print("usage: render.py NOW OUT_DIR   (NOW: RFC 3339 time or now)", file=sys.stderr)
        return 2
    try:
        now = parse_now(argv[1])
        done = {}
        for path in sorted(HERE.glob("[0-9][0-9]-*.jsonl")):
            lines = path.read_bytes().split(b"\n")
            done[path.name] = b"\n".join(expand(s, now, f"{path.name}:{n}") for n, s in enumerate(lines, 1))
        out = pathlib.Path(argv[2])
        out.mkdir(parents=True, exist_ok=True)
        for name, data in done.items():
            (out / name).write_bytes(data)
    except (ValueError, OSError) as e:
        print(f"render.py: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
