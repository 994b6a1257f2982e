"""The oracle's votes, score and ladder by hand-made cases, and the sample reports' expectations against it."""
import json
import math
import pathlib
import random
import subprocess
import sys

import pytest

import samples
from oracle import ladder, oracle, votes

TOP = pathlib.Path(__file__).resolve().parents[2]
HOUR, DAY = votes.HOUR, votes.DAY
START = 1_788_000_000_000_000
RULES = {"pack": TOP / "tests/it/pack", "shipped": TOP / "etc/rules"}


def world(mode="auto", pack="pack"):
    return oracle.World(
        TOP / "etc/numbers", "viettel", RULES[pack], TOP / "etc/fold/homoglyphs.tsv", TOP / "etc/policy.yaml",
        TOP / "tests/data/reports/protected.csv", mode,
    )  # fmt: skip


POLICY = world().policy


def vote(verified=None, scam=None, yes=None, at=None, weight=1.0):
    v = votes.Vote()
    v.weight, v.scam, v.verified_at, v.scam_at, v.yes_at = weight, scam is not None, verified, scam, yes
    v.first_at = v.last_at = at if at is not None else verified
    return v


def crowd(times, yes=(), scam=False):
    """One vote a time, each of another reporter; the ones whose number is in yes are matched."""
    return {
        (str(i), votes.day_of(t)): vote(t, t if scam else None, t if i in yes else None) for i, t in enumerate(times)
    }


def test_score_by_hand():
    got = votes.score_of(crowd([START, START + 7 * DAY], yes=(0, 1), scam=True), POLICY)
    n = 1 + 0.5
    want = {"REPORTERS": 1.6 * math.log(1 + n), "SCAM": 0.8 * math.log(1 + n), "SPREAD": 0.3 * math.log(2), "CONTACT": 0.8}
    assert got[2] == pytest.approx(want)
    assert got[0] == pytest.approx(1 / (1 + math.exp(4.5 - sum(want.values()))))
    assert got[1] == START + 7 * DAY


def test_score_windows_are_half_open():
    # Exactly 24 h and 240 h before as_of are outside.
    assert "VELOCITY" not in votes.score_of(crowd([START, START + DAY]), POLICY)[2]
    assert "VELOCITY" in votes.score_of(crowd([START + 1, START + DAY]), POLICY)[2]
    assert "SPREAD" not in votes.score_of(crowd([START, START + 240 * HOUR]), POLICY)[2]
    assert "SPREAD" in votes.score_of(crowd([START + 1, START + 240 * HOUR]), POLICY)[2]


def test_votes_without_weight_have_no_score():
    assert votes.score_of({("a", 1): vote(weight=0.0)}, POLICY) == (0.0, None, {}, 0)


def test_ladder_bars_at_the_fifth_with_two_contacts():
    got = ladder.climb(crowd([START + i * HOUR for i in range(6)], yes=(0, 5), scam=True), "scam", POLICY)
    assert got.rung == "bar"
    assert got.episodes == [ladder.Episode("bar", START + 5 * HOUR, START + 29 * HOUR)]
    assert not got.one_leg


def test_ladder_one_leg():
    got = ladder.climb(crowd([START + i * HOUR for i in range(5)], yes=(0,), scam=True), "scam", POLICY)
    assert (got.rung, got.episodes, got.one_leg, got.reporters) == ("verify", [], True, 5)


def test_ladder_window_slides():
    times = [START + i * 60 * HOUR for i in range(12)]
    got = ladder.climb(crowd(times, yes=(0, 1, 2)), "nuisance", POLICY)
    assert (got.reporters, got.rung) == (4, "observe")  # the fifth comes when the first is exactly 240 h old


def test_ladder_second_episode_is_longer():
    times = [START + i * HOUR for i in range(10)] + [START + 9 * HOUR + 7 * DAY]
    got = ladder.climb(crowd(times, yes=(8, 9)), "nuisance", POLICY)
    assert [e.until - e.decided_at for e in got.episodes] == [7 * DAY, 30 * DAY]
    times[-1] -= 1
    assert len(ladder.climb(crowd(times, yes=(8, 9)), "nuisance", POLICY).episodes) == 1


def test_floor_forgets_what_came_before():
    floor = START + 2 * HOUR
    got = ladder.climb(crowd([START + i * HOUR for i in range(6)], yes=(0, 5), scam=True), "scam", POLICY, floor)
    assert (got.reporters, got.rung) == (3, "verify")


