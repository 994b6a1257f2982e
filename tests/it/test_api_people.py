"""The routes for the abuse team on real reports: a sender, why it is blocked, a report, the figures. Nothing of a reporter or a text is in
any answer, and every reading is in the audit log.
"""
import datetime
import json

import pytest

import api_world
from conftest import NUMBERS

BAD, QUIET = "84912345671", "84912345672"
TEXT = "Tai khoan VCB cua quy khach bi khoa, truy cap http://vcb-dangnhap.top de xac thuc"
REPORTERS = [f"8498765432{n}" for n in range(9)]


def record(n, sender, reporter, **more):
    at = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=n + 1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    it = {"schema": "complaint/1", "report_id": f"it/{n}?x#%", "channel": "sms5656", "kind": "LD", "received_at": at, "occurred_at": at,
          "reporter": reporter, "sender": sender, "content": TEXT, "contact": {"service": "sms", "matched": "yes", "origin": "other"}}
    return (sender, json.dumps({**it, **more}).encode())


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    it = api_world.World(stand, tmp_path_factory.mktemp("api") / "site", next(NUMBERS), roles=None)
    it.site.produce([record(n, BAD, r) for n, r in enumerate(REPORTERS)] + [record(20, QUIET, REPORTERS[0]), (QUIET, b"not json")])
    it.site.settle()
    yield it
    it.close()


def clean(text):
    for secret in (*REPORTERS, *(r[2:] for r in REPORTERS), "vcb-dangnhap", "Tai khoan"):
        assert secret not in text, secret


def test_a_sender(world):
    got = world.get(f"/v1/senders/0{BAD[2:]}", "viewer")
    assert got.status_code == 200
    it = got.json()
    assert {"scope", "value", "attribution", "score", "as_of", "votes", "cases", "blocks", "held"} <= set(it)
    assert (it["scope"], it["value"]) == ("number", BAD)
    assert it["votes"]["sms"]["scam"] == len(REPORTERS) and it["votes"]["voice"] == {"nuisance": 0, "scam": 0}
    assert [b["service"] for b in it["blocks"]] == ["sms"] and it["cases"]
    assert world.lookup(BAD, "sms").json()["case"] in [c["id"] for c in it["cases"]]
    clean(got.text)


def test_why(world):
    got = world.get(f"/v1/senders/{BAD}/why", "analyst")
    it = got.json()
    assert it["sender"]["value"] == BAD
    assert it["blocks"] and it["actions"] and it["reports"] and it["votes"] and it["scores"]
    assert {r["report_id"] for r in it["reports"]} == {f"it/{n}?x#%" for n in range(len(REPORTERS))}
    clean(got.text)


def test_why_goes_from_the_block_back_to_the_reports_and_on_to_the_switches(world):
    list_ = world.get("/v1/feed/buckets?service=sms").json()
    proof = {"consumer": "smsc-why", "service": "sms", **{k: list_[k] for k in ("list", "release", "count", "digest")}}
    assert world.ask("POST", "/v1/feed/acks", json=proof).json()["state"] == "confirmed"
    world.sql("""WITH w AS (INSERT INTO wish (sender, service, origin, action, detail, case_id, basis, first_at, decided_at, state)
        SELECT sender, service, 'person:an', 'label', 'label', case_id, 'law', now(), now(), 'wanted' FROM wish WHERE origin = 'auto:scam' RETURNING sender)
        INSERT INTO dirty (sender, service) SELECT sender, 0 FROM w""")  # stands under the automatic bar
    world.wait_released()
    it = world.get(f"/v1/senders/{BAD}/why", "analyst").json()
    block = next(b for b in it["blocks"] if b["service"] == "sms")
    wishes = {(w["service"], w["origin"]): w for w in it["wishes"]}
    assert (block["action"], block["origin"], block["release"] > 0) == ("bar", "auto:scam", True) and block["released_at"] and block["basis"]
    assert [(w["origin"], w["state"]) for w in it["wishes"] if w["service"] == "sms" and w["listed"]] == [("auto:scam", "admitted")]
    assert (wishes["sms", "person:an"]["state"], wishes["sms", "person:an"]["listed"]) == ("admitted", False)
    action = next(x for x in it["actions"] if x["case"] == block["case"] and x["state"] == "admitted")
    assert action["terms"] and action["rules"] and action["policy"] and 0 < action["reporters"] <= len(REPORTERS) and action["score"] > 0
    case = next(c for c in it["cases"] if c["id"] == block["case"])
    assert case["reports"] == len(REPORTERS) and case["rung"] != "none"
    assert {r["case"] for r in it["reports"]} == {block["case"]} and all(r["terms"] for r in it["reports"])
    holder = next(c for c in it["consumers"] if c["consumer"] == "smsc-why")
    assert (holder["service"], holder["release"]) == ("sms", list_["release"]) and block["released_at"] <= holder["since"] <= holder["proved_at"]
    world.sql("UPDATE wish SET state = 'held', reason = 'cap_day' WHERE origin = 'person:an'")
    held = world.get(f"/v1/senders/{BAD}/why", "analyst").json()["held"]
    assert [(h["origin"], h["action"], h["reason"] is not None) for h in held] == [("person:an", "label", True)]
    world.sql("DELETE FROM wish WHERE origin = 'person:an'")


