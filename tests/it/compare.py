"""What must be equal when everything is at rest: the ledger against the oracle, and every copy of the list against the ledger.

Differences are collected and shown together. Leaves out row ids, case ids and release numbers, which nobody promises.
"""
import datetime
import hashlib
import json
import time

import requests

SERVICES, CLASSES = ("sms", "voice"), ("nuisance", "scam")
RUNGS = ("observe", "verify", "throttle", "bar", "bar_both", "recall")
DISPOSITIONS = {0: "accepted", 1: "rejected", 3: "routed"}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MARGIN = 60_000_000
NAMES = """SELECT {} FROM {} x JOIN sender s ON s.id = x.sender"""


def us(at):
    return None if at is None else (at - EPOCH) // datetime.timedelta(microseconds=1)


def now_us():
    return time.time_ns() // 1000


def near(a, b):
    return abs(float(a) - float(b)) <= 1e-4


class Differences(list):
    def same(self, what, got, want):
        if got != want:
            self.append(f"{what}: got {got}, want {want}")

    def keys(self, what, got, want):
        for key in sorted(set(got) - set(want), key=str):
            self.append(f"{what}: {key} is too many: {got[key]}")
        for key in sorted(set(want) - set(got), key=str):
            self.append(f"{what}: {key} is missing, want {want[key]}")
        return sorted(set(got) & set(want), key=str)


def records(site, judgement, d, replayed):
    """Where each record ended; answers reporter number -> subject id."""
    got, reporters, subjects = {}, {}, {}
    for r in site.rows("SELECT topic_part, \"offset\", disposition, reason, weight, reporter, class, service, text_score FROM report"):
        got[r["topic_part"], r["offset"]] = r
    held = {(r["topic"], r["part"], r["offset"]): r for r in site.rows("SELECT * FROM quarantine WHERE source = %s", site.source)}
    wanted, quarantined, counts = {}, {}, {}
    for j in judgement.judged:
        where = j.where[1:]
        if j.disposition == "quarantined":
            quarantined[j.where] = j.reason
        elif j.disposition != "duplicate":
            wanted[where] = j
        counts.setdefault(j.where[:2], dict.fromkeys(("accepted", "rejected", "duplicate", "routed", "quarantined"), 0))[j.disposition] += 1
    for place, n in judgement.noted.items():
        counts.setdefault(place, dict.fromkeys(("accepted", "rejected", "duplicate", "routed", "quarantined"), 0))["accepted"] += n
    for where in d.keys("report", {k: (v["disposition"], v["reason"]) for k, v in got.items()}, {k: (v.disposition, v.reason) for k, v in wanted.items()}):
        r, j = got[where], wanted[where]
        d.same(f"report {j.report_id} at {where}", (DISPOSITIONS[r["disposition"]], r["reason"]), (j.disposition, j.reason))
        if j.disposition != "accepted":
            continue
        known = (r["weight"], CLASSES[r["class"]], SERVICES[r["service"]])
        d.same(f"report {j.report_id} weight, class, service", known, (j.weight or 0.0, CLASSES[j.scam], j.report.service))
        score = j.verdict.score if j.verdict.label in ("spam", "scam") else 0.0
        if not near(r["text_score"], score):
            d.append(f"report {j.report_id} text score: got {r['text_score']}, want {score} {j.verdict.terms}")
        d.same(f"reporter of {j.report_id}", subjects.setdefault(j.report.reporter, r["reporter"]), r["reporter"])
        d.same(f"subject of {j.report_id}", reporters.setdefault(r["reporter"], j.report.reporter), j.report.reporter)
    for where in d.keys("quarantine", {k: v["reason"] for k, v in held.items()}, quarantined):
        d.same(f"quarantine {where}", held[where]["reason"], quarantined[where])
    for r in site.rows("SELECT * FROM conservation WHERE source = %s", site.source):
        want = counts.get((r["topic"], r["part"]), {})
        if not replayed:
            have = {"accepted": r["accepted"], "rejected": r["rejected"], "duplicate": r["duplicates"], "routed": r["routed"], "quarantined": r["quarantined"]}
            d.same(f"partition {r['topic']}/{r['part']}", have, want or dict.fromkeys(have, 0))
        d.same(f"missing in partition {r['part']}", r["missing"], 0)
    return subjects


def ledger_votes(site, judgement, d, subjects):
    got = {}
    for r in site.rows(NAMES.format("s.scope, s.value, x.*", "vote")):
        day = (r["day"] - datetime.date(1970, 1, 1)).days
        got[r["scope"], r["value"], SERVICES[r["service"]], r["reporter"], day] = r
    want = {(*key, subjects.get(reporter, reporter), day): v for key, votes in judgement.votes.items() for (reporter, day), v in votes.items()}
    for key in d.keys("vote", {k: v["weight"] for k, v in got.items()}, {k: v.weight for k, v in want.items()}):
        r, v = got[key], want[key]
        times = ("first_at", "last_at", "verified_at", "scam_at", "yes_at", "spoof_at")
        d.same(f"vote {key}", (r["weight"], r["scam"], *(r[t] for t in times)), (v.weight, v.scam, *(getattr(v, t) for t in times)))
        if not (near(r["text_score"], v.text_score) and near(r["claim_score"], v.claim_score)):
            d.append(f"vote {key} texts: got {r['text_score']}, {r['claim_score']}, want {v.text_score}, {v.claim_score}")


