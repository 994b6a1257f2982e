"""The kill switch. Lifting: of one sender, of what a span or a release brought; the reports hear of it, and old votes do not bring a block back."""
import datetime
import json
import os

import pytest

import compare
from stand import wait_for

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def scam_report(sender, reporter, minutes, when):
    return json.dumps({
        "schema": "complaint/1", "report_id": f"{sender}:{minutes}:{reporter}", "channel": "sms5656", "kind": "LD", "received_at": when,
        "occurred_at": when, "reporter": f"+8498{reporter:07d}", "sender": sender, "content": "xin chao",
        "contact": {"service": "voice", "matched": "yes", "origin": "other"},
    }).encode()  # fmt: skip


def scam(site, sender, reporters=range(5), minutes=60):
    """Matched reports by five people: a block."""
    when = (NOW - datetime.timedelta(minutes=minutes)).isoformat()
    site.produce([(sender, scam_report(sender, r, minutes, when)) for r in reporters])
    site.settle()


@pytest.fixture
def live(site, stand):
    stand.topic("outcomes", 1)
    it = site()
    it.engine = it.start()
    it.engine.wait_ready()
    return it


def listed(site):
    return {r["value"] for r in site.rows("SELECT value FROM entry")}


def lift(site, *words, check=True):
    return site.khien("lift", "-c", site.conf, *words, check=check)


def test_one_sender_is_shown_then_lifted_and_stays_free(live):
    scam(live, "0912345678")
    scam(live, "0912345679")
    assert listed(live) == {"84912345678", "84912345679"}
    shown = lift(live, "--sender", "+84 912 345 678")
    assert [json.loads(line)["value"] for line in shown.stdout.splitlines()] == ["84912345678"]
    assert listed(live) == {"84912345678", "84912345679"}
    done = lift(live, "--sender", "0912345678", "--apply", "--why", "a hospital's number")
    assert "lifted 1 of 1 senders; 5 reports will be told" in done.stdout
    wait_for("the reports are told", lambda: live.one("SELECT count(*) AS n FROM retraction")["n"] == 0, 30)
    live.settle()
    assert listed(live) == {"84912345679"}
    case = live.one("SELECT k.state, k.outcome FROM case_file k JOIN sender s ON s.id = k.sender WHERE s.value = '84912345678' AND k.class = 1")
    assert case == {"state": "closed", "outcome": "lifted"}
    told = [json.loads(r[3]) for r in live.read_topic("outcomes", 1)]
    back = [t for t in told if t.get("status") == "reversed" and t["report_id"].startswith("0912345678:60:")]
    assert len(back) == 5 and {t["seq"] for t in back} == {2}
    # the same people again, about what was before: no leg to stand on
    scam(live, "0912345678", range(5, 9), minutes=50)
    assert listed(live) == {"84912345679"}
    again = lift(live, "--sender", "0912345678", "--apply", "--why", "x", check=False)
    assert again.returncode == 1 and "nothing to lift" in again.stderr


def test_what_is_lifted_is_named_by_release_time_rule_and_case(live):
    scam(live, "0912345678")
    release = live.one("SELECT release FROM list_head")["release"]
    scam(live, "0912345679")
    case = live.one("SELECT case_id FROM entry WHERE value = '84912345678'")["case_id"]
    for words, want in (
        (("--release", str(release)), 1),
        (("--release", f"{release}-{release + 5}"), 2),
        (("--case", case), 1),
        (("--since", (NOW - datetime.timedelta(days=1)).isoformat()), 2),
        (("--until", (NOW - datetime.timedelta(days=1)).isoformat()), 0),
        (("--rule", "NO_SUCH_RULE"), 0),
        (("--policy", live.one("SELECT policy FROM action LIMIT 1")["policy"]), 2),
        (("--pack", "another"), 0),
    ):
        assert len(lift(live, *words).stdout.splitlines()) == want, words
    everything = lift(live, check=False)
    assert everything.returncode == 1 and "say what to lift" in everything.stderr


