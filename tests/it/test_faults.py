"""Whatever dies under load, and comes back: at rest the result is the same as if nothing had happened."""
import random
import threading
import time

import pytest
import requests

import compare
import pgproxy
import samples
from conftest import FULL
from generator import Crowd
from oracle import oracle, rules
from stand import wait_for

KILLS = 300 if FULL else 10


class Watch:
    """Calls a function in a thread of its own until it is stopped; the first thing it complains about is kept."""

    def __init__(self, look):
        self.look, self.done, self.fault, self.seen = look, threading.Event(), None, {}
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.done.wait(0.005):
            try:
                got = self.look()
            except Exception as e:  # noqa: BLE001 - shown by stop()
                self.fault = self.fault or f"{type(e).__name__}: {e}"
                return
            self.seen[got] = self.seen.get(got, 0) + 1

    def stop(self):
        self.done.set()
        self.thread.join(20)
        assert self.fault is None, self.fault
        return self.seen


def barred(site):
    """A sender of the samples that stays on the list for hours."""
    site.produce([("bar", v) for name, _, v in samples.load("now")[1] if name == "02-bank.jsonl"])
    return "84961111222", "sms"


def test_kill_at_any_time(site):
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    r = random.Random(seed)
    s = site(partitions=4, workers=2, batch__records=100)
    values = Crowd(seed, time.time()).records(20000 if FULL else 3000)
    step = len(values) // KILLS + 1
    for n in range(KILLS):
        s.produce(values[n * step : (n + 1) * step])
        engine = s.start(f"engine{n}")
        want = min(s.total(), s.records() + r.randint(1, step))
        wait_for(lambda: f"{s.records()} of {want} records after {n} kills", lambda: s.records() >= want or not engine.alive(), 60, 0.002)
        threading.Event().wait(r.random() * 0.05)  # anywhere in what follows a commit
        assert engine.alive(), engine.log()[-3000:]
        engine.kill()
    engine = s.start("last").wait_ready()
    s.settle()
    compare.assert_same(s, engine)


def test_broker_restart_under_load(stand, site):
    s = site(partitions=2)
    engine = s.start().wait_ready()
    values = Crowd(21, time.time()).records(2500)
    s.produce(values[:1000], wait=False)
    wait_for("the first records", lambda: s.records() > 0)
    stand.stop_kafka()
    s.produce(values[1000:1500], wait=False)
    stand.start_kafka()
    s.produce(values[1500:])
    s.settle(120)
    compare.assert_same(s, engine)


def test_postgres_crash_under_load(stand, site):
    s = site(partitions=2, workers=2, batch__records=50)
    engine = s.start().wait_ready()
    values = Crowd(22, time.time()).records(3000)
    s.produce(values)
    for n in range(10 if FULL else 1):
        wait_for("some records", lambda: s.records() >= (n + 1) / 12 * len(values))
        stand.restart_postgres()
    s.settle(120)
    assert engine.alive()
    compare.assert_same(s, engine)


@pytest.mark.parametrize("way", ["before", "after", "both"])
def test_lost_commit(stand, site, way):
    """The connection dies with a COMMIT: the server never saw it, or the client never heard the answer."""
    r = random.Random(way)
    ways = ("before", "after") if way == "both" else (way,)
    proxy = pgproxy.Proxy(stand.pg_host, stand.pg_port, lambda n: r.choice(ways) if n % 5 == 4 and n < 120 else None)
    try:
        s = site(batch__records=40)
        s.dsn = f"host=127.0.0.1 port={proxy.port} user=khien dbname={s.database} sslmode=disable gssencmode=disable"
        s.produce(Crowd(23, time.time()).records(1500))
        engine = s.start()
        s.settle(120)
        engine.wait_ready()
        compare.assert_same(s, engine)
        assert all(proxy.cuts[w] >= 3 for w in ways), proxy.cuts
        # One worker alone: what it was not told at once it has learnt afterwards.
        told = [line for line in engine.get("/metrics").text.splitlines() if line.startswith("khien_records_total")]
        assert sum(float(line.rsplit(" ", 1)[1]) for line in told) == 1500, told
    finally:
        proxy.close()


