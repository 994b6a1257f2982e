"""People log in: password and one-time code, a session by cookie, CSRF, what ends a session, who tries too often, and the audit of it all."""
import base64
import hashlib
import hmac
import struct
import subprocess
import time

import pytest
import requests

import api_world
import harness
from conftest import NUMBERS
from stand import wait_for

PASSWORD = "mật khẩu rất dài"


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    it = api_world.World(stand, tmp_path_factory.mktemp("login") / "site", next(NUMBERS))
    yield it
    it.close()


def user(world, *words, password=PASSWORD, ok=True):
    done = subprocess.run([str(harness.BIN), "user", words[0], "-c", str(world.site.conf), *words[1:]], input=password + "\n", text=True,
                          capture_output=True)
    assert (done.returncode == 0) == ok, done.stderr
    return done.stdout.strip() if ok else done.stderr


def log_in(world, name, password=PASSWORD, code=None, session=None, **headers):
    session = session or requests.Session()
    body = {"name": name, "password": password, **({"code": code} if code else {})}
    got = session.post(world.url("/v1/session"), json=body, headers=headers, timeout=30)
    return session, got


def code_of(secret, at):
    """RFC 6238, independently of the program."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(at) // 30), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7FFFFFFF) % 1000000:06d}"


def audited(world, what):
    return world.site.rows("SELECT actor, lines FROM audit WHERE what = %s ORDER BY id", what)


def test_a_session(world):
    user(world, "create", "--name", "an", "--role", "analyst")
    session, got = log_in(world, "an")
    assert got.status_code == 200, got.text
    cookie = got.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" not in cookie
    me = session.get(world.url("/v1/me")).json()
    assert (me["name"], me["role"], me["person"]) == ("an", "analyst", True) and me["csrf"] == got.json()["csrf"]
    token = session.cookies["khien_session"]
    assert requests.get(world.url("/v1/me"), headers={"Authorization": f"Bearer {token}"}).status_code == 401, "a cookie alone"
    assert session.delete(world.url("/v1/session")).status_code == 403, "no CSRF token"
    assert session.delete(world.url("/v1/session"), headers={"X-Csrf-Token": "0" * 32}).status_code == 403
    assert session.get(world.url("/v1/me")).status_code == 200
    assert session.delete(world.url("/v1/session"), headers={"X-Csrf-Token": me["csrf"]}).status_code == 204
    assert requests.get(world.url("/v1/me"), cookies={"khien_session": token}).status_code == 401, "at once"
    assert [(r["actor"], r["lines"].split()[0]) for r in audited(world, "login") + audited(world, "logout")] == [
        ("person:an", "login"), ("person:an", "logout")]
    assert PASSWORD not in str(world.site.rows("SELECT * FROM audit")) + world.engine.log()


def test_behind_tls_the_cookie_is_secure(world):
    user(world, "create", "--name", "tls", "--role", "viewer")
    assert "; Secure" in log_in(world, "tls", **{"X-Forwarded-Proto": "https"})[1].headers["Set-Cookie"]


def test_a_reading_stands_under_the_persons_name(world):
    user(world, "create", "--name", "reader", "--role", "viewer")
    session, _ = log_in(world, "reader")
    assert session.get(world.url("/v1/stats")).status_code == 200
    world.wish("84912345600")
    assert session.get(world.url("/v1/senders/0912345600")).status_code == 200
    assert audited(world, "read.sender")[-1]["actor"] == "person:reader"
    assert session.post(world.url("/v1/lookup"), json={"senders": []}).status_code == 403, "the role may not, or no CSRF token"


def test_one_time_codes(world):
    uri = user(world, "create", "--name", "binh", "--role", "supervisor", "--totp")
    secret = uri.split("secret=")[1].split("&")[0]
    _, got = log_in(world, "binh")
    assert got.status_code == 401 and got.headers["WWW-Authenticate"] == "Code"
    assert log_in(world, "binh", code="000000")[1].status_code in (401,)
    code = code_of(secret, time.time())
    assert log_in(world, "binh", "a wrong password", code)[1].headers["WWW-Authenticate"] == "Password"
    assert log_in(world, "binh", code=code)[1].status_code == 200
    assert log_in(world, "binh", code=code)[1].status_code == 401, "a code is good once"
    user(world, "totp", "--name", "binh", "--off")
    assert log_in(world, "binh")[1].status_code == 200


def test_what_ends_sessions(world):
    user(world, "create", "--name", "cuc", "--role", "analyst")
    for change in (("role", "--role", "viewer"), ("password",), ("disable",)):
        session, got = log_in(world, "cuc")
        assert got.status_code == 200
        user(world, change[0], "--name", "cuc", *change[1:])
        wait_for("the session's end", lambda: session.get(world.url("/v1/me")).status_code == 401, 10)
    assert log_in(world, "cuc")[1].status_code == 401, "disabled"
    user(world, "enable", "--name", "cuc")
    session, _ = log_in(world, "cuc")
    assert session.get(world.url("/v1/me")).json()["role"] == "viewer"
    world.sql("UPDATE session SET last_used_at = now() - interval '31 minutes 1 second' WHERE person = 'cuc' AND ended_at IS NULL")
    headers = {"X-Khien-Background": "1"}
    wait_for("idle", lambda: session.get(world.url("/v1/me"), headers=headers).status_code == 401, 10)
    session, _ = log_in(world, "cuc")
    world.sql("UPDATE session SET expires_at = now() WHERE person = 'cuc' AND ended_at IS NULL")
    wait_for("its whole time", lambda: session.get(world.url("/v1/me")).status_code == 401, 10)


def test_who_tries_too_often_waits(world):
    user(world, "create", "--name", "dung", "--role", "analyst")
    assert [log_in(world, "dung", f"wrong {n}, quite")[1].status_code for n in range(5)] == [401] * 5
    got = log_in(world, "dung")[1]
    assert got.status_code == 429 and int(got.headers["Retry-After"]) > 0, "even the right one"
    rows = [r for r in audited(world, "login.failed") if r["actor"] == "person:dung"]
    assert len(rows) == 5 and "127.0.0.1" in rows[0]["lines"]
    assert log_in(world, "nobody-here")[1].status_code == 401
    assert audited(world, "login.failed")[-1]["actor"] == "nobody"
    world.sql("DELETE FROM login_failure")
    assert log_in(world, "dung")[1].status_code == 200


@pytest.mark.parametrize("body, status", [
    (b"{", 400), (b"[]", 400), (b'{"name":"an"}', 400), (b'{"name":1,"password":"x"}', 400), (b'{"name":"an","password":"x","admin":true}', 400),
    (b'{"name":"a\\u0000n","password":"x"}', 400), (b'{"name":"an\' OR true","password":"x"}', 401)])
def test_hostile_bodies(world, body, status):
    got = requests.post(world.url("/v1/session"), data=body, headers={"Content-Type": "application/json"})
    assert got.status_code == status and got.json()["status"] == status


def test_other_sites_cannot_log_anybody_in(world):
    body = '{"name":"an","password":"x"}'
    assert requests.post(world.url("/v1/session"), data=body, headers={"Content-Type": "text/plain"}).status_code == 415
    headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}
    assert requests.post(world.url("/v1/session"), data=body, headers=headers).status_code == 415


def test_the_verb_refuses(world):
    assert "12 characters" in user(world, "create", "--name", "eva", "--role", "viewer", password="short", ok=False)
    assert "no such role" in user(world, "create", "--name", "eva", "--role", "feed", ok=False)
    assert "a-z" in user(world, "create", "--name", "Eva!", "--role", "viewer", ok=False)
    assert "no person" in user(world, "disable", "--name", "nobody", ok=False)
    assert PASSWORD not in user(world, "list")
