"""Kafka as carriers run it: TLS with an authority of their own and SASL, static members, a database too slow for max.poll.interval.ms,
and the trace that a record brings."""
import json
import subprocess
import sys
import time
import zipfile

import compare
import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from generator import Crowd
from harness import free_port
from stand import KAFKA, run, wait_for

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def openssl(*words, cwd):
    subprocess.run(["openssl", *map(str, words)], cwd=cwd, check=True, capture_output=True)


def authority(folder):
    """An authority, the broker's certificate for 127.0.0.1 and an engine's, all PEM."""
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=it authority", "-keyout", "ca.key", "-out", "ca.pem", cwd=folder)
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("broker", "engine"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr", cwd=folder)
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 2, "-extfile", "ext"]
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem", cwd=folder)
    (folder / "broker.store").write_text((folder / "broker.key").read_text() + (folder / "broker.pem").read_text())
    for key in folder.glob("*.key"):
        key.chmod(0o600)


class Secure:
    """A broker that speaks SASL_SSL and, to who has a certificate, SSL; with a user of each SCRAM kind."""

    def __init__(self, folder):
        self.dir, self.sasl, self.ssl = folder, free_port(), free_port()
        authority(folder)
        settings = [
            "ssl.keystore.type=PEM", f"ssl.keystore.location={folder}/broker.store", "ssl.truststore.type=PEM",
            f"ssl.truststore.location={folder}/ca.pem", "listener.name.ssl.ssl.client.auth=required",
            "sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN", "group.min.session.timeout.ms=500",
            "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
            'listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_plain="plain-secret";',
        ]  # fmt: skip
        words = [w for s in settings for w in ("--set", s)]
        for protocol, port in (("SASL_SSL", self.sasl), ("SSL", self.ssl)):
            words += ["--listener", f"{protocol}={port}"]
        self.plain = run(KAFKA, "start", "--port", 0, *words, "--dir", folder / "kafka").strip()
        self.admin = AdminClient({"bootstrap.servers": self.plain})
        alter = [KAFKA, "tool", "kafka.admin.ConfigCommand", "--bootstrap-server", self.plain, "--alter", "--entity-type", "users"]
        asked = [
            subprocess.Popen([*map(str, alter), "--entity-name", user, "--add-config", f"{kind}=[password={user}-secret]"], stdout=subprocess.DEVNULL)
            for user, kind in (("old", "SCRAM-SHA-256"), ("new", "SCRAM-SHA-512"))
        ]
        assert [it.wait(60) for it in asked] == [0, 0]
        for user, password in (("old", "old-secret"), ("new", "new-secret"), ("plain", "plain-secret"), ("wrong", "not-it")):
            file = folder / f"{user}.password"
            file.write_text(f"{password}\n")
            file.chmod(0o600)

    def settings(self, user, mechanism, ca="ca.pem", password=None):
        return {
            "kafka__brokers": f"127.0.0.1:{self.sasl}", "kafka__security": "sasl_ssl", "kafka__tls": {"ca": f"{self.dir}/{ca}"},
            "kafka__sasl": {"mechanism": mechanism, "username": user, "password_file": f"{self.dir}/{password or user}.password"},
        }  # fmt: skip

    def certificate(self):
        it = {"ca": f"{self.dir}/ca.pem", "cert": f"{self.dir}/engine.pem", "key": f"{self.dir}/engine.key"}
        return {"kafka__brokers": f"127.0.0.1:{self.ssl}", "kafka__security": "ssl", "kafka__tls": it}

    def topic(self, name):
        for done in self.admin.create_topics([NewTopic(name, 1, 1)]).values():
            done.result(20)

    def end(self):
        subprocess.run([str(KAFKA), "destroy", "--dir", str(self.dir / "kafka")], check=False, capture_output=True)


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    it = Secure(tmp_path_factory.mktemp("secure"))
    yield it
    it.end()


@pytest.fixture(scope="module")
def newer_librdkafka(tmp_path_factory):
    """A librdkafka that Kafka 4 takes SCRAM from: Debian 12's is older than 2.6.1. It comes out of a Python wheel."""
    folder = tmp_path_factory.mktemp("librdkafka")
    wanted = ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), "confluent-kafka==2.12.2"]
    done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", *wanted], capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        pytest.skip(f"no newer librdkafka to be had: {done.stderr[-300:]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder, [name for name in wheel.namelist() if name.startswith("confluent_kafka.libs/")])
    return next(folder.glob("confluent_kafka.libs/librdkafka*"))


def goes_through(secure, s, folder, first):
    """`khien send`, the consumer and the producer of outcomes."""
    secure.topic(s.topic)
    if first:
        for name in ("outcomes", "audit-heads", "registry-requests"):
            secure.topic(name)
    values = [v for _, v in Crowd(3, time.time()).records(20)]
    (folder / "reports").write_bytes(b"\n".join(values) + b"\n")
    s.khien("send", "-c", s.conf, folder / "reports")
    s.start().wait_ready()
    wait_for(lambda: f"{s.records()} records", lambda: s.records() == len(values), 30)
    wait_for("the outcomes are out", lambda: s.one("SELECT count(*) AS n FROM outbox")["n"] == 0, 30)


