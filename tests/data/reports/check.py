#!/usr/bin/python3
"""Verifies that the sample reports and their expectations fit together: one row a record, ids, words, weights, totals.

    check.py            prints the totals; exit 1 and one line per fault when something does not fit

Needs neither the engine nor a service, and judges nothing itself: whether the engine agrees is the end-to-end tests' work.
"""
import base64
import csv
import json
import pathlib
import sys

sys.dont_write_bytecode = True
import render  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
NOW = "2026-01-05T10:30:00+07:00"
AT_LEAST = 400
MAX_DEPTH = 32
TOTALS = {"accepted": 574, "rejected": 13, "duplicate": 14, "routed": 10, "quarantined": 88}

REASONS = {
    "accepted": {"counted", "late", "no_contact", "spoofed", "withheld", "old_number"},
    "rejected": {"self_report", "emergency_number", "own_service_number"},
    "duplicate": {"duplicate"},
    "routed": {"registry"},
    "quarantined": {
        "tombstone", "too_large", "not_utf8", "not_json", "unknown_schema", "missing_field", "wrong_type",
        "bad_report_id", "bad_channel", "bad_kind", "bad_contact", "bad_time", "bad_reporter", "no_keyword",
        "no_sender", "two_senders", "bad_content", "bad_sender", "conflict",
    },
}
WEIGHTS = {"counted": "1", "late": "0", "no_contact": "0", "spoofed": "0"}
RECORD_COLUMNS = ["line", "report_id", "disposition", "reason", "vote_weight", "why"]
SENDER_COLUMNS = ["scope", "value", "service", "class", "rung", "state", "reporters", "why"]
LISTED = {f"listed {a} {t}" for a in ("bar_out", "bar_in") for t in ("24h", "7d", "30d")}
STATES = LISTED | {"held protected", "held needs_person", "held one_leg", "expired", "none"}
RUNGS_OF = {"held one_leg": {"verify"}, "none": {"observe", "verify"}}

faults = []


def fault(where, what):
    faults.append(f"{where}: {what}")


