"""khien follow as an operator runs it, against the engine: the file is the list whatever dies on either side, and never half of one."""
import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

import api_world
import compare
import harness
from conftest import NUMBERS
from stand import wait_for
from test_copy_kafka import course


@pytest.fixture
def world(stand, tmp_path):
    it = api_world.World(stand, tmp_path / "world", next(NUMBERS))
    yield it
    it.close()


class Follower:
    def __init__(self, folder, url, token, *words, name="list"):
        self.out, self.log_path, self.key = folder / f"{name}.txt", folder / f"{name}.log", folder / f"{name}.key"
        self.key.write_text(token + "\n")
        self.key.chmod(0o600)
        self.words = [str(harness.BIN), "follow", "--url", url, "--key", str(self.key), *map(str, words)]
        if "--out" not in words and "--socket" not in words:
            self.words += ["--out", str(self.out)]
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self

    def log(self):
        return self.log_path.read_text()

    def end(self, how=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(20) if self.process else None


@pytest.fixture
def follower(tmp_path):
    made = []

    def make(url, token, *words, **more):
        it = Follower(tmp_path, url, token, *words, name=f"list{len(made)}", **more)
        made.append(it)
        return it

    yield make
    for it in made:
        it.end(signal.SIGKILL)


def held(path):
    """(head, lines) of a file that must be right in itself at any moment."""
    head, *lines = path.read_text().splitlines()
    assert head.startswith("# ") and lines == sorted(lines, key=str.encode)
    name, release, count, digest, service = head[2:].split("|")
    assert int(count) == len(lines) and digest == compare.digest_of(lines)
    assert all(service in ("", line.rsplit("|", 4)[1]) for line in lines)
    return (name, int(release), service), lines


def right(path, w, service=""):
    if not path.exists():
        return False
    (name, release, _), lines = held(path)
    want = [compare.line_of(*k, *v) for k, v in compare.ledger_entries(w.site).items() if service in ("", k[2])]
    return (name, release) == (w.list, w.release()) and lines == sorted(want, key=str.encode)


def wait_right(f, w, service="", seconds=20):
    wait_for(lambda: f.log()[-2000:], lambda: right(f.out, w, service), seconds)


def token_of(w, role="feed"):
    return w.auth(role)["Authorization"].split()[1]


def start_engine(w, name):
    """The same address again."""
    w.site.engines.append(harness.Engine(w.site, name, "keeper,api", w.engine.port, w.site.configure(name, w.engine.port)))
    w.engine = w.site.engines[-1].wait_ready()


def test_the_file_is_the_list(world, follower):
    all_of, sms = follower(world.url(""), token_of(world)).start(), follower(world.url(""), token_of(world), "--service", "sms").start()
    wait_right(all_of, world)  # empty
    for n in range(1, 4):
        course(world, n)
        wait_right(all_of, world)
        wait_right(sms, world, "sms")
    assert all_of.log().count('msg="snapshot"') == 1, "changes did the rest"
    # Killed, and started again after more releases: it goes on from its file.
    assert all_of.end() == 0 and sms.end(signal.SIGKILL) != 0
    course(world, 4)
    for f, service in ((all_of, ""), (sms, "sms")):
        f.start()
        wait_right(f, world, service)
        assert f.log().count('msg="snapshot"') == 1 and "resuming" in f.log()
    # A file that somebody spoilt is not believed.
    all_of.end()
    text = all_of.out.read_text()
    all_of.out.write_text(text.replace("bar", "label", 1))
    all_of.start()
    wait_for("it is fetched anew", lambda: all_of.out.read_text() == text, 20)
    assert all_of.log().count('msg="snapshot"') == 2 and "not what its head says" in all_of.log()


def test_the_engine_dies_and_comes_back(world, follower):
    f = follower(world.url(""), token_of(world), "--stale", "2", "--wait", "1").start()
    course(world, 1)
    wait_right(f, world)
    was = f.out.read_bytes()
    world.engine.kill()
    wait_for("the alarm", lambda: "alarm=stale" in f.log(), 20)
    assert f.process.poll() is None and f.out.read_bytes() == was and f.log().count("alarm=stale") == 1
    start_engine(world, "again")
    wait_for("it is over", lambda: "alarm=over" in f.log(), 20)
    course(world, 2)
    wait_right(f, world)
    # Another lineage, as after a restore: 410, and the list is fetched anew.
    world.sql("UPDATE list_head SET list = gen_random_uuid()")
    world.list = world.site.one("SELECT list::text FROM list_head")["list"]
    world.wish("84919000001")
    wait_right(f, world)
    assert "HTTP 410" in f.log()


def test_a_refused_key_is_an_alarm_at_once(world, follower):
    f = follower(world.url(""), "nonsense")
    f.words.append("--once")
    f.start()
    assert f.process.wait(20) == 1 and "HTTP 401" in f.log() and not f.out.exists()
    f.key.chmod(0o644)
    f.start()
    assert f.process.wait(20) == 1 and "list0.key" in f.log()


def test_once(world, follower):
    course(world, 1)
    f = follower(world.url(""), token_of(world), "--once", "--consumer", "smsc-hn-1").start()
    assert f.process.wait(20) == 0
    assert right(f.out, world)
    sms = follower(world.url(""), token_of(world), "--once", "--consumer", "smsc-hn-2", "--service", "sms").start()
    assert sms.process.wait(20) == 0
    told = {c["consumer"]: c["state"] for c in world.get("/v1/feed/drift").json()["consumers"]}
    assert (told["smsc-hn-1"], told["smsc-hn-2"]) == ("confirmed", "confirmed")
    nobody = follower("http://127.0.0.1:1", token_of(world), "--once", "--stale", "2", "--wait", "1").start()
    assert nobody.process.wait(30) == 1 and "no list is known" in nobody.log()


def test_a_refused_proof_is_not_a_refused_list(world, follower):
    course(world, 1)
    first = follower(world.url(""), token_of(world), "--once", "--consumer", "smsc-hn-1").start()
    assert first.process.wait(20) == 0 and first.out.stat().st_mode & 0o007 == 0
    other = follower(world.url(""), world.token("feed"), "--once", "--consumer", "smsc-hn-1").start()
    assert other.process.wait(20) == 0 and right(other.out, world)
    assert "alarm=ack_refused status=403" in other.log() and "alarm=stale" not in other.log()


def asked(path, line):
    if not path.exists():
        return ""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        s.sendall(f"{line}\n".encode())
        return s.makefile().readline().rstrip("\n")


def test_questions_on_a_socket(world, follower, tmp_path):
    path = tmp_path / "s"
    world.wish("84913000001", "84913000002")
    world.wish("84913000003", until=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3)), wait=False)
    world.wish("a|b", scope="name", service=1, action="label")
    f = follower(world.url(""), token_of(world), "--socket", path, "--stale", "2", "--wait", "1").start()
    wait_for("the socket", path.exists, 20)
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(path))
    file = s.makefile("rw", newline="\n")

    def ask(line):
        file.write(line + "\n")
        file.flush()
        return file.readline().rstrip("\n")

    wait_for("the list", lambda: ask("gen") == world.site.head(), 20)
    case = world.site.one("SELECT case_id FROM entry WHERE value = '84913000001'")["case_id"]
    assert ask("sms|number|84913000001") == f"bar|{case}|0"
    assert ask("voice|number|84913000001") == ask("sms|number|8491300000") == ask("sms|number|849130000011") == "-"
    assert ask("voice|name|a|b").startswith("label|c-")
    wait_for("its end", lambda: ask("sms|number|84913000003") == "-", 20)
    world.lift("84913000001")
    wait_for("the change", lambda: ask("sms|number|84913000001") == "-", 20)
    one = follower(world.url(""), token_of(world), "--service", "sms", "--socket", tmp_path / "one", "--wait", "1").start()
    wait_for("the list", lambda: asked(tmp_path / "one", "sms|number|84913000002").startswith("bar|"), 20)
    assert asked(tmp_path / "one", "voice|number|84913000002") == "?"  # not clean: nobody told it of calls
    assert ask("sms|number|0913000002") == "!" and file.readline() == ""  # not as the list has it: no answer can be right
    s.close()
    again = socket.socket(socket.AF_UNIX)
    again.connect(str(path))
    file = again.makefile("rw", newline="\n")
    world.engine.kill()
    wait_for("unknown is not clean", lambda: ask("sms|number|84913000002") == "?", 20)
    assert ask("gen") == "?"
    again.close()
    assert f.end() == 0 and not path.exists()


