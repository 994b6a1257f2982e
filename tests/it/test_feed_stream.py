"""Server-sent events: what changes says, pushed; a thousand followers; heartbeats; a stream that breaks is seen to be broken."""
import concurrent.futures
import http.client
import json
import os
import resource
import socket
import time

import pytest

import api_world
from conftest import NUMBERS
from stand import wait_for

LIST = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    it = api_world.World(stand, tmp_path_factory.mktemp("stream") / "site", next(NUMBERS), api__heartbeat="1s", api__idle="3s")
    it.wish("84915000001", "84915000002")
    it.wish("84915000003", service=1)
    yield it
    it.close()


class Stream:
    """A raw follower: knows chunks, so that it sees whether the body ended."""

    def __init__(self, world, query, *headers, role="feed"):
        self.socket = world.connect()
        self.socket.sendall(world.head("/v1/feed/stream" + query, role, "GET", *headers))
        self.file = self.socket.makefile("rb")
        line = self.file.readline()
        self.status = int(line.split()[1])
        self.headers = http.client.parse_headers(self.file)
        self.text, self.ended, self.broken = b"", False, False

    def more(self):
        """Reads one chunk; False at the end, of whichever kind."""
        try:
            size = self.file.readline()
            if not size.endswith(b"\r\n"):
                self.broken = True
                return False
            n = int(size, 16)
            piece = self.file.read(n + 2)
            if len(piece) < n + 2:
                self.broken = True
                return False
        except (ConnectionError, ValueError):
            self.broken = True
            return False
        self.ended = n == 0
        self.text += piece[:-2]
        return not self.ended

    def event(self, *kinds):
        """The next event of these kinds: (event, id, data)."""
        while True:
            while b"\n\n" not in self.text:
                if not self.more():
                    return None
            block, self.text = self.text.split(b"\n\n", 1)
            fields = dict(line.split(": ", 1) for line in block.decode().splitlines())
            if "data" in fields and (not kinds or fields["event"] in kinds):
                return fields["event"], fields.get("id"), json.loads(fields["data"])

    def close(self):
        self.file.close()
        self.socket.close()


def follow(world, after=None, **more):
    return Stream(world, f"?list={world.list}&after={world.release() if after is None else after}", **more)


def test_events_are_the_changes(world):
    for query in ("", "&service=sms", "&service=voice"):
        it = Stream(world, f"?list={world.list}&after=0{query}")
        assert it.status == 200 and it.headers["Content-Type"] == "text/event-stream"
        kind, ident, data = it.event("release")
        assert ident == f"{world.list}:{world.release()}" and data["from"] == 0 and data["to"] == world.release()
        assert data == world.get(f"/v1/feed/changes?list={world.list}&after=0{query}").json()
        it.close()


def test_a_release_is_pushed(world):
    both, sms = follow(world), Stream(world, f"?list={world.list}&after={world.release()}&service=sms")
    wait_for("them", lambda: world.metric("khien_http_long_polls") >= 2)
    for n in range(5):
        was = world.release()
        world.wish(f"8491500010{n}")
        for it in (both, sms):
            kind, ident, data = it.event("release")
            assert (data["from"], data["to"], ident) == (was, was + 1, f"{world.list}:{was + 1}")
            assert [(c["op"], c["value"]) for c in data["changes"]] == [("add", f"8491500010{n}")]
    both.close(), sms.close()


def test_last_event_id(world):
    now = world.release()
    world.wish("84915000020")
    for query in ("", f"?list={LIST}&after=0", f"?list={world.list}&after={now + 1}"):
        it = Stream(world, query, f"Last-Event-ID: {world.list}:{now}")
        assert it.event("release")[2]["from"] == now
        it.close()


def test_heartbeats(world):
    it = follow(world)
    for _ in range(3):
        kind, ident, data = it.event()
        assert kind == "heartbeat" and ident is None
        assert data == {"list": world.list, "release": world.release(), "age_s": 0}
    it.close()


@pytest.mark.parametrize("query, header, status", [
    ("", "X: y", 400), ("?list={0}", "X: y", 400), ("?after=0", "X: y", 400), ("?list={0}&after=x", "X: y", 400), ("?list={0}&after=-1", "X: y", 400),
    ("?list={0}&after=0&service=x", "X: y", 400), ("?list={0}&after=0&consumer=a%20b", "X: y", 400), ("", "Last-Event-ID: x", 400), ("", "Last-Event-ID: {0}:x", 400),
    (f"?list={LIST}&after=0", "X: y", 410), ("?list={0}&after=999999", "X: y", 410), ("", f"Last-Event-ID: {LIST}:1", 410)])
def test_wrong_beginnings(world, query, header, status):
    it = Stream(world, query.format(world.list), header.format(world.list))
    assert it.status == status
    data = json.loads(it.file.read(int(it.headers["Content-Length"])))
    assert data["status"] == status and (status == 400 or (data["start"], data["list"]) == ("/v1/feed/snapshot", world.list))
    it.close()


def test_rights(world):
    for role, status in ((None, 401), ("viewer", 403), ("feed", 200)):
        it = follow(world, role=role)
        assert it.status == status
        it.close()


