"""What the network saw of a sender and what recipients answered: second legs in any order, and what attackers make of them."""
import datetime
import json

import compare
from harness import wait_for

ZONE = datetime.timezone(datetime.timedelta(hours=7))
NOW = datetime.datetime.now(ZONE).replace(microsecond=0)
BUSY = {"calls_out": 400, "new_contacts": 390, "short_calls": 380, "short_gaps": 300, "calls_in": 1, "distinct_peers": 390}


def iso(hours):
    return (NOW - datetime.timedelta(hours=hours)).isoformat()


def report(number, sender, reporter, hours=1.0, kind="LD", **contact):
    it = {
        "schema": "complaint/1", "report_id": f"g:{number}", "channel": "sms5656", "kind": kind, "reporter": f"+8498{reporter:07d}", "sender": sender,
        "received_at": iso(hours), "contact": {"service": "voice", **contact},
    }  # fmt: skip
    return sender, json.dumps(it).encode()


def span(sender, hours=2.0, **counts):
    return json.dumps({"schema": "activity/1", "sender": sender, "from": iso(hours + 0.5), "to": iso(hours), **counts}).encode()


def listed(site):
    return sorted(r["value"] for r in site.rows("SELECT value FROM entry"))


def legs(site):
    return {r["value"]: (r["behaviour"], r["poll"], len(r["legs"].split())) for r in site.rows(
        "SELECT n.value, g.behaviour, g.poll, g.legs FROM signal g JOIN sender n ON n.id = g.sender WHERE g.service = 1")}  # fmt: skip


def test_behaviour_and_answers_are_legs_whatever_came_first(site):
    s = site(mode="auto", feeds=["activity", "poll_answers"])
    s.start().wait_ready()
    seen, later, quiet, asked = ("0912345701", "0912345702", "0912345703", "0912345704")
    s.note("activity", [span(seen, **BUSY), span(quiet, **{**BUSY, "calls_out": 60, "new_contacts": 59}), span("0912345799", **BUSY)])
    s.settle()
    s.produce([report(f"{x}:{r}", x, r) for x in (seen, later, quiet, asked) for r in range(6)])
    s.settle()
    wait_for(lambda: str(listed(s)), lambda: listed(s) == ["84912345701"], 20)
    s.note("activity", [span(later, **BUSY)])
    # the keeper asks recipients of who is at verify; more than half of enough answers is a leg, silence is none
    poll = wait_for_poll(s, "84912345704")
    answer = {"schema": "poll-answers/1", "poll_id": poll, "sender": asked, "yes": 7, "no": 4, "silent": 19}
    s.note("poll_answers", [json.dumps({**answer, "yes": 6, "no": 3}).encode()])
    s.settle()
    wait_for(lambda: str(listed(s)), lambda: listed(s) == ["84912345701", "84912345702"], 20)
    s.note("poll_answers", [json.dumps(answer).encode()])
    s.settle()
    wait_for(lambda: str(listed(s)), lambda: listed(s) == ["84912345701", "84912345702", "84912345704"], 20)
    found = legs(s)
    assert found["84912345701"] == found["84912345702"] == (1, 0, 1) and "84912345799" not in found
    assert found["84912345703"] == (0, 0, 0) if "84912345703" in found else True
    assert found["84912345704"][2] == 1 and abs(found["84912345704"][1] - 3 / 11) < 1e-6
    terms = {r["value"]: r["terms"] for r in s.rows("SELECT n.value, t.terms FROM standing t JOIN sender n ON n.id = t.sender")}
    assert '"BEHAVIOUR","weight":0.8' in terms["84912345702"] and '"POLL"' in terms["84912345704"] and "BEHAVIOUR" not in terms["84912345703"]


def wait_for_poll(site, value):
    query = "SELECT p.poll_id FROM poll p JOIN sender n ON n.id = p.sender WHERE n.value = %s"
    wait_for(lambda: "no poll", lambda: site.rows(query, value), 30)
    return site.one(query, value)["poll_id"]


def test_crowds_without_a_second_leg_never_block(site):
    """A thousand fresh reporters in an hour, and a thousand over thirty days."""
    s = site(mode="auto")
    engine = s.start().wait_ready()
    s.produce([report(f"h{r}", "0912345711", r, r / 1000) for r in range(1000)])
    s.produce([report(f"m{r}", "0912345712", 2000 + r, r * 0.72) for r in range(1000)])
    s.settle()
    compare.assert_same(s, engine)
    assert listed(s) == []
    held = {(r["value"], r["reason"]) for r in s.rows("SELECT n.value, w.reason FROM wish w JOIN sender n ON n.id = w.sender WHERE w.state = 'held'")}
    assert held == {("84912345711", "one_leg"), ("84912345712", "one_leg")}


def test_a_borrowed_number_and_a_fake_station_are_victims(site):
    """A bank's mobile number shown by a foreign trunk, or in calls that were never made; a brandname whose message the SMSC never carried."""
    s = site(mode="auto")
    engine = s.start().wait_ready()
    s.produce([report(f"f{r}", "0912345721", r, matched="yes", origin="foreign") for r in range(20)])
    s.produce([report(f"n{r}", "0912345722", r, matched="no") for r in range(20)])
    s.produce([report(f"b{r}", "SAOVANGBANK", r, service="sms", matched="no") for r in range(20)])
    s.settle()
    compare.assert_same(s, engine)
    assert listed(s) == [] and s.rows("SELECT 1 FROM wish") == []
    kinds = {r["value"]: r["kind"] for r in s.rows("SELECT n.value, c.kind FROM case_file c JOIN sender n ON n.id = c.sender WHERE c.kind <> 'reports'")}
    assert kinds == {"84912345721": "spoofed_caller", "84912345722": "spoofed_caller", "saovangbank": "fake_station"}
