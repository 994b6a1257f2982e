"""The list as CrowdSec's clients ask for it: by hand, and by two of the real ones where they are installed."""
import gzip
import json
import re
import shutil
import subprocess
import sys

import pytest
import yaml

import api_world
from conftest import NUMBERS
from stand import wait_for

STREAM = "/v1/decisions/stream"
GO = re.compile(r"-?(\d+h)?(\d+m)?\d+s")


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    it = api_world.World(stand, tmp_path_factory.mktemp("crowdsec") / "site", next(NUMBERS))
    it.wish("84919000001", "84919000002")
    it.wish("84919000002", "84919000003", service=1, until="2999-12-31T17:00:00+07:00")
    it.wish("84919000004", action="throttle")
    it.wish("5999", scope="short")
    it.wish("vay-tien", scope="name")
    yield it
    it.close()


@pytest.fixture
def key(world):
    return world.token("feed")


def pull(world, key, query="?startup=true", method="GET"):
    got = world.ask(method, STREAM + query, None, headers={"X-Api-Key": key, "User-Agent": "it/1"})
    assert got.status_code == 200, got.text
    assert got.headers["Content-Type"] == "application/json"
    if method == "HEAD":
        return None
    it = got.json()
    assert list(it) == ["new", "deleted"]
    for d in it["new"] + it["deleted"]:
        assert GO.fullmatch(d["duration"]) and isinstance(d["id"], int) and d["type"] == "ban" and d["origin"] == "khien"
        assert (d["duration"][0] == "-") == (d in it["deleted"])
    return it


def values(decisions):
    return sorted(d["value"] for d in decisions)


def news(world, key, query=""):
    it = pull(world, key, query)
    return values(it["new"]), values(it["deleted"])


def settled(world, key):
    """Until the position of the last pull counts: nothing is new."""
    wait_for("the position", lambda: news(world, key) == ([], []))


ALL = ["5999", "84919000001", "84919000002", "84919000003", "vay-tien"]


def test_startup(world, key):
    it = pull(world, key)
    assert values(it["new"]) == ALL and it["deleted"] == []
    by = {d["value"]: d for d in it["new"]}
    assert by["84919000001"]["duration"] == "87600h0m0s" and by["84919000001"]["scenario"] == "khien/sms" and by["84919000001"]["scope"] == "number"
    assert by["84919000002"]["scenario"] == "khien/sms", "the one that lasts longer"
    assert re.fullmatch(r"\d{7}h\d+m\d+s", by["84919000003"]["duration"]) and by["84919000003"]["scenario"] == "khien/voice"
    assert (by["5999"]["scope"], by["vay-tien"]["scope"]) == ("short", "name")


@pytest.mark.parametrize("query, want", [
    ("scopes=number", ["84919000001", "84919000002", "84919000003"]), ("scopes=ip,range", []), ("scopes=name,short", ["5999", "vay-tien"]),
    ("scenarios_containing=SMS", ["5999", "84919000001", "84919000002", "vay-tien"]), ("scenarios_not_containing=sms", ["84919000002", "84919000003"]),
    ("service=voice", ["84919000002", "84919000003"]), ("origins=cscli", []), ("origins=khien,x", ALL), ("community_pull=false&additional_pull=false&x=y", ALL),
    ("dedup=false", sorted([*ALL, "84919000002"]))])
def test_filters(world, key, query, want):
    assert values(pull(world, key, "?startup=true&" + query)["new"]) == want


def test_the_position_is_ours(world, key):
    assert values(pull(world, key, "")["new"]) == ALL, "who was never here gets everything"
    settled(world, key)
    world.wish("84919000010")
    world.lift("5999")
    for _ in range(2):
        pull(world, key, "", "HEAD")  # moves nothing
    assert news(world, key) == (["84919000010"], ["5999"])
    settled(world, key)
    other = world.token("feed")
    assert news(world, other)[1] == []
    world.wish("5998", scope="short")
    world.lift("84919000010")
    assert news(world, key, "?startup=false") == (["5998"], ["84919000010"])
    settled(world, key)
    wait_for("it in the ledger", lambda: world.site.one("SELECT max(release) AS r FROM pull")["r"] == str(world.release()) or
             world.site.one("SELECT max(release) AS r FROM pull")["r"] == world.release())
    row = world.site.rows("SELECT address, agent FROM pull")[0]
    assert row == {"address": "127.0.0.1", "agent": "it/1"}


