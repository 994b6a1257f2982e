"""The loops of the engine when what they stand on is away, wrong or hangs: they wait, say so, and go on by themselves."""
import json
import os
import pathlib
import re
import shutil
import signal
import time

import requests
import yaml

import compare
import samples
from generator import Crowd
from harness import PROTECTED
from stand import KAFKA, run, wait_for


def crowd(seed, n):
    return Crowd(seed, time.time()).records(n)


def metric(engine, name):
    """The sum over the labels; None: it is not there."""
    got = requests.get(f"http://127.0.0.1:{engine.port}/metrics", timeout=5).text
    values = [float(line.rsplit(" ", 1)[1]) for line in got.splitlines() if re.match(rf"{name}[ {{]", line)]
    return sum(values) if values else None


def backends(site, name):
    return site.rows("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s", name)


def delete_records(stand, folder, topic, partition, before):
    """As retention does."""
    order = folder / "delete.json"
    order.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": partition, "offset": before}]}))
    run(KAFKA, "tool", "org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", stand.kafka, "--offset-json-file", order)


def drop_connection(site, name):
    wait_for(name, lambda: backends(site, name))
    for row in backends(site, name):
        site.rows("SELECT pg_terminate_backend(%s)", row["pid"])


def test_copies_and_outbox_go_on_after_the_keeper_reconnects(site):
    """Nothing is released meanwhile, so nothing but the keeper itself can say that it still leads."""
    s = site()
    engine = s.start().wait_ready()
    s.produce(crowd(101, 300))
    s.settle()
    epoch = s.one("SELECT epoch FROM keeper")["epoch"]
    drop_connection(s, "khien-keeper")
    wait_for("the loss is seen", lambda: "keeper no longer leads" in engine.log(), 15)
    wait_for("it leads again", lambda: metric(engine, "khien_keeper_leads") == 1, 15)
    assert s.one("SELECT epoch FROM keeper")["epoch"] == epoch, "its own lease was still good"
    s.redis.flushdb()
    s.rows("INSERT INTO outbox (topic, messages, body) VALUES ('outcomes', 1, %s)", 'x\t{"report_id":"x"}\n')
    s.settle(20)


def test_a_chore_that_fails_does_not_hold_up_releases(site, tmp_path):
    s = site(protected=tmp_path / "none.csv")
    s.rows("DROP FUNCTION report_partitions")
    engine = s.start().wait_ready()
    s.produce([v for _, v in Crowd(102, time.time()).records(300)])
    s.settle()
    assert metric(engine, "khien_chore_failing") == 2
    log = engine.log()
    assert "chore=partitions failed" in log and "chore=protected failed" in log and "none.csv" in log


def test_a_policy_that_cannot_be_loaded_blames_no_record(site):
    """What another, newer instance made active: wait for a program or a policy that fits, quarantine nothing, stop nothing."""
    s = site()
    engine = s.start().wait_ready()
    s.produce(crowd(103, 200))
    s.settle()
    was = s.one("SELECT policy FROM control")["policy"]
    s.rows("INSERT INTO artifact SELECT sha256('bad'), 'policy', 'bad', '{\"policy.yaml\": \"bm9wZTogMQo=\"}', stored_at FROM artifact LIMIT 1")
    s.rows("UPDATE control SET policy = sha256('bad'), generation = generation + 1")
    s.produce(crowd(104, 100))
    wait_for("it is not ready", lambda: not engine.ready(), 20)
    assert s.records() == 200
    assert s.rows("SELECT * FROM part WHERE stopped <> ''") == [] and s.rows("SELECT * FROM quarantine WHERE sqlstate <> ''") == []
    s.rows("UPDATE control SET policy = %s, generation = generation + 1", was)
    s.settle()
    engine.wait_ready()
    compare.assert_same(s, engine)


def test_a_topic_whose_beginning_is_gone(stand, site):
    """A partition that never moved begins at the oldest record that is kept."""
    s = site()
    s.produce([b"gone"] * 50)
    delete_records(stand, s.dir, s.topic, 0, 40)
    engine = s.start().wait_ready()
    wait_for(lambda: str(s.rows("SELECT * FROM part")), lambda: s.records() == 10)
    part = s.one("SELECT * FROM part")
    assert (part["next_offset"], part["stopped"], part["quarantined"]) == (50, "", 10)
    assert "offset=40" in engine.log()


