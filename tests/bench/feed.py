#!/usr/bin/python3
"""The feeds, measured on one API instance with a list of ENTRIES: lookups a second over HTTP beside a bare hello of the same HTTP library, one with
the same headers and length, and redis-benchmark GET over TCP, each in turn and twice in the same run; memory, cold load and snapshot; how long after a
release's commit the last of FOLLOWERS has it, over server-sent events and long polls; how long a Redis copy takes to be whole again; and, where Debian's
crowdsec is installed, a list of 100,000 given whole by both, in turn. All share this machine's cores. Usage: feed.py [ENTRIES] [FOLLOWERS] [SECONDS]"""
import contextlib
import hashlib
import io
import json
import os
import re
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

import psycopg2
import resource
import yaml

import crowdsec

TOP = Path(__file__).resolve().parents[2]
KHIEN = os.environ.get("KHIEN_BIN", str(TOP / "build/khien"))
BENCH = str(TOP / "build/bench_feed")
ENTRIES = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
FOLLOWERS = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
SECONDS = int(sys.argv[3]) if len(sys.argv) > 3 else 4


def stand(*words):
    return subprocess.run([str(TOP / "deploy/local/stand.sh"), *words], check=True, capture_output=True, text=True).stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def line_hash(value, service="sms"):
    return int.from_bytes(hashlib.sha256(f"number|{value}|{service}|bar|c-0000000000001|0".encode()).digest(), "big")


class Ledger:
    """Writes the list as the keeper does, without the reports."""

    def __init__(self, dsn):
        self.db, self.list, self.release, self.count, self.sum = psycopg2.connect(dsn), str(uuid.uuid4()), 1, 0, 0
        self.db.autocommit = False

    def fill(self, n):
        rows = io.StringIO()
        for i in range(n):
            value = f"84912{i:06d}" if i < 1_000_000 else f"84{i + 900_000_000:09d}"
            rows.write(f"number\t{value}\t0\t{i}\tbar\tc-0000000000001\t\\N\tDecree 91/2020/ND-CP\tperson:x\t1\n")
            self.sum += line_hash(value)
        rows.seek(0)
        with self.db.cursor() as c:
            c.copy_expert("COPY entry FROM STDIN", rows)
            self.count = n
            d = self.digest()
            c.execute("DELETE FROM list_head")
            c.execute("INSERT INTO list_head VALUES (true, %s, 1, %s, %s, %s, %s, now())", (self.list, n, d, n, d))
            c.execute("INSERT INTO release VALUES (1, %s, now(), %s, 0, %s, %s, %s, %s)", (self.list, n, n, d, n, d))
        self.db.commit()
        with self.db.cursor() as c:
            c.execute("ANALYZE entry")
        self.db.commit()

    def digest(self):
        return (self.sum % 2**256).to_bytes(32, "big")

    def add(self):
        """One release with one entry; the time of its commit."""
        self.release, self.count = self.release + 1, self.count + 1
        value = f"8499{self.release:07d}"
        self.sum += line_hash(value)
        d = self.digest()
        with self.db.cursor() as c:
            c.execute("INSERT INTO entry VALUES ('number', %s, 0, 0, 'bar', 'c-0000000000001', NULL, 'Decree 91/2020/ND-CP', 'person:x', %s)", (value, self.release))
            c.execute("INSERT INTO change VALUES (%s, 0, 'add', 'number', %s, 0, 'bar', 'c-0000000000001', NULL, 'Decree 91/2020/ND-CP')", (self.release, value))
            c.execute("INSERT INTO release VALUES (%s, %s, now(), 1, 0, %s, %s, %s, %s)", (self.release, self.list, self.count, d, self.count, d))
            c.execute("UPDATE list_head SET release = %s, count = %s, digest = %s, sms_count = %s, sms_digest = %s", (self.release, self.count, d, self.count, d))
        self.db.commit()
        return time.monotonic()


class Api:
    def __init__(self, folder, dsn, port):
        self.port, self.process = port, None
        conf = {"source": "bench", "keys": {"dir": str(folder / "keys")}, "database": {"dsn": dsn}, "api": {"listen": f"127.0.0.1:{port}"}, "kafka": {"brokers": "127.0.0.1:9"},
                "policy": {"file": str(TOP / "etc/policy.yaml")}, "rules": {"dir": str(TOP / "etc/rules"), "homoglyphs": str(TOP / "etc/fold/homoglyphs.tsv")},
                "numbers": {"dir": str(TOP / "etc/numbers")}, "redis": {"urls": []}}
        self.conf = folder / "khien.yaml"
        self.conf.write_text(yaml.safe_dump(conf))
        self.log = folder / "api.log"
        self.khien("keys", "--dir", str(folder / "keys"))
        self.khien("migrate", "-c", str(self.conf))
        self.token = self.khien("token", "create", "-c", str(self.conf), "--name", "bench", "--role", "feed").strip()

    def khien(self, *words):
        done = subprocess.run([KHIEN, *words], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"khien {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self):
        """Seconds until the list is answered from."""
        begun = time.monotonic()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([KHIEN, "run", "-c", str(self.conf), "--role", "api"], stdout=log, stderr=log)
        while True:
            if self.process.poll() is not None:
                sys.exit(self.log.read_text())
            try:
                if self.get("/v1/lookup/0912000000")[0] in (200, 204):
                    return time.monotonic() - begun
            except OSError:
                pass
            time.sleep(0.01)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def get(self, path, **headers):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {self.token}", **headers})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as e:
            return e.code, b""

    def rss_mb(self, field="VmRSS"):
        return int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1]) / 1024

    def metric(self, name):
        return float(re.search(rf"^{name} (.*)$", self.get("/metrics")[1].decode(), re.M)[1])


