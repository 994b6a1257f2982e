#!/usr/bin/python3
"""What ./dev up shows of the engine's work, and whether it holds together. Reads PostgreSQL (psql, environment PG*) and Redis
(REDIS_URL); changes nothing.

    summary.py wait RECORDS SECONDS   until so many records more are settled, released and in Redis; shows progress
    summary.py reading                exit 0 when the engine has taken the partitions of KHIEN_SOURCE
    summary.py records                how many records the ledger has counted
    summary.py show                   the summary
    summary.py waiting                messages out that Kafka has not taken yet, by topic
    summary.py check                  the invariants, one line each; exit 1 when one does not hold
    summary.py pick                   a blocked, a proposed, a protected and a brigaded sender and a report for the examples, as shell variables
"""
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse

CHANNELS = ["sms156", "sms5656", "voice156", "portal", "app", "care", "authority", "network"]
KINDS = ["S", "V", "LD"]
SERVICES = ["sms", "voice"]
CLASSES = ["nuisance", "scam"]
RUNGS = ["observe", "verify", "throttle", "bar", "bar_both", "recall"]
SOURCE = os.environ.get("KHIEN_SOURCE", "")


def rows(query):
    """Answers the rows of a query as a list of dictionaries."""
    text = subprocess.run(
        ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", f"SELECT coalesce(json_agg(t), '[]') FROM ({query}) t"],
        check=True, stdout=subprocess.PIPE).stdout
    return json.loads(text)


def one(query):
    found = rows(query)
    return found[0] if found else {}


class Redis:
    """The few commands the checks need, over the plain protocol."""

    def __init__(self):
        url = urllib.parse.urlparse(os.environ["REDIS_URL"])
        self.file = socket.create_connection((url.hostname, url.port), 5).makefile("rwb")

    def read(self):
        line = self.file.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            if rest == b"-1":
                return None
            data = self.file.read(int(rest) + 2)[:-2]
            return data.decode()
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        if kind == b"-":
            raise RuntimeError("redis: " + rest.decode())
        return rest.decode()

    def do(self, *words):
        out = b"*%d\r\n" % len(words)
        for word in words:
            data = str(word).encode()
            out += b"$%d\r\n%s\r\n" % (len(data), data)
        self.file.write(out)
        self.file.flush()
        return self.read()

    def entries(self):
        found, cursor = {}, "0"
        while True:
            cursor, keys = self.do("SCAN", cursor, "MATCH", "blk:*:*:*", "COUNT", 1000)
            keys = [key for key in keys if key.split(":")[1] in SERVICES]
            if keys:
                found.update({key: value for key, value in zip(keys, self.do("MGET", *keys)) if value is not None})
            if cursor == "0":
                return found


def records():
    where = f"WHERE source = '{SOURCE}'" if SOURCE else ""
    return one(f"SELECT coalesce(sum(records), 0) AS n FROM part {where}")["n"]


def entries():
    return rows("SELECT scope, value, service, action, case_id, coalesce(extract(epoch FROM until)::bigint, 0) AS until, "
                "release FROM entry")


def digest(listed):
    total = 0
    for e in listed:
        line = f"{e['scope']}|{e['value']}|{SERVICES[e['service']]}|{e['action']}|{e['case_id']}|{e['until']}"
        total += int.from_bytes(hashlib.sha256(line.encode()).digest(), "big")
    return f"{total % 2**256:064x}"


def head():
    return one("SELECT list, release, count, encode(digest, 'hex') AS digest FROM list_head")


def generation(mark):
    return f"{mark['list']}|{mark['release']}|{mark['count']}|{mark['digest']}"


