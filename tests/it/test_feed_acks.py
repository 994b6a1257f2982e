"""Proof at the SMSC: what a consumer computed itself is compared with ours; drift, alarms and metrics tell who holds what; the reference follower
is the consumer.
"""
import concurrent.futures
import hashlib
import http.server
import json
import sys
import threading

import pytest
import requests

import api_world
from conftest import NUMBERS
from stand import TOP, wait_for

sys.path.insert(0, str(TOP / "tests/clients"))
from smsc_follower import Follower  # noqa: E402

LIST = "00000000-0000-0000-0000-000000000000"
ZERO = "0" * 64


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    it = api_world.World(stand, tmp_path_factory.mktemp("acks") / "site", next(NUMBERS), feed__alarm="1s")
    it.wish(*(f"8491800{n:04d}" for n in range(200)))
    it.wish("84918010000", service=1)
    yield it
    it.close()


@pytest.fixture
def follower(world, tmp_path):
    def make(name, service="sms", state="state"):
        alarms = []
        it = Follower(world.url(""), world.auth()["Authorization"].split()[1], name, str(tmp_path / state), service, alarms.append)
        it.alarms, it.check_s = alarms, -1
        return it

    return make


def drift(world, name):
    return next((c for c in world.get("/v1/feed/drift").json()["consumers"] if c["consumer"] == name), None)


def test_the_follower_proves_what_it_holds(world, follower):
    it = follower("smsc-1")
    assert it.step() and it.release == world.release() and len(it.entries) == 200
    assert drift(world, "smsc-1") | {"age_s": 0} == {
        "consumer": "smsc-1", "token": drift(world, "smsc-1")["token"], "state": "confirmed", "service": "sms", "release": world.release(), "behind": 0,
        "behind_s": 0, "age_s": 0, "fetched_release": world.release(), "fetched_age_s": drift(world, "smsc-1")["fetched_age_s"], "named": True, "alarm": False, "findings": {}}
    assert it.blocked("number", "84918000001") is True and it.blocked("number", "84918010000") is False
    world.wish("84918020000")
    assert it.step() and it.blocked("number", "84918020000") is True
    world.lift("84918020000")
    assert it.step() and it.blocked("number", "84918020000") is False
    assert drift(world, "smsc-1")["release"] == world.release() and it.alarms == []


def test_it_goes_on_from_its_state(world, follower):
    first = follower("smsc-2")
    assert first.step()
    world.wish("84918030000")
    second = follower("smsc-2")
    second.resume()
    assert second.release == first.release and second.blocked("number", "84918000001") is None and second.alarms
    assert second.step() and second.release == world.release() and second.blocked("number", "84918030000") is True


def test_a_damaged_copy_is_found_and_healed(world, follower):
    it = follower("smsc-3")
    assert it.step()
    gone = it.entries.pop(("number", "84918000007", "sms"))
    it.entries[("number", "84919999999", "sms")] = ("number|84919999999|sms|bar|c-x|0", "bar", 0)
    world.wish("84918040000")
    it.step()
    assert any("is not the list" in text for text in it.alarms)
    got = drift(world, "smsc-3")
    assert (got["state"], got["alarm"]) == ("unknown", True)
    assert got["findings"]["missing"] == [gone[0]] and got["findings"]["extra"] == []
    strange = hashlib.sha256(b"number|84919999999|sms").digest()[0]
    assert got["findings"]["unlocated"] == [strange] and strange in got["findings"]["buckets"] and len(got["findings"]["buckets"]) == 2
    assert it.step() and it.step(0)
    assert drift(world, "smsc-3")["state"] == "confirmed" and drift(world, "smsc-3")["findings"] == {}


