"""A site: one installation under test, with its own database, Redis number, topic, source and configuration, and the engine's
processes as objects. Knows how to put records in and when everything is at rest; what must then be true is compare.py's.
"""
import collections
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import zlib

import confluent_kafka
import psycopg2
import requests
import yaml

from oracle import oracle
from stand import TOP, wait_for

BIN = pathlib.Path(os.environ.get("KHIEN_BIN") or TOP / "build/khien").resolve()
PROTECTED = TOP / "tests/data/reports/protected.csv"
FEEDS = ("contacts", "activity", "poll_answers", "provisioning_results", "notice_results", "subscriptions")
TAKEN = set()


def free_port():
    """Below the kernel's range for outgoing connections, never the same twice."""
    for port in range(20000 + os.getpid() % 5000, 32000):
        with socket.socket() as s:
            if port not in TAKEN and s.connect_ex(("127.0.0.1", port)) != 0:
                TAKEN.add(port)
                return port
    raise RuntimeError("no free port")


class Engine:
    """One process of `khien run`."""

    def __init__(self, site, name, roles, port, conf):
        self.site, self.name, self.port = site, name, port
        self.log_path, self.ended = site.dir / f"{name}.log", False
        command = [str(BIN), "run", "-c", str(conf)] + (["--role", roles] if roles else [])
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        self.ended = True
        if self.alive():
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=30):
        self.ended = True
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(seconds) == 0, f"{self.name} ended with {self.process.returncode}"

    def check(self):
        """It has not ended by itself."""
        if not self.ended and not self.alive():
            self.ended = True
            raise AssertionError(f"{self.name} ended by itself with {self.process.returncode}\n{self.log()[-3000:]}")

    def hup(self):
        self.process.send_signal(signal.SIGHUP)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def get(self, path, **more):
        return requests.get(f"http://127.0.0.1:{self.port}{path}", headers=self.site.headers(), timeout=10, **more)

    def ready(self):
        assert self.alive(), f"{self.name} ended with {self.process.returncode}\n{self.log()[-3000:]}"
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def wait_ready(self, seconds=60):
        wait_for(lambda: f"{self.name} is not ready\n{self.log()[-3000:]}", self.ready, seconds)
        return self


