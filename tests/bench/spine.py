#!/usr/bin/python3
"""The whole way, measured: a backlog in a real Kafka to committed rows and a published release, beside a plain COPY of the
same reports into the same indexed table in the same run; the engine's peak memory; and how long a deciding report takes from
the broker's acknowledgement to the block in /v1/feed/changes at 200 reports a second. All services share this machine's
cores. Usage: spine.py [REPORTS] [SENDERS] [SECONDS_OF_PACED_LOAD]"""
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg2
from confluent_kafka import Producer

TOP = Path(__file__).resolve().parents[2]
KHIEN = os.environ.get("KHIEN_BIN", str(TOP / "build/khien"))
WORKERS = int(os.environ.get("BENCH_WORKERS", "2"))
PARTITIONS = 4
VN = timezone(timedelta(hours=7))
TEXTS = [
    "Tai khoan cua quy khach se bi khoa trong 24h, truy cap vcb-xacthuc.top de xac minh thong tin",
    "CHUC MUNG! Quy khach trung thuong xe SH, lien he 0900000000 de nhan giai, phi ho so 2 trieu",
    "Vay tien nhanh khong the chap, duyet trong 5 phut, lai suat 0%, goi ngay cho em nhe anh chi",
    "goi nhieu lan trong ngay moi mua dat nen, da tu choi van goi lai",
    "xung la cong an yeu cau chuyen tien vao tai khoan de dieu tra",
    "Nhà cái uy tín số 1, nạp đầu tặng 100%, đăng ký tại link bên dưới",
    "quang cao can ho, spa, the duc, khong he dang ky nhan tin",
    "",
]


def report(rng, number, sender, when, kind=None, matched=None, category=None):
    kind = kind or rng.choices(["S", "V", "LD"], [22, 52, 26])[0]
    r = {
        "schema": "complaint/1",
        "report_id": f"bench:{number}",
        "channel": rng.choice(["sms156", "sms5656", "voice156", "portal", "app", "care"]),
        "kind": kind,
        "received_at": when.isoformat(timespec="seconds"),
        "occurred_at": (when - timedelta(minutes=rng.randrange(1, 600))).isoformat(timespec="seconds"),
        "reporter": f"+849{rng.randrange(10**8):08d}",
        "sender": sender,
        "content": rng.choice(TEXTS),
        "reporter_verified": True,
    }
    if category:
        r["category"] = category
    if matched is None:
        matched = rng.choices(["yes", None, "no"], [30, 65, 5])[0]
    if matched:
        r["contact"] = {"service": "sms" if kind == "S" else "voice", "matched": matched, "origin": "other"}
    return json.dumps(r, ensure_ascii=False).encode()


def sender_number(i):
    return f"09{(i * 7919 + 10_000_000) % 10**8:08d}"


class Stand:
    def __init__(self):
        self.dir = Path(tempfile.mkdtemp(prefix="khien-bench-", dir="/var/tmp"))
        out = subprocess.run([TOP / "deploy/local/stand.sh", "start", "--dir", self.dir / "stand", "--kafka"],
                             check=True, stdout=subprocess.PIPE, text=True).stdout
        self.env = dict(line.split("=", 1) for line in out.split())
        self.engine = None

    def sql(self, text, fetch=True):
        with psycopg2.connect(host=self.env["PGHOST"], port=self.env["PGPORT"], user="khien", dbname="khien") as c:
            c.autocommit = True
            with c.cursor() as cur:
                cur.execute(text)
                return cur.fetchall() if fetch else None

    def tool(self, *args):
        return subprocess.run([KHIEN, *args, "-c", self.conf], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def configure(self):
        e = self.env
        policy = (TOP / "etc/policy.yaml").read_text()
        policy = policy.replace("per_hour: 200", "per_hour: 1000000").replace("per_day: 2000", "per_day: 1000000")
        policy = policy.replace("growth_min: 100", "growth_min: 1000000").replace("policy: shipped", "policy: bench")
        (self.dir / "policy.yaml").write_text(policy)
        subprocess.run([KHIEN, "keys", "--dir", self.dir / "keys"], check=True, stdout=subprocess.DEVNULL)
        self.conf = str(self.dir / "khien.yaml")
        Path(self.conf).write_text(f"""
source: bench
mode: auto
workers: {WORKERS}
keys: {{dir: {self.dir}/keys}}
kafka: {{brokers: "{e['KAFKA']}", group: bench}}
database: {{dsn: "host={e['PGHOST']} port={e['PGPORT']} user=khien dbname=khien"}}
redis: {{urls: ["{e['REDIS_URL']}"]}}
api: {{listen: "127.0.0.1:0"}}
policy: {{file: {self.dir}/policy.yaml}}
rules: {{dir: {TOP}/etc/rules, homoglyphs: {TOP}/etc/fold/homoglyphs.tsv}}
numbers: {{dir: {TOP}/etc/numbers}}
audit: {{heads_file: {self.dir}/audit-heads.log}}
""")
        self.tool("migrate")
        self.tool("activate")
        self.token = self.tool("token", "create", "--name", "bench", "--role", "feed")

    def start_engine(self):
        self.log = open(self.dir / "engine.log", "ab")
        self.engine = subprocess.Popen([KHIEN, "run", "-c", self.conf], stderr=self.log)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for line in (self.dir / "engine.log").read_text(errors="replace").splitlines():
                found = re.search(r"listening.*port=(\d+)", line)
                if found:
                    self.port = int(found[1])
                    return
            if self.engine.poll() is not None:
                sys.exit(f"the engine ended; {self.dir}/engine.log")
            time.sleep(0.05)
        sys.exit("the engine does not listen")

    def get(self, path, timeout=70):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"X-Api-Key": self.token})
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.read()

    def close(self):
        if self.engine is not None:
            self.engine.send_signal(signal.SIGTERM)
            self.engine.wait(40)
        subprocess.run([TOP / "deploy/local/stand.sh", "destroy", "--dir", self.dir / "stand"], check=False)
        if "KEEP" not in os.environ:
            shutil.rmtree(self.dir, ignore_errors=True)


