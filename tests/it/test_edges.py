"""What happens beside the main way: blocks that end, outcomes, gaps in the topic, a carrier's own files, changes of mode and lists."""
import collections
import json
import time

import pytest

import compare
import samples
from generator import Crowd
from stand import run, wait_for


def scam(n, received_at, sender="0911112222", yes=False):
    return "k", json.dumps(
        {"schema": "complaint/1", "report_id": f"e{sender}-{n}", "channel": "care", "kind": "LD", "received_at": received_at, "reporter": f"09123456{n:02}",
         "sender": sender, "contact": {"service": "voice", "matched": "yes" if yes else "unchecked", "origin": "other"}}
    ).encode()  # fmt: skip


def test_a_block_ends_by_itself(site):
    """A bar whose 24 hours end in a few seconds is listed, and gone from every copy when they are over."""
    s, crowd = site(), Crowd(1, 0)
    engine = s.start().wait_ready()
    end = int(time.time()) + 8
    s.produce([scam(n, crowd.time(end - 86400 - 60 * (4 - n)), yes=n < 2) for n in range(5)])
    s.settle()
    key = ("number", "84911112222", "voice")
    assert compare.ledger_entries(s)[key][2] == end
    path = "/v1/lookup/0911112222?service=voice"
    assert engine.get(path).status_code == 200
    wait_for("the end of the block", lambda: engine.get(path).status_code == 204, 15)
    assert time.time() >= end
    wait_for("its removal", lambda: not compare.ledger_entries(s) and s.open_work() == "", 5)
    d = compare.Differences()
    assert compare.copies(s, d, engine) == {} and not d, d
    assert s.rows("SELECT * FROM wish") == []


def test_the_victim_of_a_forged_number_is_not_blocked(site):
    """Scammers call with a shop's number and send in a bank's name; a crowd reports both. Cases for people, nothing on the list."""
    s, crowd = site(), Crowd(1, 0)
    engine, now = s.start().wait_ready(), int(time.time())
    contacts = {"0911000055": {"service": "voice", "matched": "no"}, "0911000066": {"service": "voice", "matched": "yes", "origin": "foreign"},
                "SAOVANG": {"service": "sms", "matched": "no"}}  # fmt: skip
    values = []
    for sender, contact in contacts.items():
        for n in range(20):
            key, value = scam(n, crowd.time(now - 600 - n), sender)
            values.append((key, json.dumps({**json.loads(value), "contact": contact}).encode()))
    s.produce(values)
    s.settle()
    judgement = compare.assert_same(s, engine)
    kinds = {key[1]: key[3] for key in judgement.open_cases() if key[3] in ("spoofed_caller", "fake_station")}
    assert kinds == {"84911000055": "spoofed_caller", "84911000066": "spoofed_caller", "saovang": "fake_station"}
    assert s.rows("SELECT * FROM wish") == [] and compare.ledger_entries(s) == {}
    case = next(c for c in engine.get("/v1/senders/0911000055/why").json()["cases"] if c["kind"] == "spoofed_caller")
    assert (case["state"], case["class"], case["reports"], case["rung"]) == ("open", "scam", 20, "observe")


def outcomes_of(s):
    """report id -> multiset of (status, reason); the same key and number twice must be the same message."""
    seen = {}
    for *_, value, key in s.read_topic("outcomes", 1):
        it = json.loads(value)
        if it["report_id"].startswith(s.source):
            known = seen.setdefault((key, it["seq"]), it)
            assert known == it, (known, it)
    out = collections.defaultdict(collections.Counter)
    for it in seen.values():
        out[it["report_id"]][it["status"], it["reason"]] += 1
    return out


