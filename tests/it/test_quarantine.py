"""khien quarantine: what was not understood is listed, shown with a reason, mended in place, given up; nothing is counted twice."""
import json
import time

import compare
import requests
from generator import Crowd


def complaint(n, **more):
    it = {
        "schema": "complaint/1", "report_id": f"q{n}", "channel": "care", "kind": "LD", "received_at": Crowd(1, 0).time(time.time() - 600 - n),
        "reporter": f"09123456{n:02}", "sender": "0911112222", "contact": {"matched": "yes"},
    }  # fmt: skip
    return json.dumps({**it, **more}).encode()


def test_mended_in_place(site, tmp_path):
    s = site(feeds=["contacts"])
    big = complaint(7, content="x" * 70000)
    values = [complaint(0), complaint(1), b'{"half', complaint(3, sender="09999"), None, big, complaint(6, received_at="2190-01-01T00:00:00Z")]
    s.produce(values)
    s.note("contacts", [b'{"schema":"contacts/1","report_id":"q0","matched":"maybe"}'])
    s.start().wait_ready()
    s.settle()

    def at(offset, topic=s.topic):
        return [topic, 0, offset]

    def quarantine(what, *more, **kw):
        return s.khien("quarantine", what, "-c", s.conf, *more, **kw)

    rows = [json.loads(line) for line in quarantine("list").stdout.splitlines()]
    assert {(r["topic"], r["offset"], r["reason"], r["state"]) for r in rows} == {
        (s.topic, 2, "not_json", "open"), (s.topic, 3, "bad_sender", "open"), (s.topic, 4, "tombstone", "open"), (s.topic, 5, "too_large", "open"),
        (s.topic, 6, "received_in_future", "open"), (s.feeds["contacts"], 0, "bad_contact", "open"),
    }  # fmt: skip
    assert next(r for r in rows if r["reason"] == "too_large")["size"] == len(big)
    assert len(quarantine("list", "--reason", "bad_sender").stdout.splitlines()) == 1
    assert quarantine("list", "--state", "closed", check=False).returncode == 2
    # who sees the bytes says why
    assert quarantine("show", *at(2), check=False).returncode == 2
    assert quarantine("show", "--why", "ticket 7\nforged line", *at(2)).stdout == '{"half'
    assert quarantine("show", "--why", "x", *at(99), check=False).returncode == 1
    # as they are, they are what they were: nothing changes
    before = s.rows("SELECT * FROM conservation ORDER BY topic")
    for offset, words in ((2, "not_json"), (3, "bad_sender"), (4, "tombstone"), (5, "only the first 65536"), (6, "received_in_future")):
        done = quarantine("retry", "--why", "try", *at(offset), check=False)
        assert done.returncode == 1 and words in done.stderr, done.stderr
    assert s.rows("SELECT * FROM conservation ORDER BY topic") == before
    # mended
    path, contact = tmp_path / "fixed.json", b'{"schema":"contacts/1","report_id":"q0","matched":"no"}'
    fixed = {2: complaint(2), 3: complaint(3), 4: complaint(4), 5: complaint(5, content="short")}
    for offset, value in fixed.items():
        path.write_bytes(value)
        done = quarantine("retry", "--why", "mended", "--file", path, *at(offset))
        assert json.loads(done.stdout) == {"disposition": "accepted", "reason": "counted"}
        assert quarantine("retry", "--why", "twice", "--file", path, *at(offset), check=False).returncode == 1
    path.write_bytes(contact)
    quarantine("retry", "--why", "mended", "--file", path, *at(0, s.feeds["contacts"]))
    s.settle()
    assert {r["missing"] for r in s.rows("SELECT missing FROM conservation")} == {0}
    states = {r["offset"]: r["state"] for r in s.rows('SELECT "offset", state FROM quarantine WHERE topic = %s', s.topic)}
    assert states == {2: "retried", 3: "retried", 4: "retried", 5: "retried", 6: "open"}
    quarantine("drop", "--why", "a joke", *at(6))
    assert quarantine("drop", "--why", "again", *at(6), check=False).returncode == 1
    assert quarantine("list").stdout == "" and len(quarantine("list", "--state", "all").stdout.splitlines()) == 6
    s.settle()
    # what is there now is what the mended records would have made
    s.rows("DELETE FROM quarantine WHERE state = 'retried'")
    s.stream = [(*it[:3], fixed.get(it[2], it[3]) if it[0] == s.topic else contact, *it[4:]) for it in s.stream]
    compare.assert_same(s)
    assert s.one("SELECT count(*) AS n FROM wish WHERE state = 'admitted'")["n"] == 1
    audit = s.rows("SELECT actor, what, lines FROM audit WHERE what LIKE 'quarantine.%%' ORDER BY id")
    assert [r["what"] for r in audit] == ["quarantine.show"] + ["quarantine.retry"] * 5 + ["quarantine.drop"]
    assert audit[0]["lines"].endswith("2 ticket 7 forged line") and all(r["actor"].startswith("person:") for r in audit)
    assert "half" not in str(audit)