def wait(more, seconds):
    """Waits until `more` records are counted and everything that follows from them is out."""
    end = time.monotonic() + seconds
    terminal = sys.stderr.isatty()
    shown, told, idle = "", 0.0, "nothing yet"
    while time.monotonic() < end:
        done = records()
        listed = one("SELECT count(*) AS n FROM entry")["n"]
        line = f"  {min(done, more)} of {more} records settled, {listed} senders on the list"
        # A terminal sees every step on one line, a log one line in two seconds.
        if line != shown and (terminal or done >= more or time.monotonic() - told > 2):
            sys.stderr.write("\r" + line if terminal else line + "\n")
            sys.stderr.flush()
            shown, told = line, time.monotonic()
        state = one("SELECT (SELECT count(*) FROM dirty) AS dirty, "
                    "(SELECT count(*) FROM wish WHERE state = 'wanted') AS wanted, "
                    "(SELECT count(*) FROM outbox) AS outbox, "
                    "(SELECT string_agg(stopped, ', ') FROM part WHERE stopped <> '') AS stopped")
        if state["stopped"]:
            idle = f"a partition was stopped: {state['stopped']}"
            break
        idle = f"{more - done} records, {state['dirty']} senders to look at again, {state['wanted']} wishes"
        if done >= more and not state["dirty"] and not state["wanted"]:
            mark = head()
            idle = "the Redis copy is behind the list"
            if mark and Redis().do("GET", "blk:gen") == generation(mark):
                sys.stderr.write("\n" if terminal else "")
                return 0
        time.sleep(0.3)
    sys.stderr.write(f"\nsummary: still open after {seconds} s: {idle}\n")
    return 1


def waiting():
    """What Kafka has not taken yet: moments ago, or its topic is not there."""
    found = rows("SELECT topic, sum(messages) AS n FROM outbox GROUP BY 1 ORDER BY 1")
    if found:
        print("\nMessages that Kafka has not taken yet; they wait until their topic is there")
    for row in found:
        print(f"  {row['topic']}: {row['n']}")


def table(title, head_row, lines, total=None):
    """Prints a table; empty ones say so, and so do those that show only the first of more."""
    print(f"\n{title}")
    if not lines:
        print("  none")
        return
    lines = [[str(cell) for cell in line] for line in lines]
    widths = [max(len(line[i]) for line in [head_row] + lines) for i in range(len(head_row))]
    for line in [head_row] + lines:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    if total is not None and total > len(lines):
        print(f"  … and {total - len(lines)} more")


def span(seconds):
    if seconds is None:
        return "open"
    hours = round(seconds / 3600)
    return f"{hours} h" if hours < 72 else f"{round(hours / 24)} d"


def terms(text):
    found = sorted(json.loads(text), key=lambda term: -abs(term["weight"]))
    return " ".join(f"{term['name']} {term['weight']:+.2f}" for term in found[:5])


