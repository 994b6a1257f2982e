"""The list as Kannel takes it: plain text, the last good one always, keys where Kannel can put them."""
import base64
import subprocess

import pytest

import api_world
from conftest import NUMBERS
from stand import wait_for


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    it = api_world.World(stand, tmp_path_factory.mktemp("kannel") / "site", next(NUMBERS))
    it.wish("84913000001", "84913000002", "491701234567890")
    it.wish("84913000003", service=1)
    it.wish("84913000004", action="throttle")
    it.wish("84913000005", until="2999-12-31T17:00:00+07:00")
    it.wish("1900545400", "5999", "000", scope="short")
    it.wish("vay-tien", "a.b*c", "win[1]", "x+y", scope="name")
    yield it
    it.close()


SMS = {"84913000001", "84913000002", "84913000005", "491701234567890", "1900545400", "5999"}


def test_numbers(world):
    for query in ("", "?service=sms"):
        got = world.get("/v1/feed/kannel.txt" + query)
        assert got.status_code == 200 and got.headers["Content-Type"].split(";")[0] == "text/plain"
        assert got.text.endswith("\n") and sorted(got.text.split()) == sorted(SMS)
        assert all(n.isdigit() and int(n) > 0 and len(n) <= 15 for n in got.text.split())
        assert int(got.headers["Khien-Release"]) == world.release() and got.headers["Age"] == "0"
    assert world.get("/v1/feed/kannel.txt?service=voice").text == "84913000003\n"
    assert world.get("/v1/feed/kannel.txt?service=fax").status_code == 400


def matches(expression, name):
    return subprocess.run(["grep", "-qE", "--", expression], input=name + "\n", text=True, env={"LC_ALL": "C"}).returncode == 0


def test_sender_ids(world):
    got = world.get("/v1/feed/kannel-regex.txt")
    assert got.status_code == 200 and len(got.text.splitlines()) == 4
    one = world.get("/v1/feed/kannel-regex.txt?form=one").text
    assert one.count("\n") == 1
    for name, listed in (("vay-tien", 1), ("VAY-Tien", 1), ("a.b*c", 1), ("A.B*C", 1), ("axb*c", 0), ("win[1]", 1), ("win1", 0), ("x+y", 1), ("xxy", 0),
                         ("xvay-tien", 0), ("vay-tienx", 0), ("", 0), ("vay", 0)):
        assert any(matches(line, name) for line in got.text.splitlines()) == bool(listed), name
        assert matches(one.strip(), name) == bool(listed), name
    none = world.get("/v1/feed/kannel-regex.txt?service=voice")
    assert none.status_code == 200 and none.text == ""
    one = world.get("/v1/feed/kannel-regex.txt?service=voice&form=one").text.strip()
    assert one and not any(matches(one, name) for name in ("", "a", "vay-tien"))
    assert world.get("/v1/feed/kannel-regex.txt?form=x").status_code == 400


def test_keys_where_kannel_can_put_them(world):
    token = world.auth()["Authorization"].split()[1]
    basic = base64.b64encode(f"kannel:{token}".encode()).decode()
    for path in ("kannel.txt", "kannel-regex.txt"):
        assert world.get(f"/v1/feed/key/{token}/{path}", None).status_code == 200
        got = world.get(f"/v1/feed/{path}", None, headers={"Authorization": f"Basic {basic}"})
        assert got.status_code == 200 and got.text == world.get(f"/v1/feed/{path}").text
        for bad in ("khn_" + "x" * 48, "x", token[:-1] + ("a" if token[-1] != "a" else "b")):
            got = world.get(f"/v1/feed/key/{bad}/{path}", None)
            assert got.status_code == 401 and "8491" not in got.text
            wrong = base64.b64encode(f"kannel:{bad}".encode()).decode()
            assert world.get(f"/v1/feed/{path}", None, headers={"Authorization": f"Basic {wrong}"}).status_code == 401
        assert world.get(f"/v1/feed/{path}", None).status_code == 401
        assert world.get(f"/v1/feed/{path}", None, headers={"Authorization": "Basic !"}).status_code == 401
        assert world.get(f"/v1/feed/{path}", "viewer").status_code == 403
    assert token not in world.engine.log()


def test_etag(world):
    got = world.get("/v1/feed/kannel.txt")
    tag = got.headers["ETag"]
    again = world.get("/v1/feed/kannel.txt", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    world.wish("84913000077")
    got = world.get("/v1/feed/kannel.txt", headers={"If-None-Match": tag})
    assert got.status_code == 200 and "84913000077\n" in got.text and got.headers["ETag"] != tag
    world.lift("84913000077")
    assert world.get("/v1/feed/kannel.txt").headers["ETag"] == tag


def test_buckets(world):
    for query in ("", "?service=sms", "?service=voice"):
        got = world.get("/v1/feed/buckets" + query).json()
        assert len(got["buckets"]) == 256 and got["release"] == world.release()
        assert f"{sum(int(b, 16) for b in got['buckets']) % 2**256:064x}" == got["digest"]
    assert world.get("/v1/feed/buckets?service=x").status_code == 400


def test_the_last_good_list_is_always_there(stand, tmp_path):
    world = api_world.World(stand, tmp_path / "site", next(NUMBERS), lookup__stale_max_s="1s")
    try:
        world.wish("84913000001")
        before = world.get("/v1/feed/kannel.txt")
        token = world.auth()["Authorization"].split()[1]
        world.site.stand.sql(f"ALTER DATABASE {world.site.database} ALLOW_CONNECTIONS false")
        world.site.stand.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{world.site.database}'")
        wait_for("it to be stale", lambda: world.lookup("84913000001").status_code == 503)
        wait_for("tokens to be old", lambda: world.get("/v1/feed/snapshot").status_code == 503, 20)
        for path, role in (("/v1/feed/kannel.txt", "feed"), (f"/v1/feed/key/{token}/kannel.txt", None)):
            got = world.get(path, role)
            assert (got.status_code, got.content) == (200, before.content) and int(got.headers["Age"]) > 0
    finally:
        world.site.stand.sql(f"ALTER DATABASE {world.site.database} ALLOW_CONNECTIONS true")
        world.close()