def load(port, path, token="x", connections=50):
    out = subprocess.run([BENCH, "load", str(port), str(connections), str(SECONDS), path], env={**os.environ, "TOKEN": token}, check=True, capture_output=True, text=True).stdout
    rate, median, p99 = out.split()
    return int(rate), int(median), int(p99)


def redis_rate(port):
    subprocess.run(["redis-cli", "-p", str(port), "SET", "blk:sms:number:84912000000", "bar|c-0000000000001|0|1"], check=True, capture_output=True)
    out = subprocess.run(["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-c", "50", "-P", "1", "-n", "150000", "--csv", "GET", "blk:sms:number:84912000000"],
                         check=True, capture_output=True, text=True).stdout
    return float(re.findall(r'"([\d.]+)"', out.splitlines()[-1])[0])


def lookups(api, redis_port):
    port = free_port()
    hello = subprocess.Popen([BENCH, "hello", str(port)])
    time.sleep(0.3)
    try:
        for turn in (1, 2):
            bare = load(port, "/hello", api.token)
            like = {what: load(port, f"/{what}", api.token) for what in ("clean", "blocked")}
            hit = load(api.port, "/v1/lookup/84912%d?service=sms", api.token)
            miss = load(api.port, "/v1/lookup/84981%d?service=sms", api.token)
            redis = redis_rate(redis_port)
            print(f"lookups/s, round {turn}, 50 connections: hello {bare[0]} (median {bare[1]} us, p99 {bare[2]}), blocked {hit[0]} ({hit[1]}, {hit[2]}), clean {miss[0]} "
                  f"({miss[1]}, {miss[2]}), redis GET {redis:.0f}; clean/hello {miss[0] / bare[0]:.2f}, clean/redis {miss[0] / redis:.2f}", flush=True)
            print(f"  beside a hello with the same headers and length: clean {miss[0] / like['clean'][0]:.2f} of {like['clean'][0]}, blocked {hit[0] / like['blocked'][0]:.2f} of "
                  f"{like['blocked'][0]}", flush=True)
    finally:
        hello.kill()


def fan_out(api, ledger, what, request):
    """Milliseconds from the commit until the last follower has read a piece that names the release."""
    watch, all_of = selectors.DefaultSelector(), []
    for _ in range(FOLLOWERS):
        s = socket.create_connection(("127.0.0.1", api.port))
        s.sendall(request(ledger.release))
        all_of.append(s)
        watch.register(s, selectors.EVENT_READ)
    while api.metric("khien_http_long_polls") < FOLLOWERS:
        time.sleep(0.05)
    took = []
    for _ in range(10 if what == "streams" else 5):
        time.sleep(0.3)
        for key, _ in watch.select(0):
            key.fileobj.recv(65536)  # heads and heartbeats
        want = f'"to":{ledger.release + 1},'.encode()
        start, waiting = ledger.add(), set(all_of)
        while waiting:
            for key, _ in watch.select(5):
                if want in key.fileobj.recv(65536):
                    waiting.discard(key.fileobj)
        took.append((time.monotonic() - start) * 1000)
        if what != "streams":
            for s in all_of:
                s.sendall(request(ledger.release))
            while api.metric("khien_http_long_polls") < FOLLOWERS:
                time.sleep(0.05)
    for s in all_of:
        s.close()
    print(f"{FOLLOWERS} {what}: the last one had a release {statistics.median(took):.0f} ms after its commit (median), {max(took):.0f} ms at worst of {len(took)}", flush=True)


def redis_rebuild(api, url):
    """From FLUSHALL until the keeper's copy says that it is whole."""
    port = url.rsplit(":", 1)[1].split("/")[0]

    def ask(*words):
        return subprocess.run(["redis-cli", "-p", port, *words], check=True, capture_output=True, text=True).stdout.strip()

    def whole(begun):
        while ask("GET", "blk:gen").count("|") != 3:
            if keeper.poll() is not None or time.monotonic() - begun > 120:
                sys.exit(log.read_text()[-2000:])
            time.sleep(0.02)
        return time.monotonic() - begun

    conf, log = yaml.safe_load(api.conf.read_text()), api.log.with_name("keeper.log")
    conf["redis"]["urls"], conf["api"]["listen"] = [url], f"127.0.0.1:{free_port()}"
    file = api.conf.with_name("keeper.yaml")
    file.write_text(yaml.safe_dump(conf))
    ask("FLUSHALL")
    begun = time.monotonic()
    with open(log, "wb") as out:
        keeper = subprocess.Popen([KHIEN, "run", "-c", str(file), "--role", "keeper"], stdout=out, stderr=out)
    try:
        whole(begun)  # most of this is the compiling of rule packs
        took = []
        for _ in range(2):
            begun = time.monotonic()
            ask("FLUSHALL")
            took.append(whole(begun))
        print(f"Redis copy of {ENTRIES} entries: whole {took[0]:.1f} and {took[1]:.1f} s after FLUSHALL", flush=True)
    finally:
        keeper.terminate()
        keeper.wait()


