"""What carries the list out, and who may: one fenced keeper, releases without gaps, and Redis copies that are each on their own."""
import hashlib
import os
import random
import signal
import threading
import time

import pytest
import redis
import requests

import api_world
import compare
import private_redis
from conftest import NUMBERS
from stand import TOP, wait_for

DEPLOY = TOP / "deploy/redis"


@pytest.fixture
def world(stand, tmp_path):
    """world(**settings): keeper and API in one engine, with a list written as people write it."""
    made = []

    def make(**settings):
        it = api_world.World(stand, tmp_path / f"world{len(made)}", next(NUMBERS), **settings)
        made.append(it)
        return it

    yield make
    for it in made:
        it.close()


@pytest.fixture
def server(tmp_path):
    made = []

    def make(*settings, **more):
        it = private_redis.Server(tmp_path / f"redis{len(made)}", *settings, **more)
        made.append(it)
        return it

    yield make
    for it in made:
        it.close()


def get(client, key):
    try:
        return client.get(key)
    except redis.RedisError:
        return None


def metric(engine, name, copy=None):
    want = name + ('{copy="' + copy + '"}' if copy else "")
    for line in requests.get(f"http://127.0.0.1:{engine.port}/metrics", timeout=5).text.splitlines():
        if line.startswith(want + " "):
            return float(line.rsplit(" ", 1)[1])
    return None


def ready(engine):
    got = requests.get(f"http://127.0.0.1:{engine.port}/readyz", timeout=5)
    return got.status_code, got.text


def filled(world, n):
    """A list of n entries, written by the keeper in one go."""
    world.sql(
        """INSERT INTO sender (scope, value, attribution, created_at)
           SELECT 'number', (84900000000 + i)::text, 'other', 'epoch' FROM generate_series(1, %(n)s) i;
           INSERT INTO wish (sender, service, origin, action, detail, case_id, basis, first_at, decided_at, state)
           SELECT id, 0, 'order:1', 'bar', 'bar_in', 'c-' || right('0000000000000' || id, 13), 'law', 'epoch', 'epoch', 'wanted'
           FROM sender WHERE id > 0;
           INSERT INTO dirty (sender, service) SELECT id, 0 FROM sender WHERE id > 0""",
        n=n,
    )
    wait_for("the list", lambda: world.site.one("SELECT count(*) AS n FROM entry")["n"] == n, 120)
    head = world.site.head()
    wait_for("the copy", lambda: world.site.redis.get("blk:gen") == head, 60)
    return head


# --- one keeper


def numbers(site):
    return [r["n"] for r in site.rows("SELECT n FROM release ORDER BY n")]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_the_keeper_is_replaced_within_seconds(world, how):
    """Wishes keep coming while the leader dies or sleeps; one that wakes up again changes nothing and follows."""
    w = world(keeper__lease_s="1s")
    second = w.site.start("second", "keeper").wait_ready()
    w.wish("84913000001")
    owner = w.site.one("SELECT owner, epoch FROM keeper")
    assert str(w.engine.process.pid) in owner["owner"]
    w.engine.process.send_signal(how)
    begun = time.monotonic()
    w.wish("84913000002", wait=False)
    wait_for("the release of the other one", lambda: w.site.rows("SELECT 1 FROM entry WHERE value = '84913000002'"), 20)
    took = time.monotonic() - begun
    print(f"take-over after {how.name}: first release after {took:.2f} s")
    assert w.site.one("SELECT epoch FROM keeper")["epoch"] > owner["epoch"]
    assert took < 10, took
    wait_for("its copy", lambda: w.site.redis.get("blk:gen") == w.site.head(), 10)
    if how == signal.SIGSTOP:
        os.kill(w.engine.process.pid, signal.SIGCONT)
        wait_for("it sees that", lambda: "keeper no longer leads" in w.engine.log(), 10)
        wait_for("it says so", lambda: metric(w.engine, "khien_keeper_leads") == 0, 10)
    for n in range(10):
        w.wish(f"8491300010{n}", wait=False)
    wait_for("the others", lambda: w.site.one("SELECT count(*) AS n FROM entry")["n"] == 12, 20)
    wait_for("the copy", lambda: w.site.redis.get("blk:gen") == w.site.head(), 10)
    assert numbers(w.site) == list(range(1, len(numbers(w.site)) + 1)), "numbers without gaps"
    assert second.alive() and metric(second, "khien_keeper_leads") == 1
    d = compare.Differences()
    compare.copies(w.site, d)
    assert not d, d


