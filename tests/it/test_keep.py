"""Backups and what comes of them: made, read back, refused when they are not what they should be, and a whole installation from
each of them, with Kafka replayed behind it. One PostgreSQL of its own, because its log is archived and it is destroyed."""
import datetime
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest

import harness
from stand import STAND, TOP, run, wait_for

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be PostgreSQL's user")
OWNER = "khien-dev"
PG = "/usr/lib/postgresql/15/bin"


class Keep:
    """A database of its own with an archive, two repositories, and what `khien backup` wants to be told."""

    def __init__(self, folder):
        self.dir = folder
        for name in ("one", "two", "state-one", "state-two", "erased", "lock"):
            (folder / name).mkdir()
        for name in ("one", "two", "lock"):
            shutil.chown(folder / name, OWNER, OWNER)
        self.pgbackrest = folder / "pgbackrest.conf"
        words = dict(s.split("=", 1) for s in run(STAND, "start", "--dir", folder / "pg-stand", "--only", "pg").split())
        self.host, self.port, self.data = words["PGHOST"], int(words["PGPORT"]), pathlib.Path(words["PGDATA"])
        self.pgbackrest.write_text(
            f"[global]\nrepo1-path={folder}/one\nrepo2-path={folder}/two\nrepo2-cipher-type=aes-256-cbc\nrepo2-cipher-pass=wunderbar\n"
            f"repo1-retention-full=2\nrepo2-retention-full=2\nlock-path={folder}/lock\nlog-path={folder}/lock\nspool-path={folder}/lock\n"
            "log-level-file=off\nlog-level-console=warn\ncompress-type=zst\nprocess-max=2\n"
            f"[khien]\npg1-path={self.data}\npg1-socket-path={self.host}\npg1-port={self.port}\npg1-user=khien\n"
        )
        self.pgbackrest.chmod(0o644)
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as out:
            out.write(f"archive_mode = on\narchive_command = 'pgbackrest --config={self.pgbackrest} --stanza=khien archive-push %p'\n")
        self.ctl("-m", "fast", "restart")
        self.khien("backup", "key", folder / "backup.key")

    def khien(self, *words, check=True):
        done = subprocess.run([str(harness.BIN), *map(str, words)], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
        if check:
            assert done.returncode == 0, f"khien {words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def settings(self):
        return {
            "backup__pgbackrest": str(self.pgbackrest), "backup__user": OWNER, "backup__key_file": str(self.dir / "backup.key"),
            "backup__state_dirs": [str(self.dir / "state-one"), str(self.dir / "state-two")],
            "privacy__erasure_files": [str(self.dir / "erased/list")],
        }  # fmt: skip

    def ctl(self, *words, data=None):
        command = ["setpriv", "--reuid", OWNER, "--regid", OWNER, "--init-groups", "--", f"{PG}/pg_ctl", "-D", str(data or self.data)]
        log = ["-l", f"{data or self.data}/server.log"] if words[-1] != "stop" else []
        done = subprocess.run([*command, "-s", "-w", *log, *words], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120)
        assert done.returncode == 0, words

    def end(self):
        run(STAND, "destroy", "--dir", self.dir / "pg-stand")


def number(n):
    return f"+8498{n:07d}"


def scam(sender, reporter, text="chuyen tien ngay", at=None):
    when = (at or datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=30)).isoformat()
    return (sender, json.dumps({
        "schema": "complaint/1", "report_id": f"{sender}:{reporter}", "channel": "sms5656", "kind": "LD", "received_at": when,
        "occurred_at": when, "reporter": number(reporter), "sender": sender, "content": text,
        "contact": {"service": "voice", "matched": "yes", "origin": "other"},
    }).encode())  # fmt: skip


@pytest.fixture(scope="module")
def keep(tmp_path_factory):
    folder = pathlib.Path(run("mktemp", "-d", "/var/tmp/khien-keep-XXXXXX").strip())
    folder.chmod(0o755)
    it = Keep(folder)
    yield it
    it.end()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def live(keep, stand, tmp_path_factory):
    """An installation at work with a backup behind it and records after the backup; its database is the one with the archive."""
    import itertools

    stand.topic("outcomes", 1)
    dsn = f"host={keep.host} port={keep.port} user=khien dbname=khien"
    it = harness.Site(stand, tmp_path_factory.mktemp("keep") / "site", 15, partitions=2, dsn=dsn, **keep.settings())
    it._db = None
    it.stand_connect = stand.connect
    it.rows_of = lambda query: rows(dsn, query)
    it.prepare()
    it.engine = it.start()
    it.engine.wait_ready()
    it.produce([scam("0912345678", r) for r in range(5)] + [scam("0912345679", r) for r in range(3, 8)])
    settle(it)
    keep.khien("backup", "-c", it.conf)
    it.produce([scam("0912345680", r) for r in range(10, 15)])
    settle(it)
    yield it
    it._db = None
    it.close()


def rows(dsn, query):
    import psycopg2

    db = psycopg2.connect(dsn)
    db.autocommit = True
    try:
        with db.cursor() as c:
            c.execute(query)
            return c.fetchall() if c.description else []
    finally:
        db.close()


def settle(site, dsn=None):
    """All records are taken and published."""
    dsn = dsn or site.dsn

    def rest():
        got = rows(dsn, "SELECT (SELECT coalesce(sum(records), 0) FROM part), (SELECT count(*) FROM dirty), (SELECT count(*) FROM wish "
                        "WHERE state = 'wanted'), (SELECT count(*) FROM audit_pending)")[0]
        return got[0] >= site.total() and not any(got[1:])

    wait_for("at rest", rest, 60)


def listed(dsn):
    return {r[0] for r in rows(dsn, "SELECT value FROM entry")}


def report_of(text):
    return dict(line.split(" ", 1) for line in text.splitlines())


def archive_now(live):
    """What was written last reaches the archive."""
    before = rows(live.dsn, "SELECT pg_walfile_name(pg_current_wal_lsn())")[0][0]
    rows(live.dsn, "SELECT pg_switch_wal()")
    wait_for("archived", lambda: (rows(live.dsn, "SELECT last_archived_wal FROM pg_stat_archiver")[0][0] or "") >= before, 30)


def test_backups_are_listed_and_read_back(keep, live):
    got = keep.khien("backup", "verify", "-c", live.conf)
    kinds = [line.split("\t")[0] for line in got.stdout.splitlines()]
    assert kinds == ["repository 1", "repository 2", "state", "state"]
    state = next((keep.dir / "state-one").iterdir()).read_bytes()
    wrap = (live.stand.dir / "keys/wrap.key").read_bytes()
    assert wrap not in state and b"kafka" not in state


def test_a_drill_restores_everything_elsewhere(keep, live):
    archive_now(live)
    begun = time.monotonic()
    (keep.dir / "erased/list").write_text("")
    got = keep.khien("drill", "-c", live.conf, "--dir", keep.dir)
    said = report_of(got.stdout)
    assert said["result"] == "good" and said["records"] == "15" and said["entries"] == "3", got.stdout
    assert float(said["rto_s"]) <= time.monotonic() - begun
    print(got.stdout)
    assert not [p for p in keep.dir.iterdir() if p.name.startswith("khien-drill")]
    # nothing was touched
    assert live.engine.alive() and listed(live.dsn) == {"84912345678", "84912345679", "84912345680"}