def beside_crowdsec(dsn, folder):
    """The same number of entries given whole, three times by each in turn after one that is not counted."""
    n = 100_000
    if not crowdsec.installed():
        print("a list of 100000 beside CrowdSec: skipped, Debian's crowdsec is not installed", flush=True)
        return
    with contextlib.closing(psycopg2.connect(dsn)) as db:
        db.autocommit = True
        db.cursor().execute("DROP DATABASE IF EXISTS beside WITH (FORCE)")
        db.cursor().execute("CREATE DATABASE beside")
    dsn = re.sub(r"dbname=\S+", "dbname=beside", dsn)
    (folder / "ours").mkdir()
    ours, theirs = Api(folder / "ours", dsn, free_port()), crowdsec.LocalApi(folder / "theirs", free_port())
    try:
        theirs.fill(n)
        Ledger(dsn).fill(n)
        ours.start()
        ways = {"crowdsec stream": (theirs.stream, lambda body: len(json.loads(body)["new"])),
                "our stream": (lambda: ours.get("/v1/decisions/stream?startup=true")[1], lambda body: len(json.loads(body)["new"])),
                "our snapshot": (lambda: ours.get("/v1/feed/snapshot")[1], lambda body: body.count(b"\n") - 2)}
        took = {what: [] for what in ways}
        for turn in range(4):
            for what, (ask, count) in ways.items():
                begun = time.monotonic()
                body = ask()
                spent = time.monotonic() - begun
                assert count(body) == n, (what, count(body))
                if turn > 0:
                    took[what].append(spent)
        rate = {what: n / statistics.median(spent) for what, spent in took.items()}
        print(f"a list of {n} given whole, entries/s (median of 3): " + ", ".join(
            f"{what} {rate[what]:.0f} ({rate[what] / rate['crowdsec stream']:.0f} times)" for what in ways), flush=True)
    finally:
        theirs.close()
        ours.stop()


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    subprocess.run(["cmake", "--build", str(TOP / "build"), "--target", "bench_feed"], check=True, capture_output=True)
    where = Path(os.environ.get("var", TOP / "var")) / "bench-feed"
    places = dict(s.split("=", 1) for s in stand("start", "--dir", str(where), "--only", "pg,redis").splitlines() if "=" in s)
    api = None
    try:
        with tempfile.TemporaryDirectory() as folder:
            dsn = f"host={places['PGHOST']} port={places['PGPORT']} user={places['PGUSER']} dbname={places['PGDATABASE']}"
            api = Api(Path(folder), dsn, free_port())
            ledger = Ledger(dsn)
            ledger.fill(ENTRIES)
            cold = api.start()
            print(f"{os.cpu_count()} cores; {ENTRIES} entries: cold start to the first answer {cold:.2f} s, list {api.metric('khien_lookup_bytes') / 2**20:.1f} MiB, "
                  f"process {api.rss_mb():.0f} MiB (peak {api.rss_mb('VmHWM'):.0f})", flush=True)
            for coding in ("identity", "gzip"):
                begun = time.monotonic()
                status, body = api.get("/v1/feed/snapshot", **{"Accept-Encoding": coding})
                print(f"snapshot {coding}: {status}, {len(body) / 2**20:.1f} MiB in {time.monotonic() - begun:.2f} s", flush=True)
                del body
            begun = time.monotonic()
            size = len(api.get("/v1/feed/kannel.txt")[1])
            print(f"kannel.txt: {size / 2**20:.1f} MiB in {time.monotonic() - begun:.2f} s; process {api.rss_mb():.0f} MiB", flush=True)
            lookups(api, int(places["REDIS_URL"].rsplit(":", 1)[1]))
            head = f"Host: x\r\nAuthorization: Bearer {api.token}\r\n\r\n"
            fan_out(api, ledger, "streams", lambda n: f"GET /v1/feed/stream?list={ledger.list}&after={n} HTTP/1.1\r\n{head}".encode())
            fan_out(api, ledger, "long polls", lambda n: f"GET /v1/feed/changes?list={ledger.list}&after={n}&wait=60 HTTP/1.1\r\n{head}".encode())
            assert json.loads(api.get("/v1/feed/buckets")[1])["release"] == ledger.release
            redis_rebuild(api, places["REDIS_URL"])
            api.stop()
            beside_crowdsec(dsn, Path(folder))
    finally:
        if api is not None:
            api.stop()
        stand("destroy", "--dir", str(where))


if __name__ == "__main__":
    main()
