"""The list for machines: snapshots that prove themselves, changes that add up to them, long polls that wake with the release."""
import concurrent.futures
import gzip
import hashlib
import json
import os
import socket
import time

import pytest

import api_world
from api_world import elapsed
from conftest import NUMBERS
from stand import wait_for

LIST = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    it = api_world.World(stand, tmp_path_factory.mktemp("api") / "site", next(NUMBERS))
    it.wish(*(f"8491300{n:04d}" for n in range(50)), service=0)
    it.wish(*(f"8491300{n:04d}" for n in range(40, 70)), service=1, until="2999-12-31T17:00:00+07:00")
    it.wish("ví điện tử".encode().decode()[:2] + "-pay", scope="name")
    it.wish("84913009999", action="label")
    yield it
    it.close()


def line(e):
    until = 0 if e["until"] is None else int(time.mktime(time.strptime(e["until"], "%Y-%m-%dT%H:%M:%SZ"))) - time.timezone
    return "|".join([e["scope"], e["value"], e["service"], e["action"], e["case"], str(until)])


def digest(lines):
    return f"{sum(int.from_bytes(hashlib.sha256(s.encode()).digest(), 'big') for s in lines) % 2**256:064x}"


def snapshot(world, query="", **more):
    got = world.get("/v1/feed/snapshot" + query, **more)
    assert got.status_code == 200, got.text
    objects = [json.loads(s) for s in got.content.splitlines()]
    return got, objects[0], objects[1:-1], objects[-1]


def changes(world, after, query="", status=200, name=None):
    got = world.get(f"/v1/feed/changes?list={name or world.list}&after={after}{query}")
    assert got.status_code == status, got.text
    return got.json()


# --- snapshot


@pytest.mark.parametrize("query, services", [("", {"sms", "voice"}), ("?service=sms", {"sms"}), ("?service=voice", {"voice"})])
def test_a_snapshot_proves_itself(world, query, services):
    got, head, entries, tail = snapshot(world, query)
    assert got.headers["Content-Type"] == "application/x-ndjson"
    assert head == tail and head["list"] == world.list and head["release"] == world.release()
    assert {e["service"] for e in entries} == services
    assert head["count"] == len(entries) > 0
    assert head["digest"] == digest(map(line, entries))


def test_etag(world):
    got, *_ = snapshot(world)
    tag = got.headers["ETag"]
    for given in (tag, f'"x", {tag}', "*", tag.removeprefix("W/")):
        again = world.get("/v1/feed/snapshot", headers={"If-None-Match": given})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag), given
    assert world.get("/v1/feed/snapshot", headers={"If-None-Match": '"x"'}).status_code == 200
    assert world.get("/v1/feed/snapshot?service=sms", headers={"If-None-Match": tag}).status_code == 200
    world.wish("84913008888")
    got = world.get("/v1/feed/snapshot", headers={"If-None-Match": tag})
    assert got.status_code == 200 and got.headers["ETag"] != tag
    assert b"84913008888" in got.content