def test_a_leader_that_sleeps_in_the_middle_of_a_release_is_fenced(world):
    """Its transaction is open when it is stopped, and the other one leads when it wakes."""
    w = world(keeper__lease_s="1s")
    second = w.site.start("second", "keeper").wait_ready()
    w.wish("84913000001")
    lock = w.site.stand.connect(w.site.database)
    lock.autocommit = False
    lock.cursor().execute("LOCK TABLE entry IN ACCESS EXCLUSIVE MODE")
    w.wish("84913000002", wait=False)
    waiting = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'khien-keeper' AND wait_event_type = 'Lock'"
    wait_for("the release hangs", lambda: w.site.rows(waiting + " AND datname = current_database()"), 20)
    w.engine.process.send_signal(signal.SIGSTOP)
    lock.rollback()
    lock.close()
    wait_for("the other one leads", lambda: metric(second, "khien_keeper_leads") == 1, 30)
    wait_for("the release", lambda: w.site.rows("SELECT 1 FROM entry WHERE value = '84913000002'"), 20)
    os.kill(w.engine.process.pid, signal.SIGCONT)
    wait_for("it sees that", lambda: "keeper no longer leads" in w.engine.log(), 20)
    w.wish("84913000003", wait=False)
    wait_for("the next release", lambda: w.site.rows("SELECT 1 FROM entry WHERE value = '84913000003'"), 20)
    assert numbers(w.site) == list(range(1, len(numbers(w.site)) + 1))
    assert w.site.rows("SELECT value FROM entry GROUP BY value HAVING count(*) > 1") == []


def test_entries_end_within_a_second(world):
    """Twenty entries that end one after the other: each is gone from list and copy within a second of its end."""
    w = world()
    ends, begun = {}, int(time.time())
    for group in range(4):
        values = [f"849140{group}{n:04d}" for n in range(5)]
        ends.update(dict.fromkeys(values, begun + 4 + group))
        w.wish(*values, until=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun + 4 + group)), wait=False)
    wait_for("they are listed", lambda: w.site.one("SELECT coalesce(sum(added), 0) AS n FROM release")["n"] == 20, 20)
    late = {}

    def rest():
        left = {r["value"] for r in w.site.rows("SELECT value FROM entry")}
        copied = {k.rsplit(":", 1)[1] for k in w.site.redis.keys("blk:sms:*")}
        for value, end in ends.items():
            if value not in left | copied:
                late.setdefault(value, time.time() - end)
        return len(late) == 20

    wait_for("they end", rest, 20)
    print(f"entries were gone {min(late.values()):.2f} to {max(late.values()):.2f} s after their end")
    assert min(late.values()) >= 0 and sorted(late.values())[10] < 1.0, late


# --- copies


def test_copies_are_each_on_their_own(world, server):
    """One is killed, one hangs, one is right: health and figures say which, and each comes back by itself."""
    a, b, c = server(), server(), server()
    w = world(redis__urls=[a.url, b.url, c.url], redis__sweep="1s", redis__timeout_ms=300)
    copies = (a, b, c)

    def all_right(*which):
        return all(get(it.client, "blk:gen") == w.site.head() for it in which)

    w.wish("84913000001")
    wait_for("all copies", lambda: all_right(*copies), 10)
    a.kill()
    b.hang()
    try:
        w.wish("84913000002")
        wait_for("the one that works", lambda: all_right(c), 5)
        wait_for("both are said", lambda: all(f"redis-{n}:" in ready(w.engine)[1] for n in (0, 1)), 10)
        code, text = ready(w.engine)
        assert code == 503 and "redis-2" not in text, text
        assert [metric(w.engine, "khien_copy_ok", f"khien-redis-{n}") for n in range(3)] == [0, 0, 1]
        assert metric(w.engine, "khien_copy_release", "khien-redis-2") > metric(w.engine, "khien_copy_release", "khien-redis-0")
    finally:
        b.go_on()
    a.start()  # empty: nothing was written to disk
    wait_for("they come back", lambda: all_right(*copies), 20)
    wait_for("readiness", lambda: ready(w.engine)[0] == 200, 10)
    assert metric(w.engine, "khien_copy_rebuilds_total", "khien-redis-0") >= 1
    b.client.set("blk:sms:number:84913000002", "bar|c-0000000000000|0|1")
    right = a.client.get("blk:sms:number:84913000002")
    wait_for("the sweep", lambda: b.client.get("blk:sms:number:84913000002") == right, 10)
    assert metric(w.engine, "khien_copy_rebuilds_total", "khien-redis-1") > metric(w.engine, "khien_copy_rebuilds_total", "khien-redis-2")


