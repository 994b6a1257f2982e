"""Clocks that run out, the calendar, the roster and watch windows by file, and alerts that reach a webhook signed, again until they are taken, never at an
internal address that is not listed."""
import datetime
import hashlib
import hmac
import http.server
import json
import threading

import pytest

from stand import wait_for
from test_replay import changed

UTC = datetime.timezone.utc
START = datetime.datetime(2026, 12, 1, 2, tzinfo=UTC)
HOUR = datetime.timedelta(hours=1)


def case(site, name, hours, cls=1, state="open"):
    site.rows("INSERT INTO case_file (id, sender, service, class, state, kind, first_at, due_at, opened_at) VALUES (%s, %s, 0, %s, %s, 'spoofed_caller', %s, %s, %s)",
              name, abs(hash(name)) % 10**9, cls, state, START, START + hours * HOUR, START)  # fmt: skip


def alerts(site):
    return [(r["kind"], r["body"].get("cases") or r["body"].get("open")) for r in site.rows("SELECT kind, body FROM alert ORDER BY id")]


def test_warning_breach_and_escalation(site):
    s = site()
    case(s, "c-scam", 2)
    case(s, "c-slow", 24, cls=0)
    case(s, "c-done", 2, state="enforced")

    def tend(hours):
        s.rows("SELECT clocks_tend(%s)", START + hours * HOUR)
        return alerts(s)

    assert tend(1.4) == []
    assert tend(1.5) == [("clock.warning", 1)]
    assert tend(1.9) == [("clock.warning", 1)]
    assert tend(2)[1:] == [("clock.breach", 1)]
    assert tend(2.9)[2:] == []
    assert tend(3)[2:] == [("clock.escalated", 1)]
    assert tend(18)[3:] == [("clock.warning", 1)]
    row = s.one("SELECT warned_at, breached_at, escalated_at FROM case_file WHERE id = 'c-scam'")
    assert [row[k] - START for k in ("warned_at", "breached_at", "escalated_at")] == [1.5 * HOUR, 2 * HOUR, 3 * HOUR]
    s.rows("INSERT INTO duty VALUES (%s, %s, 'Lan', '+84901', 'the head')", START, START + 48 * HOUR)
    tend(24)
    assert s.one("SELECT body FROM alert ORDER BY id DESC LIMIT 1")["body"]["duty"] == [{"who": "Lan", "contact": "+84901", "escalate": "the head"}]


def test_a_deadline_that_is_not_met(site, tmp_path):
    import test_orders

    s = site()
    desk = test_orders.Desk(s, tmp_path)
    desk.run("import", desk.json("9/D", ["0912345678"], deadline="2198-12-31T00:00:00Z"))
    s.rows("UPDATE order_doc SET received_at = %s, deadline = %s", START, START + 4 * HOUR)
    for hours, kinds in ((2, []), (3, ["order.warning"]), (3.5, ["order.warning"]), (4, ["order.warning", "order.breach"]), (5, ["order.warning", "order.breach"])):
        s.rows("SELECT clocks_tend(%s)", START + hours * HOUR)
        assert [k for k, _ in alerts(s)] == kinds
    assert s.one("SELECT breach FROM order_doc")["breach"]


def test_working_time(site):
    s = site()
    s.rows("INSERT INTO calendar_day VALUES ('2026-12-02', 'holiday', 'x'), ('2026-12-05', 'workday', 'y')")

    def due(start, work):
        at = s.one("SELECT business_due(%s::timestamptz, %s::interval) AS d", start, work)["d"]
        return at.astimezone(datetime.timezone(7 * HOUR)).strftime("%d %H:%M")

    assert due("2026-12-01T10:00:00+07:00", "2 hours") == "01 12:00"
    assert due("2026-12-01T16:00:00+07:00", "2 hours") == "03 09:00"  # a holiday between
    assert due("2026-12-04T16:00:00+07:00", "2 hours") == "05 09:00"  # a Saturday that is worked
    assert due("2026-12-05T16:30:00+07:00", "1 hour") == "07 08:30"
    assert due("2026-12-01T20:00:00+07:00", "9 hours") == "03 17:00"