def test_a_block_that_was_not_lifted_and_a_form_that_was_not_renewed_are_named(world, follower):
    world.wish("84918050000", "84918050001")
    it = follower("smsc-4")
    assert it.step()
    old = dict(it.entries)
    world.lift("84918050000")
    world.sql("""WITH w AS (UPDATE wish SET until = '2999-12-31T17:00:00Z', state = 'wanted' FROM sender s WHERE s.id = wish.sender
        AND s.value = '84918050001' RETURNING wish.sender) INSERT INTO dirty (sender, service) SELECT sender, 0 FROM w""")
    world.wait_released()
    it.step()
    for key in (("number", "84918050000", "sms"), ("number", "84918050001", "sms")):
        it.entries[key] = old[key]
    world.wish("84918050002")
    it.step()
    found = drift(world, "smsc-4")["findings"]
    assert sorted(found["extra"]) == sorted([old["number", "84918050000", "sms"][0], old["number", "84918050001", "sms"][0]])
    assert len(found["missing"]) == 1 and found["missing"][0].startswith("number|84918050001|sms|bar|") and found["unlocated"] == []


def test_fetched_is_not_confirmed(world):
    assert world.get("/v1/feed/snapshot?consumer=only-fetches").status_code == 200
    got = drift(world, "only-fetches")
    assert (got["state"], got["release"], got["fetched_release"], got["alarm"]) == ("fetched", None, world.release(), True)
    token = world.token("feed", "by-its-token")
    world.tokens["by-its-token"] = token
    assert world.get(f"/v1/feed/changes?list={world.list}&after=0", "by-its-token").status_code == 200
    got = drift(world, "by-its-token")  # who gave no name is not waited for, until it gives one
    assert (got["fetched_release"], got["state"], got["named"], got["alarm"]) == (world.release(), "fetched", False, False)
    assert world.ask("POST", "/v1/feed/acks", "by-its-token", json={**good(world), "consumer": "by-its-token", "digest": ZERO}).status_code == 200
    got = drift(world, "by-its-token")
    assert (got["state"], got["named"], got["alarm"]) == ("unknown", True, True)


def test_alarm_and_metrics(world, follower):
    it = follower("smsc-5")
    assert it.step()
    world.wish("84918060000")
    wait_for("the alarm", lambda: world.metric("khien_consumer_alarm", consumer="smsc-5") == 1, 20)
    assert drift(world, "smsc-5")["behind"] == 1 and world.metric("khien_consumer_behind_seconds", consumer="smsc-5") > 0
    assert world.metric("khien_consumer_state", consumer="smsc-5", state="confirmed") == 1
    assert it.step()
    wait_for("its end", lambda: it.step(0) and world.metric("khien_consumer_alarm", consumer="smsc-5") == 0, 20)
    assert "consumer=smsc-5 alarm=raised" in world.engine.log() and "consumer=smsc-5 alarm=cleared" in world.engine.log()


def test_why_names_who_holds_the_block(world, follower):
    world.wish("84918070000")
    both, late = follower("smsc-6", state="a"), follower("smsc-7", state="b")
    assert late.step() and both.step()
    released = world.release()
    world.wish("84918070001")
    assert both.step()
    why = world.get("/v1/senders/84918070000/why", "analyst").json()
    holders = {c["consumer"]: c for c in why["consumers"]}
    assert {"smsc-6", "smsc-7"} <= set(holders) and holders["smsc-6"]["release"] == released and holders["smsc-6"]["since"]
    why = world.get("/v1/senders/84918070001/why", "analyst").json()
    holders = {c["consumer"] for c in why["consumers"]}
    assert "smsc-6" in holders and "smsc-7" not in holders


def good(world):
    it = world.get("/v1/feed/buckets").json()
    return {"consumer": "raw", "list": it["list"], "release": it["release"], "count": it["count"], "digest": it["digest"], "buckets": it["buckets"]}


def test_acks(world):
    body = good(world)
    got = world.ask("POST", "/v1/feed/acks", json=body)
    assert got.status_code == 200 and got.json() == {"state": "confirmed", "release": body["release"], "behind": 0, "count": body["count"], "digest": body["digest"],
                                                     "findings": {}}
    assert world.ask("POST", "/v1/feed/acks", json={**body, "digest": ZERO}).json()["state"] == "differs"