def show():
    sums = one("SELECT coalesce(sum(records),0) AS records, coalesce(sum(accepted),0) AS accepted, "
               "coalesce(sum(rejected),0) AS rejected, coalesce(sum(duplicates),0) AS duplicates, "
               "coalesce(sum(routed),0) AS routed, coalesce(sum(quarantined),0) AS quarantined FROM part")
    print("\nWhat came in")
    print("  {records} records: {accepted} accepted, {rejected} rejected, {duplicates} duplicates, {routed} routed, "
          "{quarantined} quarantined".format(**sums))
    by = {}
    for row in rows("SELECT channel, kind, count(*) AS n FROM report WHERE disposition = 0 GROUP BY 1, 2"):
        by.setdefault(CHANNELS[row["channel"]], {})[KINDS[row["kind"]]] = row["n"]
    lines = [[name] + [by[name].get(kind, "-") for kind in KINDS] for name in CHANNELS if name in by]
    table("Accepted reports by channel and kind (S spam SMS, V spam call, LD scam)", ["channel"] + KINDS, lines)
    out = []
    for row in rows("SELECT 'rejected' AS what, reason, count(*) AS n FROM report WHERE disposition = 1 GROUP BY 2 UNION ALL "
                    "SELECT 'routed', reason, count(*) FROM report WHERE disposition = 3 GROUP BY 2 UNION ALL "
                    "SELECT 'quarantined', reason, count(*) FROM quarantine WHERE state = 'open' GROUP BY 2 UNION ALL "
                    "SELECT 'accepted, no vote', reason, count(*) FROM report WHERE disposition = 0 AND reason <> 'counted' "
                    "GROUP BY 2 ORDER BY 1, 3 DESC, 2"):
        out.append([row["what"], row["reason"], row["n"]])
    if sums["duplicates"]:
        out.append(["duplicate", "same report again", sums["duplicates"]])
    table("What was not simply counted, and why", ["", "reason", "records"], out)
    table("The most suspect senders", ["sender", "service", "score", "votes", "why"],
          [[row["value"], SERVICES[row["service"]], f"{row['score']:.3f}", row["votes"], terms(row["terms"])]
           for row in rows("SELECT s.value, t.service, t.score, t.votes, t.terms FROM standing t "
                           "JOIN sender s ON s.id = t.sender WHERE t.score > 0 "
                           "ORDER BY t.score DESC, s.value LIMIT 10")])
    table("On the list", ["sender", "service", "action", "rung", "term", "case", "why"],
          [[row["value"], SERVICES[row["service"]], row["action"], RUNGS[row["rung"]] if row["rung"] is not None else "-",
            span(row["term"]), row["case_id"], row["origin"]]
           for row in rows("SELECT e.value, e.service, e.action, w.rung, e.case_id, e.origin, "
                           "extract(epoch FROM e.until - w.decided_at) AS term FROM entry e LEFT JOIN wish w "
                           "ON w.sender = e.sender AND w.service = e.service AND w.origin = e.origin "
                           "ORDER BY w.score DESC NULLS LAST, e.value LIMIT 20")],
          one("SELECT count(*) AS n FROM entry")["n"])
    why = {"protected": "protected: never barred by itself", "needs_person": "this kind of sender needs a person",
           "review_mode": "mode review: people decide", "one_leg": "many reports, no independent signal",
           "cap_hour": "over the hour's cap", "cap_day": "over the day's cap"}
    table("Held for people", ["sender", "service", "class", "score", "reason"],
          [[row["value"], SERVICES[row["service"]], row["class"], f"{row['score']:.3f}", why.get(row["reason"], row["reason"])]
           for row in rows("SELECT s.value, w.service, t.score, w.reason, split_part(w.origin, ':', 2) AS class "
                           "FROM wish w JOIN sender s ON s.id = w.sender "
                           "JOIN standing t ON t.sender = w.sender AND t.service = w.service WHERE w.state = 'held' "
                           "ORDER BY t.score DESC, s.value, w.service, class LIMIT 20")],
          one("SELECT count(*) AS n FROM wish WHERE state = 'held'")["n"])
    forged = rows("SELECT s.value, c.service, c.kind, c.reports FROM case_file c JOIN sender s ON s.id = c.sender "
                  "WHERE c.kind <> 'reports' AND c.state <> 'closed' ORDER BY c.reports DESC, s.value LIMIT 10")
    if forged:
        table("Victims: somebody else uses their number or name; nothing blocks them", ["sender", "service", "kind", "reporters"],
              [[row["value"], SERVICES[row["service"]], row["kind"].replace("_", " "), row["reports"]] for row in forged])
    mark = head()
    cases = one("SELECT count(*) FILTER (WHERE state <> 'closed') AS open, count(*) AS n FROM case_file")
    print(f"\n{cases['open']} open cases of {cases['n']}")
    if mark:
        print(f"List {mark['list']}, release {mark['release']}, {mark['count']} entries\n  digest {mark['digest']}")


def copies_differ(listed):
    """The list in Redis against PostgreSQL; expired entries may be gone in either."""
    now = time.time()
    want = {f"blk:{SERVICES[e['service']]}:{e['scope']}:{e['value']}":
            f"{e['action']}|{e['case_id']}|{e['until']}|{e['release']}" for e in listed if not 0 < e["until"] <= now}
    got = {key: value for key, value in Redis().entries().items() if not 0 < int(value.split("|")[2]) <= now}
    return sorted(set(want.items()) ^ set(got.items()))


