"""The services of the end-to-end tests: one PostgreSQL, one Redis, one real Kafka for the whole session, all private.

They are deploy/local/stand.sh's, with Kafka started by tests/kafka-local directly: its group time-outs are shortened, so
that a killed consumer is missed within seconds. KHIEN_STAND=DIR keeps a stand between runs.
"""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

import confluent_kafka.admin
import psycopg2
import redis

TOP = pathlib.Path(__file__).resolve().parents[2]
STAND = TOP / "deploy/local/stand.sh"
KAFKA = TOP / "tests/kafka-local"
OUT_TOPICS = ("outcomes", "registry-requests", "audit-heads", "blocklist", "provisioning", "notices", "polls", "referrals")


class Late(AssertionError):
    """Something that was waited for did not come."""


def wait_for(what, condition, seconds=60, every=0.02):
    """Waits until the condition is true and answers what it answered; what may be a function that says how far it came."""
    end, idle = time.monotonic() + seconds, threading.Event()
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise Late(f"after {seconds} s: {what() if callable(what) else what}")
        idle.wait(every)


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Stand:
    def __init__(self):
        kept = os.environ.get("KHIEN_STAND")
        self.temporary = kept is None
        base = os.environ.get("var") or "/tmp"
        self.dir = pathlib.Path(kept or tempfile.mkdtemp(prefix="khien-it-", dir=base))
        self.dir.mkdir(parents=True, exist_ok=True)
        os.chmod(self.dir, 0o755)
        self.start_kafka()
        words = dict(s.split("=", 1) for s in self.ask("start").split())
        self.pg_host, self.pg_port, self.pg_data = words["PGHOST"], int(words["PGPORT"]), words["PGDATA"]
        self.redis_url = words["REDIS_URL"]
        self.redis_port = int(self.redis_url.rsplit(":", 1)[1])
        self.admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.kafka})
        for name in OUT_TOPICS:
            self.topic(name, 1)

    def ask(self, command, *more):
        return run(STAND, command, "--dir", self.dir, *more)

    def end(self):
        if self.temporary:
            subprocess.run([str(KAFKA), "destroy", "--dir", str(self.dir / "kafka")], check=False, capture_output=True)
            self.ask("destroy")
            shutil.rmtree(self.dir, ignore_errors=True)

    # --- Kafka

    def start_kafka(self):
        port = [] if (self.dir / "kafka/port").exists() else ["--port", "0"]
        settings = ["--set", "group.min.session.timeout.ms=500"]
        self.kafka = run(KAFKA, "start", *port, *settings, "--dir", self.dir / "kafka").strip()

    def stop_kafka(self):
        run(KAFKA, "stop", "--dir", self.dir / "kafka")

    def topic(self, name, partitions):
        made = self.admin.create_topics([confluent_kafka.admin.NewTopic(name, partitions, 1)], request_timeout=20)
        try:
            made[name].result()
        except confluent_kafka.KafkaException as e:
            if e.args[0].code() != confluent_kafka.KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def delete_records(self, topic, partition, before):
        """As the broker's retention does."""
        file = self.dir / "delete.json"
        file.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": partition, "offset": before}]}))
        tool = ["tool", "org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", self.kafka]
        run(KAFKA, *tool, "--offset-json-file", file)

    def drop_topic(self, name):
        self.admin.delete_topics([name], request_timeout=20)[name].result()

    # --- PostgreSQL

    def connect(self, database):
        db = psycopg2.connect(host=self.pg_host, port=self.pg_port, user="khien", dbname=database)
        db.autocommit = True
        return db

    def sql(self, command):
        db = self.connect("postgres")
        try:
            db.cursor().execute(command)
        finally:
            db.close()

    def postgres(self, *words):
        """pg_ctl as the user that the server runs as."""
        ctl = ["/usr/lib/postgresql/15/bin/pg_ctl", "-D", self.pg_data, "-s", "-w", *words]
        owner = os.stat(self.pg_data)
        if os.geteuid() == 0 and owner.st_uid != 0:
            ctl = ["setpriv", "--reuid", str(owner.st_uid), "--regid", str(owner.st_gid), "--clear-groups", "--", *ctl]
        done = subprocess.run(ctl, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
        assert done.returncode == 0, ctl

    def restart_postgres(self):
        """As after a crash: nothing is written back before it goes."""
        self.postgres("-m", "immediate", "stop")
        self.postgres("-l", f"{self.pg_data}/server.log", "start")

    # --- Redis

    def redis(self, number):
        return redis.Redis(port=self.redis_port, db=number, decode_responses=True, socket_timeout=10)

    def stop_redis(self):
        self.ask("stop", "--only", "redis")

    def start_redis(self):
        self.ask("start", "--only", "redis")
