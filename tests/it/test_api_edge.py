"""What comes to the edge: rights, methods, hostile requests, limits. Every refusal is problem+json with a request id, one line in the
log, and says nothing of what stands behind.
"""
import re
import socket

import pytest

import api_world
from conftest import NUMBERS
from stand import TOP, wait_for

STAFF = ("viewer", "analyst", "supervisor", "liaison", "auditor", "admin")
FEEDS = ("feed", "admin", "analyst", "supervisor")
EVERYBODY = ("viewer", "analyst", "supervisor", "care", "liaison", "auditor", "admin", "feed")
LIST = "00000000-0000-0000-0000-000000000000"
ROUTES = {
    "/v1/lookup/0912345678": (FEEDS, {204}),
    "/v1/feed/snapshot": (FEEDS, {200}),
    f"/v1/feed/changes?list={LIST}&after=0": (FEEDS, {410}),
    "/v1/feed/exempt": (FEEDS, {200}),
    "/v1/feed/buckets": (FEEDS, {200}),
    "/v1/feed/drift": (tuple({*FEEDS, "viewer", "liaison", "auditor"}), {200}),
    f"/v1/feed/stream?list={LIST}&after=0": (FEEDS, {410}),
    "/v1/feed/kannel.txt": (FEEDS, {200}),
    "/v1/feed/kannel-regex.txt": (FEEDS, {200}),
    "/v1/senders/0912345678": (STAFF, {404}),
    "/v1/senders/0912345678/why": (STAFF, {404}),
    "/v1/reports/nobody:1": (STAFF, {404}),
    "/v1/stats": (STAFF, {200}),
    "/v1/me": (EVERYBODY, {200}),
}
PUBLIC = {"/": 200, "/status": 200, "/healthz": 200, "/readyz": 200, "/metrics": 200, "/status.css": 200}


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    it = api_world.World(stand, tmp_path_factory.mktemp("api") / "site", next(NUMBERS), api__idle="2s")
    yield it
    it.close()


# --- rights


@pytest.mark.parametrize("path", ROUTES)
def test_roles(world, path):
    allowed, answer = ROUTES[path]
    for role in EVERYBODY:
        got = world.get(path, role)
        assert (got.status_code in answer) if role in allowed else got.status_code == 403, (role, got.status_code, got.text)
    got = world.get(path, None)
    assert got.status_code == 401 and got.headers["WWW-Authenticate"] == "Bearer"
    assert got.headers["Content-Type"] == "application/problem+json"


def feed_routes():
    """Every route of a role feed as api/routes.c has it, so that a new one is asked too."""
    text = (TOP / "api/routes.c").read_text()
    routes = re.findall(r'\{"(\w+)", "([^"]+)",\s*FEEDS\b', text)
    assert len(routes) == text.count("FEEDS") - 1 >= 16, routes  # all but the definition
    return routes


@pytest.fixture(scope="module")
def listed(world):
    """A number on the list, and a token whose time is over."""
    world.wish("84913777001")
    gone = world.token("feed", None, "--ttl", "1s")
    wait_for("its end", lambda: world.get("/v1/me", None, headers={"X-Api-Key": gone}).status_code == 401, 5)
    return "84913777001", gone


@pytest.mark.parametrize("method,path", feed_routes())
def test_a_wrong_key_is_never_given_a_list(world, listed, method, path):
    """Nor is it told the list's name; the same question with a good key is."""
    number, gone = listed
    after = f"?list={world.list}&after=0"
    query = {"/v1/decisions/stream": "?startup=true", "/v1/feed/changes": after, "/v1/feed/stream": after}.get(path, "")
    body = {"/v1/lookup": b'{"senders":["84913777001"]}', "/v1/feed/acks": b'{"consumer":"edge"}', "/v1/usage-metrics": b"{}"}.get(path)
    secrets = [number.encode(), world.list.encode(), b'"release"', b"consumers"]

    def ask(token):
        at = path.replace("{sender}", number).replace("{key}", token or "x") + query
        got = world.ask(method, at, None, headers={"X-Api-Key": token} if token and "{key}" not in path else {}, data=body, stream=True)
        endless = got.headers.get("Content-Type", "").startswith("text/event-stream")
        return got.status_code, got.raw.read(300) if endless else got.content

    good, other = (world.auth(role)["Authorization"].split()[1] for role in ("feed", "care"))
    refused = 403 if path.startswith(("/v1/decisions", "/v1/usage-metrics")) else 401  # the first as CrowdSec has it
    wrong = (None, good[:-1] + ("A" if good[-1] != "A" else "B"), good[:-1], good + "x", good.upper(), "khn_" + "x" * 48, "x", "%25", gone)
    for token, status in (*((token, refused) for token in wrong), (other, 403)):
        code, text = ask(token)
        assert code == status and not any(word in text for word in secrets), (token, code, text)
    code, text = ask(good)
    assert code not in (401, 403), (code, text)
    if method == "GET" and path.rsplit("/", 1)[1] not in ("kannel-regex.txt", "exempt"):
        assert any(word in text for word in secrets), text