def produce_backlog(stand, reports, senders):
    rng = random.Random(1)
    producer = Producer({"bootstrap.servers": stand.env["KAFKA"], "linger.ms": 50, "queue.buffering.max.messages": 1000000})
    now = datetime.now(VN)
    begun = time.monotonic()
    for n in range(reports):
        who = rng.randrange(senders)
        body = report(rng, n, sender_number(who), now - timedelta(seconds=(reports - n) % 600000))
        while True:
            try:
                producer.produce("complaints", body, partition=who % PARTITIONS)  # as a key would
                break
            except BufferError:
                producer.poll(0.1)
        if n % 1000 == 0:
            producer.poll(0)
    producer.flush()
    print(f"  {reports} reports over {senders} senders put on the topic in {time.monotonic() - begun:.0f} s")


def drain(stand, reports):
    """Reports a second from the first committed batch to the last one with its release published."""
    started, first, first_at = time.monotonic(), 0, None
    while True:
        done = stand.sql("SELECT coalesce(sum(records), 0), (SELECT count(*) FROM (SELECT 1 FROM dirty LIMIT 1) d) FROM part")[0]
        now = time.monotonic()
        if first_at is None and done[0] > 0:
            first_at, first = now, done[0]
        if done[0] >= reports and done[1] == 0:
            return (reports - int(first)) / (now - first_at), now - started
        if stand.engine.poll() is not None:
            sys.exit(f"the engine ended; {stand.dir}/engine.log")
        if now - started > 1200:
            sys.exit(f"not drained after 20 minutes: {done}")
        time.sleep(0.1)


def plain_copy(stand):
    month, = stand.sql("SELECT relname FROM pg_class WHERE relname ~ '^report_[0-9]{6}$' "
                       "ORDER BY pg_relation_size(oid) DESC LIMIT 1")[0]
    stand.sql("CHECKPOINT", fetch=False)
    stand.sql(f"CREATE TABLE plain (LIKE {month} INCLUDING ALL)", fetch=False)
    data = stand.dir / "reports.bin"
    with psycopg2.connect(host=stand.env["PGHOST"], port=stand.env["PGPORT"], user="khien", dbname="khien") as c, c.cursor() as cur:
        with open(data, "wb") as out:
            cur.copy_expert(f"COPY {month} TO STDOUT (FORMAT binary)", out)
        begun = time.monotonic()
        with open(data, "rb") as source:
            cur.copy_expert("COPY plain FROM STDIN (FORMAT binary)", source, 1 << 20)
        c.commit()
        seconds = time.monotonic() - begun
        cur.execute("SELECT count(*) FROM plain")
        rows = cur.fetchone()[0]
        cur.execute("DROP TABLE plain")
    data.unlink()
    return rows / seconds


