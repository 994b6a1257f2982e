"""The shipped configurations on the real Kamailio with real calls: blocked callers get 603, everybody else and every exempt number passes, and
when what is asked is away the call passes and the log has an alarm."""
import subprocess
import time

import pytest

import api_world
import harness
import private_redis
from conftest import NUMBERS
from stand import TOP, wait_for

SIP = TOP / "tests/it/sip"
BLOCKED, SHORT, OVER, THROTTLED, SMS = "84913000001", "19005454", "84913000002", "84913000003", "84913000004"


class Kamailio:
    def __init__(self, folder, *defines):
        self.port, self.far, self.log_path = harness.free_port(), harness.free_port(), folder / "kamailio.log"
        words = ["/usr/sbin/kamailio", "-f", TOP / "deploy/kamailio/kamailio.cfg", "-DD", "-E", "-m", "32", "-M", "4", "-n", "2", "-Y", folder, "-P", folder / "pid"]
        words += ["-l", f"udp:127.0.0.1:{self.port}", "-A", f'NEXT_HOP="sip:127.0.0.1:{self.far}"']
        for define in defines:
            words += ["-A", define]
        self.other = subprocess.Popen(
            ["sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", str(self.far), "-nostdin"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(list(map(str, words)), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.folder = folder

    def log(self):
        return self.log_path.read_text(errors="replace")

    def call(self, caller, called="0281234567", scenario="call"):
        assert self.process.poll() is None, self.log()
        words = ["sipp", "-sf", SIP / f"{scenario}.xml", "-key", "caller", caller, "-s", called, "-i", "127.0.0.1", "-m", "1", "-nostdin"]
        words += ["-timeout", "8s", "-timeout_error", f"127.0.0.1:{self.port}"]
        return subprocess.run(list(map(str, words)), cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=60).returncode == 0

    def passes(self, caller, called="0281234567"):
        assert self.call(caller, called), f"{caller} to {called} does not pass\n{self.log()[-3000:]}"

    def refuses(self, caller, called="0281234567"):
        assert self.call(caller, called, "refused"), f"{caller} to {called} is not refused\n{self.log()[-3000:]}"

    def end(self):
        for it in (self.process, self.other):
            it.terminate()
            it.wait(20)


@pytest.fixture
def world(stand, tmp_path):
    it = api_world.World(stand, tmp_path / "world", next(NUMBERS), redis__sweep="1s")
    it.wish(BLOCKED, service=1)
    it.wish(SHORT, service=1, scope="short")
    it.wish(THROTTLED, service=1, action="throttle")
    it.wish(SMS, service=0)
    it.wish(OVER, service=1, until=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3)))
    yield it
    it.close()


@pytest.fixture
def kamailio(tmp_path):
    made = []

    def make(*defines):
        made.append(Kamailio(tmp_path, *defines))
        # The first call that is answered shows that both are up.
        wait_for(made[-1].log, lambda: made[-1].call("84988888888"), 30)
        return made[-1]

    yield make
    for it in made:
        it.end()


def rounds(k, world):
    for caller in (BLOCKED, "+" + BLOCKED, "0" + BLOCKED[2:], "00" + BLOCKED, SHORT):
        k.refuses(caller)
    for caller in ("84913000009", SMS, THROTTLED, "anonymous", "8491300000"):
        k.passes(caller)
    for called in ("113", "115", "5656"):
        k.passes(BLOCKED, called)
    wait_for("its end", lambda: not world.site.rows("SELECT 1 FROM entry WHERE value = %s", OVER), 10)
    k.passes(OVER)
    assert "khien alarm=" not in k.log(), k.log()[-3000:] + world.engine.log()[-3000:]
    assert BLOCKED not in k.log()


def test_asking_redis(world, kamailio, tmp_path):
    # As docs/clients.md tells: the module sends no user name, so the default user has the reader's rights.
    rights = {line.split()[1]: line.split(maxsplit=4)[4] for line in (TOP / "deploy/redis/users.acl").read_text().splitlines()[1:]}
    acl = [f"user default on nopass {rights['khien-reader']}", f"user khien-writer on >w {rights['khien-writer']}", "user khien-admin on >a ~* &* +@all"]
    (tmp_path / "users.acl").write_text("\n".join(acl) + "\n")
    redis = private_redis.Server(tmp_path / "redis", "--aclfile", str(tmp_path / "users.acl"), user="khien-admin", password="a")
    try:
        world.site.settings["redis__urls"] = [redis.url.replace("://", "://khien-writer:w@")]
        world.engine.stop()
        world.engine = world.site.start("again", "keeper,api").wait_ready()
        wait_for("the copy", lambda: redis.client.get("blk:gen") == world.site.head(), 20)
        k = kamailio("WITH_REDIS", f'REDIS_SERVER="name=bl;addr=127.0.0.1;port={redis.port};db=0"', "REDIS_WAIT_MS=2000")
        rounds(k, world)
        world.sql("INSERT INTO exempt VALUES ('02471234567', 'care')")
        wait_for("the sweep", lambda: redis.client.sismember("blk:exempt", "02471234567"), 10)
        k.passes(BLOCKED, "02471234567")
        world.lift(BLOCKED)
        wait_for("the copy", lambda: redis.client.get("blk:gen") == world.site.head(), 10)
        k.passes(BLOCKED)
        world.engine.stop()  # nobody heals it
        redis.client.flushall()
        k.passes(SHORT)
        assert k.log().count("khien alarm=unknown") == 1
        redis.hang()
        k.passes(SHORT)
        redis.go_on()
        redis.kill()
        k.passes(SHORT)
        assert k.log().count("khien alarm=unknown") == 3
        redis.start()
        world.engine = world.site.start("third", "keeper,api").wait_ready()
        wait_for("it knows again", lambda: k.call(SHORT, scenario="refused"), 30)
    finally:
        redis.close()


def test_a_table_from_postgres(stand, world, kamailio):
    world.sql(
        """DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kamailio') THEN CREATE ROLE kamailio LOGIN PASSWORD 'kamailio'; END IF; END $$;
        GRANT SELECT ON blk_htable, blk_exempt_htable TO kamailio"""
    )
    url = f"postgres://kamailio:kamailio@127.0.0.1:{stand.pg_port}/{world.site.database}"
    k = kamailio("WITH_HTABLE", f'DB_URL="{url}"', 'RELOAD_TIMER="name=khien;interval=1;mode=1"')
    rounds(k, world)
    world.lift(BLOCKED)
    wait_for("it is loaded", lambda: k.call(BLOCKED), 30)
    world.sql("ALTER VIEW blk_htable RENAME TO blk_hidden")  # as good as a database that is away
    wait_for("the alarm", lambda: "khien alarm=reload" in k.log(), 30)
    k.refuses(SHORT)
    world.sql("DROP OWNED BY kamailio; DROP ROLE kamailio")


def test_asking_the_api(world, kamailio):
    k = kamailio("WITH_HTTP", f'API_URL="{world.url("")}"', f'API_KEY="{world.auth()["Authorization"].split()[1]}"', "API_WAIT_S=10")
    rounds(k, world)
    world.lift(BLOCKED)
    k.passes(BLOCKED)
    world.engine.kill()
    k.passes(SHORT)
    assert k.log().count("khien alarm=unknown") == 1