def test_both_classes_of_a_sender_fall_together(live):
    """A floor is under both: else the next report about him would set the other one free, silently."""
    scam(live, "0912345670", range(12))
    rows = live.rows("SELECT origin FROM wish ORDER BY origin")
    assert [r["origin"] for r in rows] == ["auto:nuisance", "auto:scam"]
    case = live.one("SELECT case_id FROM wish WHERE origin = 'auto:scam'")["case_id"]
    assert len(lift(live, "--case", case).stdout.splitlines()) == 2
    lift(live, "--case", case, "--apply", "--why", "x")
    scam(live, "0912345670", [40], minutes=30)
    assert listed(live) == set() and live.rows("SELECT FROM wish") == []
    states = {r["state"] for r in live.rows("SELECT state FROM action WHERE origin = 'auto'")}
    assert states == {"lifted"}


def test_many_need_a_second_person(site, stand, monkeypatch):
    if os.getuid() != 0:
        pytest.skip("needs root, to be two people")
    stand.topic("outcomes", 1)
    it = site(lift__alone_max=1)
    it.start().wait_ready()
    scam(it, "0912345678")
    scam(it, "0912345679")
    words = ("--since", (NOW - datetime.timedelta(days=1)).isoformat(), "--apply", "--why", "a bad rule")
    monkeypatch.setenv("SUDO_USER", "lan")
    assert "asked for 2" in lift(it, *words).stdout
    assert lift(it, *words, check=False).returncode == 1
    monkeypatch.setenv("SUDO_USER", "minh")
    assert "lifted 2 of 2 senders" in lift(it, *words).stdout
    wait_for(lambda: str(listed(it)), lambda: listed(it) == set(), 20)


def test_an_order_is_not_lifted(live, tmp_path):
    import test_orders

    live.khien("order", "import", "-c", live.conf, test_orders.Desk(live, tmp_path).json("1/X", ["0912345678"]))
    live.settle()
    got = lift(live, "--sender", "0912345678", "--apply", "--why", "x", check=False)
    assert got.returncode == 1 and listed(live) == {"84912345678"}


def test_kill_switch_stops_additions_and_survives_a_restart(live):
    assert "is off" in live.khien("kill-switch", "status", "-c", live.conf).stdout
    scam(live, "0912345678")
    live.khien("kill-switch", "on", "-c", live.conf)
    assert "as it was" in live.khien("kill-switch", "on", "-c", live.conf).stdout
    live.engine.kill()
    live.start("second").wait_ready()
    when = (NOW - datetime.timedelta(minutes=60)).isoformat()
    live.produce([("0912345679", scam_report("0912345679", r, 60, when)) for r in range(5)])
    wait_for("the wish waits", lambda: live.one("SELECT count(*) AS n FROM wish WHERE state = 'wanted'")["n"] == 1, 60)
    assert listed(live) == {"84912345678"}
    live.khien("kill-switch", "off", "-c", live.conf)
    live.settle()
    assert listed(live) == {"84912345678", "84912345679"}
    lines = [r["lines"] for r in live.rows("SELECT lines FROM audit WHERE what = 'kill-switch' ORDER BY id")]
    assert lines == ["kill-switch on\n", "kill-switch off\n"]


def test_a_flood_of_unverified_reports_frees_nobody(live):
    """Newer than the votes behind a block, more than anybody looks at: the block stays, the case keeps its rung, and who is flooded before he is reported
    is blocked all the same."""
    scam(live, "0912345671")
    assert listed(live) == {"84912345671"}
    vietnam = datetime.timezone(datetime.timedelta(hours=7))
    tomorrow = (NOW.astimezone(vietnam) + datetime.timedelta(days=1)).replace(hour=0, minute=0, second=1).isoformat()
    flood = [
        (sender, json.dumps({
            "schema": "complaint/1", "report_id": f"flood:{sender}:{n}", "channel": "portal", "kind": "LD", "received_at": tomorrow,
            "reporter": f"+8497{n:07d}", "reporter_verified": False, "sender": sender, "content": "",
        }).encode()) for sender in ("0912345671", "0912345672") for n in range(5100)
    ]  # fmt: skip
    live.produce(flood)
    live.settle()
    assert live.one("SELECT count(*) AS n FROM vote")["n"] == 10205
    assert listed(live) == {"84912345671"}
    scam(live, "0912345671", reporters=range(5, 6))
    scam(live, "0912345672")
    assert listed(live) == {"84912345671", "84912345672"}
    assert {r["state"] for r in live.rows("SELECT state FROM wish WHERE origin = 'auto:scam'")} == {"admitted"}
    assert [r["rung"] for r in live.rows("SELECT rung FROM case_file WHERE class = 1")] == [3, 3]
    compare.assert_same(live, live.engine)