def test_gzip(world):
    plain = world.raw(world.head("/v1/feed/snapshot"))
    assert "Content-Encoding" not in plain.headers
    for accept, zipped in (("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("identity", False), ("GZIP", True)):
        got = world.raw(world.head("/v1/feed/snapshot", "feed", "GET", f"Accept-Encoding: {accept}"))
        assert (got.headers["Content-Encoding"] == "gzip") == zipped and got.headers["Vary"] == "Accept-Encoding"
        text = gzip.decompress(got.body) if zipped else got.body
        assert text.splitlines()[1:-1] == plain.body.splitlines()[1:-1]


def test_many_snapshots_at_once_are_made_once(world):
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        got = list(pool.map(lambda n: world.raw(world.head("/v1/feed/snapshot?service=" + ("sms", "voice")[n % 2])), range(200)))
    assert {it.status for it in got} == {200}
    for service in (0, 1):
        assert len({it.body.split(b"\n", 1)[1] for it in got[service::2]}) <= 2


def test_a_slow_reader_holds_no_database_thread(world):
    with world.connect() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.sendall(world.head("/v1/feed/snapshot") * 20)
        for _ in range(20):
            assert world.get("/v1/feed/exempt").status_code == 200


# --- changes


def test_changes_add_up_to_the_snapshot(world):
    for service in (None, "sms", "voice"):
        query = f"&service={service}" if service else ""
        _, head, entries, _ = snapshot(world, query.replace("&", "?"))
        held, at = {}, 0
        while True:
            got = changes(world, at, query)
            assert got["list"] == world.list and got["from"] == at
            for c in got["changes"]:
                assert at < c["release"] <= got["to"]
                key = (c["scope"], c["value"], c["service"])
                assert (c["op"] == "add") == (key not in held), c
                if c["op"] == "add":
                    held[key] = line(c)
                else:
                    assert held.pop(key) == line(c)
            at = got["to"]
            if not got["more"]:
                break
        assert at == head["release"]
        assert (len(held), digest(held.values())) == (head["count"], head["digest"])
        assert sorted(held.values()) == sorted(map(line, entries))


def test_nothing_new(world):
    now = world.release()
    got = changes(world, now)
    assert (got["from"], got["to"], got["more"], got["changes"]) == (now, now, False, [])
    start = time.monotonic()
    got = changes(world, now, "&wait=1")
    assert (got["from"], got["to"], got["changes"]) == (now, now, []) and 0.9 < elapsed(start) < 3


def test_a_long_poll_wakes_with_the_release(world):
    late = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for n in range(10):
            now = world.release()
            poll = pool.submit(lambda at=now: (changes(world, at, "&wait=30"), time.monotonic()))
            wait_for("the poll", lambda: world.metric("khien_http_long_polls") == 1)
            world.wish(f"8491400{n:04d}", wait=False)
            wait_for("the release", lambda at=now: world.release() > at, every=0.001)
            released = time.monotonic()
            got, woken = poll.result(40)
            assert got["to"] == now + 1 and [c["value"] for c in got["changes"]] == [f"8491400{n:04d}"]
            late.append(woken - released)
    assert sorted(late)[5] < 0.1, late


def test_a_release_without_a_change_of_the_service_is_told_too(world):
    now = world.release()
    world.wish("84914100000", service=1)
    got = changes(world, now, "&service=sms&wait=30")
    assert (got["from"], got["to"], got["changes"]) == (now, world.release(), [])


@pytest.mark.parametrize("ahead", [1, 2**62])
def test_ahead(world, ahead):
    got = changes(world, world.release() + ahead, "&wait=30", 410)
    assert (got["status"], got["start"], got["list"], got["release"]) == (410, "/v1/feed/snapshot", world.list, world.release())


@pytest.mark.parametrize("name", [LIST, "x", "%22%5C%3Cb%3E", "a" * 63])
def test_another_list(world, name):
    got = changes(world, 0, "&wait=30", 410, name)
    assert got["start"] == "/v1/feed/snapshot" and got["list"] == world.list


@pytest.mark.parametrize("query", ["", "list=&after=0", "list={0}", "after=0", "list={0}&after=", "list={0}&after", "list={0}&after=-1", "list={0}&after=x",
                                   "list={0}&after=9223372036854775808", "list={0}&after=0&wait=-1", "list={0}&after=0&wait=x", "list={0}&after=0&after=1",
                                   "list={0}&list={0}&after=0", "list={0}&after=0&service=fax", f"list={'a' * 64}&after=0", "list={0}&after=0.5"])
def test_wrong_questions(world, query):
    got = world.get("/v1/feed/changes?" + query.format(world.list))
    assert got.status_code == 400 and got.headers["Content-Type"] == "application/problem+json" and got.json()["detail"]


def test_too_old(world):
    world.sql("DELETE FROM release WHERE n <= 2")
    assert changes(world, 0, "", 410)["release"] == world.release()
    assert changes(world, 1, "", 410)["start"] == "/v1/feed/snapshot"
    for query, header in ((f"?list={world.list}&after=1", {}), ("", {"Last-Event-ID": f"{world.list}:1"}), ("", {"Last-Event-ID": f"{world.list}:{world.release() + 5}"})):
        got = world.get(f"/v1/feed/stream{query}", headers=header)
        assert (got.status_code, got.json()["start"], got.json()["release"]) == (410, "/v1/feed/snapshot", world.release())
    assert changes(world, 2)["from"] == 2


def test_exempt(world):
    values = [d["value"] for d in world.get("/v1/feed/exempt").json()["destinations"]]
    assert {"111", "112", "113", "114", "115", "156", "5656"} <= set(values)


# --- many at once


def parked(world, n, after, query="&wait=60"):
    made = [world.connect() for _ in range(n)]
    for s in made:
        s.sendall(world.head(f"/v1/feed/changes?list={world.list}&after={after}{query}"))
    wait_for("the polls", lambda: world.metric("khien_http_long_polls") == n)
    return made


def test_a_thousand_long_polls_wake_together(world):
    now = world.release()
    polls = parked(world, 1000, now)
    assert world.lookup("84987654321").status_code == 204, "they hold no thread"
    assert world.get("/v1/feed/exempt").status_code == 200
    world.wish("84914200000", wait=False)
    wait_for("the release", lambda: world.release() > now, every=0.001)
    start = time.monotonic()
    bodies = set()
    for s in polls:
        with s, s.makefile("rb") as file:
            got = api_world.Answer(file)
            assert got.status == 200
            bodies.add(got.body)
    took = elapsed(start)
    assert len(bodies) == 1 and b"84914200000" in bodies.pop()
    assert took < 5, took
    assert world.metric("khien_http_long_polls") == 0


def test_clients_that_hang_up_are_forgotten(world):
    polls = parked(world, 50, world.release())
    for n, s in enumerate(polls):
        if n % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        s.close()
    wait_for("them to be forgotten", lambda: world.metric("khien_http_long_polls") == 0, 10)
    files = f"/proc/{world.engine.process.pid}/fd"
    wait_for("their files", lambda: len(os.listdir(files)) < 60, 10)


def test_a_stop_answers_every_long_poll(stand, tmp_path):
    world = api_world.World(stand, tmp_path / "site", next(NUMBERS))
    try:
        now = world.release()
        polls = parked(world, 200, now)
        start = time.monotonic()
        world.engine.process.terminate()
        for s in polls:
            with s, s.makefile("rb") as file:
                got = api_world.Answer(file)
                assert got.status in (200, 503) and got.headers["Connection"].lower() == "close"
        world.engine.stop(10)
        assert elapsed(start) < 10
    finally:
        world.close()