def test_a_gap_stops_the_partition_until_a_person_resumes_it(stand, site):
    s = site(partitions=2)
    first = s.start("first").wait_ready()
    s.produce([b"x"] * 5, partition=0)
    wait_for("the first records", lambda: s.records() == 5)
    first.stop()
    s.produce([b"y"] * 20, partition=0)
    delete_records(stand, s.dir, s.topic, 0, 15)
    engine = s.start("second").wait_ready()
    wait_for("the stop", lambda: s.rows("SELECT * FROM part WHERE stopped <> ''"), 30)
    gap = s.one("SELECT * FROM part_gap")
    assert (gap["part"], gap["from_offset"], gap["to_offset"]) == (0, 5, 15)
    s.produce([b"z"] * 3, partition=1)
    wait_for("the other one goes on", lambda: s.records() == 8)
    wait_for("the alarm", lambda: metric(engine, "khien_partitions_stopped") == 1, 10)
    assert engine.log().count("stopped cause=") == 1
    listed = [json.loads(line) for line in s.khien("partition", "list", "-c", s.conf).stdout.splitlines()]
    assert [(it["partition"], it["gap_from"], it["gap_to"]) for it in listed if it["stopped"]] == [(0, 5, 15)]
    assert s.khien("partition", "resume", "-c", s.conf, s.topic, 1, check=False).returncode == 1
    assert "goes on from offset 15" in s.khien("partition", "resume", "-c", s.conf, s.topic, 0).stdout
    wait_for(lambda: str(s.rows("SELECT * FROM part")), lambda: s.records() == 18, 30)


def test_a_record_at_which_processes_died(site):
    """Two deaths with the record alone in their hands: it is quarantined unread, its neighbours are not."""
    s = site()
    values = crowd(105, 20)
    s.produce(values)
    s.rows("INSERT INTO part (source, topic, part, epoch, owner, attempts) VALUES (%s, %s, 0, 7, 'dead', 2003)", s.source, s.topic)
    engine = s.start().wait_ready()
    wait_for("all records", lambda: s.records() == 20)
    rows = s.rows("SELECT \"offset\", reason FROM quarantine WHERE reason = 'crashes_engine'")
    assert [(r["offset"], r["reason"]) for r in rows] == [(0, "crashes_engine")]
    assert s.one("SELECT missing FROM conservation WHERE source = %s", s.source)["missing"] == 0
    assert engine.alive()


def test_a_process_that_dies_over_one_record_says_so(site):
    """After two crashes records are taken alone, and the ledger knows of the one that is tried."""
    s = site()
    s.produce(crowd(106, 5))
    s.rows("INSERT INTO part (source, topic, part, epoch, owner, attempts) VALUES (%s, %s, 0, 7, 'dead', 2)", s.source, s.topic)
    # The claim of the first record hangs, as a decoder would: the process is killed over it.
    lock = s.stand.connect(s.database)
    lock.autocommit = False
    lock.cursor().execute("LOCK TABLE report_key IN ACCESS EXCLUSIVE MODE")
    try:
        engine = s.start("first")
        wait_for("the note", lambda: s.one("SELECT attempts FROM part")["attempts"] == 1003, 30)
        engine.kill()
    finally:
        lock.rollback()
        lock.close()
    s.start("second").wait_ready()
    wait_for("all records", lambda: s.records() == 5)
    assert s.one("SELECT attempts FROM part")["attempts"] == 0
    assert s.rows("SELECT * FROM quarantine WHERE reason = 'crashes_engine'") == []


def test_a_database_that_refuses_everything(site):
    """Nothing is skipped: what is refused even by quarantine stops the partition."""
    s = site(batch__records=64)
    s.rows("ALTER TABLE report ADD CHECK (report_id = '')")
    s.rows("ALTER TABLE quarantine ADD CHECK (reason <> 'refused_by_database')")
    s.produce([v for v in crowd(107, 60)])
    engine = s.start().wait_ready()
    wait_for("the stop", lambda: s.rows("SELECT * FROM part WHERE stopped <> ''"), 60)
    part = s.one("SELECT * FROM part")
    assert part["records"] == part["next_offset"] < 60
    assert engine.alive()
    assert len(engine.log().splitlines()) < 120


def test_a_missing_topic_does_not_hold_up_the_others(site):
    s = site()
    engine = s.start().wait_ready()
    s.rows("INSERT INTO outbox (topic, messages, body) VALUES ('no topic!', 1, 'k\t{}\n')")
    s.produce(crowd(108, 100))
    wait_for("the outcomes", lambda: s.records() == 100 and s.one("SELECT count(*) AS n FROM outbox WHERE topic = 'outcomes'")["n"] == 0, 30)
    wait_for("it says so", lambda: not engine.ready(), 20)
    s.rows("DELETE FROM outbox WHERE topic = 'no topic!'")
    engine.wait_ready(30)