@pytest.fixture
def receiver():
    """Refuses the first of each alert, then takes them."""
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["X-Khien-Signature"], body))
            self.send_response(503 if sum(b == body for _, _, b in got) == 1 else 204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    server.server_close()


def test_a_webhook_is_signed_and_tried_again(site, receiver, tmp_path):
    url, got = receiver
    key = tmp_path / "alerts.key"
    key.write_text("0123456789abcdef0123456789abcdef\n")
    key.chmod(0o600)
    secret = url.replace("127.0.0.1", "localhost")
    s = site(alerts__urls=[url, secret], alerts__key_file=str(key), alerts__internal_hosts=["127.0.0.1"])
    s.start().wait_ready()
    case(s, "c-scam", 2)
    s.rows("UPDATE case_file SET first_at = now() - interval '119 minutes', due_at = now() + interval '1 minute'")
    sent = "SELECT attempts, error, sent_at IS NOT NULL AS sent FROM alert_delivery WHERE url = %s"
    wait_for(lambda: str(s.rows("SELECT * FROM alert_delivery")), lambda: [r["sent"] for r in s.rows(sent, url)] == [True], 40)
    (path, signature, body), (_, second, again) = got
    assert path == "/hook" and body == again and json.loads(body)["kind"] == "clock.warning"
    stamp, mac = (p.split("=", 1)[1] for p in second.split(","))
    assert hmac.new(b"0123456789abcdef0123456789abcdef", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest() == mac
    wait_for("the other address is tried", lambda: s.rows(sent, secret) and s.rows(sent, secret)[0]["attempts"] > 0, 20)
    (other,) = s.rows(sent, secret)
    assert not other["sent"] and "internal address" in other["error"]
    assert len(got) == 2


def test_files_are_loaded_whole_or_not_at_all(site, tmp_path):
    calendar, duty, watch = tmp_path / "holidays.csv", tmp_path / "duty.csv", tmp_path / "watch.csv"
    strict = changed(tmp_path, ("rung: bar, reporters: 5", "rung: bar, reporters: 4"), ("policy: shipped", "policy: holiday"))
    calendar.write_text("date,kind,name\n2027-02-05,holiday,Tet\n2027-02-06,holiday,Tet\n")
    duty.write_text("from,to,who,contact,escalate\n2020-01-01,2199-01-01,Lan,+84901,the head\n")
    watch.write_text(f"name,from,to,policy\nTet,2020-01-01,2199-01-01,{strict.name}\n")
    s = site(calendar__file=str(calendar), duty__file=str(duty), watch__file=str(watch))
    engine = s.start().wait_ready()
    days = "SELECT count(*) AS n FROM calendar_day"
    wait_for("the calendar is loaded", lambda: s.one(days)["n"] == 2, 20)
    active = "SELECT version FROM artifact a JOIN control k ON k.policy = a.hash"
    wait_for("the window's policy is active", lambda: s.one(active)["version"].startswith("holiday"), 20)
    assert s.one("SELECT who FROM duty")["who"] == "Lan"
    assert "good" in s.khien("check", "-c", s.conf).stdout
    calendar.write_text("date,kind,name\n2027-02-05,holiday,Tet\n5/2/2027,holiday,Tet\n")
    watch.write_text("name,from,to,policy\n")
    bad = s.khien("check", "-c", s.conf, check=False)
    assert bad.returncode == 2 and "holidays.csv:3:" in bad.stderr
    engine.hup()
    wait_for("the former policy is back", lambda: s.one(active)["version"].startswith("shipped"), 20)
    wait_for("it is said", lambda: "holidays.csv:3:" in engine.log(), 20)
    assert s.one(days)["n"] == 2
    wait_for(lambda: str(alerts(s)), lambda: [k for k, _ in alerts(s)] == ["watch.begin", "watch.end"], 20)