def test_an_old_dump_is_noticed(world, server):
    """A server that comes back with yesterday's state says by its mark how far it was; another list's state is rebuilt."""
    a = server()
    w = world(redis__urls=[a.url], redis__sweep="1s")
    w.wish("84913000001", "84913000002")
    wait_for("the copy", lambda: get(a.client, "blk:gen") == w.site.head(), 10)
    old = {k: a.client.get(k) for k in a.client.keys("blk:*") if a.client.type(k) == "string"}
    w.lift("84913000002")
    w.wish("84913000003")
    wait_for("the copy", lambda: get(a.client, "blk:gen") == w.site.head(), 10)
    listed = {f"blk:sms:number:{v}" for v in ("84913000001", "84913000003")}
    for change in (lambda gen: gen, lambda gen: "00000000-0000-0000-0000-000000000000" + gen[36:]):
        with a.client.pipeline(transaction=True) as p:
            p.flushall()
            for k, v in old.items():
                p.set(k, change(v) if k == "blk:gen" else v)
            p.execute()
        wait_for("it is put right", lambda: get(a.client, "blk:gen") == w.site.head(), 10)
        assert set(a.client.keys("blk:sms:*")) == listed


def test_wrong_types(world, server):
    """Whatever somebody else put at our keys, the copy comes back."""
    a = server()
    w = world(redis__urls=[a.url], redis__sweep="1s")
    w.wish("84913000001")
    wait_for("the copy", lambda: get(a.client, "blk:gen") == w.site.head(), 10)
    right = a.client.get("blk:sms:number:84913000001")
    for n, key in enumerate(("blk:gen", "blk:sms:number:84913000001", "blk:changes", "blk:rebuild", "blk:exempt")):
        with a.client.pipeline(transaction=True) as p:
            p.delete(key).hset(key, "a", "b").execute()
        w.wish(f"8491300010{n}", wait=False)
        wait_for(lambda k=key: f"{k}: {get(a.client, 'blk:gen')}, the list is {w.site.head()}", lambda: get(a.client, "blk:gen") == w.site.head(), 10)
        wait_for("the entry", lambda: get(a.client, "blk:sms:number:84913000001") == right, 10)
        if key == "blk:rebuild":  # nobody looks at it before the next rebuild
            a.client.delete("blk:gen")
            wait_for("the rebuild", lambda: get(a.client, "blk:gen") == w.site.head(), 10)
        wait_for(key, lambda k=key: a.client.type(k) == {"blk:changes": "stream", "blk:exempt": "set", "blk:rebuild": "none"}.get(k, "string"), 10)


def test_a_server_that_begins_to_evict_is_an_alarm(world, server):
    """The policy is changed while the engine runs."""
    a = server("--maxmemory", "100mb", "--maxmemory-policy", "noeviction")
    w = world(redis__urls=[a.url], redis__sweep="1s")
    assert ready(w.engine)[0] == 200
    a.client.config_set("maxmemory-policy", "allkeys-lru")
    wait_for("the alarm", lambda: ready(w.engine)[0] == 503, 10)
    assert "noeviction" in ready(w.engine)[1] and metric(w.engine, "khien_copy_ok", "khien-redis-0") == 0
    a.client.config_set("maxmemory-policy", "noeviction")
    wait_for("it is over", lambda: ready(w.engine)[0] == 200, 10)


def test_a_cluster_node_is_refused(site, server):
    a = server("--cluster-enabled", "yes")
    engine = site(redis__urls=[a.url]).start()
    wait_for("its health", lambda: "listening" in engine.log(), 20)
    wait_for("it says so", lambda: "Redis Cluster, which is not supported" in ready(engine)[1], 20)