# --- starting and stopping


def test_start_before_the_database(stand, site):
    """It waits, not ready but alive, and stops at once with 0 when asked to."""
    s = site()
    dsn = s.dsn
    s.dsn = "host=127.0.0.1 port=1 user=khien dbname=none"
    engine = s.start()
    wait_for("its health", lambda: health(engine) == 200, 20)
    assert not engine.ready()
    begun = time.monotonic()
    engine.stop(10)
    assert time.monotonic() - begun < 5
    s.dsn = dsn


def health(engine):
    try:
        return requests.get(f"http://127.0.0.1:{engine.port}/healthz", timeout=5).status_code
    except requests.RequestException:
        return 0


def test_every_role_tells_its_health(site):
    s = site()
    s.produce(crowd(109, 50))
    ingest, keeper = s.start("ingest", "ingest").wait_ready(), s.start("keeper", "keeper").wait_ready()
    s.settle()
    assert metric(ingest, "khien_records_total") == 50 and metric(keeper, "khien_keeper_leads") == 1
    assert requests.get(f"http://127.0.0.1:{keeper.port}/v1/stats", timeout=5).status_code == 404


def test_stop_while_the_database_hangs(stand, site):
    s = site()
    engine = s.start().wait_ready()
    pids = [r["pid"] for r in s.rows("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'khien-%%'")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        s.produce(crowd(110, 200))
        begun = time.monotonic()
        engine.process.send_signal(signal.SIGTERM)
        engine.process.send_signal(signal.SIGTERM)
        engine.stop(30)
        assert time.monotonic() - begun < 30
    finally:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
    s.start("again").wait_ready()
    s.settle()


def test_stop_while_the_broker_is_away(stand, site):
    s = site(workers=3, partitions=3)
    engine = s.start().wait_ready()
    s.produce(crowd(111, 200))
    s.settle()
    stand.stop_kafka()
    try:
        s.rows("INSERT INTO outbox (topic, messages, body) VALUES ('outcomes', 1, %s)", 'x\t{"report_id":"x"}\n')
        wait_for("it says so", lambda: not engine.ready(), 40)
        assert len(engine.log().splitlines()) < 100
        engine.stop(30)
    finally:
        stand.start_kafka()


# --- reload


def test_hup_reloads_mode_and_protected_list(site, tmp_path):
    protected = tmp_path / "protected.csv"
    shutil.copy(PROTECTED, protected)
    s = site(mode="review", protected=protected)
    engine = s.start().wait_ready()
    wait_for("the list", lambda: s.one("SELECT count(*) AS n FROM protected")["n"] > 0)
    rows = s.one("SELECT count(*) AS n FROM protected")["n"]
    head = protected.read_text().splitlines()[0]
    assert head.startswith("scope,value,service,owner,reason,until")
    with protected.open("a") as f:
        f.write("number,84961999888,,somebody,test,\n")
    conf = yaml.safe_load(pathlib.Path(s.dir / "engine.yaml").read_text())
    conf["mode"] = "auto"
    (s.dir / "engine.yaml").write_text(yaml.safe_dump(conf))
    engine.hup()
    wait_for("the list", lambda: s.one("SELECT count(*) AS n FROM protected")["n"] == rows + 1, 10)
    assert s.one("SELECT mode FROM control")["mode"] == "auto"
    (s.dir / "engine.yaml").write_text("nonsense: [")
    engine.hup()
    wait_for("the refusal", lambda: "reload refused" in engine.log(), 10)
    assert engine.ready() and s.one("SELECT mode FROM control")["mode"] == "auto"


# --- the keeper's duties in time


def test_kill_switch_and_expiry_in_time(site):
    s = site()
    engine = s.start().wait_ready()
    s.rows("UPDATE control SET kill_switch = true")
    time_of = time.monotonic()
    wait_for("the control row is read", lambda: time.monotonic() - time_of > 0.5)
    s.produce([("bar", v) for name, _, v in samples.load("now")[1] if name == "02-bank.jsonl"])
    wait_for("a wish", lambda: s.rows("SELECT * FROM wish WHERE state = 'wanted'"), 20)
    assert s.rows("SELECT * FROM entry") == []
    s.rows("UPDATE control SET kill_switch = false")
    wait_for("the entry", lambda: s.rows("SELECT * FROM entry"), 5)
    s.rows("UPDATE wish SET until = date_trunc('second', now()) + interval '2 s' WHERE state = 'admitted'")
    s.rows("UPDATE entry SET until = date_trunc('second', now()) + interval '2 s'")
    end = s.one("SELECT extract(epoch FROM min(until)) AS t FROM entry")["t"]
    wait_for("it ends", lambda: not s.rows("SELECT * FROM entry"), 10)
    assert time.time() - float(end) < 1.0
    assert engine.alive()


def test_a_redis_that_hangs_delays_no_release(stand, site):
    s = site()
    engine = s.start().wait_ready()
    s.produce(crowd(112, 200))
    s.settle()
    pid = int(s.redis.info("server")["process_id"])
    before = s.one("SELECT release FROM list_head")["release"]
    os.kill(pid, signal.SIGSTOP)
    try:
        s.produce([("bar", v) for name, _, v in samples.load("now")[1] if name == "02-bank.jsonl"])
        wait_for("the release", lambda: s.one("SELECT release FROM list_head")["release"] > before, 10)
        wait_for("it says so", lambda: metric(engine, "khien_copy_ok") == 0, 10)
    finally:
        os.kill(pid, signal.SIGCONT)
    s.settle(20)


def test_audit_heads_go_out(site):
    s = site()
    s.start().wait_ready()
    s.produce(crowd(113, 50))
    s.settle()
    head = s.one("SELECT seq, encode(hash, 'hex') AS hash FROM audit_chain ORDER BY seq DESC LIMIT 1")
    wait_for("the file", lambda: f"{head['seq']} {head['hash']}" in (s.dir / "engine-heads.log").read_text(), 5)


def test_stopped_for_longer_than_the_session(site):
    """A process that slept wakes up as a zombie: it is fenced, drops what it had and goes on."""
    s = site(partitions=2, workers=1, batch__records=20)
    first = s.start("first").wait_ready()
    s.produce(crowd(114, 400), wait=False)
    wait_for("some", lambda: s.records() > 20)
    first.process.send_signal(signal.SIGSTOP)
    try:
        s.flush()
        s.start("second").wait_ready(90)
        wait_for("the other one works", lambda: s.records() == s.total(), 90)
    finally:
        first.process.send_signal(signal.SIGCONT)
    s.settle(120)
    assert first.alive()
    compare.assert_same(s, s.engines[-1])


def test_a_storm_of_rebalances(site):
    """Instances come and go, by signal or by force, while reports stream in."""
    s = site(partitions=4, batch__records=50)
    values = crowd(116, 3000)
    running = [s.start("first").wait_ready()]
    step = len(values) // 6
    for n in range(6):
        s.produce(values[n * step : (n + 1) * step], wait=False)
        if n % 2 == 0:
            running.append(s.start(f"more{n}"))
            wait_for("it has partitions", lambda: "acquired" in running[-1].log(), 60)
        else:
            (running.pop(0).stop if n == 1 else running.pop(0).kill)()
        done = s.records()
        wait_for(lambda: f"{s.records()} of {s.total()}", lambda: s.records() >= min(done + 100, s.total()), 60)
    s.flush()
    s.settle(120)
    compare.assert_same(s, running[-1])


def test_check_reads_what_a_start_would_read(site, tmp_path):
    """The protected list and the brokers, too; without the database."""
    broken = tmp_path / "protected.csv"
    broken.write_text("scope,value,service,owner,reason,until\nnumber,84961999888,,somebody,test,\nnumber,x,,somebody,test,\n")
    s = site()
    s.protected, s.dsn = broken, "host=127.0.0.1 port=1 dbname=none"
    got = s.khien("check", "-c", s.configure("broken"), check=False)
    assert got.returncode == 2 and f"{broken}:3:" in got.stderr
    s.protected = PROTECTED
    assert s.khien("check", "-c", s.configure("good"), check=False).returncode == 0
    conf = yaml.safe_load((s.dir / "good.yaml").read_text())
    del conf["kafka"]["brokers"]
    (s.dir / "nobody.yaml").write_text(yaml.safe_dump(conf))
    for verb in ("check", "run"):
        got = s.khien(verb, "-c", s.dir / "nobody.yaml", check=False)
        assert got.returncode == 2 and "kafka.brokers" in got.stderr