def checks():
    """Yields (what, holds, detail)."""
    missing = rows("SELECT topic, part, missing FROM conservation WHERE missing <> 0")
    yield "every record is accepted, rejected, duplicate, routed or quarantined", not missing, missing
    moved = rows("SELECT topic, part FROM part p WHERE records <> next_offset - coalesce((SELECT sum(to_offset - from_offset) "
                 "FROM part_gap g WHERE (g.source, g.topic, g.part) = (p.source, p.topic, p.part) "
                 f"AND resumed_at IS NOT NULL), 0) AND source = '{SOURCE}'") \
        if SOURCE.startswith("demo-") else []
    yield "the records counted are the offsets passed", not moved, moved
    listed, mark = entries(), head()
    yield "the list's digest is the sum over its entries", bool(mark) and digest(listed) == mark["digest"], mark
    yield "the list's count is its entries", bool(mark) and mark["count"] == len(listed), len(listed)
    shielded = rows("SELECT e.value FROM entry e JOIN protected p ON p.scope = e.scope AND e.value BETWEEN p.low AND p.high "
                    "AND length(e.value) = length(p.low) AND (p.service IS NULL OR p.service = e.service) "
                    "AND (p.until IS NULL OR p.until > now()) WHERE e.origin LIKE 'auto:%'")
    yield "no protected sender is on the list", not shielded, shielded
    differ = copies_differ(listed)
    yield "Redis holds the same list as PostgreSQL", not differ, differ[:3]
    found = Redis().do("GET", "blk:gen")
    yield "Redis names the same release", bool(mark) and found == generation(mark), found


def check():
    # An entry may expire between two reads: what does not hold is looked at again before it is said.
    for attempt in range(5):
        results = list(checks())
        if all(holds for _, holds, _ in results):
            break
        time.sleep(1)
    print("\nInvariants")
    for what, holds, detail in results:
        print(f"  {'holds ' if holds else 'BROKEN'} {what}" + ("" if holds else f": {detail}"))
    return 0 if all(holds for _, holds, _ in results) else 1


def pick():
    blocked = one("SELECT e.value, e.service FROM entry e JOIN standing t ON t.sender = e.sender AND t.service = e.service "
                  "WHERE e.scope = 'number' ORDER BY t.score DESC, e.value LIMIT 1")
    shielded = one("SELECT s.value, t.service FROM standing t JOIN sender s ON s.id = t.sender JOIN protected p "
                   "ON p.scope = s.scope AND s.value BETWEEN p.low AND p.high AND length(s.value) = length(p.low) "
                   "WHERE t.votes > 0 ORDER BY t.votes DESC, s.value LIMIT 1")
    brigaded = one("SELECT s.value, w.service FROM wish w JOIN sender s ON s.id = w.sender JOIN standing t "
                   "ON t.sender = w.sender AND t.service = w.service WHERE w.state = 'held' AND w.reason = 'one_leg' "
                   "ORDER BY t.votes DESC, s.value LIMIT 1")
    proposed = one("SELECT s.value, w.service FROM wish w JOIN sender s ON s.id = w.sender JOIN standing t "
                   "ON t.sender = w.sender AND t.service = w.service WHERE w.state = 'held' AND w.reason = 'review_mode' "
                   "ORDER BY t.score DESC, s.value LIMIT 1")
    for name, found in (("BLOCKED", blocked), ("PROPOSED", proposed), ("PROTECTED", shielded), ("BRIGADED", brigaded)):
        print(f"{name}={found.get('value', '')}\n{name}_SERVICE={SERVICES[found['service']] if found else ''}")
    # A report id is any printable ASCII: one that needs no quoting in a shell and a path.
    report = one("SELECT report_id FROM report WHERE disposition = 0 AND reason = 'counted' AND report_id ~ '^[A-Za-z0-9:._-]+$' "
                 "ORDER BY text_score DESC, report_id LIMIT 1")
    print(f"REPORT={report.get('report_id', '')}")
    return 0


def main():
    words = sys.argv[1:]
    try:
        if words[:1] == ["wait"]:
            return wait(int(words[1]), float(words[2]))
        if words == ["reading"]:
            return 0 if one(f"SELECT count(*) AS n FROM part WHERE source = '{SOURCE}' AND owner <> ''")["n"] else 1
        if words == ["records"]:
            print(records())
            return 0
        if words == ["show"]:
            return show()
        if words == ["waiting"]:
            return waiting()
        if words == ["check"]:
            return check()
        if words == ["pick"]:
            return pick()
    except subprocess.CalledProcessError:
        print("summary: PostgreSQL did not answer", file=sys.stderr)
        return 1
    except (OSError, RuntimeError) as error:
        print(f"summary: {error}", file=sys.stderr)
        return 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