@pytest.mark.parametrize("change, status", [
    ({"list": LIST}, 410), ({"list": "x"}, 410), ({"release": 10**9}, 410), ({"consumer": ""}, 400), ({"consumer": "a b"}, 400), ({"consumer": "x" * 64}, 400), ({"release": -1}, 400),
    ({"release": "1"}, 400), ({"count": None}, 400), ({"digest": "x"}, 400), ({"digest": ZERO.upper() + "0"}, 400), ({"buckets": []}, 400), ({"buckets": ["x"] * 256}, 400),
    ({"buckets": 5}, 400), ({"service": "fax"}, 400), ({"list": 5}, 400)])
def test_wrong_acks(world, change, status):
    got = world.ask("POST", "/v1/feed/acks", json={**good(world), "consumer": "wrong", **change})
    assert got.status_code == status, got.text
    if status == 410:
        assert (got.json()["start"], got.json()["list"]) == ("/v1/feed/snapshot", world.list)
    assert drift(world, "wrong") is None


def test_too_old_an_ack(world):
    body = good(world)
    world.wish("84918080000")
    world.sql("DELETE FROM release WHERE n = 1")
    assert world.ask("POST", "/v1/feed/acks", json={**body, "release": 1}).status_code == 410


def test_rights_and_bodies(world):
    for role, status in ((None, 401), ("viewer", 403), ("feed", 200)):
        assert world.ask("POST", "/v1/feed/acks", role, json=good(world)).status_code == status
    for role, status in ((None, 401), ("care", 403), ("viewer", 200), ("feed", 200)):
        assert world.get("/v1/feed/drift", role).status_code == status
    for bad in (b"", b"[]", b"{", b'"x"', b"\xff"):
        assert world.ask("POST", "/v1/feed/acks", data=bad).status_code == 400


def test_forgetting(world):
    assert world.ask("POST", "/v1/feed/acks", json={**good(world), "consumer": "old", "digest": ZERO}).status_code == 200
    wait_for("its alarm", lambda: world.metric("khien_consumer_alarm", consumer="old") == 1, 10)
    for role, status in ((None, 401), ("feed", 403), ("supervisor", 204), ("supervisor", 404)):
        assert world.ask("DELETE", "/v1/feed/consumers/old", role).status_code == status
    assert drift(world, "old") is None
    wait_for("no alarm of it", lambda: world.metric("khien_consumer_alarm", consumer="old") == 0, 10)
    assert "feed.forget old" in json.dumps(world.site.rows("SELECT lines FROM audit WHERE what = 'feed.forget'"))


def test_a_name_belongs_to_the_token_that_used_it_first(world):
    body = {**good(world), "consumer": "smsc-own"}
    world.tokens["other"] = world.token("feed", "other-feed")
    owner = drift(world, "smsc-own")
    assert owner is None and world.ask("POST", "/v1/feed/acks", json=body).status_code == 200
    owner = drift(world, "smsc-own")["token"]
    got = world.ask("POST", "/v1/feed/acks", "other", json={**body, "digest": ZERO})
    assert got.status_code == 403 and "smsc-own belongs to another token" in got.json()["detail"]
    assert world.get("/v1/feed/snapshot?consumer=smsc-own&service=sms", "other").status_code == 200  # the list is given all the same
    got = drift(world, "smsc-own")
    assert (got["token"], got["state"], got["fetched_release"]) == (owner, "confirmed", None)

    def give(to, role="supervisor"):
        return world.ask("PUT", "/v1/feed/consumers/smsc-own", role, json=to).status_code

    assert [give({"token": "other-feed"}, role) for role in (None, "feed", "analyst")] == [401, 403, 403]
    for bad in ({}, [], {"token": ""}, {"token": 5}, {"token": "nobody-has-this"}, {"token": "x" * 64}, {"token": "a\0b"}):
        assert give(bad) == 400, bad
    assert world.ask("PUT", "/v1/feed/consumers/nobody", "supervisor", json={"token": None}).status_code == 404
    assert give({"token": "other-feed"}) == 204 and drift(world, "smsc-own")["token"] == "other-feed"
    assert world.ask("POST", "/v1/feed/acks", json=body).status_code == 403 and world.ask("POST", "/v1/feed/acks", "other", json=body).status_code == 200
    assert give({"token": None}, "admin") == 204 and drift(world, "smsc-own")["state"] == "confirmed"
    assert world.ask("POST", "/v1/feed/acks", json=body).status_code == 200 and drift(world, "smsc-own")["token"] == owner
    lines = [row["lines"] for row in world.site.rows("SELECT lines FROM audit WHERE what = 'feed.give' ORDER BY id")]
    assert [line.split(" request=")[0] for line in lines] == ["feed.give smsc-own to=other-feed", "feed.give smsc-own to=-"]