def standings(site, judgement, d):
    got = {(r["scope"], r["value"], SERVICES[r["service"]]): r for r in site.rows(NAMES.format("s.scope, s.value, x.*", "standing"))}
    want = {key: judgement.standing(key) for key in judgement.votes}
    for key in d.keys("standing", {k: v["score"] for k, v in got.items()}, {k: v.score for k, v in want.items()}):
        r, v = got[key], want[key]
        terms = {t["name"]: t["weight"] for t in json.loads(r["terms"])}
        if not near(r["score"], v.score) or set(terms) != set(v.terms) or any(not near(terms[k], v.terms[k]) for k in v.terms):
            d.append(f"score of {key}: got {r['score']} {terms}, want {v.score} {v.terms}")
        d.same(f"standing of {key}", (us(r["as_of"]), r["votes"]), (v.as_of, v.votes))


def cases(site, judgement, d):
    query = "s.scope, s.value, x.service, x.class, x.kind, x.rung, x.reports, x.first_at, x.due_at"
    got = {}
    for r in site.rows(NAMES.format(query, "case_file") + " WHERE x.state <> 'closed'"):
        hours = {"scam": 2, "nuisance": 24}[CLASSES[r["class"]]]
        d.same("the clock of a case", r["due_at"] - r["first_at"], datetime.timedelta(hours=hours))
        what = CLASSES[r["class"]] if r["kind"] == "reports" else r["kind"]
        got[r["scope"], r["value"], SERVICES[r["service"]], what] = (RUNGS[r["rung"]], r["reports"], us(r["first_at"]))
    # The cases without a sender are shared by all workers, so that their reports are counted only when somebody asks.
    counted = "SELECT service, class, count(*) AS n FROM report WHERE sender = 0 AND disposition = 0 GROUP BY service, class"
    for r in site.rows(counted):
        key = ("none", "", SERVICES[r["service"]], CLASSES[r["class"]])
        if key in got:
            got[key] = (got[key][0], r["n"], got[key][2])
    want = judgement.open_cases()
    for key in d.keys("case", got, want):
        d.same(f"case {key}", got[key], want[key])


def wishes(site, judgement, d, now):
    got = {}
    for r in site.rows(NAMES.format("s.scope, s.value, x.*", "wish")):
        what = (r["state"], r["reason"]) if r["state"] == "held" else (r["state"], "", r["detail"], us(r["until"]))
        got[r["scope"], r["value"], SERVICES[r["service"]], r["origin"]] = what
    want = {}
    for (*key, klass), it in judgement.fates(now).items():
        if it.until is not None and abs(it.until - now) < MARGIN:
            raise RuntimeError(f"{key} ends too near to now to be compared")
        if it.state == "listed":
            want[(*key, f"auto:{klass}")] = ("admitted", "", it.action, it.until)
        elif it.state == "held":
            want[(*key, f"auto:{klass}")] = ("held", it.reason)
    for key in d.keys("wish", got, want):
        d.same(f"wish {key}", got[key], want[key])


def episodes(site, judgement, d):
    got = {}
    query = "s.scope, s.value, x.service, x.class, x.rung, x.decided_at, x.until"
    for r in site.rows(NAMES.format(query, "action") + " WHERE x.origin = 'auto' AND x.state <> 'superseded' AND x.reason <> 'one_leg'"):
        key = (r["scope"], r["value"], SERVICES[r["service"]], CLASSES[r["class"]])
        got.setdefault(key, []).append((us(r["decided_at"]), us(r["until"])))
    want = {}
    for key in judgement.votes:
        for klass in CLASSES:
            found = [(e.decided_at, e.until) for e in judgement.climb(key, klass).episodes]
            if found:
                want[(*key, klass)] = found
    for key in d.keys("episodes", got, want):
        d.same(f"episodes {key}", sorted(got[key]), want[key])


def line_of(scope, value, service, action, case, until):
    return f"{scope}|{value}|{service}|{action}|{case}|{until}"


def digest_of(lines):
    return f"{sum(int.from_bytes(hashlib.sha256(s.encode()).digest(), 'big') for s in lines) % 2**256:064x}"


def ledger_entries(site):
    """(scope, value, service) -> (action, case, until in seconds)."""
    out = {}
    for r in site.rows("SELECT scope, value, service, action, case_id, until FROM entry"):
        until = 0 if r["until"] is None else us(r["until"]) // 1_000_000
        out[r["scope"], r["value"], SERVICES[r["service"]]] = (r["action"], r["case_id"], until)
    return out


