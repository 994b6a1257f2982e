"""GET and POST /v1/lookup: what is told of a sender, in which written forms, and that unknown is never told as clean."""
import itertools

import pytest

import api_world
from conftest import NUMBERS
from stand import wait_for

A, B, C = "84912345671", "84912345672", "84912345673"


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    it = api_world.World(stand, tmp_path_factory.mktemp("api") / "site", next(NUMBERS))
    it.wish(A, service=0)
    it.wish(B, service=1)
    it.wish(C, service=0, action="label")
    it.wish(C, service=1, action="throttle")
    it.wish("vietbank-tb", scope="name")
    it.wish("19001234", scope="short", service=1)
    it.wish("14155550123", service=1, until="2999-01-01T00:00:00Z")
    yield it
    it.close()


def test_a_blocked_sender(world):
    got = world.lookup(A, "sms")
    assert got.status_code == 200 and got.headers["Content-Type"] == "application/json"
    entry = got.json()
    assert {k: entry[k] for k in ("scope", "value", "service", "action", "until", "basis")} == {
        "scope": "number", "value": A, "service": "sms", "action": "bar", "until": None, "basis": "law",
    }
    assert entry["case"].startswith("c-") and len(entry["case"]) == 15
    assert 1 <= entry["release"] <= world.release()
    assert 0 <= int(got.headers["Age"]) <= 2
    assert got.headers["Cache-Control"] == "no-store"


def test_a_block_for_one_service_never_stops_the_other(world):
    assert world.lookup(A, "voice").status_code == 204
    assert world.lookup(B, "sms").status_code == 204
    assert world.lookup(B, "voice").json()["service"] == "voice"


def test_without_a_service_the_stronger_answer(world):
    assert world.lookup(A).json()["service"] == "sms"
    assert world.lookup(B).json()["service"] == "voice"
    assert (world.lookup(C).json()["service"], world.lookup(C).json()["action"]) == ("voice", "throttle")


def test_a_clean_sender(world):
    got = world.lookup("84987654321")
    assert (got.status_code, got.content) == (204, b"")
    assert "Age" in got.headers and "Content-Length" not in got.headers


@pytest.mark.parametrize("form", ["0912345671", "+84912345671", "84912345671", "0084912345671", "091.234.5671", "%2B84%20912-345-671",
                                  "(091)%202345671", "%EF%BC%90912345671", "tel:+84912345671"])
def test_any_written_form(world, form):
    got = world.lookup(form, "sms")
    assert (got.status_code, got.json()["value"]) == (200, A)


def test_names_shorts_and_foreign_numbers(world):
    assert world.lookup("VietBank-TB", "sms").json()["scope"] == "name"
    assert world.lookup("1900%201234", "voice").json()["value"] == "19001234"
    for form in ("+14155550123", "14155550123", "0014155550123"):
        got = world.lookup(form, "voice")
        assert got.status_code == 200 and got.json()["until"] == "2999-01-01T00:00:00Z", form


@pytest.mark.parametrize("form", ["anonymous", "Private", "unknown", "withheld"])
def test_a_withheld_sender_is_on_no_list(world, form):
    assert world.lookup(form).status_code == 204


@pytest.mark.parametrize("form", ["", "%20", "0912345", "09123456789012345678", "+84", "x" * 60, "0912345671/why", "a%2Fb%2Fc-d-e-f-g"])
def test_no_sender(world, form):
    got = world.lookup(form)
    assert got.status_code in (400, 404), (form, got.status_code)
    if "/" not in form:
        assert got.status_code == 400 and got.json()["detail"]


@pytest.mark.parametrize("query", ["service=fax", "service=", "service", "service=SMS", "service=sms&service=voice", "service=sms%00"])
def test_a_wrong_service(world, query):
    got = world.get(f"/v1/lookup/{A}?{query}")
    assert got.status_code == 400 and got.headers["Content-Type"] == "application/problem+json"


def test_unknown_parameters_are_ignored(world):
    assert world.get(f"/v1/lookup/{A}?service=sms&community_pull=false&x").status_code == 200


def test_many_at_once(world):
    senders = ["0912345671", A, "84987654321", "nonsense sender name", "", 84912345671, None, "anonymous", C]
    got = world.ask("POST", "/v1/lookup", json={"senders": senders, "service": "sms"})
    assert got.status_code == 200 and "Age" in got.headers
    results = got.json()["results"]
    words = ["blocked", "blocked", "clean", "invalid", "invalid", "invalid", "invalid", "clean", "blocked"]
    assert [r["status"] for r in results] == words
    assert [r["sender"] for r in results] == [s if isinstance(s, str) else None for s in senders]
    assert results[0]["entry"] == world.lookup(A, "sms").json()
    assert results[8]["entry"]["action"] == "label"
    assert world.ask("POST", "/v1/lookup", json={"senders": []}).json() == {"results": []}
    assert world.ask("POST", "/v1/lookup", json={"senders": [B], "service": None}).json()["results"][0]["status"] == "blocked"


def test_ten_thousand_at_once_and_no_more(world):
    senders = [f"8491{i:07d}" for i in range(2345671 - 5000, 2345671 + 5000)]
    got = world.ask("POST", "/v1/lookup", json={"senders": senders})
    assert [r["sender"] for r in got.json()["results"] if r["status"] == "blocked"] == [A, B, C]
    assert world.ask("POST", "/v1/lookup", json={"senders": [*senders, A]}).status_code == 413


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"null", b"{}", b'{"senders":"x"}', b'{"senders":[],"service":"fax"}',
                                  b'{"senders":[],"service":3}', b'{"senders":[],"senders":[]}', b'{"senders":["\xff"]}', b"[" * 500], ids=range(12))
def test_a_wrong_body(world, body):
    got = world.ask("POST", "/v1/lookup", data=body)
    assert got.status_code == 400 and got.json()["detail"], body
    assert "memory" not in got.json()["detail"]


def test_an_entry_that_is_over_is_clean_at_once(world):
    soon = world.site.one("SELECT date_trunc('second', now()) + interval '3 seconds' AS t")["t"]
    world.wish("84912345680", until=soon.isoformat())
    assert world.lookup("84912345680").status_code == 200
    wait_for("its end", lambda: world.lookup("84912345680").status_code == 204, 10)
    late = world.site.one("SELECT extract(epoch FROM now() - %s)::float AS s", soon)["s"]
    assert 0 <= late < 1, "readers compare until with their own clock"


def test_lift(world):
    for n in itertools.islice(itertools.count(84912346000), 3):
        world.wish(str(n))
        assert world.lookup(n).status_code == 200
        world.lift(str(n))
        assert world.lookup(n).status_code == 204


def test_lookups_are_counted(world):
    before = world.metric("khien_lookups_total", answer="blocked")
    world.lookup(A)
    assert world.metric("khien_lookups_total", answer="blocked") == before + 1
