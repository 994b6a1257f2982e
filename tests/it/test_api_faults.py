"""The API while the database is away, slow or empty: lookups go on from memory until they are stale, everything else says 503 and when to
come back, and nothing tells why.
"""
import re

import pytest

import api_world
from conftest import NUMBERS
from stand import wait_for

A = "84912345671"
CLOSED = ("/v1/feed/exempt", "/v1/senders/0912345678", "/v1/senders/0912345678/why", "/v1/reports/x", "/v1/stats", "/status")


@pytest.fixture
def world(stand, tmp_path):
    made = []

    def make(**settings):
        made.append(api_world.World(stand, tmp_path / "site", next(NUMBERS), **settings))
        return made[0]

    yield make
    for it in made:
        it.close()


def refused(got):
    assert got.status_code == 503, (got.status_code, got.text)
    assert got.headers["Content-Type"] == "application/problem+json" and int(got.headers["Retry-After"]) >= 1
    assert not re.search("psql|postgres|socket|connection|SELECT|host", got.text, re.I), got.text


def test_the_database_away_and_back(stand, world):
    it = world(lookup__stale_max_s=600)
    it.wish(A)
    it.auth("admin")
    assert it.lookup(A).status_code == 200
    assert it.get("/v1/me", "admin").status_code == 200
    polls = [it.connect() for _ in range(20)]
    for s in polls:
        s.sendall(it.head(f"/v1/feed/changes?list={it.list}&after={it.release()}&wait=2"))
    stand.postgres("-m", "immediate", "stop")
    try:
        wait_for("the loss to be seen", lambda: it.get("/v1/stats", "admin").status_code == 503)
        for path in CLOSED:
            refused(it.get(path, "admin"))
        refused(it.get(f"/v1/feed/changes?list={it.list}&after=0"))
        refused(it.ask("GET", "/v1/me", None, headers={"X-Api-Key": f"khn_{0:040d}"}))
        for s in polls:
            with s, s.makefile("rb") as file:
                assert api_world.Answer(file).status in (200, 503)
        for _ in range(20):
            got = it.lookup(A)
            assert got.status_code == 200 and it.lookup("84987654321").status_code == 204
        wait_for("Age to grow", lambda: int(it.lookup(A).headers["Age"]) >= 1, 10)
        assert it.get("/healthz", None).status_code == 200 and it.get("/metrics", None).status_code == 200
        assert it.get("/readyz", None).status_code == 503
    finally:
        stand.postgres("-l", f"{stand.pg_data}/server.log", "start")
    wait_for("it to heal", lambda: it.get("/v1/stats", "admin").status_code == 200, 20)
    it.wish("84912345672")
    assert it.lookup("84912345672").status_code == 200
    assert int(it.lookup(A).headers["Age"]) <= 1
    for path in CLOSED:
        assert it.get(path, "admin").status_code in (200, 404)


def test_a_stale_list_is_unknown_and_not_clean(stand, world):
    it = world(lookup__stale_max_s="2s")
    it.wish(A)
    it.lookup(A)
    stand.postgres("-m", "immediate", "stop")
    try:

        def stale():
            got = it.lookup(A)
            assert got.status_code in (200, 503), "a blocked sender is never clean"
            return got.status_code == 503 and "unknown" in got.json()["detail"]

        wait_for("staleness", stale, 20)
        for sender in (A, "84987654321", "anonymous"):
            refused(it.lookup(sender))
        refused(it.ask("POST", "/v1/lookup", json={"senders": [A]}))
        assert "stale" in it.get("/readyz", None).text
    finally:
        stand.postgres("-l", f"{stand.pg_data}/server.log", "start")
    wait_for("it to heal", lambda: it.lookup(A).status_code == 200, 20)
    assert it.lookup("84987654321").status_code == 204


def test_before_the_first_list(stand, tmp_path):
    """An API beside a database that no keeper has ever led."""
    site = api_world.harness.Site(stand, tmp_path / "site", next(NUMBERS), protected="")
    try:
        site.prepare()
        engine = site.start(roles="api")
        wait_for("the API", lambda: "listening" in engine.log())
        for sender in (A, "anonymous"):
            got = engine.get(f"/v1/lookup/{sender}")
            assert got.status_code == 503 and got.headers["Retry-After"] and "unknown" in got.json()["detail"]
        refused(engine.get("/v1/feed/snapshot"))
        refused(engine.get("/v1/feed/changes?list=x&after=0&wait=30"))
        got = engine.get("/readyz")
        assert got.status_code == 503 and "no list" in got.text
        assert engine.get("/status").status_code == 200
        second = site.start("keeper", roles="keeper,api")
        second.wait_ready()
        wait_for("the first list", lambda: engine.get(f"/v1/lookup/{A}").status_code == 204)
    finally:
        site.close()


def test_a_slow_database_sheds_what_does_not_fit_and_answers_lookups(world):
    it = world(api__database_threads=1, api__queue=10)
    it.wish(A)
    it.lookup(A)
    it.get("/v1/stats", "admin")
    locked = it.site.stand.connect(it.site.database)
    try:
        locked.autocommit = False
        with locked.cursor() as c:
            c.execute("LOCK TABLE exempt IN ACCESS EXCLUSIVE MODE")
        waiting = [it.connect() for _ in range(30)]
        waiting[0].sendall(it.head("/v1/feed/exempt"))
        with locked.cursor() as c:  # the one thread is busy before the queue is filled, or one more would fit later

            def busy():
                c.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                return c.fetchone()[0] > 0

            wait_for("the thread to be busy", busy)
        for s in waiting[1:]:
            s.sendall(it.head("/v1/feed/exempt"))
        wait_for("the queue to be full", lambda: it.metric("khien_http_shed_total", what="queue") >= 19)
        refused(it.get("/v1/stats", "admin"))
        assert it.lookup(A).status_code == 200
        locked.rollback()
        codes = []
        for s in waiting:
            with s, s.makefile("rb") as file:
                codes.append(api_world.Answer(file).status)
        assert sorted(set(codes)) == [200, 503] and codes.count(200) >= 10
    finally:
        locked.close()


def test_a_stop_while_the_database_is_away(stand, world):
    it = world()
    it.lookup(A)
    stand.postgres("-m", "immediate", "stop")
    try:
        polls = [it.connect() for _ in range(50)]
        for n, s in enumerate(polls):
            s.sendall(it.head("/v1/stats" if n % 2 else f"/v1/feed/changes?list={it.list}&after=0&wait=60", "feed"))
        it.engine.process.terminate()
        it.engine.stop(10)
        for s in polls:
            s.close()
    finally:
        stand.postgres("-l", f"{stand.pg_data}/server.log", "start")


def test_two_engines_on_one_port(world):
    it = world()
    conf = it.site.configure("again", it.engine.port)
    done = it.site.khien("run", "-c", conf, "--role", "api", check=False)
    assert done.returncode == 1 and "cannot listen" in done.stderr and "in use" in done.stderr