@pytest.mark.parametrize("path", PUBLIC)
def test_what_needs_no_token(world, path):
    assert world.get(path, None).status_code == PUBLIC[path]


def test_me(world):
    assert world.get("/v1/me", "viewer").json()["role"] == "viewer"


def test_the_other_header_and_a_wrong_scheme(world):
    token = world.auth("feed")["Authorization"].split()[1]
    assert world.get("/v1/me", None, headers={"X-Api-Key": token}).status_code == 200
    assert world.get("/v1/me", None, headers={"Authorization": f"bearer  {token} "}).status_code == 200
    assert world.get("/v1/me", None, headers={"Authorization": f"Basic {token}"}).status_code == 401
    assert world.get("/v1/me", None, headers={"Authorization": token}).status_code == 401
    assert world.get("/v1/me", None, headers={"X-Api-Key": token[:-1] + ("A" if token[-1] != "A" else "B")}).status_code == 401


def test_a_loopback_token_behind_a_proxy(world):
    token = {"X-Api-Key": world.token("feed", None, "--loopback")}
    assert world.get("/v1/me", None, headers=token).json()["loopback"] is True
    for header in ("X-Forwarded-For", "Forwarded"):
        assert world.get("/v1/me", None, headers={**token, header: "127.0.0.1"}).status_code == 403


def test_a_loopback_token_from_elsewhere(stand, tmp_path, world):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        address = s.getsockname()[0]
    port = api_world.harness.free_port()
    conf = tmp_path / "other.yaml"
    conf.write_text(world.site.conf.read_text().replace("127.0.0.1:0", f"0.0.0.0:{port}"))
    engine = api_world.harness.Engine(world.site, "other", "api", port, conf)
    try:
        engine.wait_ready()
        token = {"X-Api-Key": world.token("feed", None, "--loopback")}
        assert world.session.get(f"http://{address}:{port}/v1/me", headers=token, timeout=10).status_code == 403
        assert world.session.get(f"http://127.0.0.1:{port}/v1/me", headers=token, timeout=10).status_code == 200
    finally:
        engine.kill()


def test_a_new_token_works_at_once_and_a_revoked_one_ends_soon(world):
    token = {"X-Api-Key": world.token("feed", "short-lived")}
    for path in ("/v1/me", "/v1/feed/exempt", "/v1/lookup/0912345678"):
        assert world.get(path, None, headers=token).status_code in (200, 204)
    world.site.khien("token", "revoke", "-c", world.site.conf, "--name", "short-lived")
    for path in ("/v1/me", "/v1/feed/exempt"):
        wait_for("the end of the token", lambda at=path: world.get(at, None, headers=token).status_code == 401, 5)


def test_an_expired_token(world):
    token = {"X-Api-Key": world.token("feed", None, "--ttl", "1s")}
    assert world.get("/v1/me", None, headers=token).status_code == 200
    wait_for("its end", lambda: world.get("/v1/me", None, headers=token).status_code == 401, 5)


def test_guesses_push_no_good_token_out(world):
    world.get("/v1/me")
    before = world.metric("khien_http_requests_total", route="/v1/me", code="401")
    for n in range(3000):
        assert world.get("/v1/me", None, headers={"X-Api-Key": f"khn_{n:040d}"}).status_code == 401
    assert world.metric("khien_http_requests_total", route="/v1/me", code="401") == before + 3000
    assert world.get("/v1/me").status_code == 200


def test_use_is_noted(world):
    token = {"X-Api-Key": world.token("viewer", "noted")}
    assert world.get("/v1/me", None, headers=token).status_code == 200
    assert world.site.one("SELECT last_used_at IS NOT NULL AS used FROM token WHERE name = 'noted'")["used"]


# --- methods


@pytest.mark.parametrize("path, allow", [("/v1/lookup", "POST"), ("/v1/lookup/0912345678", "GET, HEAD"), ("/", "GET, HEAD"), ("/v1/me", "GET, HEAD")])
def test_another_method(world, path, allow):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
        got = world.raw(world.head(path, method=method))
        assert (got.status, got.headers["Allow"]) == (405, allow), method
        got.problem()


@pytest.mark.parametrize("path", [*ROUTES, *PUBLIC])
def test_head_is_get_without_a_body(world, path):
    role = "admin" if path in ROUTES else None
    get, head = world.raw(world.head(path, role)), world.raw(world.head(path, role, "HEAD"))
    assert head.status == get.status
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    if path not in ("/metrics", "/status", "/v1/stats"):
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