def test_redis_flushed_under_load(site):
    """A reader of Redis sees the right entry or knows that it does not know; a lookup never says clean."""
    s = site()
    engine = s.start().wait_ready()
    value, service = barred(s)
    s.settle()
    case = compare.ledger_entries(s)["number", value, service][1]
    url, headers = f"http://127.0.0.1:{engine.port}/v1/lookup/{value}?service={service}", s.headers()
    own = s.stand.redis(s.redis_number)

    def redis_reader():
        with own.pipeline(transaction=True) as p:
            gen, entry = p.get("blk:gen").get(f"blk:{service}:number:{value}").execute()
        assert gen is None or (entry is not None and entry.split("|")[1] == case), (gen, entry)
        return "unknown" if gen is None else "blocked"

    def api_reader():
        status = requests.get(url, headers=headers, timeout=10).status_code
        assert status in (200, 503), status
        return status

    watches = Watch(redis_reader), Watch(api_reader)
    values = Crowd(24, time.time()).records(1500)
    for n in range(0, len(values), 300):
        s.produce(values[n : n + 300])
        s.redis.flushall()
        wait_for("Redis heals by itself", lambda: s.redis.get("blk:gen") is not None, 10)
    s.settle()
    compare.assert_same(s, engine)
    seen = [w.stop() for w in watches]
    assert seen[0].get("blocked") and set(seen[1]) == {200}, seen


def test_redis_loses_some_keys(site):
    """An entry that vanished or was changed behind the engine's back is put right by the sweep."""
    s = site()
    engine = s.start().wait_ready()
    value, service = barred(s)
    s.settle()
    key = f"blk:{service}:number:{value}"
    right = s.redis.get(key)
    for damage in (lambda: s.redis.delete(key), lambda: s.redis.set(key, "bar|c-0000000000000|0|1"), lambda: s.redis.set("blk:sms:number:84900000000", right)):
        damage()
        wait_for("the sweep", lambda: compare.redis_entries(s) == compare.ledger_entries(s), 15)
    compare.assert_same(s, engine)


def test_redis_down_and_back(stand, site):
    s = site()
    engine = s.start().wait_ready()
    value, service = barred(s)
    s.settle()
    stand.stop_redis()
    try:
        s.produce(Crowd(25, time.time()).records(1000))
        wait_for(lambda: f"{s.records()} of {s.total()}", lambda: s.records() == s.total(), 60)
        assert engine.get(f"/v1/lookup/{value}?service={service}").status_code == 200
    finally:
        stand.start_redis()
    s.settle()
    compare.assert_same(s, engine)


def test_second_keeper_takes_over(site):
    s = site(partitions=2)
    first, second = s.start("first").wait_ready(), s.start("second").wait_ready()
    s.produce(Crowd(26, time.time()).records(600))
    s.settle()
    owner = s.one("SELECT owner, epoch FROM keeper")
    leader, other = sorted((first, second), key=lambda e: str(e.process.pid) not in owner["owner"])
    leader.kill()
    s.produce(Crowd(27, time.time()).records(600), wait=True)
    wait_for(lambda: str(s.one("SELECT * FROM keeper")), lambda: s.one("SELECT epoch FROM keeper")["epoch"] > owner["epoch"], 10)
    s.settle()
    assert other.alive()
    # Both crowds count from r0: their ids meet, so the second is full of duplicates and conflicts.
    compare.assert_same(s, other)


def test_a_record_that_the_database_refuses(site):
    """A batch that fails with class 22 is halved down to the one record, which is quarantined with the state."""
    s = site()
    s.rows(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.report_id ~ '^r[0-9]*17$' THEN RAISE EXCEPTION 'no' USING ERRCODE = '22000'; END IF; RETURN NEW; END $$"""
    )
    s.rows("CREATE TRIGGER refuse BEFORE INSERT ON report FOR EACH ROW EXECUTE FUNCTION refuse()")
    values = [(k, v) for k, v in Crowd(28, time.time()).records(600)]
    s.produce(values)
    engine = s.start().wait_ready()
    s.settle()
    refused = {r["offset"]: r for r in s.rows("SELECT * FROM quarantine WHERE sqlstate <> ''")}
    it = oracle.Judgement(s.world())
    for topic, partition, offset, value, stamped in s.stream:
        if offset in refused:
            row, none = refused[offset], rules.Verdict("", 0.0, [])
            it.judged.append(oracle.Judged((topic, partition, offset), row["report_id"], "quarantined", row["reason"], None, None, False, none))
        else:
            it.take((topic, partition, offset), value, stamped)
    assert refused and all(r["report_id"].endswith("17") for r in refused.values())
    assert {r["sqlstate"] for r in refused.values()} == {"22000"}
    compare.assert_same(s, engine, it)