def redis_entries(site):
    out = {}
    for key in site.redis.scan_iter("blk:*", count=1000):
        _, service, *rest = key.split(":", 3)
        if service in SERVICES:
            value = site.redis.get(key)
            if value is not None:
                action, case, until, _ = value.split("|")
                out[rest[0], rest[1], service] = (action, case, int(until))
    return out


def entry_of(e):
    until = 0 if e["until"] is None else us(datetime.datetime.fromisoformat(e["until"].replace("Z", "+00:00"))) // 1_000_000
    return e["action"], e["case"], until


def lookups(site, engine, d, entries):
    """The senders on the list are looked up, and some that are not."""
    known = {(s["scope"], s["value"]) for s in site.rows("SELECT scope, value FROM sender WHERE id <> 0")}
    listed = {key[:2] for key in entries}
    for scope, value in sorted(listed)[:30] + sorted(known - listed)[:15]:
        for service in SERVICES:
            path = ("+" if scope == "number" else "") + requests.utils.quote(value, safe="")
            got, want = engine.get(f"/v1/lookup/{path.replace('+', '%2B')}?service={service}"), entries.get((scope, value, service))
            have = entry_of(got.json()) if got.status_code == 200 else got.status_code
            d.same(f"lookup of {scope} {value} {service}", have, want or 204)


def feed_entries(site, engine, d):
    out = {}
    for service in SERVICES:
        head, body, tail = site.feed(engine, service)
        d.same(f"head and tail of the {service} feed", head, tail)
        mine = {}
        for e in body:
            mine[e["scope"], e["value"], e["service"]] = entry_of(e)
        d.same(f"changes of the {service} feed", {k: entry_of(v) for k, v in site.changes(engine, service).items()}, mine)
        d.same(f"digest of the {service} feed", head["digest"], digest_of([line_of(*k, *v) for k, v in mine.items()]))
        d.same(f"count of the {service} feed", head["count"], len(mine))
        out.update(mine)
    return out


def copies(site, d, engine=None):
    """Every copy of the list holds what the ledger holds; answers that."""
    entries = ledger_entries(site)
    _, release, count, digest = site.head().split("|")
    d.same("digest of the list", digest, digest_of([line_of(*k, *v) for k, v in entries.items()]))
    d.same("count of the list", int(count), len(entries))
    d.same("Redis", redis_entries(site), entries)
    d.same("blk:gen", site.redis.get("blk:gen"), site.head())
    if engine is not None:
        d.same("feed", feed_entries(site, engine, d), entries)
        lookups(site, engine, d, entries)
    return entries


def assert_same(site, engine=None, judgement=None, replayed=False):
    """The engine at rest against the oracle, with the records that the site has produced so far."""
    judgement = judgement or site.judgement()
    now, d = now_us(), Differences()
    subjects = records(site, judgement, d, replayed)
    ledger_votes(site, judgement, d, subjects)
    standings(site, judgement, d)
    cases(site, judgement, d)
    wishes(site, judgement, d, now)
    episodes(site, judgement, d)
    entries = copies(site, d, engine)
    d.same("entries", {k: (v[0], v[2]) for k, v in entries.items()}, judgement.entries(now))
    assert not d, f"{len(d)} differences\n" + "\n".join(d[:40])
    return judgement


def summary(site):
    """All that must be equal for the same records on any number of workers and batches, to compare two sites."""
    d = Differences()
    entries = copies(site, d)
    assert not d, "\n".join(d)
    votes = "s.scope, s.value, x.service, x.day, x.weight, x.scam, x.text_score, x.claim_score, x.first_at, x.last_at, x.verified_at, x.scam_at, x.yes_at, x.spoof_at"
    out = {"entries": sorted((k, v[0], v[2]) for k, v in entries.items())}
    for name, columns, table, more in (
        ("votes", votes, "vote", ""),
        ("standing", "s.scope, s.value, x.service, x.score, x.as_of, x.terms, x.votes", "standing", ""),
        ("cases", "s.scope, s.value, x.service, x.class, x.kind, x.state, x.rung, x.reports, x.first_at", "case_file",
         " WHERE x.state <> 'closed' OR x.kind = 'reports'"),
        ("wishes", "s.scope, s.value, x.service, x.origin, x.state, x.reason, x.until", "wish", ""),
        ("actions", "s.scope, s.value, x.service, x.class, x.decided_at, x.until", "action", " WHERE x.state <> 'superseded'"),
    ):
        out[name] = sorted(str(list(r.values())) for r in site.rows(NAMES.format(columns, table) + more))
    out["reports"] = sorted(str(list(r.values())) for r in site.rows("SELECT report_id, disposition, reason, weight, class, text_score FROM report"))
    return out
