"""What others are asked to carry out - the HLR, recipients who are polled, subscribers who are told - and that nothing counts as done before the
answer is back. Steps that take days are taken with the time as a parameter."""
import datetime
import json

import pytest

from stand import wait_for
from test_lift import NOW, lift, listed, scam, scam_report

OWN = "0981112233"  # the own carrier's
DAY = datetime.timedelta(days=1)


@pytest.fixture
def live(site):
    it = site(feeds=["provisioning_results", "poll_answers", "notice_results"])
    it.engine = it.start().wait_ready()
    return it


def asked(site):
    return [(r["action"], r["origin"], r["seq"]) for r in site.rows("SELECT action, origin, seq FROM provisioning ORDER BY sender, service, seq")]


def test_an_own_subscriber_is_barred_at_the_hlr_and_freed_again(live):
    scam(live, OWN)
    scam(live, "0912345678")  # another network's: nothing to ask
    wait_for("the HLR is asked", lambda: asked(live) == [("bar_out", "auto:scam", 1)], 20)
    action = "SELECT state, executed_at, executed_by FROM action a JOIN sender s ON s.id = a.sender WHERE s.value = '84981112233'"
    assert live.one(action) == {"state": "admitted", "executed_at": None, "executed_by": None}
    request = live.one("SELECT request_id FROM provisioning")["request_id"]
    at = "2026-11-01T00:00:00Z"
    live.note("provisioning_results", [(request, json.dumps(
        {"schema": "provisioning-results/1", "request_id": request, "status": "done", "at": at}).encode())])  # fmt: skip
    wait_for("it is executed", lambda: live.one(action)["executed_by"] == "hlr", 20)
    assert live.one(action)["executed_at"] == datetime.datetime.fromisoformat(at.replace("Z", "+00:00"))
    lift(live, "--sender", OWN, "--apply", "--why", "x")
    wait_for("the HLR is asked to lift", lambda: [a[0] for a in asked(live)] == ["bar_out", "lift"], 20)
    live.settle()
    told = [json.loads(r[3]) for r in live.read_topic("provisioning", 1) if r[4] == b"84981112233"]
    mine = [t for t in told if t["request_id"] == request]
    assert len(mine) == 1 and mine[0]["action"] == "bar_out" and mine[0]["service"] == "voice" and mine[0]["case"].startswith("c-")


def test_the_bar_outlives_an_order_that_ends(live, tmp_path):
    import test_orders

    scam(live, OWN)
    desk = test_orders.Desk(live, tmp_path)
    desk.run("import", desk.json("1/H", ["0981112233"], action="bar_out"))
    live.settle()
    desk.run("revoke", "1/H", "--by", "2/H")
    live.settle()
    wait_for(lambda: str(asked(live)), lambda: [a[0] for a in asked(live)][-1] == "bar_out" and "lift" in [a[0] for a in asked(live)], 20)
    assert listed(live) == {"84981112233"}


def answer(poll, **counts):
    return poll["poll_id"], json.dumps(
        {"schema": "poll-answers/1", "poll_id": poll["poll_id"], "sender": "+84912345678", "yes": 0, "no": 0, "silent": 0} | counts).encode()  # fmt: skip


def test_recipients_are_asked_once_and_silence_is_not_yes(live):
    when = (NOW - datetime.timedelta(minutes=30)).isoformat()
    live.produce([("0912345678", scam_report("0912345678", r, 30, when)) for r in range(3)])
    wait_for("somebody is asked", lambda: live.rows("SELECT 1 AS n FROM poll"), 20)
    (poll,) = live.rows("SELECT * FROM poll")
    assert poll["sample"] == 30 and poll["outcome"] is None
    live.produce([("0912345678", scam_report("0912345678", r, 31, when)) for r in range(3, 5)])
    live.settle()
    outcome = "SELECT outcome FROM poll"
    live.note("poll_answers", [answer(poll, yes=9, silent=500)])
    wait_for("it is counted", lambda: live.rows("SELECT 1 AS n FROM poll_answer"), 20)
    live.settle()
    assert live.one(outcome)["outcome"] is None  # nine answers are not ten
    live.note("poll_answers", [answer(poll, yes=6, no=4, silent=500)])
    wait_for("it is decided", lambda: live.one(outcome)["outcome"] == "yes", 20)
    assert live.one("SELECT count(*) AS n FROM poll")["n"] == 1
    told = [json.loads(r[3]) for r in live.read_topic("polls", 1)]
    mine = [t for t in told if t["poll_id"] == poll["poll_id"]]
    assert len(mine) == 1 and mine[0]["sender"] == "+84912345678" and mine[0]["recipient_pause_s"] == 7 * 86400