@pytest.mark.parametrize("mode, state", [("auto", "listed"), ("review", "held"), ("shadow", "shadow")])
def test_mode_decides(mode, state):
    walk = ladder.climb(crowd([START + i for i in range(5)], yes=(0, 1), scam=True), "scam", POLICY)
    assert ladder.fate(walk, "bar_in", False, mode, START).state == state
    assert ladder.fate(walk, "bar_in", True, mode, START).reason == ("protected" if mode != "shadow" else "")
    if mode == "auto":
        assert ladder.fate(walk, "person", False, mode, START).reason == "needs_person"
        assert ladder.fate(walk, "bar_in", False, mode, START + DAY + 4).state == "expired"


def record(**over):
    it = {
        "schema": "complaint/1", "report_id": "a", "channel": "care", "kind": "S", "received_at": "2026-08-31T09:15:02+07:00",
        "reporter": "0912345678", "sender": "0812341213",
    }  # fmt: skip
    it.update(over)
    return json.dumps({k: v for k, v in it.items() if v is not ...}).encode()


@pytest.mark.parametrize(
    "value, want",
    [
        (record(), "counted"),
        (record(content=None, contact=None, occurred_at=None), "counted"),
        (record(sender=...), "missing_field"),
        (record(sender=None), "wrong_type"),
        (record(kind="X", sender=...), "missing_field"),
        (record(kind="X", channel="y"), "bad_channel"),
        (record(contact=[]), "wrong_type"),
        (record(contact={"duration_s": True}), "bad_contact"),
        (record(reporter="5656", received_at="x"), "bad_time"),
        (record(x="\ud800"), "not_json"),
        (record(x=1)[:-1] + b',"y":1e999}', "not_json"),
        (b"[" * 33 + b"]" * 33, "not_json"),
        (b'{"a":' * 32 + b"1" + b"}" * 32, "unknown_schema"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "not_json"),
        (record(occurred_at="2026-08-24T09:15:02+07:00"), "counted"),
        (record(occurred_at="2026-08-24T09:15:01+07:00"), "late"),
        (record(contact={"matched": "no", "origin": "foreign"}), "no_contact"),
        (record(contact={"matched": "yes", "origin": "foreign"}), "spoofed"),
        (record(contact={"matched": "yes", "origin": "foreign"}, sender="+12025550143"), "counted"),
        (record(sender="198"), "own_service_number"),
        (record(sender="9090"), "counted"),
        (record(sender="0912345678"), "self_report"),
    ],
)
def test_disposition(value, want):
    assert oracle.Judgement(world()).judge(("t", 0, 0), value).reason == want


def test_order_of_arrival_does_not_matter():
    stream = []
    for i in range(300):
        rnd = random.Random(i)
        contact = {"matched": rnd.choice(["yes", "no", "unchecked"]), "origin": rnd.choice(["own", "foreign", "other"])}
        at = f"2026-08-{rnd.randint(10, 25)}T{rnd.randint(10, 23)}:15:02+07:00"
        stream.append(("t", 0, i, record(report_id=str(i), reporter=f"09123456{rnd.randint(0, 40):02}", received_at=at,
                                          content="trung thuong a1.example", kind=rnd.choice(["S", "LD"]), contact=contact)))  # fmt: skip
    one = oracle.judge(world(), stream)
    random.Random(1).shuffle(stream)
    two = oracle.judge(world(), stream)
    assert one.dispositions() == two.dispositions()
    assert one.fates(0) == two.fates(0) and one.fates(0)
    assert all(one.standing(k) == two.standing(k) for k in one.votes)


@pytest.mark.parametrize("pack", ["pack", "shipped"])
def test_samples_against_their_expectations(pack):
    if not list(RULES[pack].glob("*.yaml")):
        pytest.skip("no packs in etc/rules")
    now, rows = samples.load("2026-01-05T10:30:00+07:00")
    it, wrong = oracle.Judgement(world(pack=pack)), []
    for offset, (name, row, value) in enumerate(rows):
        got = it.take(("complaints", 0, offset), value)
        weight = "-" if got.weight is None else f"{got.weight:g}"
        report_id = row["report_id"] if row["report_id"] == "-" else got.report_id
        if (report_id, got.disposition, got.reason, weight) != tuple(row[k] for k in ("report_id", "disposition", "reason", "vote_weight")):
            wrong.append((name, row["line"], row["reason"], got.disposition, got.reason, weight))
    at = int(now.timestamp()) * 1_000_000
    for row in samples.senders():
        key = (row["scope"], row["value"], row["service"])
        walk, end = it.climb(key, row["class"]), it.fate(key, row["class"], at)
        if (walk.rung, samples.state_of(walk, end), walk.reporters) != (row["rung"], row["state"], int(row["reporters"])):
            wrong.append((*key, row["class"], walk, end))
    assert not wrong


def test_samples_fit_together():
    done = subprocess.run([sys.executable, "-B", samples.REPORTS / "check.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
