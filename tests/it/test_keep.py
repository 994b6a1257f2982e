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

import psycopg2
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
    stand.topic("outcomes", 1)
    dsn = f"host={keep.host} port={keep.port} user=khien dbname=khien"
    it = harness.Site(stand, tmp_path_factory.mktemp("keep") / "site", 15, partitions=2, dsn=dsn, **keep.settings())
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
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("drill "))
    return dict(line.split(" ", 1) for line in lines[start:])


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


@pytest.fixture(scope="module")
def offline(keep, live):
    archive_now(live)
    where = keep.dir / "offline"
    where.mkdir()
    copy = pathlib.Path(keep.khien("backup", "export", "-c", live.conf, "--to", where).stdout.strip())
    assert copy.parent == where and run("sha256sum", "--quiet", "-c", "MANIFEST", cwd=copy) == ""
    return copy


def verify_offline(keep, live, copy):
    return keep.khien("backup", "list", "-c", live.conf, "--offline", copy, check=False)


def test_an_offline_copy_that_is_not_what_was_copied_is_refused(keep, live, offline, tmp_path):
    assert verify_offline(keep, live, offline).returncode == 0
    files = sorted((p for p in (offline / "repo").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data, kept = files[-1], files[-1].read_bytes()

    def refused(why):
        got = verify_offline(keep, live, offline)
        assert got.returncode == 1 and why in got.stderr, got.stderr
        to = tmp_path / "never"
        done = keep.khien("restore", "--offline", offline, "--key", keep.dir / "backup.key", "--pgdata", to, check=False)
        assert done.returncode == 1 and not to.exists(), done.stderr

    data.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    refused("is not what was copied")
    data.write_bytes(kept[: len(kept) // 2])
    refused("is not what was copied")
    data.unlink()
    refused("No such file")
    data.write_bytes(kept)
    (offline / "repo/more").write_bytes(b"x")
    refused("the manifest names")
    (offline / "repo/more").unlink()
    manifest = (offline / "MANIFEST").read_bytes()
    (offline / "MANIFEST").write_bytes(b"".join(manifest.splitlines(True)[1:]))
    refused("changed after it was sealed")
    (offline / "MANIFEST").write_bytes(manifest)
    state = (offline / "state.khs").read_bytes()
    (offline / "state.khs").write_bytes(b"")
    refused("is not what was copied")
    (offline / "state.khs").write_bytes(state)
    other = tmp_path / "other.key"
    keep.khien("backup", "key", other)
    wrong = keep.khien("restore", "--offline", offline, "--key", other, "--pgdata", tmp_path / "pg", check=False)
    assert wrong.returncode == 1 and "another backup key" in wrong.stderr
    assert verify_offline(keep, live, offline).returncode == 0


def aged(site, **settings):
    site.settings = {**site.settings, **settings}
    try:
        return site.configure("aged")
    finally:
        for name in settings:
            site.settings.pop(name)


def test_what_is_stale_is_red(keep, live, offline, tmp_path):
    conf = aged(live, backup__max_age="1s", backup__offline_max_age="1s")

    def stale():
        got = keep.khien("backup", "list", "-c", conf, "--offline", offline, check=False)
        return got.returncode == 1 and got.stderr.count("stale") == 5

    wait_for("a second has gone by", stale, 20)
    words = ("restore", "-c", conf, "--offline", offline, "--pgdata", tmp_path / "pg", "--root", tmp_path / "root")
    got = keep.khien(*words, check=False)
    assert got.returncode == 1 and "stale" in got.stderr and not (tmp_path / "pg").exists()


def test_damage_in_a_repository_is_red(keep, live):
    victim = max((p for p in (keep.dir / "one/backup").rglob("*.zst")), key=lambda p: p.stat().st_size)
    kept = victim.read_bytes()
    for broken in (kept[:100] + b"damage" + kept[106:], kept[:1000], b""):
        victim.write_bytes(broken)
        got = keep.khien("backup", "verify", "-c", live.conf, check=False)
        assert got.returncode == 1 and "repository 1: damaged" in got.stderr, got.stderr
    victim.write_bytes(kept)
    text = keep.pgbackrest.read_text()
    keep.pgbackrest.write_text(text.replace("wunderbar", "wonderful"))
    got = keep.khien("backup", "verify", "-c", live.conf, check=False)
    assert got.returncode == 1 and "repository 2" in got.stderr
    keep.pgbackrest.write_text(text)
    (keep.dir / "one").rename(keep.dir / "one.away")
    (keep.dir / "one").mkdir()
    shutil.chown(keep.dir / "one", OWNER, OWNER)
    got = keep.khien("backup", "verify", "-c", live.conf, check=False)
    assert got.returncode == 1 and "repository 1" in got.stderr
    (keep.dir / "one").rmdir()
    (keep.dir / "one.away").rename(keep.dir / "one")
    state = max((keep.dir / "state-two").iterdir())
    kept = state.read_bytes()
    state.write_bytes(kept[:-5])
    got = keep.khien("backup", "verify", "-c", live.conf, check=False)
    assert got.returncode == 1 and "does not open" in got.stderr
    state.write_bytes(kept)
    assert keep.khien("backup", "verify", "-c", live.conf).returncode == 0


def test_a_restore_never_goes_over_a_database(keep, live, tmp_path):
    beside = keep.khien("restore", "-c", live.conf, "--pgdata", tmp_path / "new", "--no-erasures", check=False)
    assert beside.returncode == 1 and "the configured database answers" in beside.stderr
    over = keep.khien("restore", "-c", live.conf, "--pgdata", keep.data, "--no-erasures", check=False)
    assert over.returncode == 1 and "is not empty" in over.stderr
    assert rows(live.dsn, "SELECT 1") == [(1,)]
    assert live.engine.alive()


def test_a_full_disk_leaves_no_copy_that_looks_like_one(keep, live):
    small = keep.dir / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], capture_output=True).returncode != 0:
        pytest.skip("this machine mounts nothing")
    try:
        got = keep.khien("backup", "export", "-c", live.conf, "--to", small, check=False)
        assert got.returncode == 1 and "No space left on device" in got.stderr, got.stderr
        found = keep.khien("backup", "list", "-c", live.conf, "--offline", small, check=False)
        assert found.returncode == 1 and "holds no offline copy" in found.stderr
    finally:
        subprocess.run(["umount", small], check=True)


def test_the_offline_copy_alone_is_the_whole_installation_again(keep, live, offline, stand):
    """Database, repositories, keys and configuration are gone. What came after the copy comes again from Kafka, which also
    brings what the copy has: duplicates, all of them."""
    live.produce([scam("0912345681", r) for r in range(20, 25)])
    settle(live)
    old = rows(live.dsn, "SELECT list, release FROM list_head")[0]
    keep.khien("subject", "erase", "-c", live.conf, "--why", "asked for it", number(3))
    live.engine.stop()
    live.engines.clear()
    keep.ctl("-m", "immediate", "stop")
    shutil.rmtree(keep.data)
    for name in ("one", "two", "state-one", "state-two"):
        shutil.rmtree(keep.dir / name)
    root, pgdata = keep.dir / "new-machine", keep.dir / "new-pg"
    words = ["restore", "--offline", offline.parent, "--key", keep.dir / "backup.key", "--pgdata", pgdata, "--root", root, "--user", OWNER]
    without = keep.khien(*words, check=False)
    assert without.returncode == 1 and "erasure list" in without.stderr
    shutil.rmtree(pgdata)
    shutil.rmtree(root)
    got = keep.khien(*words, "--erasures", keep.dir / "erased/list")
    assert "records 15, entries 3" in got.stdout and "erased again 1" in got.stdout, got.stdout
    assert (root / str(live.stand.dir / "keys/wrap.key").lstrip("/")).read_bytes() == (live.stand.dir / "keys/wrap.key").read_bytes()
    with open(pgdata / "postgresql.conf", "a", encoding="utf-8") as out:
        out.write("archive_mode = off\n")
    keep.ctl("start", data=pgdata)
    keep.data = pgdata
    # an earlier offset is no harm: all of it is there already
    rows(live.dsn, "UPDATE part SET next_offset = 0")
    before = dict(rows(live.dsn, "SELECT s.value, st.votes FROM standing st JOIN sender s ON s.id = st.sender WHERE service = 1"))
    live.engine = live.start("again")
    live.engine.wait_ready()
    wait_for(lambda: str(rows(live.dsn, "SELECT * FROM part")), lambda: rows(live.dsn, "SELECT sum(next_offset) FROM part")[0][0] == 20, 60)
    settle(live)
    assert rows(live.dsn, "SELECT sum(duplicates), sum(accepted), sum(quarantined) FROM part")[0] == (15, 20, 0)
    after = dict(rows(live.dsn, "SELECT s.value, st.votes FROM standing st JOIN sender s ON s.id = st.sender WHERE service = 1"))
    assert {k: after[k] for k in before} == before and after["84912345681"] == 5
    assert listed(live.dsn) == {f"8491234567{n}" for n in (8, 9)} | {f"8491234568{n}" for n in (0, 1)}
    left = rows(live.dsn, "SELECT report_id, octet_length(content) > 0 FROM report WHERE report_id LIKE '%:3' OR report_id LIKE '%:4'")
    assert sorted(left) == [(f"091234567{n}:{r}", r == 4) for n in (8, 9) for r in (3, 4)]
    assert rows(live.dsn, "SELECT count(*) FROM subject")[0][0] == 17  # of 18 people
    fresh = rows(live.dsn, "SELECT list, release, count, encode(digest, 'hex') FROM list_head")[0]
    assert fresh[0] != old[0]
    wait_for("Redis follows", lambda: live.redis.get("blk:gen") == "|".join(map(str, fresh)), 30)
    gone = live.engine.get(f"/v1/feed/changes?list={old[0]}&after={old[1]}&wait=0")
    assert gone.status_code == 410, gone.text
    assert live.engine.get("/v1/lookup/0912345681?service=voice").status_code == 200