def test_a_revoked_token_ends_its_stream(world):
    world.tokens["gone"] = world.token("feed", "gone")
    it = follow(world, role="gone")
    assert it.event()
    world.site.khien("token", "revoke", "-c", world.site.conf, "--name", "gone")
    while it.event():
        pass
    assert it.broken and not it.ended
    it.close()


def test_a_thousand_followers(world):
    its = [follow(world) for _ in range(1000)]
    assert {it.status for it in its} == {200}
    wait_for("them", lambda: world.metric("khien_http_streams") == 1000)
    wait_for("them to be idle", lambda: world.metric("khien_http_long_polls") >= 900)
    assert world.lookup("84987654321").status_code == 204
    now = world.release()
    world.wish("84915000030", wait=False)
    got = [it.event("release") for it in its]
    assert all(data["from"] == now and data["changes"][0]["value"] == "84915000030" for _, _, data in got)
    for n, it in enumerate(its):
        if n % 2:
            it.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        it.close()
    wait_for("them to be forgotten", lambda: world.metric("khien_http_streams") == 0, 20)
    wait_for("their files", lambda: len(os.listdir(f"/proc/{world.engine.process.pid}/fd")) < 80, 20)


def test_a_follower_that_does_not_read_is_dropped_and_can_go_on(world):
    world.wish(*(f"84916{n:06d}" for n in range(1500)))
    world.lift(*(f"84916{n:06d}" for n in range(1500)))
    dead = world.connect()
    dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    dead.sendall(world.head(f"/v1/feed/stream?list={world.list}&after=0"))
    other = follow(world)
    wait_for("both", lambda: world.metric("khien_http_streams") == 2)
    world.wish("84915000040")
    assert other.event("release")[2]["changes"][0]["value"] == "84915000040", "it holds nobody up"
    wait_for("it to be dropped", lambda: world.metric("khien_http_streams") == 1, 20)
    with dead, dead.makefile("rb") as file:
        assert not file.read().endswith(b"0\r\n\r\n"), "what was cut off has no end"
    again, seen = follow(world, 0), 0
    while seen < world.release():
        data = again.event("release")[2]
        assert data["from"] == seen
        seen = data["to"]
    again.close(), other.close()


def test_followers_that_start_from_different_places(world):
    its = [follow(world, world.release() - n % 3) for n in range(60)]
    for n in range(20):
        world.wish(f"8491700{n:04d}", wait=False)
    world.wait_released()
    want = world.get(f"/v1/feed/changes?list={world.list}&after={world.release()}").json()

    def last(it):
        while True:
            data = it.event("release")[2]
            if data["to"] == want["to"]:
                return data["count"], data["digest"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(last, its)) == {(want["count"], want["digest"])}
    for it in its:
        it.close()


def test_a_release_that_is_too_large_for_an_answer_sends_everybody_to_the_snapshot(world):
    """Numbers of an order with a long basis, all of them changed by one release."""
    before = world.release()
    parked, other = follow(world), follow(world)
    try:
        for it in (parked, other):
            assert it.event("heartbeat")
        world.wish(*(str(84915100000 + n) for n in range(32000)), basis="b" * 1000)
        made = world.release()
        assert made == before + 1
        for it in (parked, other):
            kind, _, data = it.event("gone", "release")
            assert (kind, data["start"], data["release"]) == ("gone", "/v1/feed/snapshot", made)
        for path in ("changes", "stream", "changes", "stream"):
            got = world.get(f"/v1/feed/{path}?list={world.list}&after={before}&service=sms")
            assert (got.status_code, got.json()["start"], got.json()["release"]) == (410, "/v1/feed/snapshot", made)
        # The other part of it is small, and from the release on everybody follows again.
        assert world.get(f"/v1/feed/changes?list={world.list}&after={before}&service=voice").json()["to"] == made
        world.wish("84915200000")
        assert world.get(f"/v1/feed/changes?list={world.list}&after={made}").json()["to"] == made + 1
        again = follow(world, made)
        assert again.event("release")[2]["to"] == made + 1
        again.close()
    finally:
        parked.close()
        other.close()


def test_a_new_lineage_is_told(world):
    it = follow(world)
    assert it.event()
    world.sql("UPDATE list_head SET list = gen_random_uuid()")
    world.list = world.site.one("SELECT list::text AS l FROM list_head")["l"]
    kind, _, data = it.event("gone")
    assert data == {"list": world.list, "release": world.release(), "start": "/v1/feed/snapshot"}
    assert it.event() is None and it.broken
    it.close()


def test_a_stop_breaks_every_stream_off(stand, tmp_path):
    world = api_world.World(stand, tmp_path / "site", next(NUMBERS))
    try:
        its = [follow(world) for _ in range(50)]
        wait_for("them", lambda: world.metric("khien_http_streams") == 50)
        start = time.monotonic()
        world.engine.process.terminate()
        for it in its:
            while it.event():
                pass
            assert it.broken and not it.ended
        world.engine.stop(10)
        assert time.monotonic() - start < 10
    finally:
        world.close()
