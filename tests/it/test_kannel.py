"""The shipped configuration on the real bearerbox, with its own fake SMSC: a blocked sender is refused after the lists are loaded again, others
come through, and a reload that would leave it without a list is not asked for."""
import os
import re
import shutil
import subprocess

import pytest
import requests

import api_world
import harness
from conftest import NUMBERS
from stand import TOP, wait_for

FAKE = "/usr/lib/kannel/test/fakesmsc"


class Kannel:
    def __init__(self, folder, feed, regex=None):
        self.dir, self.feed = folder, feed
        self.admin, self.smsc, self.box, self.port = (harness.free_port() for _ in range(4))
        self.local, self.server = f"http://127.0.0.1:{self.port}/khien-list.txt", None
        (folder / "khien").mkdir()
        self.serve()
        assert "alarm=not_reloaded" in self.reload().stderr  # there is no Kannel yet, but its list
        conf = (TOP / "deploy/kannel/kannel.conf").read_text()
        for old, new in (
            ("admin-port = 13000", f"admin-port = {self.admin}\naccess-log = {folder}/access.log"),
            ("put-a-password-here", "secret"),
            ("smsbox-port = 13001", f"smsbox-port = {self.box}"),
            ("http://127.0.0.1:8157/khien-list.txt", self.local),
            ("port = 10000", f"port = {self.smsc}"),
        ):
            assert conf.count(old) == 1, old
            conf = conf.replace(old, new)
        if regex is not None:
            conf = conf.replace('# black-list-regex = "^vay-tien$"', f'black-list-regex = "{regex}"')
            assert regex in conf
        (folder / "kannel.conf").write_text(conf)
        with open(folder / "bearerbox.log", "wb") as log:
            self.process = subprocess.Popen(["/usr/sbin/bearerbox", folder / "kannel.conf"], cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(self.log, lambda: self.up(), 30)

    def serve(self):
        """As khien-list.service does."""
        line = next(s for s in (TOP / "deploy/kannel/khien-list.service").read_text().splitlines() if s.startswith("ExecStart="))
        words = line.split("=", 1)[1].replace("/var/lib/kannel/khien", str(self.dir / "khien")).replace("8157", str(self.port)).split()
        self.server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        wait_for("the local list", self.answers, 20)

    def answers(self):
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def unserve(self):
        self.server.kill()
        self.server.wait()

    def log(self):
        return (self.dir / "bearerbox.log").read_text(errors="replace")[-3000:]

    def up(self):
        """Its connection to the SMSC is there: the status page answers long before, while the lists are still being fetched."""
        assert self.process.poll() is None, self.log()
        try:
            return f"FAKE:{self.smsc}" in requests.get(f"http://127.0.0.1:{self.admin}/status.txt?password=secret", timeout=5).text
        except requests.RequestException:
            return False

    def fetches(self):
        """How often it has asked for its list: its log has what it sends as bytes."""
        return (self.dir / "bearerbox.log").read_text(errors="replace").count(b"GET /khien".hex(" "))

    def access(self):
        file = self.dir / "access.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def sends(self, sender):
        """What became of a message from this sender."""
        pattern = rf"(Receive SMS|REJECTED[^\[]*)\s*\[SMSC:[^\]]*\].*\[from:\+?{re.escape(sender)}\]"
        before = len(re.findall(pattern, self.access()))
        with open(self.dir / "fake.log", "wb") as log:
            fake = subprocess.Popen([FAKE, "-H", "127.0.0.1", "-r", str(self.smsc), "-m", "1", f"{sender} 5656 text hello"], stdout=log, stderr=log, stdin=subprocess.PIPE)

        def arrived():
            assert fake.poll() is None, "fakesmsc ended: " + (self.dir / "fake.log").read_text(errors="replace")
            return len(re.findall(pattern, self.access())) > before

        try:
            wait_for(lambda: self.access()[-1000:] + self.log(), arrived, 20)
        finally:
            fake.terminate()
            fake.wait(20)
        return "refused" if re.findall(pattern, self.access())[-1].startswith("REJECTED") else "accepted"

    def reload(self, **more):
        words = {"DIR": str(self.dir / "khien"), "LOCAL": self.local, "RELOAD_S": "9999", "FEED": self.feed, "KANNEL_PASSWORD": "secret", "ADMIN": f"http://127.0.0.1:{self.admin}", "STATE": str(self.dir / "sum"), **more}
        told, curl = self.dir / "told", self.dir / "bin" / "curl"
        if not curl.exists():
            curl.parent.mkdir()
            curl.write_text(f'#!/bin/sh\necho "$*" >>{told}\nexec {shutil.which("curl")} "$@"\n')
            curl.chmod(0o755)
        path = {"PATH": f"{curl.parent}:{os.environ['PATH']}"}
        got = subprocess.run([TOP / "deploy/kannel/reload-lists.sh"], env={**os.environ, **words, **path}, capture_output=True, text=True, timeout=60)
        seen = told.read_text()
        assert "secret" not in seen and self.feed.split("://")[1].split("@")[0] not in seen, "ps shows it to every user"
        return got

    def end(self):
        self.process.kill()
        self.process.wait()
        self.unserve()


@pytest.fixture
def world(stand, tmp_path):
    it = api_world.World(stand, tmp_path / "world", next(NUMBERS))
    it.wish("84913000001", "84913000002")
    it.wish("84913000003", service=1)
    it.wish("vay-tien", scope="name")
    it.wish("19005454", scope="short")
    yield it
    it.close()


@pytest.fixture
def kannel(world, tmp_path):
    token = world.auth()["Authorization"].split()[1]
    it = Kannel(tmp_path, world.url("/v1/feed/kannel.txt?service=sms").replace("http://", f"http://kannel:{token}@"))
    yield it
    it.end()


def test_a_blocked_sender_is_refused(world, kannel):
    assert [kannel.sends(s) for s in ("84913000001", "+84913000001", "19005454")] == ["refused"] * 3
    assert [kannel.sends(s) for s in ("84913000009", "84913000003", "VAY-TIEN", "OTHER")] == ["accepted"] * 4
    world.wish("84913000009")
    world.lift("84913000001")
    # What gives Kannel its list is away: it is not told to drop the one that it has.
    kannel.unserve()
    got = kannel.reload(RELOAD_S="0")
    assert got.returncode == 1 and "alarm=not_served" in got.stderr
    assert kannel.sends("84913000002") == "refused"
    kannel.serve()
    assert kannel.reload().returncode == 0
    assert (kannel.sends("84913000009"), kannel.sends("84913000001"), kannel.sends("84913000002")) == ("refused", "accepted", "refused")
    # Nothing new: Kannel is not asked again.
    loads = kannel.fetches()
    assert kannel.reload().returncode == 0 and kannel.fetches() == loads
    assert kannel.reload(RELOAD_S="0").returncode == 0 and kannel.fetches() > loads
    # The engine is away, also when Kannel asks for its list itself: the list that Kannel holds stays, and there is an alarm.
    world.engine.kill()
    got = kannel.reload()
    assert got.returncode == 1 and "alarm=no_list" in got.stderr
    assert requests.get(f"http://127.0.0.1:{kannel.admin}/reload-lists?password=secret", timeout=20).status_code in (200, 202)
    assert kannel.sends("84913000002") == "refused"


def test_a_sender_id_is_refused_by_its_expression(world, tmp_path):
    world.wish("vay.tien+1", scope="name")
    regex = world.get("/v1/feed/kannel-regex.txt?form=one").text.rstrip("\n")
    kannel = Kannel(tmp_path, world.url("/v1/feed/kannel.txt?service=sms").replace("http://", f"http://kannel:{world.auth()['Authorization'].split()[1]}@"), regex)
    try:
        assert [kannel.sends(s) for s in ("VAY-TIEN", "Vay-Tien", "vay.tien+1", "84913000001")] == ["refused"] * 4
        assert [kannel.sends(s) for s in ("OTHER", "VAY-TIEN2", "vayxtien+1", "84913000009")] == ["accepted"] * 4
        # A new expression is read at a start, not with the lists.
        file = tmp_path / "kannel.conf"
        file.write_text(file.read_text().replace(regex, "^OTHER$"))
        assert requests.get(f"http://127.0.0.1:{kannel.admin}/reload-lists?password=secret", timeout=20).status_code in (200, 202)
        assert [kannel.sends(s) for s in ("OTHER", "VAY-TIEN", "84913000001")] == ["accepted", "refused", "refused"]
    finally:
        kannel.end()