def test_tls_with_a_certificate(secure, site, tmp_path):
    goes_through(secure, site(**secure.certificate()), tmp_path, True)


@pytest.mark.parametrize("user, how", [("old", "SCRAM-SHA-256"), ("new", "SCRAM-SHA-512")])
def test_tls_and_scram(secure, site, tmp_path, newer_librdkafka, monkeypatch, user, how):
    s = site(**secure.settings(user, how))
    monkeypatch.setenv("LD_PRELOAD", str(newer_librdkafka))
    goes_through(secure, s, tmp_path, False)


def test_tls_and_plain(secure, site, tmp_path):
    goes_through(secure, site(**secure.settings("plain", "PLAIN")), tmp_path, False)


def test_wrong_password_and_unknown_authority(secure, site):
    """Said where it can be seen, never a way around; the password is in no log."""
    (secure.dir / "other").mkdir()
    authority(secure.dir / "other")
    for settings, words in (
        (secure.settings("plain", "PLAIN", password="wrong"), "Authentication failed"),
        (secure.settings("plain", "PLAIN", ca="other/ca.pem"), "certificate"),
        (secure.settings("new", "SCRAM-SHA-512"), "librdkafka 2.6.1"),
    ):
        if "SCRAM" in str(settings) and confluent_kafka.libversion()[1] >= 0x02060100:
            continue  # nothing to warn of
        s = site(**settings)
        secure.topic(s.topic)
        engine = s.start()
        wait_for(lambda: engine.log()[-2000:], lambda: words in engine.log(), 30)
        wait_for("it is not ready", lambda: not engine.ready(), 10)
        assert s.records() == 0 and "not-it" not in engine.log()
        engine.stop()
    bad = s.dir / "open.password"
    bad.write_text("x")
    bad.chmod(0o644)
    s.settings["kafka__sasl"] = {"username": "new", "password_file": str(bad)}
    done = s.khien("check", "-c", s.configure("open"), check=False)
    assert done.returncode == 2 and "0644" in done.stderr
    s.settings["kafka__sasl"] = {"username": "new"}
    done = s.khien("check", "-c", s.configure("none"), check=False)
    assert done.returncode == 2 and "kafka.sasl.password_file" in done.stderr


def members(s):
    """client id -> member id of the group; a static member's begins with its name."""
    got = s.stand.admin.list_groups(s.source, timeout=20)
    return {m.client_id: m.id for m in got[0].members}


def test_a_static_member_comes_back_and_a_fenced_one_too(site):
    """A restart within the session keeps the place without a rebalance; two processes under one name fence each other and neither
    dies; what they do counts once all the same."""
    s = site(partitions=2, workers=2, kafka__instance_id="core-1", kafka__extra=["session.timeout.ms=15000", "heartbeat.interval.ms=300"])
    first = s.start("first").wait_ready()
    s.produce([v for _, v in Crowd(4, time.time()).records(100)])
    wait_for("the first records", lambda: s.records() == s.total())
    assert sorted(m[:8] for m in members(s).values()) == ["core-1-0", "core-1-1"]
    second = s.start("second")
    wait_for("one is fenced", lambda: "leaves the group and joins it again" in first.log(), 30)
    s.produce([v for _, v in Crowd(5, time.time()).records(400)], wait=False)
    s.flush()
    s.settle(60)
    assert first.alive() and second.alive()
    assert first.log().count("joins it again") < 200
    first.stop()
    s.produce([v for _, v in Crowd(6, time.time()).records(50)])
    s.settle(60)
    compare.assert_same(s, second)


