#!/usr/bin/python3
"""What operating costs: backup, verification, export and drill of a ledger with REPORTS reports, in MB/s and seconds to a verified service; and
how the cost of a report and of a list of the queue grows with history, at 1, 10 and 100 hundredths of it. Needs root and pgBackRest.
Usage: operate.py [REPORTS]"""
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

HERE = Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("spine", HERE / "spine.py")
spine = importlib.util.module_from_spec(spec)
spec.loader.exec_module(spine)
OWNER = "khien-dev"


def drained(stand, reports):
    until = time.monotonic() + 1200
    while time.monotonic() < until:
        done, dirty = stand.sql("SELECT coalesce(sum(records), 0), (SELECT count(*) FROM (SELECT 1 FROM dirty LIMIT 1) d) FROM part")[0]
        if done >= reports and dirty == 0:
            return
        if stand.engine.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"not drained; {stand.dir}/engine.log")


def fill(stand, first, count, senders):
    """Reports `first` and on, through the whole way; the cost of one in CPU milliseconds of engine and PostgreSQL."""
    rng = spine.random.Random(first)
    producer = spine.Producer({"bootstrap.servers": stand.env["KAFKA"], "linger.ms": 50, "queue.buffering.max.messages": 1000000})
    now = datetime.now(spine.VN)
    before, begun = spine.cpu_seconds(stand), time.monotonic()
    for n in range(first, first + count):
        who = rng.randrange(senders)
        body = spine.report(rng, n, spine.sender_number(who), now - timedelta(seconds=n % 600000))
        while True:
            try:
                producer.produce("complaints", body, partition=who % spine.PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
        if n % 1000 == 0:
            producer.poll(0)
    producer.flush()
    drained(stand, first + count)
    seconds, after = time.monotonic() - begun, spine.cpu_seconds(stand)
    used = sum(after[k] - before[k] for k in ("engine", "PostgreSQL"))
    return 1000 * used / count, count / seconds


def queue_ms(stand):
    """The first page of the queue of cases, median of 50."""
    times = []
    with spine.psycopg2.connect(host=stand.env["PGHOST"], port=stand.env["PGPORT"], user="khien", dbname="khien") as c, c.cursor() as cur:
        for _ in range(50):
            begun = time.monotonic()
            cur.execute("SELECT id FROM case_file WHERE state IN ('open', 'verifying', 'held') ORDER BY due_at LIMIT 100")
            cur.fetchall()
            times.append(time.monotonic() - begun)
    return 1000 * sorted(times)[25]


def keep(stand):
    """Repositories, an archive and a key beside the bench's stand."""
    e, d = stand.env, stand.dir
    stand.dir.chmod(0o755)
    for name in ("one", "two", "lock"):
        (d / name).mkdir()
        shutil.chown(d / name, OWNER, OWNER)
    (d / "pgbackrest.conf").write_text(
        f"[global]\nrepo1-path={d}/one\nrepo2-path={d}/two\nlock-path={d}/lock\nlog-path={d}/lock\nspool-path={d}/lock\nlog-level-file=off\n"
        "log-level-console=warn\ncompress-type=zst\nprocess-max=2\n"
        f"[khien]\npg1-path={e['PGDATA']}\npg1-socket-path={e['PGHOST']}\npg1-port={e['PGPORT']}\npg1-user=khien\n"
    )
    (d / "pgbackrest.conf").chmod(0o644)
    with open(Path(e["PGDATA"]) / "postgresql.conf", "a", encoding="utf-8") as out:
        out.write(f"archive_mode = on\narchive_command = 'pgbackrest --config={d}/pgbackrest.conf --stanza=khien archive-push %p'\n")
    subprocess.run(["setpriv", "--reuid", OWNER, "--regid", OWNER, "--init-groups", "--", "/usr/lib/postgresql/15/bin/pg_ctl", "-D",
                    e["PGDATA"], "-s", "-w", "-m", "fast", "-l", f"{e['PGDATA']}/server.log", "restart"], check=True, cwd="/",
                   stdout=subprocess.DEVNULL)  # fmt: skip
    subprocess.run([spine.KHIEN, "backup", "key", d / "backup.key"], check=True)
    with open(stand.conf, "a", encoding="utf-8") as out:
        out.write(f"backup: {{pgbackrest: {d}/pgbackrest.conf, user: {OWNER}, key_file: {d}/backup.key, state_dirs: [{d}/state]}}\n")


def timed(stand, *words):
    begun = time.monotonic()
    said = stand.tool(*words)
    return time.monotonic() - begun, said


def main():
    if os.geteuid() != 0 or shutil.which("pgbackrest") is None:
        print("operate: skipped, needs root and pgbackrest")
        return
    reports = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    senders = max(200, reports // 10)
    stand = spine.Stand()
    try:
        topics(stand)
        stand.configure()
        keep(stand)
        stand.env |= dict(line.split("=", 1) for line in subprocess.run(
            [spine.TOP / "deploy/local/stand.sh", "status", "--dir", stand.dir / "stand"], stdout=subprocess.PIPE, text=True).stdout.split())
        stand.start_engine()
        base = max(2000, reports // 100)
        fill(stand, 0, base, senders)  # warm
        done, first = base, None
        for history in sorted({2 * base, 10 * base, 100 * base} & set(range(reports + 1)) | {max(reports, 2 * base)}):
            if history - done > base:
                fill(stand, done, history - done - base, senders)
            cost, _ = fill(stand, history - base, base, senders)
            first, done = first or cost, history
            print(f"  history {history:9d}: {cost:7.3f} ms of CPU a report ({cost / first:4.2f} of the first), queue {queue_ms(stand):6.2f} ms")
        size = stand.sql("SELECT pg_database_size('khien')")[0][0] / 1e6
        seconds, _ = timed(stand, "backup")
        print(f"  backup into two repositories: {seconds:6.1f} s, {2 * size / seconds:6.1f} MB/s of a database of {size:.0f} MB")
        seconds, _ = timed(stand, "backup", "verify")
        print(f"  every byte of both read back: {seconds:6.1f} s")
        seconds, _ = timed(stand, "backup", "export", "--to", stand.dir / "offline")
        print(f"  offline copy, read back:      {seconds:6.1f} s")
        seconds, said = timed(stand, "drill", "--no-erasures", "--dir", stand.dir)
        facts = dict(line.split(" ", 1) for line in said.splitlines() if " " in line and "\t" not in line)
        print(f"  drill: {facts['result']}, to verified service {facts['rto_s']} s, database back at {facts['restore_mb_s']} MB/s; {seconds:.1f} s in all")
    finally:
        stand.close()


def topics(stand):
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": stand.env["KAFKA"]})
    names = ["contacts", "activity", "poll-answers", "provisioning-results", "notice-results", "subscriptions", "outcomes", "registry-requests",
             "audit-heads"]  # fmt: skip
    for made in admin.create_topics([NewTopic("complaints", spine.PARTITIONS, 1)] + [NewTopic(n, 1, 1) for n in names]).values():
        try:
            made.result()
        except Exception:  # noqa: BLE001 - it is there
            pass


if __name__ == "__main__":
    main()