# --- the rights that are shipped


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_shipped_rights_are_enough_and_no_more(world, server, tmp_path):
    acl = (DEPLOY / "users.acl").read_text()
    for word in ("ADMIN", "WRITER", "READER"):
        assert f"{word}_SHA256" in acl
        acl = acl.replace(f"{word}_SHA256", sha(word.lower()))
    (tmp_path / "users.acl").write_text(acl)
    a = server("--aclfile", str(tmp_path / "users.acl"), conf=DEPLOY / "redis.conf", user="khien-admin", password="admin")
    w = world(redis__urls=[a.url.replace("redis://", "redis://khien-writer:writer@")], redis__sweep="1s")
    w.wish("84913000001", "84913000002")
    w.lift("84913000002")
    wait_for("the copy", lambda: get(a.client, "blk:gen") == w.site.head(), 10)
    a.client.delete("blk:sms:number:84913000001")
    wait_for("the sweep", lambda: get(a.client, "blk:sms:number:84913000001"), 10)
    a.client.flushall()
    wait_for("the rebuild", lambda: get(a.client, "blk:gen") == w.site.head(), 10)
    assert ready(w.engine)[0] == 200
    reader = redis.Redis(port=a.port, username="khien-reader", password="reader", decode_responses=True)
    gen, entry = reader.mget("blk:gen", "blk:sms:number:84913000001")
    assert gen == w.site.head() and entry.startswith("bar|")
    assert reader.sismember("blk:exempt", "113") and reader.xrange("blk:changes", count=1)
    writer = redis.Redis(port=a.port, username="khien-writer", password="writer", decode_responses=True)
    a.client.set("other", "1")
    for who, words in (
        (reader, ("SET", "blk:gen", "x")),
        (reader, ("DEL", "blk:gen")),
        (reader, ("GET", "other")),
        (reader, ("KEYS", "*")),
        (reader, ("FLUSHALL",)),
        (reader, ("CONFIG", "GET", "*")),
        (writer, ("FLUSHALL",)),
        (writer, ("FLUSHDB",)),
        (writer, ("SET", "other", "2")),
        (writer, ("CONFIG", "SET", "maxmemory", "1")),
        (writer, ("ACL", "LIST")),
        (redis.Redis(port=a.port), ("GET", "blk:gen")),
    ):
        with pytest.raises((redis.ResponseError, redis.AuthenticationError)):
            who.execute_command(*words)
    for it in (reader, writer):
        it.close()


# --- how long it takes


def test_how_long_a_flushed_copy_is_unknown(world):
    """From FLUSHALL to the right blk:gen with all entries, while the engine makes releases; meanwhile nobody is told "clean"."""
    size = 100_000
    w = world(redis__sweep="60s")
    filled(w, size)
    keys = [f"blk:sms:number:{84900000000 + n}" for n in random.Random(1).sample(range(1, size + 1), 50)]
    done, wrong, seen = threading.Event(), [], {"known": 0, "unknown": 0}

    def reader():
        own = w.site.stand.redis(w.site.redis_number)
        while not done.is_set():
            gen, *entries = own.mget("blk:gen", *keys)
            seen["unknown" if gen is None else "known"] += 1
            if gen is not None and None in entries:
                wrong.append((gen, entries))
        own.close()

    thread = threading.Thread(target=reader)
    thread.start()
    took = []
    try:
        for n in range(3):
            wait_for("a reader who knows", lambda k=seen["known"]: seen["known"] > k, 20)
            begun = time.monotonic()
            w.site.redis.flushall()
            assert w.site.redis.get("blk:gen") is None
            w.wish(f"84912{n:06d}", wait=False)
            wait_for("blk:gen", lambda: w.site.redis.get("blk:gen"), 60, 0.005)
            took.append(time.monotonic() - begun)
            wait_for("it is right", lambda: w.site.redis.get("blk:gen") == w.site.head(), 20)
            assert w.site.redis.dbsize() >= size + n
    finally:
        done.set()
        thread.join()
    print(f"FLUSHALL to blk:gen at {size} entries: " + ", ".join(f"{t:.2f} s" for t in took) + f"; a reader asked {seen}")
    assert wrong == [] and seen["unknown"] > 0
    head, count = w.site.head(), int(w.site.head().split("|")[2])
    keys, lines = list(w.site.redis.scan_iter("blk:sms:*", count=5000)), []
    for n in range(0, len(keys), 5000):
        for key, value in zip(keys[n : n + 5000], w.site.redis.mget(keys[n : n + 5000])):
            _, service, scope, number = key.split(":")
            action, case, until, _ = value.split("|")
            lines.append(compare.line_of(scope, number, service, action, case, until))
    assert len(lines) == count and compare.digest_of(lines) == head.split("|")[3]
