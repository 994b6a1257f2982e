"""The stream that a page lives by, and the hours that its charts show."""
import datetime
import json

import pytest

import api_world
from conftest import NUMBERS
from stand import wait_for
from test_api_people import BAD, REPORTERS, record


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    it = api_world.World(stand, tmp_path_factory.mktemp("events") / "site", next(NUMBERS), roles=None, mode="review", api__heartbeat="1s")
    it.site.produce([record(n, BAD, r) for n, r in enumerate(REPORTERS)])
    it.site.settle()
    yield it
    it.close()


def events(got, name):
    """The events of the stream that bear the name, as they come."""
    kind = None
    for line in got.iter_lines(decode_unicode=True):
        if line.startswith("event: "):
            kind = line[7:]
        elif line.startswith("data: ") and kind == name:
            yield json.loads(line[6:])["at"]


def test_something_done_is_told_and_a_reading_is_not(world):
    world.auth("viewer"), world.auth("analyst")  # their making is news
    with world.get("/v1/events", "viewer", stream=True) as got:
        assert got.status_code == 200 and got.headers["Content-Type"] == "text/event-stream"
        beats = events(got, "heartbeat")
        before = next(beats)
        while before != (before := next(beats)):
            pass
        assert world.get(f"/v1/senders/{BAD}", "viewer").status_code == 200
        wait_for("the reading in the audit", lambda: world.site.one("SELECT max(id) AS n FROM audit WHERE what LIKE 'read.%%'")["n"])
        assert [next(beats) for _ in range(3)] == [before] * 3, "a page that reads does not wake itself"
    with world.get("/v1/events", "viewer", stream=True) as got:
        case = world.site.one("SELECT id FROM case_file LIMIT 1")["id"]
        done = world.ask("POST", f"/v1/cases/{case}/notes", "analyst", json={"text": "seen"}, headers={"If-Match": "*", "Idempotency-Key": "n1"})
        assert done.status_code in (200, 201), done.text
        assert next(events(got, "change")) > before


def test_who_may_follow(world):
    assert world.get("/v1/events", None).status_code == 401
    assert world.get("/v1/events", "feed").status_code == 403


def test_the_hours(world):
    hours = world.get("/v1/stats/hours", "viewer").json()["hours"]
    assert len(hours) == 48 and sum(h["scam"] + h["nuisance"] for h in hours) == len(REPORTERS)
    last = datetime.datetime.fromisoformat(hours[-1]["at"].replace("Z", "+00:00"))
    assert datetime.timedelta(0) <= datetime.datetime.now(datetime.timezone.utc) - last < datetime.timedelta(hours=1, minutes=1)
    assert world.get("/v1/stats/hours", "feed").status_code == 403