def test_outcomes(site):
    """Every readable report id gets one answer a record: none for a conflict, forwarded for a registry message, merged for one
    that adds to a vote."""
    s = site(partitions=2, workers=2, batch__records=70)
    prefix = f"{s.source}-"
    values = [(k, v and v.replace(b'"report_id": "', b'"report_id": "' + prefix.encode())) for k, v in Crowd(41, time.time()).records(1000)]
    s.produce(values)
    s.start().wait_ready()
    s.settle()
    words = {"routed": "forwarded"}
    want = collections.defaultdict(collections.Counter)
    for j in s.judgement().judged:
        if j.report_id and j.report_id.startswith(prefix) and j.reason != "conflict":
            want[j.report_id][words.get(j.disposition, j.disposition), j.reason] += 1
    got, merged = outcomes_of(s), 0
    for statuses in got.values():
        for (status, reason), n in list(statuses.items()):
            if status == "merged":
                merged += n
                del statuses[status, reason]
                statuses["accepted", reason] += n
    wrong = [(k, got.get(k), want.get(k)) for k in sorted(set(got) | set(want)) if got.get(k) != want.get(k)]
    assert not wrong, wrong[:10]
    # A report is merged when a vote of its reporter, sender and day was there already.
    judgement = s.judgement()
    assert merged == sum(j.weight is not None for j in judgement.judged) - sum(map(len, judgement.votes.values()))


def test_forwarded_to_the_registry(site):
    s = site()
    rows = [(row["report_id"], value) for _, row, value in samples.load("now")[1] if row["disposition"] == "routed"]
    s.produce([("k", v.replace(b'"report_id":"', b'"report_id":"' + s.source.encode())) for _, v in rows])
    s.start().wait_ready()
    s.settle()
    sent = [json.loads(v) for *_, v, _ in s.read_topic("registry-requests", 1)]
    assert {s.source + r for r, _ in rows} <= {it["report_id"] for it in sent}


def test_records_lost_by_the_broker(site, stand):
    """An offset that the broker no longer has stops the partition, visibly; the other one goes on."""
    s = site(partitions=2)
    values = [(k, v) for k, v in Crowd(42, time.time()).records(400)]
    engine = s.start("first").wait_ready()
    s.produce(values[:200])
    s.settle()
    engine.stop()
    s.produce(values[200:])
    high = s.produced[0]
    stand.delete_records(s.topic, 0, high - 5)
    engine = s.start("second")
    gap = wait_for("the gap", lambda: s.rows("SELECT * FROM part_gap WHERE part = 0 AND source = %s", s.source), 60)[0]
    part = wait_for("the stop", lambda: s.rows("SELECT * FROM part WHERE part = 0 AND stopped <> '' AND source = %s", s.source), 20)[0]
    assert gap["from_offset"] == part["next_offset"] and gap["to_offset"] == high - 5, (gap, part)
    wait_for("the other partition", lambda: s.one("SELECT records FROM part WHERE part = 1 AND source = %s", s.source)["records"] == s.produced[1], 60)
    assert engine.alive()
    assert "level=error" in engine.log() and "out of range" in engine.log()


def test_samples_as_khien_send_puts_them(site, tmp_path):
    """The files through `khien send`; the oracle reads the topic as it then is."""
    s = site(partitions=3)
    run("/usr/bin/python3", "-B", samples.REPORTS / "render.py", "now", tmp_path / "reports")
    files = sorted((tmp_path / "reports").glob("*.jsonl"))
    done = json.loads(s.khien("send", "-c", s.conf, *files).stdout)
    s.stream = [it[:4] for it in s.read_topic()]
    s.produced = [len(s.stream)]
    assert done["records"] == len(s.stream) == 699
    engine = s.start().wait_ready()
    s.settle()
    judgement = compare.assert_same(s, engine)
    totals = collections.Counter(j.disposition for j in judgement.judged)
    assert totals == samples.check.TOTALS