def test_over_the_api(site):
    """The same over HTTP: pages, masked bytes, unmasking by a supervisor with a reason, retry and drop; all of it in the audit."""
    s = site()
    s.produce([complaint(0)] + [b'{"half 0912345678', complaint(2, sender="09999"), b"\xff\x00"] + [b"[%d]" % i for i in range(5)])
    engine = s.start().wait_ready()
    s.settle()
    url = f"http://127.0.0.1:{engine.port}/v1/quarantine"

    def role(name):
        made = s.khien("token", "create", "-c", s.conf, "--name", name, "--role", name, "--loopback").stdout.strip()
        return {"Authorization": f"Bearer {made}"}

    who = {name: role(name) for name in ("viewer", "analyst", "supervisor", "feed")}

    def at(offset):
        return f"{url}/{s.source}/{s.topic}/0/{offset}"

    # pages
    seen, cursor = [], None
    while True:
        page = requests.get(url, headers=who["viewer"], params={"limit": 3, **({"cursor": cursor} if cursor else {})}, timeout=10).json()
        seen, cursor = seen + [it["offset"] for it in page["items"]], page["next"]
        if cursor is None:
            break
    assert sorted(seen) == list(range(1, 9)) and len(set(seen)) == 8
    assert all("bytes" not in it and "text" not in it for it in page["items"])
    assert requests.get(url, headers=who["feed"], timeout=10).status_code == 403
    for bad in ({"state": "closed"}, {"limit": "501"}, {"cursor": "x"}):
        assert requests.get(url, headers=who["viewer"], params=bad, timeout=10).status_code == 400, bad
    # one record
    assert requests.get(at(1), headers=who["viewer"], params={"why": "x"}, timeout=10).status_code == 403
    assert requests.get(at(1), headers=who["analyst"], timeout=10).status_code == 400
    shown = requests.get(at(1), headers=who["analyst"], params={"why": "ticket 9"}, timeout=10).json()
    assert (shown["text"], shown["masked"], shown["reason"]) == ('{"half **********', True, "not_json")
    assert requests.get(at(1), headers=who["analyst"], params={"why": "x", "unmask": "1"}, timeout=10).status_code == 403
    shown = requests.get(at(1), headers=who["supervisor"], params={"why": "ticket 9", "unmask": "1"}, timeout=10).json()
    assert shown["text"] == '{"half 0912345678' and shown["masked"] is False
    assert requests.get(at(3), headers=who["analyst"], params={"why": "x"}, timeout=10).json()["hex"] == "ff00"
    for path in (at(99), f"{url}/x/y", f"{url}/{s.source}/{s.topic}/0/-1"):
        assert requests.get(path, headers=who["analyst"], params={"why": "x"}, timeout=10).status_code == 404, path

    def act(offset, who_asks="supervisor", **body):
        return requests.post(at(offset), headers=who[who_asks], json=body, timeout=20)

    # retry and drop
    assert act(1, who_asks="analyst", action="drop", why="x").status_code == 403
    assert act(1, action="drop").status_code == act(1, action="eat", why="x").status_code == 400
    assert act(1, action="drop", why="x", record="y").status_code == 400
    again = act(2, action="retry", why="try")
    assert again.status_code == 422 and "bad_sender" in again.json()["detail"]
    done = act(2, action="retry", why="mended", record=complaint(2).decode())
    assert (done.status_code, done.json()) == (200, {"disposition": "accepted", "reason": "counted"})
    assert act(2, action="retry", why="twice", record=complaint(2).decode()).status_code == 409
    assert act(1, action="drop", why="rubbish").json() == {"state": "dropped"}
    assert act(1, action="drop", why="rubbish").status_code == 409
    s.settle()
    assert s.one("SELECT missing FROM conservation WHERE source = %s", s.source)["missing"] == 0
    noted = " ".join(f"{r['actor']} {r['lines']}" for r in s.rows("SELECT actor, lines FROM audit"))
    for words in ("token:analyst", "token:supervisor", "ticket 9", "unmasked ticket 9", "rubbish", "mended"):
        assert words in noted, (words, noted)
