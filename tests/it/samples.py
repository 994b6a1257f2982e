"""The sample reports of tests/data/reports as records, with their expectations."""
import csv
import pathlib
import sys

REPORTS = pathlib.Path(__file__).resolve().parents[1] / "data" / "reports"
sys.path.insert(0, str(REPORTS))
import check  # noqa: E402
import render  # noqa: E402


def rows(path):
    with open(path, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def load(now):
    """[(file name, row of expectations, value)], in file order; now as render.py takes it."""
    at, out = render.parse_now(now), []
    for path in sorted(REPORTS.glob("[0-9][0-9]-*.jsonl")):
        lines = path.read_bytes().split(b"\n")[:-1]
        for row, line in zip(rows(path.with_suffix(".expect.tsv")), lines, strict=True):
            out.append((path.name, row, check.record_of(render.expand(line, at, path.name), path.name)))
    return at, out


def senders():
    return rows(REPORTS / "expect-senders.tsv")


def state_of(walk, fate):
    """What became of a class, in the words of expect-senders.tsv."""
    if fate.state == "held":
        return f"held {fate.reason}"
    if fate.state != "listed":
        return fate.state
    last = walk.episodes[-1]
    hours = (last.until - last.decided_at) // 3_600_000_000
    return f"listed {fate.action} " + ("24h" if hours == 24 else f"{hours // 24}d")
