"""Contact facts that come by themselves, before their report and after it: either order leads to the same, whatever it does to votes,
scores, rungs, cases and blocks. Also the other topics beside the reports: every record is accounted for."""
import json
import os
import random
import time

import pytest

import compare
from generator import Crowd
from harness import FEEDS
from oracle import oracle
from stand import wait_for


def fact(report_id, **more):
    return report_id, json.dumps({"schema": "contacts/1", "report_id": report_id, **more}).encode()


def facts_of(values, r, share):
    """Random facts about the reports among `values`, some of them several, some about reports that never come."""
    ids = [k for k, v in values if v and k[0] in "rc"]
    out = [fact(f"nobody{n}", matched="yes") for n in range(3)]
    for report_id in r.sample(ids, int(len(ids) * share)):
        for _ in range(r.choice((1, 1, 1, 2, 3))):
            out.append(fact(report_id, matched=r.choice(("yes", "yes", "no", "unchecked")), origin=r.choice(("own", "other", "foreign", "unknown"))))
    r.shuffle(out)
    return out


def bad_facts():
    return [None, b"{", b"[]", b'{"schema":"contacts/1"}', b'{"schema":"complaint/1","report_id":"r1"}', fact("r1", matched="perhaps")[1],
            fact("r 1")[1], fact("r2", duration_s=-1)[1], fact("r3", matched=True)[1], b"\xff", b"x" * 70000]  # fmt: skip


def summary_without_ids(site):
    """What must be equal at rest however records came; a case that was opened and closed again is nothing."""
    out = compare.summary(site)
    out["cases"] = [c for c in out["cases"] if "'closed'" not in c]
    return out