def test_a_database_slower_than_the_poll_interval(site):
    """Partitions are left alone, Kafka is polled, the group keeps the member: it is the same one afterwards, and nothing is redone."""
    limits = ["session.timeout.ms=1500", "heartbeat.interval.ms=300", "max.poll.interval.ms=2000"]
    s = site(partitions=2, kafka__extra=limits)
    engine = s.start().wait_ready()
    s.produce([v for _, v in Crowd(7, time.time()).records(50)])
    s.settle()
    before, epochs = members(s), s.rows("SELECT part, epoch FROM part ORDER BY part")
    s.rows(
        """CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(5); RETURN NULL; END $$;
        CREATE TRIGGER slow AFTER INSERT ON report_key EXECUTE FUNCTION slow()"""
    )
    s.produce([v for _, v in Crowd(8, time.time()).records(50)])
    # a rebalance meanwhile waits for the batch
    wait_for("it is slow", lambda: s.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"), 20)
    wait_for("the batch", lambda: s.records() > 50, 30)
    s.rows("DROP TRIGGER slow ON report_key")
    s.settle(60)
    assert members(s) == before
    assert s.rows("SELECT part, epoch FROM part ORDER BY part") == epochs, engine.log()[-2000:]
    compare.assert_same(s, engine)


def test_a_rebalance_while_the_database_is_slow(site):
    """The second instance waits for its share until the batch of the first is done, and nothing is lost or doubled."""
    s = site(partitions=2)
    first = s.start("first").wait_ready()
    s.rows(
        """CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(3); RETURN NULL; END $$;
        CREATE TRIGGER slow AFTER INSERT ON report_key EXECUTE FUNCTION slow()"""
    )
    s.produce([v for _, v in Crowd(9, time.time()).records(100)])
    wait_for("it is slow", lambda: s.rows("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"), 20)
    second = s.start("second")
    wait_for("its share", lambda: "acquired" in second.log(), 60)
    s.rows("DROP TRIGGER slow ON report_key")
    s.produce([v for _, v in Crowd(10, time.time()).records(100)])
    s.settle(60)
    assert first.alive()
    compare.assert_same(s, second)


def test_the_trace_of_a_record(stand, site):
    """traceparent goes with the outcome and into quarantine; anything else under that name goes nowhere."""
    s = site()
    good = [v for _, v in Crowd(11, time.time()).records(1)][0]
    for value, headers in (
        (good, [("other", b"x"), ("traceparent", TRACE.encode())]), (b"{", [("traceparent", TRACE.encode())]),
        (b"{}", [("traceparent", b"00-x\t\n")]), (b"[]", []),
    ):  # fmt: skip
        s.producer.produce(s.topic, value, partition=0, headers=headers)
    s.producer.flush(20)
    consumer = confluent_kafka.Consumer({"bootstrap.servers": stand.kafka, "group.id": f"{s.source}-trace", "enable.auto.commit": False})
    at = confluent_kafka.TopicPartition("outcomes", 0)
    at.offset = consumer.get_watermark_offsets(at, timeout=20)[1]
    consumer.assign([at])
    s.start().wait_ready()
    wait_for("the records", lambda: s.records() == 4)
    rows = s.rows('SELECT "offset", trace FROM quarantine ORDER BY "offset"')
    assert [(r["offset"], r["trace"]) for r in rows] == [(1, TRACE), (2, ""), (3, "")]
    report_id, message = json.loads(good)["report_id"], None
    while message is None or json.loads(message.value())["report_id"] != report_id:
        message = consumer.poll(20)
        assert message is not None and message.error() is None
    assert message.headers() == [("traceparent", TRACE.encode())]
    assert "\t" not in message.value().decode()
    consumer.close()
    listed = [json.loads(line) for line in s.khien("quarantine", "list", "-c", s.conf).stdout.splitlines()]
    assert {it["trace"] for it in listed} == {TRACE, ""}


def test_partitions_added_live(stand, site):
    """A topic that grows from one partition to three under load: the new ones are read from their beginning."""
    s = site(kafka__extra=["session.timeout.ms=1500", "heartbeat.interval.ms=300", "topic.metadata.refresh.interval.ms=300"])
    engine = s.start().wait_ready()
    s.produce([v for _, v in Crowd(20, time.time()).records(100)])
    run(KAFKA, "tool", "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", stand.kafka, "--alter", "--topic", s.topic, "--partitions", 3)
    s.partitions, s.produced = 3, s.produced + [0, 0]
    s.producer.list_topics(s.topic, timeout=20)
    s.produce(Crowd(21, time.time()).records(300))
    s.settle(60)
    assert [r["part"] for r in s.rows("SELECT part FROM part ORDER BY part")] == [0, 1, 2]
    compare.assert_same(s, engine)


def test_offsets_that_jump_back(site):
    """The topic ends before the place where the ledger stands: the partition stops, says so, and goes on where a person says."""
    s = site()
    first = s.start("first").wait_ready()
    s.produce([v for _, v in Crowd(22, time.time()).records(20)])
    s.settle()
    first.stop()
    stored = "SELECT (SELECT count(*) FROM report) AS reports, (SELECT count(*) FROM vote) AS votes, (SELECT count(*) FROM quarantine) AS kept"
    before = s.one(stored)
    s.rows("UPDATE part SET next_offset = next_offset + 1000, records = records + 1000, accepted = accepted + 1000")
    engine = s.start("second").wait_ready()
    wait_for("the stop", lambda: s.rows("SELECT 1 FROM part WHERE stopped <> ''"), 30)
    wait_for("the alarm", lambda: "khien_partitions_stopped 1" in engine.get("/metrics").text, 20)
    assert engine.log().count("stopped cause=") == 1
    listed = json.loads(s.khien("partition", "list", "-c", s.conf).stdout.splitlines()[0])
    assert listed["stopped"] and listed["gap_from"] == 1020
    s.khien("partition", "resume", "-c", s.conf, s.topic, 0, "--from", 10)
    wait_for(lambda: str(s.rows("SELECT * FROM part")), lambda: s.one("SELECT next_offset FROM part")["next_offset"] == 20, 30)
    assert s.one("SELECT records FROM part")["records"] == 1030
    assert s.one(stored) == before, "what was read again counted nothing"