def test_a_token_speaks_for_so_many_and_there_is_room_for_so_many(world):
    world.tokens["many"] = world.token("feed", "many")
    body = good(world)
    try:
        world.sql("INSERT INTO consumer (name, token) SELECT 'many-' || n, 'many' FROM generate_series(1, 64) n")
        got = world.ask("POST", "/v1/feed/acks", "many", json={**body, "consumer": "many-65"})
        assert got.status_code == 429 and "64" in got.json()["detail"]
        assert world.ask("POST", "/v1/feed/acks", "many", json={**body, "consumer": "many-64"}).status_code == 200
        assert world.get("/v1/feed/snapshot?consumer=many-65", "many").status_code == 200 and drift(world, "many-65") is None
        world.sql("INSERT INTO consumer (name, token) SELECT 'more-' || n, 'more-' || n FROM generate_series(1, 300) n")
        got = world.ask("POST", "/v1/feed/acks", json={**body, "consumer": "one-more"})
        assert got.status_code == 429 and "300" in got.json()["detail"]
        assert world.get("/v1/feed/snapshot?consumer=one-more").status_code == 200 and drift(world, "one-more") is None
    finally:
        world.sql("DELETE FROM consumer WHERE name ~ '^(many|more)'")


class Between:
    """Stands between a follower and the API and spoils what it is told to: one answer of a path each."""

    def __init__(self, world):
        spoil = self.spoil = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                got = requests.request(self.command, world.url(self.path), data=body, headers={"Authorization": self.headers["Authorization"]}, timeout=60)
                how = spoil.pop(self.path.split("?")[0].rsplit("/", 1)[1], lambda status, text: (status, text, 0))
                status, text, lacks = how(got.status_code, got.content)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text) + lacks))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = answer

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def between(world):
    it = Between(world)
    yield it
    it.close()


def test_a_wrong_answer_never_replaces_a_good_copy(world, follower, between):
    it = follower("smsc-10")
    it.url = between.url
    known = ("number", "84918000001")
    assert it.step() and it.blocked(*known) is True
    release, held = it.release, len(it.entries)

    def without(status, text):
        """A line less, the head as it was: what a proxy or a fault of ours might do."""
        lines = text.splitlines(keepends=True)
        return status, b"".join(s for s in lines if b"84918000001" not in s), 0

    bodies = {"wrong": without, "empty": lambda status, text: (200, b"", 0), "no JSON": lambda status, text: (200, b"[]\n[]\n", 0),
              "cut": lambda status, text: (200, text[:100], 50), "away": lambda status, text: (503, b"", 0), "null": lambda status, text: (200, b"null\nnull\n", 0)}
    for name, how in bodies.items():
        between.spoil.update(snapshot=how)
        it.list = None
        assert not it.step() and it.alarms, name
        assert (it.blocked(*known), it.release, len(it.entries)) == (True, release, held), name
        it.alarms.clear()
    assert it.step() and it.alarms == []
    world.wish("84918090000")
    for name in ("empty", "no JSON", "cut", "null", "away"):
        between.spoil.update(changes=bodies[name])
        assert not it.step(0) and it.blocked(*known) is True and it.alarms, name
        it.alarms.clear()
    between.spoil.update(changes=lambda status, text: (status, text.replace(b"84918090000", b"84918090001"), 0))
    assert it.step(0) and it.list is None and any("is not the list" in s for s in it.alarms)
    assert (it.blocked(*known), it.blocked("number", "84918090001")) == (True, False)
    it.alarms.clear()
    assert it.step() and it.blocked("number", "84918090000") is True and it.alarms == []