def test_what_a_poll_says(site):
    s = site()
    db = [("a", 5, 5, "no"), ("b", 3, 1, "undecided"), ("c", 6, 4, "yes"), ("d", 12, 8, "yes"), ("e", 11, 9, "no"), ("f", None, None, "undecided")]
    for poll, yes, no, _ in db:
        s.rows("INSERT INTO poll (poll_id, sender, service, sample, asked_at) VALUES (%s, 0, 0, 30, '2026-01-01')", poll)
        if yes is not None:
            s.rows("INSERT INTO poll_answer VALUES (%s, 'number', '84', %s, %s, 99, 'x', 0, 0, now())", poll, yes, no)
    s.rows("SELECT polls_decide('2026-01-02', 10, 0.6, '48 hours')")
    got = {r["poll_id"]: r["outcome"] for r in s.rows("SELECT poll_id, outcome FROM poll")}
    assert got == {p: (o if o != "undecided" else None) for p, _, _, o in db}
    s.rows("SELECT polls_decide('2026-01-03', 10, 0.6, '48 hours')")
    assert {r["poll_id"]: r["outcome"] for r in s.rows("SELECT poll_id, outcome FROM poll")} == {p: o for p, _, _, o in db}


def test_the_registration_ladder(site):
    s = site()
    case = s.khien("registration", "open", "-c", s.conf, "--why", "the identity card is another's", OWN).stdout.strip()
    again = s.khien("registration", "open", "-c", s.conf, "--why", "x", OWN, check=False)
    assert again.returncode == 1 and "open already" in again.stderr
    other = s.khien("registration", "open", "-c", s.conf, "--why", "x", "0912345678", check=False)
    assert other.returncode == 1 and "own subscriber" in other.stderr
    start = datetime.datetime(2026, 12, 1, 2, tzinfo=datetime.timezone.utc)

    def tend(days, hours=0):
        at = start + days * DAY + datetime.timedelta(hours=hours)
        return s.rows("SELECT registration_tend(%s, 5, '24 hours', '15 days', '30 days', 'law', true)", at)

    def arrived(status, days):
        at = start + days * DAY + datetime.timedelta(hours=1)
        s.rows("INSERT INTO notice_result SELECT request_id, %s, %s, 'x', 0, 0, %s FROM notice WHERE asked_at >= %s", status, at, at, at - DAY / 12)

    def wishes():
        return s.one("SELECT count(*) AS n FROM wish WHERE origin = 'auto:registration'")["n"]

    day = 0
    for status in ("undelivered", "delivered", "delivered", "undelivered", "delivered", "delivered", "delivered"):
        tend(day)
        tend(day, 2)  # one a day
        arrived(status, day)
        day += 1
    assert s.one("SELECT count(*) AS n FROM notice")["n"] == 7
    tend(15, 1)  # 15 days after the first that was sent; the first that arrived was a day later
    row = s.one("SELECT delivered, first_at, one_way_at FROM registration")
    assert row["delivered"] == 5 and row["first_at"] == start + DAY + datetime.timedelta(hours=1) and row["one_way_at"] is None
    assert wishes() == 0
    tend(16, 1)
    assert wishes() == 2 and {r["detail"] for r in s.rows("SELECT detail FROM wish")} == {"bar_out"}
    early = s.khien("registration", "bar-both", "-c", s.conf, case, check=False)
    assert early.returncode == 1
    tend(31, 1)
    assert {r["detail"] for r in s.rows("SELECT detail FROM wish")} == {"bar_out"}  # never by itself
    s.khien("registration", "bar-both", "-c", s.conf, case)
    assert {r["detail"] for r in s.rows("SELECT detail FROM wish")} == {"bar_both"}
    assert json.loads(s.khien("registration", "list", "-c", s.conf).stdout)["case"] == case
    s.khien("registration", "end", "-c", s.conf, "--why", "registered anew", case)
    assert s.rows("SELECT 1 AS n FROM wish") == []
    assert s.one("SELECT state, outcome FROM case_file") == {"state": "closed", "outcome": "lifted"}


def test_notices_go_out_and_the_bar_reaches_list_and_hlr(live):
    case = live.khien("registration", "open", "-c", live.conf, "--why", "x", OWN).stdout.strip()
    wait_for("a notice is sent", lambda: live.rows("SELECT 1 AS n FROM notice"), 20)
    live.settle()
    (sent,) = [t for t in (json.loads(r[3]) for r in live.read_topic("notices", 1)) if t["params"]["case"] == case]
    assert sent["msisdn"] == "+84981112233" and sent["template"] == "registration" and sent["params"]["n"] == 1
    # all of them have arrived long ago
    live.rows("UPDATE notice SET asked_at = now() - interval '20 days'")
    live.rows("INSERT INTO notice SELECT 'n' || v, %s, v, now() - interval '20 days' FROM generate_series(2, 5) v", case)
    live.rows("INSERT INTO notice_result SELECT request_id, 'delivered', asked_at, 'x', 0, 0, asked_at FROM notice")
    wait_for("both services are listed", lambda: live.one("SELECT count(*) AS n FROM entry WHERE value = '84981112233'")["n"] == 2, 20)
    wait_for("the HLR is asked", lambda: [a[0] for a in asked(live)] == ["bar_out", "bar_out"], 20)
    assert live.one("SELECT state FROM case_file WHERE id = %s", case)["state"] == "enforced"