def test_a_sender_is_deleted_when_its_last_block_ends(world, key):
    pull(world, key)
    settled(world, key)
    world.sql("""WITH gone AS (DELETE FROM wish w USING sender s WHERE s.id = w.sender AND s.value = '84919000002' AND w.service = 0
        RETURNING w.sender) INSERT INTO dirty (sender, service) SELECT sender, 0 FROM gone""")
    world.wait_released()
    it = pull(world, key, "")
    assert it["deleted"] == [] and [(d["value"], d["scenario"]) for d in it["new"]] == [("84919000002", "khien/voice")]
    settled(world, key)
    world.sql("""INSERT INTO wish (sender, service, origin, action, detail, case_id, basis, first_at, decided_at, state) SELECT sender, 0, 'person:an', 'bar', 'bar_in',
        case_id, 'law', now(), now(), 'wanted' FROM wish JOIN sender s ON s.id = sender WHERE s.value = '84919000002'""")
    world.sql("INSERT INTO dirty (sender, service) SELECT id, 0 FROM sender WHERE value = '84919000002'")
    world.wait_released()
    assert news(world, key) == (["84919000002"], [])


def test_an_answer_that_was_cut_is_given_again(world, key):
    world.wish(*(f"84920{n:06d}" for n in range(20000)))
    pull(world, key)
    settled(world, key)
    world.lift(*(f"84920{n:06d}" for n in range(20000)))
    head = f"GET {STREAM} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key}\r\n\r\n".encode()
    with world.connect() as s:
        s.setsockopt(api_world.socket.SOL_SOCKET, api_world.socket.SO_RCVBUF, 4096)
        s.sendall(head)
        assert s.recv(1000).startswith(b"HTTP/1.1 200")
        s.setsockopt(api_world.socket.SOL_SOCKET, api_world.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_for("its end", lambda: world.metric("khien_http_long_polls") == 0)
    assert len(pull(world, key, "")["deleted"]) == 20000


def test_a_new_lineage_and_a_forgotten_release(world, key):
    pull(world, key)
    settled(world, key)
    world.wish("84919000020")
    world.sql("DELETE FROM release WHERE n = (SELECT release FROM list_head)")
    assert "84919000001" in news(world, key)[0]
    world.sql("UPDATE list_head SET list = gen_random_uuid(), release = release + 1")
    world.list = world.site.one("SELECT list::text AS l FROM list_head")["l"]
    wait_for("it in memory", lambda: world.metric("khien_lookup_release") == world.release())
    assert "84919000001" in news(world, key)[0]


def test_who_stood_too_far_back_is_told_what_was_lifted(world, key):
    world.wish("84919000040", "84919000041")
    pull(world, key)
    settled(world, key)
    before = world.metric("khien_pulls_anew_total")
    world.lift("84919000040")
    world.sql("DELETE FROM release WHERE n = (SELECT release FROM list_head)")
    new, deleted = news(world, key)
    assert "84919000041" in new and "84919000040" not in new
    assert "84919000040" in deleted and not set(new) & set(deleted)
    assert world.metric("khien_pulls_anew_total") == before + 1
    settled(world, key)
    # A log with a hole in it is none: not half of what changed.
    world.wish("84919000042")
    world.lift("84919000041")
    world.sql("DELETE FROM change WHERE value = '84919000042'")
    new, deleted = news(world, key)
    assert {"84919000001", "84919000042"} <= set(new) and "84919000041" in deleted
    assert world.metric("khien_pulls_anew_total") == before + 2


def test_one_value(world, key):
    def ask(query):
        got = world.get("/v1/decisions?" + query, None, headers={"X-Api-Key": key})
        assert got.status_code == 200
        return got.json()

    assert [d["value"] for d in ask("scope=number&value=84919000001")] == ["84919000001"]
    assert [d["value"] for d in ask("value=0919000001")] == ["84919000001"]
    assert [d["value"] for d in ask("scope=name&value=VAY-TIEN")] == ["vay-tien"]
    for nothing in ("value=84987654321", "scope=name&value=84919000001", "ip=1.2.3.4", "range=1.2.3.0/24", "value=84919000001&type=captcha", "value=84919000004", "value=%25",
                    "origins=x&value=84919000001", "scope=number&value=84919000003&scenarios_containing=sms"):
        got = world.get("/v1/decisions?" + nothing, None, headers={"X-Api-Key": key})
        assert (got.status_code, got.text) == (200, "null"), nothing
    assert {"84919000001", "vay-tien"} <= {d["value"] for d in ask("")}
    assert world.ask("HEAD", "/v1/decisions?value=84919000001", None, headers={"X-Api-Key": key}).status_code == 200


def test_keys(world):
    for path in ("/v1/decisions?value=1", STREAM, STREAM + "?startup=true"):
        for headers in ({}, {"X-Api-Key": "wrong"}, {"X-Api-Key": "khn_" + "x" * 48}, world.auth("viewer")):
            got = world.get(path, None, headers=headers)
            assert (got.status_code, got.json(), got.headers["Content-Type"]) == (403, {"message": "access forbidden"}, "application/json")
    assert world.ask("POST", "/v1/usage-metrics", None, data="{}").status_code == 403
    assert world.ask("POST", STREAM, "feed").status_code == 405 and world.get("/v1/alerts").status_code == 404


def test_usage_metrics(world, key):
    one = {"type": "x", "version": "v1", "feature_flags": [], "utc_startup_timestamp": 1763822400, "os": {"name": "debian", "version": "12"},
           "metrics": [{"meta": {"window_size_seconds": 900, "utc_now_timestamp": 1763823300}, "items": [{"name": "dropped", "value": 42, "unit": "message"}]}]}

    def post(data, **headers):
        got = world.ask("POST", "/v1/usage-metrics", None, data=data, headers={"X-Api-Key": key, **headers})
        return got.status_code, got.content

    good = json.dumps({"remediation_components": [one]}).encode()
    assert post(good) == (201, b"") and post(gzip.compress(good), **{"Content-Encoding": "gzip"}) == (201, b"")
    assert world.metric("khien_usage_metrics_total") == 2
    for bad in (b"", b"{", gzip.compress(good)):
        assert post(bad)[0] == 400
    for bad in (gzip.compress(good)[:-9], b"x", gzip.compress(b" " * 2000000)):
        assert post(bad, **{"Content-Encoding": "gzip"})[0] == 400
    for bad in ({}, {"remediation_components": []}, {"remediation_components": [one, one]}, {"remediation_components": [{**one, "version": ""}]},
                {"remediation_components": [{**one, "utc_startup_timestamp": "x"}]}, {"remediation_components": [5]}):
        assert post(json.dumps(bad).encode())[0] == 422


# --- the real clients


@pytest.mark.skipif(not shutil.which("crowdsec-custom-bouncer"), reason="crowdsec-custom-bouncer is not installed")
def test_crowdsec_custom_bouncer(world, key, tmp_path):
    seen = tmp_path / "seen"
    script = tmp_path / "enforce"
    script.write_text(f'#!/bin/sh\necho "$1 $2 $3 $4" >> {seen}\n')
    script.chmod(0o755)
    conf = {"bin_path": str(script), "feed_via_stdin": False, "scopes": ["number"], "scenarios_containing": ["sms"], "update_frequency": "1s",
            "cache_retention_duration": "1s", "daemonize": False, "log_mode": "stdout", "log_level": "info", "piddir": str(tmp_path), "api_url": world.url("/"),
            "api_key": key, "prometheus": {"enabled": False, "listen_addr": "127.0.0.1", "listen_port": "0"}}
    (tmp_path / "bouncer.yaml").write_text(yaml.safe_dump(conf))
    with open(tmp_path / "log", "wb") as log:
        client = subprocess.Popen(["crowdsec-custom-bouncer", "-c", str(tmp_path / "bouncer.yaml")], stdout=log, stderr=log)
    try:
        def done(action, value):
            lines = seen.read_text().splitlines() if seen.exists() else []
            return [s.split() for s in lines if s.startswith(f"{action} {value} ")]

        def told():
            return f"{(tmp_path / 'log').read_text()[-2000:]}\n{seen.read_text() if seen.exists() else ''}"

        wait_for(told, lambda: done("add", "84919000001"), 20)
        assert not done("add", "84919000003") and not done("add", "vay-tien")
        _, _, seconds, scenario = done("add", "84919000001")[0]
        assert 87599 * 3600 < int(seconds) <= 87600 * 3600 and scenario == "khien/sms"
        world.wish("84919000030")
        wait_for(told, lambda: done("add", "84919000030"), 20)
        world.lift("84919000030")
        wait_for(told, lambda: done("del", "84919000030"), 20)
    finally:
        client.kill()
        client.wait()


@pytest.fixture(scope="session")
def pycrowdsec(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pycrowdsec")
    done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), "pycrowdsec==0.0.5"], capture_output=True, timeout=120)
    if done.returncode != 0:
        pytest.skip("pycrowdsec cannot be installed here")
    return folder