def test_a_sender_that_was_never_heard_of(world):
    assert world.get("/v1/senders/0987111222", "viewer").status_code == 404
    assert world.get("/v1/senders/0987111222/why", "viewer").status_code == 404
    assert world.get("/v1/senders/12/why", "viewer").status_code == 400
    assert world.get("/v1/senders/anonymous", "viewer").status_code == 400


def test_a_report(world):
    got = world.get("/v1/reports/it%2F3%3Fx%23%25", "liaison")
    it = got.json()
    assert {"report_id", "disposition", "reason", "kind", "service", "class", "scope", "sender", "vote_weight", "case", "outcomes"} <= set(it)
    assert (it["report_id"], it["disposition"], it["sender"], it["kind"]) == ("it/3?x#%", "accepted", BAD, "LD")
    assert [o["status"] for o in it["outcomes"]][0] in ("received", "accepted", "merged")
    assert world.get("/v1/reports/it/3%3Fx%23%25", "liaison").json() == it, "a slash may stand as it is"
    clean(got.text)
    assert world.get("/v1/reports/it%2F99", "liaison").status_code == 404


def test_figures(world):
    it = world.get("/v1/stats", "auditor").json()
    assert (it["totals"]["records"], it["totals"]["accepted"], it["totals"]["quarantined"], it["totals"]["missing"]) == (11, 10, 1, 0)
    assert it["list"]["list"] == world.list


def test_the_status_page_names_nobody(world):
    got = world.get("/status", None)
    assert got.status_code == 200 and "lừa đảo" in got.text
    clean(got.text)
    for number in (BAD, QUIET, BAD[2:]):
        assert number not in got.text


def test_readings_are_audited(world):
    before = world.site.one("SELECT coalesce(max(id), 0) AS id FROM audit")["id"]
    headers = {"X-Request-Id": "who-looked"}
    for path in (f"/v1/senders/{BAD}", f"/v1/senders/{BAD}/why", "/v1/reports/it%2F3%3Fx%23%25"):
        assert world.get(path, "viewer", headers=headers).status_code == 200
    rows = world.site.rows("SELECT actor, what, lines FROM audit WHERE id > %s AND what LIKE 'read.%%' ORDER BY id", before)
    assert [r["what"] for r in rows] == ["read.sender", "read.why", "read.report"]
    assert all(r["actor"].startswith("token:viewer-") and "request=who-looked" in r["lines"] for r in rows)
    assert all(BAD not in r["lines"] and BAD[-9:] not in r["lines"] for r in rows) and "8491*****71" in rows[0]["lines"]


def test_what_cannot_be_audited_is_not_shown(world):
    world.sql("ALTER TABLE audit RENAME TO audit_away")
    try:
        got = world.get(f"/v1/senders/{BAD}", "viewer")
        assert got.status_code == 500 and BAD not in got.text and "audit" not in got.text
    finally:
        world.sql("ALTER TABLE audit_away RENAME TO audit")
    assert world.get(f"/v1/senders/{BAD}", "viewer").status_code == 200