def rows_of(path, columns):
    """The rows below the header; a fault and nothing when the header is another one."""
    with open(path, encoding="utf-8", newline="") as f:
        rows = list(csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows or rows[0] != columns:
        fault(path.name, f"the first line is not {' '.join(columns)}")
        return []
    good = []
    for n, row in enumerate(rows[1:], 2):
        if len(row) == len(columns) and all(row):
            good.append(row)
        else:
            fault(f"{path.name}:{n}", f"{len(row)} columns, or an empty one")
    return good


def record_of(line, where):
    """The record's bytes as they go onto the topic; None for a tombstone."""
    if not line.startswith(b"\x01"):
        return line
    if line == b"\x01tombstone":
        return None
    if not line.startswith(b"\x01base64:"):
        fault(where, "an escape that is neither base64 nor tombstone")
        return b""
    try:
        return base64.b64decode(line[8:], validate=True)
    except ValueError as e:
        fault(where, f"base64: {e}")
        return b""


def depth(value):
    """How deep lists and maps are nested."""
    level, deep = [value], 0
    while level := [v for v in level if isinstance(v, (list, dict))]:
        deep += 1
        level = [inner for v in level for inner in (v.values() if isinstance(v, dict) else v)]
    return deep


def readable_id(record):
    """The report_id of a record that is one JSON object with a valid one, else -."""
    if record is None or len(record) > 64 * 1024:
        return "-"

    def once(pairs):
        if len({k for k, _ in pairs}) != len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    def refuse(word):
        raise ValueError(word)

    def real(text):
        return refuse(text) if abs(float(text)) == float("inf") else float(text)

    def whole(text):
        return int(text) if -(2**63) <= int(text) < 2**64 else refuse(text)

    try:
        it = json.loads(record.decode("utf-8"), object_pairs_hook=once, parse_constant=refuse, parse_float=real, parse_int=whole)
    except (ValueError, RecursionError):
        return "-"
    got = it.get("report_id") if isinstance(it, dict) else None
    if not isinstance(got, str) or not 1 <= len(got) <= 128 or any(not "!" <= c <= "~" for c in got):
        return "-"
    return "-" if depth(it) > MAX_DEPTH else got


def check_row(where, number, row, record, claims):
    line, report_id, disposition, reason, weight, _ = row
    if line != str(number):
        fault(where, f"the row says line {line}")
    got = readable_id(record)
    if report_id != got:
        fault(where, f"the row says report {report_id}, the record {got}")
    if reason not in REASONS.get(disposition, set()):
        fault(where, f"{disposition} {reason} is no disposition with its reason")
    want = WEIGHTS.get(reason, "-") if disposition == "accepted" else "-"
    if weight != want:
        fault(where, f"weight {weight}, {reason} has {want}")
    if disposition in ("accepted", "rejected"):
        if report_id in claims:
            fault(where, f"report {report_id} was claimed at {claims[report_id]}")
        claims[report_id] = where
    elif (disposition == "duplicate" or reason == "conflict") and report_id not in claims:
        fault(where, f"report {report_id} has no earlier claim")
    elif disposition == "routed" and report_id in claims:
        fault(where, f"report {report_id} was claimed at {claims[report_id]}")


def check_records():
    claims, totals, files = {}, dict.fromkeys(TOTALS, 0), 0
    now = render.parse_now(NOW)
    for path in sorted(HERE.glob("[0-9][0-9]-*.jsonl")):
        files += 1
        text = path.read_bytes()
        lines = text.split(b"\n")
        if lines.pop() != b"":
            fault(path.name, "the last line has no end")
        rows = rows_of(path.with_suffix(".expect.tsv"), RECORD_COLUMNS)
        if len(rows) != len(lines):
            fault(path.name, f"{len(lines)} records, {len(rows)} expectations")
            continue
        for n, (line, row) in enumerate(zip(lines, rows), 1):
            where = f"{path.name}:{n}"
            try:
                record = record_of(render.expand(line, now, where), where)
            except ValueError as e:
                fault("render", e)
                continue
            if line == b"":
                fault(where, "an empty line; an empty record is written as base64")
            check_row(where, n, row, record, claims)
            totals[row[2]] = totals.get(row[2], 0) + 1
    for path in HERE.glob("[0-9][0-9]-*.expect.tsv"):
        if not path.with_name(path.name.replace(".expect.tsv", ".jsonl")).exists():
            fault(path.name, "expectations without records")
    return files, totals


def check_senders():
    seen, listed = set(), 0
    for row in rows_of(HERE / "expect-senders.tsv", SENDER_COLUMNS):
        scope, value, service, klass, rung, state, reporters, _ = row
        where = "expect-senders.tsv " + "|".join(row[:4])
        if tuple(row[:4]) in seen:
            fault(where, "twice")
        seen.add(tuple(row[:4]))
        if scope not in ("number", "short", "name") or service not in ("sms", "voice") or klass not in ("scam", "nuisance"):
            fault(where, "scope, service or class is none")
        if scope != "name" and not value.isdigit() or value != value.lower():
            fault(where, "the value is not in its normal form")
        if state not in STATES or rung not in RUNGS_OF.get(state, {"bar"}):
            fault(where, f"rung {rung} does not go with state {state}")
        if not reporters.isdigit():
            fault(where, f"{reporters} reporters")
            continue
        verify, bar = (3, 5) if klass == "scam" else (5, 10)
        if (rung == "observe") != (int(reporters) < verify) or rung == "bar" and int(reporters) < bar:
            fault(where, f"{reporters} reporters do not make {rung}")
        if rung == "verify" and int(reporters) >= bar and state != "held one_leg":
            fault(where, f"{reporters} reporters and nothing held")
        if state in LISTED and (scope != "number" or ("bar_out" in state and not value.startswith("84"))):
            fault(where, f"{state} cannot be for this sender")
        listed += state in LISTED
    return len(seen), listed


def check_protected():
    with open(HERE / "protected.csv", encoding="utf-8", newline="") as f:
        rows = list(csv.reader(f))
    if rows[0] != ["scope", "value", "service", "owner", "reason", "until"]:
        fault("protected.csv", "another header")
    for n, row in enumerate(rows[1:], 2):
        if len(row) != 6 or row[0] not in ("number", "short", "name", "range") or row[2] not in ("sms", "voice"):
            fault(f"protected.csv:{n}", "not understood")


def main():
    files, totals = check_records()
    senders, listed = check_senders()
    check_protected()
    count = sum(totals.values())
    if count < AT_LEAST:
        fault("records", f"{count}, at least {AT_LEAST} are wanted")
    if totals != TOTALS:
        fault("totals", f"{totals}, {TOTALS} are stated")
    for what in faults:
        print(what, file=sys.stderr)
    words = ", ".join(f"{n} {name}" for name, n in totals.items())
    print(f"{count} records in {files} files: {words}; {senders} sender rows, {listed} listed; {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