def test_a_refused_acknowledgement_makes_no_list_unknown(world, follower, between, tmp_path):
    it = follower("smsc-11", state="refused")
    it.url = between.url
    for status in (403, 410, 429, 503):
        between.spoil.update(acks=lambda was, text, status=status: (status, b"", 0))
        it.list, it.heard = None, None
        assert it.step() and it.blocked("number", "84918000001") is True, status
        assert len(it.alarms) == 1 and "acknowledgement" in it.alarms.pop(), status
    assert json.loads((tmp_path / "refused").read_text())[1] == world.release()


def test_nothing_held_is_no_proof_for_ever(world):
    """An acknowledgement of release 0 is worth what its age is, and alarms when what came after it is forgotten."""
    saved = world.site.rows("SELECT min(n) AS n FROM release")[0]["n"]
    it = {**good(world), "consumer": "empty", "release": 0, "count": 0, "digest": ZERO}
    if saved == 1:
        assert world.ask("POST", "/v1/feed/acks", json=it).json()["state"] == "confirmed"
        world.sql("DELETE FROM release WHERE n = 1")
    else:
        world.sql("INSERT INTO consumer (name, token, named, list, release, count, good, good_list, good_release, good_at, acked_at)"
                  " SELECT 'empty', 'x', true, list, 0, 0, true, list, 0, now(), now() FROM list_head")
    wait_for("its alarm", lambda: drift(world, "empty")["alarm"], 20)
    assert drift(world, "empty")["behind_s"] is not None
    assert world.ask("POST", "/v1/feed/acks", json=it).status_code == 410
    world.sql("DELETE FROM consumer WHERE name = 'empty'")


def looked_at(world, ack):
    """The findings, as soon as it is this copy's turn."""
    got = {}

    def done():
        got.update(world.ask("POST", "/v1/feed/acks", json=ack).json())
        return "later" not in got["findings"]

    wait_for("its turn", done, 60)
    return got["findings"]


def test_a_copy_too_far_back_is_not_told_wrong_places(world):
    body = {**good(world), "consumer": "far", "digest": ZERO, "buckets": [ZERO] * 256}
    number = world.release() + 1
    world.wish("84918091000")
    world.sql("""INSERT INTO change (release, ord, op, scope, value, service, action, case_id, until, basis)
        SELECT %(n)s, 1000 + i, 'add', 'number', (84920000000 + i)::text, 0, 'bar', 'c-0', NULL, '' FROM generate_series(1, 50000) i""", n=number)
    found = looked_at(world, body)
    assert found.get("too_far") is True and not {"buckets", "missing", "extra", "unlocated"} & set(found), found
    world.sql("DELETE FROM change WHERE release = %(n)s AND ord > 1000; DELETE FROM consumer WHERE name = 'far'", n=number)


def test_only_one_wrong_copy_is_looked_at_at_a_time(world):
    wrong = {**good(world), "digest": ZERO, "buckets": [ZERO] * 256}
    looked_at(world, {**wrong, "consumer": "look-0"})  # whatever was looked at before, the rest after it is over
    held = world.site.stand.connect(world.site.database)
    try:
        with held.cursor() as c:
            c.execute("BEGIN")
            c.execute("LOCK change IN ACCESS EXCLUSIVE MODE")
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                first = pool.submit(requests.post, world.url("/v1/feed/acks"), json={**wrong, "consumer": "look-1"}, headers=world.auth(), timeout=60)
                wait_for("it waits", lambda: world.site.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM change%'"), 20)
                second = world.ask("POST", "/v1/feed/acks", json={**wrong, "consumer": "look-2"}).json()
                c.execute("ROLLBACK")
                first = first.result().json()
    finally:
        held.close()
    assert second["state"] == "differs" and second["findings"].get("later") is True and "buckets" not in second["findings"]
    assert "later" not in first["findings"] and len(first["findings"]["buckets"]) > 0
    world.sql("DELETE FROM consumer WHERE name ~ '^look'")


def test_fails_open_with_an_alarm(world, follower):
    it = follower("smsc-9")
    assert it.blocked("number", "84918000001") is None and it.alarms
    it.url = "http://127.0.0.1:9"
    assert not it.step() and "cannot be followed" in it.alarms[-1]