# --- hostile requests

PATHS = ["/nothing", "//", "/v1", "/v1/", "/v1/lookup/a/b", "/v1/senders/0912345678/why/", "/v1//lookup/1", "/V1/me", "/%2e%2e/etc/passwd",
         "/../etc/passwd", "http://elsewhere/v1/me", "/v1%2Fme", "*", "/v1/me;x=1", "/v1/lookup%00"]


@pytest.mark.parametrize("path", PATHS)
def test_unknown_paths(world, path):
    got = world.raw(world.head(path))
    assert got.status == 404
    assert "passwd" not in got.problem()["detail"]


@pytest.mark.parametrize("part", ["%00", "0912345678%00", "%", "%4", "%zz", "%ff", "%c0%80", "%ed%a0%80", "\xff", "a" * 4000], ids=range(10))
@pytest.mark.parametrize("path", ["/v1/lookup/", "/v1/senders/", "/v1/reports/"])
def test_a_part_that_cannot_be_read(world, path, part):
    request = world.head(path, "admin").replace(b" HTTP/1.1", part.encode("latin-1") + b" HTTP/1.1", 1)
    got = world.raw(request)
    assert got.status == 400
    assert "cannot be read" in got.problem()["detail"]


def test_report_ids_of_any_printable_characters(world):
    for part in ("a/b/c", "a%2Fb%3Fc%23d%25e", "%21%22%27%28%29%2A%2B%2C%3B%3A%40", "x" * 128, "%3Cscript%3E"):
        assert world.raw(world.head(f"/v1/reports/{part}", "admin")).status == 404, part


def test_very_long_lines_and_many_headers(world):
    for request in (world.head("/v1/lookup/" + "9" * 100_000), world.head("/v1/me", "feed", "GET", "X: " + "y" * 100_000),
                    world.head("/v1/me", "feed", "GET", *(f"X-{n}: y" for n in range(5000)))):
        got = world.raw(request)
        assert got.status in (413, 414, 431) and "16384" in got.problem()["detail"]
    assert world.get("/healthz", None).status_code == 200
    assert sum(world.metric("khien_http_refused_total", code=str(n)) for n in (413, 414, 431)) >= 3


def test_what_is_no_http_is_a_problem_too(world):
    for request, status in ((b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400), (b"GET / HTTP/9.9\r\n\r\n", 505)):
        got = world.raw(request)
        assert got.status == status and len(got.problem()["request_id"]) == 16


@pytest.mark.parametrize("query", ["list=%ff&after=0", "list=%00&after=0", f"list={LIST}&after=0&wait=%"])
def test_a_query_that_cannot_be_read(world, query):
    assert world.raw(world.head(f"/v1/feed/changes?{query}")).problem()["status"] == 400


def test_too_many_parameters(world):
    assert world.get("/v1/feed/exempt?" + "&".join(f"p{n}=1" for n in range(200))).status_code == 400
    assert world.get("/v1/feed/exempt?a=1&a=2&b").status_code == 200


BODY = b'{"senders":["0912345678"]}'


def posted(world, *more, body=BODY):
    return world.head("/v1/lookup", "feed", "POST", *more) + body


def test_bodies(world):
    n = len(BODY)
    assert world.raw(posted(world, f"Content-Length: {n}")).status == 200
    with world.connect() as s, s.makefile("rb") as file:
        s.sendall(posted(world, f"Content-Length: {n}", "Expect: 100-continue", body=b""))
        assert api_world.Answer(file).status == 100
        s.sendall(BODY)
        assert api_world.Answer(file).status == 200
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in (BODY[:5], BODY[5:])) + b"0\r\n\r\n"
    assert world.raw(posted(world, "Transfer-Encoding: chunked", body=chunks)).status == 200
    assert world.raw(world.head("/v1/me", "feed", "GET", "Content-Length: 3") + b"abc").status == 200


