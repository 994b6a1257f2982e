#!/usr/bin/python3
"""docs/metrics.md from the calls that make the metrics: their own help is the page's prose.

    metrics_page.py           compares, exit 1 when the page is not what the sources say
    metrics_page.py --write   writes it
    metrics_page.py --names   every name, one a line
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
ROOMS = ("base", "wire", "audit", "blocklist", "cases", "classifier", "ingest", "engine", "api", "keep", "app")
TEXT = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
FAMILY = re.compile(r"metric_family\(\s*METRIC_(\w+)\s*,\s*" + TEXT + r",\s*" + TEXT + r",\s*" + TEXT + r"\)")
GAUGE = re.compile(r"\bgauge\(\s*" + TEXT + r",\s*" + TEXT + r"\)")
HEAD = """# Metrics

`GET /metrics` of every process, in Prometheus' text format and without a token. Each role shows those of what it does. This page is written from the
sources by `tests/unit/metrics_page.py --write`, and a test compares the two. Alarms are in `deploy/prometheus/khien.rules.yml`, what to do about each
in [runbooks.md](runbooks.md), a dashboard in `deploy/grafana/khien.json`.

| name | kind | labels | what it says |
|---|---|---|---|
"""


def joined(text):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)).replace('\\"', '"')


def families():
    found = {}
    for room in ROOMS:
        for path in sorted((TOP / room).glob("*.c")):
            text = path.read_text(encoding="utf-8")
            for kind, name, labels, help_ in FAMILY.findall(text):
                found.setdefault(joined(name), (kind.lower(), joined(labels), joined(help_)))
            for name, help_ in GAUGE.findall(text):
                found.setdefault(joined(name), ("gauge", "", joined(help_)))
    return found


def page():
    rows = [f"| `{n}` | {k} | {', '.join(l.split(',')) if l else ''} | {h} |" for n, (k, l, h) in sorted(families().items())]
    return HEAD + "\n".join(rows) + "\n"


def main():
    there = TOP / "docs/metrics.md"
    if sys.argv[1:] == ["--write"]:
        there.write_text(page(), encoding="utf-8")
        return 0
    if sys.argv[1:] == ["--names"]:
        print("\n".join(sorted(families())))
        return 0
    if there.read_text(encoding="utf-8") != page():
        print("docs/metrics.md is not what the sources say; tests/unit/metrics_page.py --write")
        return 1
    print(f"{len(families())} metrics, as the page says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
