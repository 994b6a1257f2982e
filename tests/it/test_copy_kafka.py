"""The list as a compacted topic: whoever reads it to its end holds the list and can prove it, whatever happened to topic and keepers."""
import json
import os
import signal
import threading

import confluent_kafka
import confluent_kafka.admin
import pytest
import requests

import api_world
import compare
from conftest import NUMBERS
from stand import TOP, run, wait_for
from test_copies import metric, numbers, ready

TOPICS = iter(range(1000))


@pytest.fixture
def topic(stand):
    """topic(partitions, **settings) makes a compacted one."""
    made = []

    def make(partitions=2, **settings):
        name = f"blocklist-{os.getpid()}-{next(TOPICS)}"
        create(stand, name, partitions, **{"cleanup.policy": "compact", **settings})
        made.append(name)
        return name

    yield make
    for name in made:
        stand.drop_topic(name)


def create(stand, name, partitions, **settings):
    new = confluent_kafka.admin.NewTopic(name, partitions, 1, config=settings)
    stand.admin.create_topics([new], request_timeout=20)[name].result()


@pytest.fixture
def world(stand, tmp_path):
    made = []

    def make(**settings):
        it = api_world.World(stand, tmp_path / f"world{len(made)}", next(NUMBERS), **settings)
        made.append(it)
        return it

    yield make
    for it in made:
        it.close()


def read(stand, topic):
    """Committed records of all partitions, each to its end: ((partition, key), value, headers)."""
    c = confluent_kafka.Consumer(
        {"bootstrap.servers": stand.kafka, "group.id": "it-list", "isolation.level": "read_committed", "enable.auto.commit": False, "enable.partition.eof": True}
    )
    parts = c.list_topics(topic, timeout=20).topics[topic].partitions
    c.assign([confluent_kafka.TopicPartition(topic, p, confluent_kafka.OFFSET_BEGINNING) for p in parts])
    out, left = [], len(parts)
    while left:
        m = c.poll(20)
        assert m is not None, "no answer"
        if m.error() is not None:
            assert m.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, m.error()
            left -= 1
            continue
        out.append(((m.partition(), m.key().decode()), m.value(), {k: v.decode() for k, v in m.headers() or []}))
    c.close()
    return out


def table(records):
    """key -> entry, as a reader keeps it, and the headers of the newest release."""
    held, newest = {}, {"release": "0", "count": "0", "digest": "0" * 64}
    for key, value, headers in records:
        if value is None:
            held.pop(key, None)
        else:
            held[key] = value
        if int(headers.get("release", 0)) >= int(newest["release"]):
            newest = headers
    held = {key: json.loads(value) for (_, key), value in held.items()}
    assert all(key == f"{e['service']}|{e['scope']}|{e['value']}" for key, e in held.items())
    return held, newest


def digest(held):
    return compare.digest_of([compare.line_of(e["scope"], e["value"], e["service"], *compare.entry_of(e)) for e in held.values()])


def whole(stand, topic, w):
    """The topic, compacted, is the list, and says so; "" when it is."""
    held, newest = table(read(stand, topic))
    have = {(e["scope"], e["value"], e["service"]): compare.entry_of(e) for e in held.values()}
    if have != compare.ledger_entries(w.site):
        return f"the topic holds {sorted(have)}, the list {sorted(compare.ledger_entries(w.site))}"
    said = f"{newest.get('list')}|{newest['release']}|{newest['count']}|{newest['digest']}"
    if held and said != w.site.head():
        return f"the topic says {said}, the list is {w.site.head()}"
    assert digest(held) == w.site.head().split("|")[3]
    return ""


def wait_whole(stand, topic, w, seconds=30):
    wait_for(lambda: whole(stand, topic, w), lambda: whole(stand, topic, w) == "", seconds, 0.2)


def settings(topic, **more):
    return {"kafka__topics": {"complaints": "unused", "blocklist": topic}, "kafka__sweep": "1s", **more}


def course(w, n):
    """Entries of all kinds that come, change and go."""
    w.wish(*(f"8491{n}000{i:03d}" for i in range(40)), service=n % 2, wait=False)
    w.wish(f"ví-momo{n}", f"o'hara {n}", scope="name", origin=f"order:{n}", action="label", wait=False)
    w.sql(
        """WITH w AS (UPDATE wish SET until = '2999-12-31 17:00', state = 'wanted' FROM sender s WHERE s.id = sender AND s.value = ANY(%(v)s)
        RETURNING sender, wish.service) INSERT INTO dirty (sender, service) SELECT * FROM w""",
        v=[f"8491{n}000{i:03d}" for i in range(20, 30)],
    )
    w.wait_released()
    w.lift(*(f"8491{n}000{i:03d}" for i in range(10)))