def test_change_of_mode(site):
    """Review holds; auto, activated later, admits what comes then; nothing that was held goes out by itself."""
    s = site(mode="review")
    engine, crowd, now = s.start().wait_ready(), Crowd(2, 0), int(time.time())
    s.produce([scam(n, crowd.time(now - 7200 + n), yes=n < 2) for n in range(5)])
    s.settle()
    assert {w["reason"] for w in s.rows("SELECT * FROM wish")} == {"review_mode"}
    s.mode = "auto"
    s.khien("activate", "-c", s.configure("auto"))
    s.produce([scam(n, crowd.time(now - 7200 + n), "0911113333", yes=n < 2) for n in range(5)])
    s.settle()
    listed = compare.ledger_entries(s)
    assert set(listed) == {("number", "84911113333", "voice")}
    assert engine.get("/v1/lookup/0911113333?service=voice").status_code == 200


def test_protection_that_comes_later(site, tmp_path):
    """A barred sender that is put on the protected list leaves the list, and stays off when it is reported on."""
    protected = tmp_path / "protected.csv"
    protected.write_text("scope,value,service,owner,reason,until\n")
    s = site(protected=protected)
    engine, crowd, now = s.start().wait_ready(), Crowd(3, 0), int(time.time())
    s.produce([scam(n, crowd.time(now - 7200 + n), yes=n < 2) for n in range(5)])
    s.settle()
    assert set(compare.ledger_entries(s)) == {("number", "84911112222", "voice")}
    protected.write_text("scope,value,service,owner,reason,until\nnumber,84911112222,,a clinic,its only line,\n")
    engine.stop()
    engine = s.start("again").wait_ready()  # a running keeper looks at the file once a minute
    wait_for("the list without it", lambda: not compare.ledger_entries(s), 30)
    s.produce([scam(n, crowd.time(now - 3600 + n), yes=True) for n in range(5, 9)])
    s.settle()
    d = compare.Differences()
    assert compare.copies(s, d, engine) == {} and not d, d
    assert {(w["state"], w["reason"]) for w in s.rows("SELECT * FROM wish")} == {("held", "protected")}


@pytest.mark.parametrize("how", ["ended", "then", "together"])
def test_an_earlier_report_moves_the_episode(site, how):
    """Five reports bar a sender now; one more, received long ago but read late, shows that the bar began and ended before.
    Another one after that end has no second leg any more: held for people, whether both come in one batch or in two."""
    s, crowd, now = site(), Crowd(4, 0), int(time.time())
    engine = s.start().wait_ready()

    def put(rows):
        s.produce([scam(n, crowd.time(now + int(hours * 3600)), yes=yes) for n, hours, yes in rows])
        s.settle()

    put([(1, -246, True), (2, -245.5, True), (3, -100, False), (4, -100, False), (5, -10, False)])
    assert compare.ledger_entries(s)["number", "84911112222", "voice"][2] == now + 14 * 3600
    before, after = (7, -30, False), (8, -5, False)
    if how == "together":
        put([before, after])
    else:
        put([before])
        put([after] if how == "then" else [])
    compare.assert_same(s, engine)
    assert not compare.ledger_entries(s)
    assert [(w["state"], w["reason"]) for w in s.rows("SELECT * FROM wish")] == ([] if how == "ended" else [("held", "one_leg")])


def test_received_in_the_future(site):
    """What was "received" more than a day after its record's own timestamp is quarantined; the clock of the moment has no say."""
    s, crowd = site(), Crowd(46, 0)
    long_ago = 1_600_000_000
    for n, ahead in enumerate((86400, 86401, 30 * 86400, -10 * 365 * 86400)):
        s.produce([scam(n, crowd.time(long_ago + ahead))], stamp=long_ago * 1000)
    s.produce([scam(8, crowd.time(time.time() + 23 * 3600)), scam(9, crowd.time(time.time() + 25 * 3600))])
    s.start().wait_ready()
    s.settle()
    got = [r["offset"] for r in s.rows("SELECT \"offset\" FROM quarantine WHERE reason = 'received_in_future' ORDER BY 1")]
    assert got == [1, 2, 5]
    compare.assert_same(s)