@pytest.mark.parametrize("seed", [63])
def test_either_order_is_the_same(site, seed):
    values = Crowd(seed, time.time(), senders=25, reporters=80).records(1200)
    facts = facts_of(values, random.Random(seed), 0.5)
    sites = [site(partitions=2, feeds=["contacts"], batch__records=n) for n in (4000, 60, 110)]
    first, last, mixed = sites
    first.note("contacts", facts)
    last.produce(values)
    for s in sites[:2]:
        s.start().wait_ready()
        s.settle()
    first.produce(values)
    last.note("contacts", facts)
    mixed.start().wait_ready()
    for n in range(6):
        mixed.produce(values[n * 200 : (n + 1) * 200])
        mixed.note("contacts", facts[n * len(facts) // 6 : (n + 1) * len(facts) // 6])
    mixed.note("contacts", bad_facts())
    for s in sites:
        s.settle()
        compare.assert_same(s)
    assert summary_without_ids(first) == summary_without_ids(last) == summary_without_ids(mixed)
    assert mixed.one("SELECT count(*) AS n FROM quarantine WHERE topic = %s", mixed.feeds["contacts"])["n"] == len(bad_facts())
    assert any(r["reason"] == "no_contact" for r in first.rows("SELECT reason FROM report"))


def scam(n, at, sender="0911112222"):
    return f"k{n}", json.dumps(
        {"schema": "complaint/1", "report_id": f"k{n}", "channel": "care", "kind": "LD", "received_at": at, "reporter": f"09123456{n:02}", "sender": sender}
    ).encode()  # fmt: skip


def test_a_fact_makes_and_unmakes_a_block(site):
    """Five reporters alone are one leg; two contacts that the carrier finds block; a contact that was none takes it away again. The
    topic read again from its beginning changes nothing."""
    s, crowd = site(feeds=["contacts"]), Crowd(1, 0)
    engine = s.start().wait_ready()
    s.produce([scam(n, crowd.time(time.time() - 600 - n)) for n in range(5)])
    s.settle()
    held = "SELECT state, reason FROM wish WHERE origin = 'auto:scam'"
    assert s.rows(held) == [{"state": "held", "reason": "one_leg"}]
    s.note("contacts", [fact("k1", matched="yes", origin="own"), fact("k3", matched="yes", message_id="m-1", new="x")])
    s.settle()
    assert [r["state"] for r in s.rows(held)] == ["admitted"]
    assert engine.get("/v1/lookup/0911112222?service=voice").status_code == 200
    compare.assert_same(s, engine)
    s.note("contacts", [fact("k3", matched="no")])
    s.settle()
    assert s.rows("SELECT * FROM wish WHERE state = 'admitted'") == []
    compare.assert_same(s, engine)
    before = compare.summary(s)
    s.rows("UPDATE part SET next_offset = 0, epoch = epoch + 1 WHERE topic = %s", s.feeds["contacts"])
    engine.stop()
    engine = s.start("again").wait_ready()
    s.aside[s.feeds["contacts"], 0] += 3
    s.settle()
    assert compare.summary(s) == before


def test_every_record_beside_the_reports_is_accounted_for(site):
    """Each topic: good ones into their table, the last of a key wins, bad ones into quarantine with what is wrong."""
    s = site(feeds=FEEDS)
    at = "2026-08-31T09:15:02+07:00"
    values = {
        "activity": [
            {"sender": "0912345678", "from": at, "to": "2026-08-31T10:15:02+07:00", "sms_out": 900, "distinct_peers": 880},
            {"sender": "0912345678", "from": "2026-08-31T10:15:02+07:00", "to": "2026-08-31T11:15:02+07:00", "sms_out": 5, "distinct_peers": 4},
            {"sender": "0912345678", "from": at, "to": "2026-08-31T10:15:02+07:00", "sms_out": 901, "distinct_peers": 881},
            {"sender": "0912345678", "from": at, "to": at}, {"sender": "", "from": at, "to": "2026-08-31T10:15:02+07:00"},
            {"sender": "0912345678", "from": at, "to": "2026-08-31T10:15:02+07:00", "sms_in": -1},
            {"sender": "0912345678", "from": at, "to": "2026-08-31T10:15:02+07:00", "calls_in": 1.5},
            {"sender": "0912345678", "from": "2190-01-01T00:00:00Z", "to": "2190-01-02T00:00:00Z"},
        ],
        "provisioning_results": [
            {"request_id": "p1", "status": "failed", "at": at}, {"request_id": "p1", "status": "done", "at": at}, {"request_id": "p2", "status": "perhaps", "at": at},
            {"request_id": "", "status": "done", "at": at}, {"request_id": "p3", "status": "done"},
        ],
        "notice_results": [{"request_id": "n1", "delivered": False, "at": at}, {"request_id": "n2", "delivered": "yes", "at": at}],
        "subscriptions": [
            {"msisdn": "0912345678", "event": "ported_in", "carrier": "viettel", "at": at}, {"msisdn": "5656", "event": "reassigned", "at": at},
            {"msisdn": "0912345678", "event": "sold", "at": at}, {"msisdn": "0912345678", "event": "terminated", "at": at, "carrier": "x" * 64},
        ],
    }  # fmt: skip
    for feed, records in values.items():
        schema = feed.replace("_", "-") + "/1"
        s.note(feed, [json.dumps({"schema": schema, **r}).encode() for r in records] + [None, b"{}"])
    s.note("poll_answers", [json.dumps({"schema": "poll-answers/1", "poll_id": p, "sender": "0912345678", "yes": 1, "no": 2, "silent": 3}).encode() for p in ("asked", "never")])
    s.rows("INSERT INTO poll VALUES ('asked', 0, 0, 10, now())")
    s.start().wait_ready()
    s.settle()
    assert s.rows("SELECT reason FROM quarantine WHERE topic = %s", s.feeds["poll_answers"]) == [{"reason": "unknown_poll"}]
    assert sum(r["missing"] for r in s.rows("SELECT missing FROM conservation")) == 0
    assert {(r["day"].isoformat(), r["spans"], r["sms_out"], r["distinct_peers"]) for r in s.rows("SELECT * FROM activity_day")} == {("2026-08-31", 2, 906, 881)}
    assert s.rows("SELECT poll_id, yes, no, silent FROM poll_answer") == [{"poll_id": "asked", "yes": 1, "no": 2, "silent": 3}]
    assert s.rows("SELECT request_id, status FROM provisioning_result") == [{"request_id": "p1", "status": "done"}]
    assert s.rows("SELECT request_id, status FROM notice_result") == [{"request_id": "n1", "status": "undelivered"}]
    assert s.rows("SELECT number, event, carrier FROM subscription") == [{"number": "84912345678", "event": "ported_in", "carrier": "viettel"}]
    world = s.world()
    world.polls = {"asked"}
    compare.assert_same(s, judgement=oracle.judge(world, s.stream))


def test_a_topic_that_is_not_there_yet(site, stand):
    """The engine works without it, says so, and reads it once somebody has made it."""
    name = f"late-{os.getpid()}"
    extra = ["session.timeout.ms=1500", "heartbeat.interval.ms=300", "topic.metadata.refresh.interval.ms=300"]
    s = site(kafka__topics__contacts=name, kafka__extra=extra)
    engine = s.start().wait_ready()
    s.produce([scam(1, Crowd(1, 0).time(time.time() - 60))])
    s.settle()
    assert engine.ready() and name in engine.log()
    stand.topic(name, 1)
    try:
        s.producer.produce(name, value=fact("k1", matched="no")[1])
        s.producer.flush()
        wait_for("the fact", lambda: s.rows("SELECT 1 FROM report WHERE reason = 'no_contact'"), 60)
    finally:
        stand.drop_topic(name)


def test_two_workers_and_kills(site):
    """Facts and reports at the same time on two workers, the process killed in the middle: the sums and the judgement are the same."""
    s = site(partitions=3, feeds=["contacts"], workers=2, batch__records=40)
    values = Crowd(71, time.time(), senders=15, reporters=60).records(900)
    facts = facts_of(values, random.Random(71), 0.6)
    for n in range(3):
        engine = s.start(f"engine{n}").wait_ready()
        s.note("contacts", facts[n * len(facts) // 3 : (n + 1) * len(facts) // 3])
        s.produce(values[n * 300 : (n + 1) * 300])
        wait_for("some records", lambda: s.records() > s.total() - 250, 60)  # noqa: B023
        engine.kill()
    s.start("last").wait_ready()
    s.settle()
    assert {r["missing"] for r in s.rows("SELECT missing FROM conservation")} == {0}
    compare.assert_same(s)


def test_another_subscriber(site):
    """A number that was given to somebody else is off the list at once; what was reported before never counts against the new
    owner, whether it is read before the event or after it, and what is reported later counts from nothing."""
    s, crowd, now = site(feeds=["subscriptions"]), Crowd(1, 0), time.time()

    def against(n, ago, sender="0911112222"):
        it = {"schema": "complaint/1", "report_id": f"s{sender}{n}", "channel": "care", "kind": "LD", "received_at": crowd.time(now - ago),
              "reporter": f"09123456{n:02}", "sender": sender, "contact": {"matched": "yes"}}  # fmt: skip
        return "k", json.dumps(it).encode()

    def event(what, ago, number="0911112222"):
        s.note("subscriptions", [json.dumps({"schema": "subscriptions/1", "msisdn": number, "event": what, "at": crowd.time(now - ago)}).encode()])
        s.settle()

    engine = s.start().wait_ready()
    path = "/v1/lookup/0911112222?service=voice"
    s.produce([against(n, 7200 + n) for n in range(5)])
    s.settle()
    assert engine.get(path).status_code == 200
    event("ported_out", 4000)
    assert engine.get(path).status_code == 200
    event("reassigned", 3600)
    assert engine.get(path).status_code == 204
    assert s.rows("SELECT state, reason FROM action WHERE origin = 'auto' AND state <> 'superseded'") == [{"state": "lifted", "reason": "reassigned"}]
    s.produce([against(n, 5000) for n in range(10, 20)] + [against(n, 600 + n) for n in range(20, 24)])
    event("terminated", 3600, "0911113333")  # before any report: they come late
    s.produce([against(n, 5000, "0911113333") for n in range(10)])
    s.settle()
    assert s.rows("SELECT * FROM wish") == []
    assert sorted(r["votes"] for r in s.rows("SELECT votes FROM standing WHERE score > 0")) != []
    s.produce([against(24, 300)])
    s.settle()
    assert engine.get(path).status_code == 200, "five reports about the new owner"
    assert engine.get("/v1/lookup/0911113333?service=voice").status_code == 204
    assert {r["missing"] for r in s.rows("SELECT missing FROM conservation")} == {0}


def test_the_last_word_after_partitions_were_added(site):
    """Offsets of two partitions say nothing of which record came later; within one they do, whatever the timestamps."""
    s = site(partitions=2, feeds=["provisioning_results", "contacts"])

    def result(status):
        return json.dumps({"schema": "provisioning-results/1", "request_id": "r1", "status": status, "at": "2026-11-01T09:00:00+07:00"}).encode()

    s.note("provisioning_results", [b"{}"] * 5 + [result("failed")], partition=0)
    s.note("provisioning_results", [result("done")], partition=1)
    s.note("contacts", [b"{}"] * 3 + [b'{"schema":"contacts/1","report_id":"x1","matched":"yes"}'], partition=0)
    s.note("contacts", [b'{"schema":"contacts/1","report_id":"x1","matched":"no"}'], partition=1)
    s.start().wait_ready()
    s.settle()
    assert s.one("SELECT status FROM provisioning_result")["status"] == "done"
    assert s.one("SELECT matched FROM contact_fact")["matched"] == 2
    s.note("provisioning_results", [result("failed")], partition=0)
    s.settle()
    assert s.one("SELECT status FROM provisioning_result")["status"] == "failed"


def test_behaviour_and_what_is_forgotten(site):
    """One bounded row per sender and window; what is over goes, what is not stays."""
    s = site(feeds=["activity"], facts__keep="2d", subscriptions__keep="3d")

    def span(day, hour, **counts):
        at = f"2026-10-{day:02}T{hour:02}:"
        it = {"schema": "activity/1", "sender": "0911112222", "from": f"{at}00:00+07:00", "to": f"{at}30:00+07:00", **counts}
        return json.dumps(it).encode()

    s.note("activity", [span(1, 9, sms_out=5, distinct_peers=4), span(1, 10, sms_out=7, distinct_peers=3), span(2, 9, sms_out=100)])
    s.rows(
        """INSERT INTO subscription (number, at, event, carrier, source, part, "offset", noted_at)
        SELECT '8491000000' || n, now(), 'terminated', '', 'x', 0, n, now() - make_interval(days => n) FROM generate_series(1, 5) n;
        INSERT INTO contact_fact (id_hash, matched, origin, source, part, "offset", noted_at, extra)
        SELECT decode(lpad(n::text, 8, '0'), 'hex'), 1, 1, 'x', 0, n, now() - make_interval(days => n), '' FROM generate_series(1, 5) n;
        INSERT INTO quarantine (source, topic, part, "offset", at, reason, detail, size, bytes, expires_at)
        SELECT 'x', 'x', 0, n, now(), 'not_json', '', 0, '', now() + make_interval(days => n - 3) FROM generate_series(1, 5) n"""
    )
    s.settings["retention"] = {"activity": "3660d"}
    s.start().wait_ready()
    s.settle()

    def ask(at, span):
        return s.one("SELECT spans, sms_out::int AS sms, distinct_peers AS peers FROM behaviour('number', '84911112222', %s, %s)", at, span)

    assert ask("2026-10-01T12:00:00+07:00", "6 hours") == {"spans": 2, "sms": 12, "peers": 4}
    assert ask("2026-10-01T10:10:00+07:00", "6 hours") == {"spans": 1, "sms": 5, "peers": 4}
    assert ask("2026-09-01T00:00:00+07:00", "6 hours") == {"spans": 0, "sms": 0, "peers": 0}

    def left():
        return tuple(s.one(f"SELECT count(*) AS n FROM {table}")["n"] for table in ("subscription", "contact_fact", "quarantine"))

    wait_for(lambda: str(left()), lambda: left() == (2, 1, 2), 20)
    assert s.one("SELECT count(*) AS n FROM activity")["n"] == 3