def test_the_topic_is_the_list(stand, topic, world):
    name = topic(3)
    w = world(**settings(name))
    course(w, 1)
    wait_whole(stand, name, w)
    w.lift(*(f"84911000{i:03d}" for i in range(10, 40)), wait=True)  # removals only
    wait_whole(stand, name, w)
    assert w.metric("khien_copy_ok", copy="khien-kafka-0") == 1
    told = run(TOP / "tests/clients/topic_reader.py", stand.kafka, name, "--list").splitlines()
    assert told[0] == w.site.head() and told[1:] == sorted(compare.line_of(*k, *v) for k, v in compare.ledger_entries(w.site).items())
    rebuilds = w.metric("khien_copy_rebuilds_total", copy="khien-kafka-0")
    assert rebuilds == 1, "the first one; no sweep finds anything"
    records = read(stand, name)
    said = {r["n"]: (r["list"], r["count"], r["digest"]) for r in w.site.rows("SELECT n, list::text, count, encode(digest, 'hex') AS digest FROM release")}
    assert {(int(h["release"]), (h["list"], int(h["count"]), h["digest"])) for _, _, h in records} <= set(said.items())
    # A restart reads where it was: nothing is written anew.
    before = len(records)
    w.engine.stop()
    w.engine = w.site.start("again", "keeper,api").wait_ready()
    wait_for("it looked", lambda: w.metric("khien_copy_ok", copy="khien-kafka-0") == 1)
    assert len(read(stand, name)) == before and w.metric("khien_copy_rebuilds_total", copy="khien-kafka-0") == 0 < rebuilds
    course(w, 2)
    wait_whole(stand, name, w)
    w.lift(*{r["value"] for r in w.site.rows("SELECT value FROM entry")})
    wait_for("it is empty", lambda: w.site.one("SELECT count(*) AS n FROM entry")["n"] == 0)
    wait_whole(stand, name, w)
    assert table(read(stand, name))[0] == {}


def test_whatever_is_done_to_the_topic(stand, topic, world):
    """Emptied, made anew, cut, or written to by somebody else: it becomes the list again."""
    name = topic()
    w = world(**settings(name))
    course(w, 1)
    wait_whole(stand, name, w)
    producer = confluent_kafka.Producer({"bootstrap.servers": stand.kafka})
    one, two, *_ = table(read(stand, name))[0]
    for key, value in ((one, "{}"), (one, None), (two, "nonsense"), ("sms|number|84900000000", '{"scope":"number"}'), ("x", "x"), ("y" * 5000, "y")):
        producer.produce(name, key=key.encode(), value=None if value is None else value.encode())
        assert producer.flush(20) == 0
    assert not mended(stand, name, w)
    wait_for("the sweep", lambda: mended(stand, name, w), 20, 0.1)
    for p in range(2):
        high = confluent_kafka.Consumer({"bootstrap.servers": stand.kafka, "group.id": "x"}).get_watermark_offsets(confluent_kafka.TopicPartition(name, p))[1]
        stand.delete_records(name, p, high)
    wait_whole(stand, name, w)
    stand.drop_topic(name)
    wait_for(lambda: f"the alarm; {ready(w.engine)} {w.engine.log()[-3000:]}", lambda: f"there is no topic {name}" in ready(w.engine)[1], 30)
    create(stand, name, 4, **{"cleanup.policy": "compact"})
    wait_whole(stand, name, w)
    wait_for("it is ready", lambda: ready(w.engine)[0] == 200, 20)
    rebuilds = w.metric("khien_copy_rebuilds_total", copy="khien-kafka-0")
    # More partitions: keys have other homes.
    stand.admin.create_partitions([confluent_kafka.admin.NewPartitions(name, 7)])[name].result()
    wait_for("the sweep", lambda: w.metric("khien_copy_rebuilds_total", copy="khien-kafka-0") > rebuilds, 30)
    wait_whole(stand, name, w)
    # Another lineage, as after a restore.
    w.sql("UPDATE list_head SET list = gen_random_uuid()")
    wait_whole(stand, name, w)