def cpu_seconds(stand):
    """What engine, PostgreSQL, Kafka and Redis have used so far, ended children included."""
    tick = os.sysconf("SC_CLK_TCK")
    stats = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            stats[int(entry.name)] = (int(fields[1]), sum(map(int, fields[11:13])), sum(map(int, fields[13:15])))
    def used(pid):
        own = stats[pid][1] + stats[pid][2]
        return (own + sum(s[1] for s in stats.values() if s[0] == pid)) / tick
    return {"engine": used(stand.engine.pid), "PostgreSQL": used(int(stand.env["PGPID"])), "Kafka": used(int(stand.env["KAFKA_PID"])),
            "Redis": used(int(stand.env["REDIS_PID"]))}


def memory_mb(stand):
    status = Path(f"/proc/{stand.engine.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def paced(stand, seconds, rate=200):
    """Every 5th second part: five matched scam reports about one new sender; the fifth decides."""
    rng = random.Random(2)
    acked, seen = {}, {}
    stop = threading.Event()
    head = json.loads(stand.get("/v1/feed/snapshot").split(b"\n", 1)[0])

    def follow():
        after = head["release"]
        while not stop.is_set():
            answer = json.loads(stand.get(f"/v1/feed/changes?list={head['list']}&after={after}&wait=5"))
            now = time.monotonic()
            for c in answer["changes"]:
                if c["op"] == "add":
                    seen.setdefault(c["value"], now)
            after = answer["to"]

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    producer = Producer({"bootstrap.servers": stand.env["KAFKA"], "linger.ms": 0, "acks": "all"})
    begun, n, tag = time.monotonic(), 0, time.time_ns()
    queue = []
    while time.monotonic() - begun < seconds:
        due = begun + n / rate
        while time.monotonic() < due:
            producer.poll(min(0.002, max(0, due - time.monotonic())))
        if not queue:
            fresh = f"03{rng.randrange(2, 10)}{rng.randrange(10**7):07d}"
            queue = [(fresh, i == 4) for i in range(5)] + [(sender_number(rng.randrange(10**6)), False) for _ in range(15)]
        sender, decides = queue.pop(0)
        scam = sender.startswith("03")
        body = report(rng, f"{tag}-{n}", sender, datetime.now(VN), kind="LD" if scam else None, matched="yes" if scam else None)
        value = "84" + sender[1:]

        def delivered(error, _message, value=value, decides=decides):
            if error is None and decides:
                acked[value] = time.monotonic()

        producer.produce("complaints", body, key=sender, callback=delivered)
        n += 1
    producer.flush()
    until = time.monotonic() + 15
    while time.monotonic() < until and any(v not in seen for v in acked):
        time.sleep(0.02)
    stop.set()
    waits = sorted((seen[v] - at) * 1000 for v, at in acked.items() if v in seen)
    missing = sum(v not in seen for v in acked)
    return waits, missing


def main():
    reports = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    senders = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 30
    print(f"spine: {os.cpu_count()} cores, {WORKERS} workers, all services and the load on them")
    stand = Stand()
    try:
        for topic in (f"complaints:{PARTITIONS}", "outcomes:1", "registry-requests:1"):
            subprocess.run([TOP / "tests/kafka-local", "topic", "--dir", stand.dir / "stand/kafka", topic], check=True,
                           stderr=subprocess.DEVNULL)
        stand.configure()
        produce_backlog(stand, reports, senders)
        stand.start_engine()
        before = cpu_seconds(stand)
        rate, whole = drain(stand, reports)
        after = cpu_seconds(stand)
        peak = memory_mb(stand)
        head = stand.sql("SELECT release, count FROM list_head")[0]
        print(f"  engine: {rate:,.0f} reports/s committed and released ({whole:.1f} s with start and joining the group); "
              f"release {head[0]}, {head[1]} entries; peak memory {peak:.0f} MB")
        print("  CPU a report: " + ", ".join(f"{name} {(after[name] - before[name]) / reports * 1e6:.1f} us" for name in after))
        copy = plain_copy(stand)
        print(f"  plain COPY of the same rows into the same indexed table: {copy:,.0f} rows/s")
        print(f"  ratio: {rate / copy:.3f}   (aim 0.35)")
        waits, missing = paced(stand, seconds)
        p99 = waits[max(0, int(len(waits) * 0.99) - 1)] if waits else float("nan")
        print(f"  200 reports/s for {seconds} s: {len(waits)} blocks, acknowledgement to /v1/feed/changes: median "
              f"{statistics.median(waits):.0f} ms, p99 {p99:.0f} ms, max {waits[-1]:.0f} ms, missing {missing}   (aim: p99 250 ms)")
    finally:
        stand.close()


if __name__ == "__main__":
    main()