def test_pycrowdsec(world, key, pycrowdsec, tmp_path):
    program = f"""
import sys, time
sys.path.insert(0, {str(pycrowdsec)!r})
from pycrowdsec.client import StreamDecisionClient
client = StreamDecisionClient(api_key={key!r}, lapi_url={world.url("/")!r}, interval=1, scopes=("number",))
client.run()
held = set()
while True:
    for d in client.get_deleted_decision():
        held.discard(d["value"])
    for d in client.get_new_decision():
        held.add(d["value"])
    print(*sorted(held), flush=True)
    time.sleep(0.1)
"""
    out = tmp_path / "out"
    with open(out, "wb") as log:
        client = subprocess.Popen([sys.executable, "-c", program], stdout=log, stderr=log)
    try:
        def last():
            lines = out.read_text().splitlines()
            return lines[-1].split() if lines else []

        wait_for(lambda: out.read_text()[-2000:], lambda: "84919000001" in last() and "84919000003" in last(), 20)
        world.wish("84919000060")
        wait_for(lambda: out.read_text()[-2000:], lambda: "84919000060" in last(), 20)
        world.lift("84919000060")
        wait_for(lambda: out.read_text()[-2000:], lambda: "84919000060" not in last() and "84919000001" in last(), 20)
    finally:
        client.kill()
        client.wait()