# --- a server that is not to be trusted


class Liar(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers, acks, asked = {}, [], []

    def log_message(self, *words):
        pass

    def answer(self, status, body, length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.asked.append(self.path)
        got = self.answers[self.path.split("?")[0]]
        self.answer(*(got(self.path) if callable(got) else got))
        if len(got if not callable(got) else ()) > 2:
            self.close_connection = True

    def do_POST(self):
        self.acks.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(404 if len(self.acks) < 2 else 204, b"")


@pytest.fixture
def liar():
    Liar.answers, Liar.acks, Liar.asked = {}, [], []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    server.daemon_threads = True
    server.handle_error = lambda *words: None  # those that hang up on a bad answer
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


NAME = "6a1f0000-0000-4000-8000-000000000001"


def entry(n):
    return {"scope": "number", "value": f"8491{n:07d}", "service": "sms", "action": "bar", "case": "c-7k3q9w2m4x5zt", "until": None, "basis": "law"}


def line(n):
    return f"number|8491{n:07d}|sms|bar|c-7k3q9w2m4x5zt|0"


def mark(release, ns):
    return {"list": NAME, "release": release, "count": len(ns), "digest": compare.digest_of([line(n) for n in ns])}


def snap(release, ns, head=None, tail=True, extra=b""):
    lines = [json.dumps(head or mark(release, ns)), *(json.dumps(entry(n)) for n in ns)] + ([json.dumps(head or mark(release, ns))] if tail else [])
    return "\n".join(lines).encode() + b"\n" + extra


def changes(frm, to, ops, ns, **more):
    body = {"list": NAME, "from": frm, "to": to, "more": False, **{k: mark(to, ns)[k] for k in ("count", "digest")}}
    body["changes"] = [{**entry(n), "op": op, "release": to} for op, n in ops]
    return json.dumps({**body, **more}).encode()


def nothing(path):
    after = int(path.split("after=")[1].split("&")[0])
    threading.Event().wait(0.05)
    return 200, changes(after, after, [], [])


def test_answers_that_are_not_whole_are_thrown_away(liar, follower):
    bad = {
        "no tail": (200, snap(7, range(5), tail=False)),
        "cut": (200, snap(7, range(5))[:-200], len(snap(7, range(5)))),
        "a wrong digest": (200, snap(7, range(5), head={**mark(7, range(5)), "digest": "0" * 64})),
        "a wrong count": (200, snap(7, range(5), head={**mark(7, range(5)), "count": 4})),
        "twice the same": (200, snap(7, [1, 1])),
        "a line behind its end": (200, snap(7, range(5), extra=json.dumps(entry(9)).encode() + b"\n")),
        "no JSON": (200, b"<html>\n"),
        "no entry": (200, snap(7, range(5)).replace(b'"number"', b'"numero"')),
        "a line without end": (200, b"{" + b" " * 20000),
        "empty": (200, b""),
        "an error": (500, b"{}"),
        "a redirect": (302, b""),
    }
    Liar.answers = {"/v1/feed/snapshot": (503, b""), "/v1/feed/changes": nothing}
    f = follower(liar, "t", "--wait", "0", "--stale", "1")
    for n, (what, got) in enumerate(bad.items()):
        Liar.answers["/v1/feed/snapshot"] = got
        f.start()
        wait_for(lambda w=what: f"{w}: {f.log()[-500:]}", lambda k=n: f.log().count('msg="waiting"') > k, 20)
        assert f.end() == 0 and not f.out.exists(), what
        assert f.log().count('msg="snapshot"') == 0, what
    Liar.answers["/v1/feed/snapshot"] = (200, snap(7, range(5)))
    f.start()
    wait_for("the list", lambda: f.out.exists(), 30)
    assert held(f.out) == ((NAME, 7, ""), [line(n) for n in range(5)])
    wait_for("it is acknowledged", lambda: Liar.acks, 10)
    assert Liar.acks[0] == {"consumer": os.uname().nodename, **mark(7, range(5))}
    assert "takes no acknowledgements: HTTP 404" in f.log()


def test_changes_that_do_not_fit(liar, follower):
    """Each is thrown away with what it changed, and the list is fetched anew; the file never holds half of it."""
    bad = {
        "a removal of what is not there": changes(7, 8, [("remove", 9)], range(5)),
        "an addition of what is there": changes(7, 8, [("add", 1)], range(5)),
        "half right": changes(7, 8, [("add", 6), ("remove", 9)], [*range(5), 6]),
        "a wrong digest": changes(7, 8, [("add", 6)], range(5), count=6),
        "another list": changes(7, 8, [("add", 6)], [*range(5), 6], list="x"),
        "from elsewhere": changes(6, 8, [("add", 6)], [*range(5), 6]),
        "backwards": changes(7, 6, [], range(5)),
        "no JSON": b"nonsense",
        "no entry": changes(7, 8, [("add", 6)], [*range(5), 6]).replace(b'"case"', b'"Case"'),
    }
    Liar.answers = {"/v1/feed/snapshot": (200, snap(7, range(5))), "/v1/feed/changes": nothing}
    f = follower(liar, "t", "--wait", "0").start()
    wait_for("the list", lambda: f.out.exists(), 20)
    for what, body in bad.items():
        snapshots = f.log().count('msg="snapshot"')
        sent = []

        def once(path, body=body, sent=sent):
            if sent:
                return nothing(path)
            sent.append(1)
            return 200, body

        Liar.answers["/v1/feed/changes"] = once
        wait_for(lambda w=what: f"{w}: {f.log()[-800:]}", lambda n=snapshots: f.log().count('msg="snapshot"') > n, 20)
        assert held(f.out) == ((NAME, 7, ""), [line(n) for n in range(5)]), what
    Liar.answers["/v1/feed/changes"] = lambda path: (200, changes(7, 9, [("remove", 0), ("add", 6)], [1, 2, 3, 4, 6])) if "after=7" in path else nothing(path)
    wait_for("the changes", lambda: held(f.out)[0][1] == 9, 20)
    assert held(f.out)[1] == [line(n) for n in (1, 2, 3, 4, 6)]
    wait_for("it is acknowledged", lambda: Liar.acks[-1]["release"] == 9, 10)
    assert Liar.acks[-1]["digest"] == mark(9, [1, 2, 3, 4, 6])["digest"]