class Site:
    def __init__(self, stand, folder, number, partitions=1, mode="auto", rules=None, protected=PROTECTED, dsn=None, feeds=(), **settings):
        self.stand, self.dir = stand, folder
        folder.mkdir(parents=True)
        self.source = self.topic = f"t{os.getpid()}-{number}"
        self.database = self.source.replace("-", "_")
        self.partitions, self.redis_number = partitions, number % 16
        self.mode, self.rules, self.protected = mode, pathlib.Path(rules or TOP / "tests/it/pack"), protected
        self.feeds = {f: f"{self.topic}-{f}" for f in feeds}  # topics beside the reports
        self.aside = collections.Counter()  # (topic, partition) -> records put there
        self.engines, self.stream, self.produced, self._token = [], [], [0] * partitions, None
        self.settings, self.dsn = settings, dsn or f"host={stand.pg_host} port={stand.pg_port} user=khien dbname={self.database}"
        stand.sql(f"CREATE DATABASE {self.database}")
        self._db = None
        self.redis = stand.redis(self.redis_number)
        self.redis.flushdb()
        for topic in (self.topic, *self.feeds.values()):
            stand.topic(topic, partitions)
        self.producer = confluent_kafka.Producer(
            {"bootstrap.servers": stand.kafka, "enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": 120000, "log_level": 0}
        )
        self.conf = self.configure("khien")

    def prepare(self):
        keys = self.stand.dir / "keys"
        if not keys.exists():
            self.khien("keys", "--dir", keys)
        self.khien("migrate", "-c", self.conf)
        self.khien("activate", "-c", self.conf)

    # --- configuration and verbs

    def settings_now(self):
        settings = {
            "source": self.source,
            "mode": self.mode,
            "workers": 1,
            "keys": {"dir": str(self.stand.dir / "keys")},
            "kafka": {
                "brokers": self.stand.kafka,
                "group": self.source,
                "topics": {"complaints": self.topic, **{f: self.feeds.get(f, "") for f in FEEDS}},
                "extra": ["session.timeout.ms=1500", "heartbeat.interval.ms=300"],
            },
            "database": {"dsn": self.dsn},
            "redis": {"urls": [f"redis://127.0.0.1:{self.stand.redis_port}/{self.redis_number}"], "sweep": "1s"},
            "api": {"listen": "127.0.0.1:0"},
            "policy": {"file": str(TOP / "etc/policy.yaml")},
            "rules": {"dir": str(self.rules), "homoglyphs": str(TOP / "etc/fold/homoglyphs.tsv")},
            "numbers": {"dir": str(TOP / "etc/numbers")},
            "protected": {"file": str(self.protected)},
            "audit": {"heads_file": str(self.dir / "audit-heads.log")},
            "send": {"state_dir": str(self.dir / "sending")},
            # Reports are dated weeks back: no case closes for its quiet while others are still to come.
            "cases": {"quiet": "366d"},
        }
        for name, value in self.settings.items():
            at = settings
            *path, last = name.split("__")
            for part in path:
                at = at.setdefault(part, {})
            at[last] = value
        return settings

    def configure(self, name, port=None):
        path = self.dir / f"{name}.yaml"
        settings = self.settings_now()
        if port is not None:
            settings["api"]["listen"] = f"127.0.0.1:{port}"
            settings["audit"]["heads_file"] = str(self.dir / f"{name}-heads.log")
        path.write_text(yaml.safe_dump(settings))
        return path

    def khien(self, *words, check=True):
        done = subprocess.run([str(BIN), *map(str, words)], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        if check:
            assert done.returncode == 0, f"khien {' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start(self, name="engine", roles=None):
        port = free_port()
        it = Engine(self, name, roles, port, self.configure(name, port))
        self.engines.append(it)
        return it

    def token(self):
        if self._token is None:
            words = ["token", "create", "-c", self.conf, "--name", "it", "--role", "supervisor", "--loopback"]
            self._token = self.khien(*words).stdout.strip()
        return self._token

    def headers(self):
        return {"Authorization": f"Bearer {self.token()}"}

    def close(self, show=False):
        for it in self.engines:
            it.kill()
            if show:
                print(f"--- the end of {it.log_path.name}\n{it.log()[-4000:]}")
        if self._db is not None:
            self._db.close()
        self.redis.close()
        self.stand.sql(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        for topic in (self.topic, *self.feeds.values()):
            self.stand.drop_topic(topic)

    # --- the ledger

    def rows(self, query, *parameters):
        """Rows as dictionaries; a lost connection is made again."""
        for last in (False, True):
            try:
                if self._db is None or self._db.closed:
                    self._db = self.stand.connect(self.database)
                with self._db.cursor() as c:
                    c.execute(query, parameters or None)
                    names = [d.name for d in c.description] if c.description else []
                    return [dict(zip(names, row)) for row in c.fetchall()] if names else []
            except psycopg2.Error as e:
                if last or e.pgcode is not None and not e.pgcode.startswith("57"):
                    raise
                self._db = None  # the server went away
        return None

    def one(self, query, *parameters):
        return self.rows(query, *parameters)[0]

    def records(self):
        return int(self.one("SELECT coalesce(sum(records), 0) AS n FROM part WHERE source = %s", self.source)["n"])

    # --- records in

    def produce(self, values, partition=None, wait=True, stamp=None):
        """values: (key, value) or value; the same key goes to the same partition. Remembers them, with the timestamp they get, as
        the oracle's stream."""
        stamp = stamp or int(time.time() * 1000)  # milliseconds
        for it in values:
            key, value = it if isinstance(it, tuple) else (None, it)
            p = partition if partition is not None else zlib.crc32((key or "").encode()) % self.partitions
            for _ in range(100):
                try:
                    self.producer.produce(self.topic, value=value, partition=p, timestamp=stamp, on_delivery=self.delivered)
                    break
                except BufferError:
                    self.producer.poll(0.5)
            self.stream.append((self.topic, p, self.produced[p], value, stamp * 1000))
            self.produced[p] += 1
            self.producer.poll(0)
        if wait:
            self.flush()

    def note(self, feed, values, partition=None):
        """Records onto a topic beside the reports; values as in produce()."""
        topic, stamp = self.feeds[feed], int(time.time() * 1000)
        for it in values:
            key, value = it if isinstance(it, tuple) else (None, it)
            p = partition if partition is not None else zlib.crc32((key or "").encode()) % self.partitions
            self.producer.produce(topic, value=value, partition=p, timestamp=stamp, on_delivery=self.delivered)
            self.stream.append((topic, p, self.aside[topic, p], value, stamp * 1000))
            self.aside[topic, p] += 1
            self.producer.poll(0)
        self.flush()

    def read_topic(self, topic=None, partitions=None):
        """All records of a topic as (topic, partition, offset, value, key), in partition order."""
        topic, out = topic or self.topic, []
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.stand.kafka, "group.id": "it-reader", "enable.auto.commit": False})
        for p in range(partitions or self.partitions):
            at = confluent_kafka.TopicPartition(topic, p, 0)
            low, high = consumer.get_watermark_offsets(at, timeout=20)
            at.offset = low
            consumer.assign([at])
            while at.offset < high:
                message = consumer.poll(20)
                assert message is not None and message.error() is None, message and message.error()
                out.append((topic, p, message.offset(), message.value(), message.key()))
                at.offset = message.offset() + 1
        consumer.close()
        return out

    def flush(self):
        assert self.producer.flush(120) == 0, "the broker did not take all records"

    @staticmethod
    def delivered(error, message):
        assert error is None, error

    def total(self):
        return sum(self.produced) + sum(self.aside.values())

    # --- at rest

    def head(self):
        got = self.rows("SELECT list, release, count, encode(digest, 'hex') AS digest FROM list_head")
        return f"{got[0]['list']}|{got[0]['release']}|{got[0]['count']}|{got[0]['digest']}" if got else None

    def open_work(self):
        """What is not yet done, in words; empty when everything is at rest."""
        done = self.records()
        if done < self.total():
            return f"{done} of {self.total()} records"
        left = self.one(
            """SELECT (SELECT count(*) FROM dirty) AS dirty, (SELECT count(*) FROM wish WHERE state = 'wanted') AS wanted,
            (SELECT count(*) FROM outbox) AS outbox, (SELECT count(*) FROM gleaned) + (SELECT count(*) FROM rejudge) AS gleaned, (SELECT count(*) FROM audit_pending) AS audit"""
        )
        if any(left.values()):
            return str(left)
        head = self.head()
        if head is None:
            return "no list yet"
        if self.redis.get("blk:gen") != head:
            return f"Redis has {self.redis.get('blk:gen')}, the list is {head}"
        return ""

    def settle(self, seconds=90):
        def state():
            try:
                return self.open_work()
            except (psycopg2.Error, OSError) as e:
                return f"cannot ask: {e}"
            except Exception as e:  # noqa: BLE001 - a Redis that is away is one of the things waited for
                return f"cannot ask: {type(e).__name__}: {e}"

        def rest():
            for it in self.engines:
                it.check()
            return state() == ""

        wait_for(state, rest, seconds)
        for row in self.rows("SELECT * FROM part WHERE source = %s AND stopped <> ''", self.source):
            raise AssertionError(f"a partition was stopped: {row}")

    # --- the oracle beside it

    def world(self):
        protected = self.protected if self.protected else None
        it = oracle.World(
            TOP / "etc/numbers", "viettel", self.rules, TOP / "etc/fold/homoglyphs.tsv", TOP / "etc/policy.yaml", protected, self.mode,
            self.settings.get("model__file")
        )  # fmt: skip
        it.feeds = {topic: feed for feed, topic in self.feeds.items()}
        return it

    def judgement(self):
        return oracle.judge(self.world(), self.stream)

    def changes(self, engine, service):
        """The list that a subscriber builds who reads all changes from the first release on: line -> entry."""
        head = self.one("SELECT list, release FROM list_head")
        held, after = {}, 0
        while True:
            got = engine.get(f"/v1/feed/changes?list={head['list']}&after={after}&wait=0&service={service}")
            assert got.status_code == 200, (got.status_code, got.text)
            page = got.json()
            for change in page["changes"]:
                key = (change["scope"], change["value"], change["service"])
                if change["op"] == "remove":
                    assert held.pop(key, None) is not None, f"a removal of what was not there: {change}"
                else:
                    assert key not in held, f"added twice: {change}"
                    held[key] = change
            after = page["to"]
            if not page["more"]:
                return held

    def feed(self, engine, service):
        """(head, entries, tail) of a snapshot."""
        got = engine.get(f"/v1/feed/snapshot?service={service}")
        assert got.status_code == 200, (got.status_code, got.text)
        lines = [json.loads(s) for s in got.text.splitlines()]
        return lines[0], lines[1:-1], lines[-1]