def mended(stand, name, w):
    try:
        return whole(stand, name, w) == ""
    except (AssertionError, ValueError, KeyError):
        return False


def test_a_topic_that_does_not_fit_is_an_alarm(stand, topic, site):
    """It makes none by itself, and one that forgets by time is refused; everything else goes on."""
    name = f"blocklist-none-{os.getpid()}"
    s = site(**settings(name, kafka__topics={"blocklist": name}))
    s.settings["kafka__topics"]["complaints"] = s.topic
    engine = s.start()
    wait_for("it says so", lambda: f"there is no topic {name}: create it with cleanup.policy=compact" in text(engine), 30)
    assert name not in stand.admin.list_topics(timeout=20).topics
    create(stand, name, 1, **{"cleanup.policy": "delete"})
    try:
        wait_for("it says so", lambda: "cleanup.policy=delete" in text(engine), 30)
        assert s.head() and s.redis.get("blk:gen") == s.head()
        change = confluent_kafka.admin.ConfigResource("topic", name, set_config={"cleanup.policy": "compact"})
        stand.admin.alter_configs([change])[change].result()
        engine.wait_ready()
    finally:
        stand.drop_topic(name)


def text(engine):
    try:
        return ready(engine)[1]
    except requests.RequestException:
        return ""


def test_two_keepers_and_one_topic(stand, topic, world):
    """The leader is stopped and wakes again: it is fenced, and the topic never steps back."""
    name = topic()
    w = world(**settings(name, keeper__lease_s="1s"))
    second = w.site.start("second", "keeper").wait_ready()
    course(w, 1)
    wait_whole(stand, name, w)
    w.engine.process.send_signal(signal.SIGSTOP)
    w.wish("84915000001", wait=False)
    wait_for("the other one leads", lambda: metric(second, "khien_keeper_leads") == 1, 20)
    wait_whole(stand, name, w)
    os.kill(w.engine.process.pid, signal.SIGCONT)
    wait_for("it sees that", lambda: "keeper no longer leads" in w.engine.log(), 10)
    for n in range(5):
        w.wish(f"8491600000{n}", wait=False)
    wait_for("the releases", lambda: w.site.rows("SELECT 1 FROM entry WHERE value = '84916000004'"), 20)
    wait_whole(stand, name, w)
    second.kill()
    w.wish("84917000001", wait=False)
    wait_for("it leads again", lambda: metric(w.engine, "khien_keeper_leads") == 1, 20)
    wait_for("the release", lambda: w.site.rows("SELECT 1 FROM entry WHERE value = '84917000001'"), 20)
    wait_whole(stand, name, w)
    assert numbers(w.site) == list(range(1, len(numbers(w.site)) + 1))


def test_a_reader_never_sees_half_a_release(stand, topic, world):
    """Somebody who follows holds, after each release, exactly what its headers say."""
    name = topic(1)
    w = world(**settings(name))
    done, seen, wrong = threading.Event(), [], []

    def follow():
        c = confluent_kafka.Consumer({"bootstrap.servers": stand.kafka, "group.id": "f", "isolation.level": "read_committed", "enable.auto.commit": False})
        c.assign([confluent_kafka.TopicPartition(name, 0, confluent_kafka.OFFSET_BEGINNING)])
        held, last = {}, None
        while not done.is_set():
            m = c.poll(0.1)
            if m is None or m.error():
                continue
            h = {k: v.decode() for k, v in m.headers()}
            if last is not None and h["release"] != last["release"]:
                seen.append(int(last["release"]))
                if (digest(held), str(len(held))) != (last["digest"], last["count"]):
                    wrong.append(last)
            last = h
            if m.value() is None:
                held.pop(m.key(), None)
            else:
                held[m.key()] = json.loads(m.value())
        c.close()

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        for n in range(1, 6):
            course(w, n)
            wait_for("the topic", lambda: w.metric("khien_copy_release", copy="khien-kafka-0") == w.release(), 10)
        w.wish("84918000001")
        wait_whole(stand, name, w)
        wait_for("the reader", lambda: seen and seen[-1] >= w.release() - 1, 20)
    finally:
        done.set()
        thread.join()
    assert wrong == [] and len(seen) > 5 and seen == sorted(seen)