@pytest.mark.parametrize("more", [
    ("Content-Length: 26", "Content-Length: 26"), ("Content-Length: 26", "Content-Length: 5"),
    ("Content-Length: 26", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: gzip",), ("Transfer-Encoding: gzip, chunked",)])  # fmt: skip
def test_a_length_that_two_readers_could_read_differently(world, more):
    got = world.raw(posted(world, *more))
    assert got.problem()["status"] == 400
    assert got.headers["Connection"].lower() == "close"


@pytest.mark.parametrize("length", ["-1", "+26", "0x1a", "26x", "9" * 40, ""])
def test_a_wrong_length(world, length):
    assert world.raw(posted(world, f"Content-Length: {length}")).status in (400, 413)


def test_too_large_a_body_is_refused_before_it_is_sent(world):
    with world.connect() as s, s.makefile("rb") as file:
        s.sendall(posted(world, "Content-Length: 1048577", "Expect: 100-continue", body=b""))
        got = api_world.Answer(file, b"POST")
        assert got.status == 413 and "1048576" in got.problem()["detail"]


def test_too_large_a_body_of_unknown_length(world):
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with world.connect() as s, s.makefile("rb") as file:
        s.sendall(posted(world, "Transfer-Encoding: chunked", body=b"") + piece * 17 + b"0\r\n\r\n")
        assert api_world.Answer(file, b"POST").status == 413
    with world.connect() as s:  # without an end: it is not read for ever
        s.sendall(posted(world, "Transfer-Encoding: chunked", body=b""))
        with pytest.raises(OSError):
            for _ in range(10000):
                s.sendall(piece)


def test_nobody_without_a_right_makes_us_read_a_body(world):
    for role, status in ((None, 401), ("viewer", 403)):
        world.get("/v1/me", "viewer")
        with world.connect() as s, s.makefile("rb") as file:
            s.sendall(world.head("/v1/lookup", role, "POST", "Content-Length: 1000000"))
            assert api_world.Answer(file, b"POST").status == status
    with world.connect() as s, s.makefile("rb") as file:
        s.sendall(world.head("/v1/nothing", "feed", "POST", "Content-Length: 1000000"))
        assert api_world.Answer(file, b"POST").status == 404


def test_garbage(world):
    for junk in (b"\r\n\r\n", b"\x16\x03\x01\x02\x00" * 50, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 300, b"GET  HTTP/1.1\r\nHost: x\r\n\r\n"):
        with world.connect() as s:
            s.sendall(junk)
            s.shutdown(socket.SHUT_WR)
            while s.recv(65536):
                pass
    assert world.get("/healthz", None).status_code == 200


def test_two_requests_in_one_packet(world):
    with world.connect() as s, s.makefile("rb") as file:
        s.sendall(world.head("/v1/me") + world.head("/v1/feed/exempt") + world.head("/v1/lookup/0912345678"))
        assert [api_world.Answer(file).status for _ in range(3)] == [200, 200, 204]


def test_a_slow_sender_is_cut_off_and_holds_nobody_up(world):
    with world.connect() as s:
        s.sendall(b"GET /v1/me HT")
        assert world.get("/v1/me").status_code == 200
        assert s.recv(100) == b""  # after api.idle


# --- answers and logs


def test_request_ids(world):
    assert world.get("/healthz", None, headers={"X-Request-Id": "abc-DEF_123"}).headers["X-Request-Id"] == "abc-DEF_123"
    for odd in ("a b", "x" * 64, "é".encode(), "a;b", ""):
        assert re.fullmatch("[0-9a-f]{16}", world.get("/healthz", None, headers={"X-Request-Id": odd}).headers["X-Request-Id"])


def test_one_line_for_a_failed_request_and_no_number_in_it(world):
    for path, role, status in (("/v1/lookup/09123456789999", "feed", 400), ("/v1/senders/0987654321", "viewer", 404),
                               ("/v1/senders/0987654321", "feed", 403), ("/nothing/0987654321", "feed", 404)):
        got = world.get(path, role)
        assert got.status_code == status
        lines = wait_for("a line", lambda it=got: world.log_lines(it.headers["X-Request-Id"]))
        assert len(lines) == 1 and f"status={status}" in lines[0]
    world.get("/v1/me", headers={"X-Request-Id": "a-good-one"})
    assert world.log_lines("a-good-one") == []
    assert "0987654321" not in world.engine.log() and "09123456789999" not in world.engine.log()
    assert "khn_" not in world.engine.log()


def test_metrics_read_well(world):
    text = world.get("/metrics", None).text
    for name in ("khien_http_requests_total", "khien_http_seconds_bucket", "khien_http_long_polls", "khien_lookup_release"):
        assert re.search(rf"^{name}[{{ ]", text, re.M), name
    assert not re.search(r"\b(84|0)9\d{8}\b", text)


def test_the_status_page(world):
    got = world.get("/status", None)
    assert got.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "'unsafe" not in got.headers["Content-Security-Policy"] and "default-src 'none'" in got.headers["Content-Security-Policy"]
    for words in ("Blocklist", "Danh sách chặn", "Records in", "Bản ghi nhận được", "Ready", "Sẵn sàng", 'lang=vi'):
        assert words in got.text, words
    assert "<script" not in got.text and "style=" not in got.text and "<style" not in got.text
    assert world.get("/status.css", None).headers["Content-Type"].startswith("text/css")
    assert f"<td>{world.list}" in got.text
