"""The abuse team at work over HTTP: a wave of reports is decided, appealed, merged and split, by people of different roles, on the real engine. What
they decide shows on the list, in the history, in the audit and in what reports hear.
"""
import concurrent.futures
import datetime
import json
import uuid

import pytest

import api_world
from conftest import NUMBERS
from stand import wait_for
from test_api_people import record

SCAM, OWN, NAME, SPAM, MERGE_A, MERGE_B = "84912345671", "84981112233", "VIETBANK-TB", "84912345673", "84912345674", "84912345675"
REPORTERS = [f"8498765432{n}" for n in range(9)]


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    for topic in ("outcomes", "referrals", "provisioning"):
        stand.topic(topic, 1)
    it = api_world.World(stand, tmp_path_factory.mktemp("api") / "site", next(NUMBERS), roles=None, mode="review", cases__quiet="10d")
    n = 0
    records = []
    for sender, of in ((SCAM, 9), (OWN, 6), (NAME, 6), (SPAM, 2), (MERGE_A, 3), (MERGE_B, 1)):
        for reporter in REPORTERS[:of]:
            kind = "S" if sender == SPAM else "LD"
            records.append(record(n, sender, reporter, kind=kind, report_id=f"c/{n}", content=(f"Ma OTP cua ban la 482913, goi 0987 654 32{n % 10}"
                + ("; http://VCB-dangnhap.top/a" if sender == SPAM else ""))))
            n += 1
    it.site.produce(records)
    it.site.settle()
    yield it
    it.close()


def case(world, sender, role="analyst"):
    got = world.get(f"/v1/cases?sender={sender.lower()[-10:]}&class={'nuisance' if sender == SPAM else 'scam'}", role)
    assert got.status_code == 200, got.text
    (it,) = [c for c in got.json()["items"] if not c["merged_into"]] or got.json()["items"]
    return it


def post(world, path, body, role="analyst", version="*", key=None, token=None):
    headers = {"If-Match": version if version == "*" else f'"{version}"'} if version is not None else {}
    if key:
        headers["Idempotency-Key"] = key
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return world.ask("POST", path, role, headers=headers, json=body)


def act(world, it, action, role="analyst", **more):
    version, key, token = more.pop("version", "*"), more.pop("key", None), more.pop("token", None)
    return post(world, f"/v1/cases/{it['id']}/actions", {"action": action, "reason": "as seen in the texts", **more}, role, version, key, token)


def blocked(world, sender):
    return world.lookup(sender, "sms").status_code == 200


def test_the_queue_and_one_case(world):
    it = case(world, SCAM)
    assert (it["state"], it["class"], it["clock"]) == ("held", "scam", "running")
    got = world.get(f"/v1/cases/{it['id']}", "viewer")
    assert got.headers["ETag"] == f'"{it["version"]}"'
    assert got.json()["blocks"][0]["reason"] == "review_mode" and got.json()["score"]["terms"]
    assert world.get(f"/v1/cases/{it['id']}", "viewer", headers={"If-None-Match": got.headers["ETag"]}).status_code == 304
    assert world.get("/v1/cases/c-zzzzzzzzzzzzz", "viewer").status_code == 404
    pages, cursor = [], ""
    while cursor is not None:
        page = world.get("/v1/cases?limit=2" + (f"&cursor={cursor}" if cursor else ""), "viewer").json()
        pages += [c["id"] for c in page["items"]]
        cursor = page["next"]
    assert len(pages) == len(set(pages)) == world.site.one("SELECT count(*) AS n FROM case_file")["n"]


def test_searching(world):
    def found(query):
        return {c["sender"]["value"] for c in world.get("/v1/cases?" + query, "analyst").json()["items"]}

    assert found("sender=4567&class=scam") == {SCAM, MERGE_A, MERGE_B}
    assert SPAM in found("class=nuisance") and SPAM not in found("class=scam")
    assert found("text=mã otp của bạn&sender=45671") == {SCAM} and found("text=khong co chu nay") == set()
    assert found("text=100%25") == found("text=ma_otp") == found("text=cua\\") == set()  # a pattern's signs are letters
    assert SCAM in found("text=M%C3%83 OTP C%E1%BB%A6A&class=scam")  # any writing
    assert world.get("/v1/cases?text=ot", "analyst").status_code == 400
    assert found("domain=vcb-dangnhap.top") == {SPAM} == found("domain=VCB-Dangnhap") and found("domain=vcb-dangnhap.vn") == set()
    assert found("sender=" + SPAM[-4:]) == {SPAM} and found("sender=99999999") == set()
    first = datetime.datetime.fromisoformat(case(world, SPAM)["first_at"].replace("Z", "+00:00"))
    early, late = ((first + datetime.timedelta(seconds=s)).strftime("%Y-%m-%dT%H:%M:%SZ") for s in (-1, 1))
    assert SPAM in found(f"from={early}") & found(f"to={late}") and SPAM not in found(f"from={late}") | found(f"to={early}")
    assert world.get("/v1/cases?from=yesterday", "analyst").status_code == 400
    assert found("state=held&attribution=own") == {OWN}
    assert found("order=9/X") == set()
    assert world.get("/v1/cases?state=lost", "analyst").status_code == 400
    assert world.get("/v1/cases?cursor=x", "analyst").status_code == 400
    text = world.get("/v1/cases.csv?class=scam", "analyst").text
    assert text.splitlines()[0].startswith("scope,sender,id") and SCAM in text


def test_a_search_asks_the_index(world):
    """The same cases by the index and without it, when a piece is found too often."""
    for pattern in ("%otp cua ban%", "%dangnhap.top%", "%nowhere%"):
        (few,) = world.site.rows("SELECT cases_with_text(%s, 2000) AS ids, cases_with_text(%s, 3) AS cut", pattern, pattern)
        want = [r["case_id"] for r in world.site.rows("SELECT DISTINCT case_id FROM report WHERE case_id IS NOT NULL AND position(%s IN fold_plain(content)) > 0", pattern.strip("%"))]
        assert sorted(few["ids"]) == sorted(want)
        assert (few["cut"] is None) == (len(want) > 2)  # those of one case are three or fewer here
    plan = world.site.rows("SET enable_seqscan = off; EXPLAIN SELECT case_id FROM report WHERE case_id IS NOT NULL AND fold_plain(content) LIKE '%otp cua ban%'")
    assert any("fold_plain" in r["QUERY PLAN"] and "Index" in r["QUERY PLAN"] for r in plan), plan
    plan = world.site.rows("SET enable_seqscan = off; EXPLAIN SELECT id FROM sender WHERE value LIKE '%4567%'")
    assert any("sender_piece" in r["QUERY PLAN"] for r in plan), plan


def test_a_decision_is_done_once_and_seen_everywhere(world):
    it = case(world, SCAM)
    key = str(uuid.uuid4())
    assert not blocked(world, SCAM)
    assert [r["d"].days for r in world.site.rows("SELECT unnest(ARRAY[confirmed_until(1, t), confirmed_until(0, t)]) - t AS d FROM now() t")] == [180, 30]
    world.sql("UPDATE policy_people SET confirmed_scam = '90 days'")
    first = act(world, it, "uphold", version=it["version"], key=key)
    assert first.status_code == 200, first.text
    again = act(world, it, "uphold", version=it["version"], key=key)
    assert again.status_code == 200 and again.text == first.text and again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["ETag"] == first.headers["ETag"]
    assert act(world, it, "lift", version=it["version"], key=key).status_code == 422
    wait_for("the bar is listed", lambda: blocked(world, SCAM), 20)
    now = wait_for("enforced", lambda: (c := case(world, SCAM))["state"] == "enforced" and c, 20)
    assert now["clock"] == "met" and now["settled_how"] == "single"
    assert world.site.one("SELECT until - decided_at AS term FROM wish WHERE origin LIKE 'person:%%' AND case_id = %s", it["id"])["term"].days == 90
    rows = world.site.rows("SELECT lines FROM audit WHERE what = 'case' AND lines LIKE %s", f"%{it['id']}%")
    assert len(rows) == 1 and "case.uphold" in rows[0]["lines"]
    wait_for("reports hear", lambda: world.site.one("SELECT count(*) AS n FROM outcome WHERE status = 'actioned'")["n"] == 9, 20)
    right = world.site.rows("SELECT DISTINCT was_right FROM reporter_finding WHERE case_id = %s", it["id"])
    assert [r["was_right"] for r in right] == [True]


def test_of_two_people_one_wins_and_the_other_sees_what_changed(world):
    it = case(world, SPAM)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        many = [pool.submit(act, world, it, what, "supervisor", version=it["version"]) for what in ("no_action", "throttle")]
        answers = [m.result() for m in many]
    assert sorted(a.status_code for a in answers) == [200, 412], [a.text for a in answers]
    lost = next(a for a in answers if a.status_code == 412).json()
    assert lost["current"]["version"] > it["version"] and lost["changes"][-1]["event"] in ("no_action", "throttle")
    assert act(world, it, "no_action", version=None).status_code == 428


def test_bad_requests(world):
    it = case(world, SCAM)
    path = f"/v1/cases/{it['id']}/actions"
    got = post(world, path, {"action": "bar", "reason": "why not", "untill": None})
    assert got.status_code == 400 and "untill is not known here" in got.json()["detail"]
    got = post(world, path, {"action": "bar"})
    assert got.status_code == 400 and "reason is missing" in got.json()["detail"]
    assert world.ask("POST", path, "analyst", headers={"If-Match": "*", "Content-Type": "text/plain"}, data="{}").status_code == 415
    assert act(world, it, "reopen").status_code == 409
    assert act(world, it, "uphold", role="viewer").status_code == 403
    assert act(world, it, "uphold", role="liaison").status_code == 403
    assert act(world, it, "bar", detail="bar_out").status_code == 409, "another carrier's subscriber"
    assert post(world, "/v1/cases/c-zzzzzzzzzzzzz/actions", {"action": "uphold", "reason": "why not"}).status_code == 404


def test_texts_are_hidden_and_shown_for_a_reason(world):
    it = case(world, SCAM)
    text = world.get(f"/v1/cases/{it['id']}/reports", "viewer").text
    assert "482913" not in text and "48****" in text and not any(r[2:] in text for r in REPORTERS)
    assert world.get(f"/v1/cases/{it['id']}/reports?unmask=true&reason=police asks", "analyst").status_code == 403
    assert world.get(f"/v1/cases/{it['id']}/reports?unmask=true", "supervisor").status_code == 400
    text = world.get(f"/v1/cases/{it['id']}/reports?unmask=true&reason=police asks", "supervisor").text
    assert "482913" in text
    rows = world.site.rows("SELECT lines FROM audit WHERE what = 'read.unmasked'")
    assert len(rows) == 1 and "why=police asks" in rows[0]["lines"]
    pages, cursor = [], ""
    while cursor is not None:
        page = world.get(f"/v1/cases/{it['id']}/reports?limit=4" + (f"&cursor={cursor}" if cursor else ""), "viewer").json()
        pages += [r["report_id"] for r in page["items"]]
        cursor = page["next"]
    assert len(set(pages)) == len(pages) == 9


def test_four_eyes(world):
    own = case(world, OWN)
    asked = act(world, own, "bar", detail="bar_both", role="supervisor")
    assert asked.status_code == 202 and asked.json()["why"] == "a two-way bar or a recall", asked.text
    assert case(world, OWN)["state"] == "held"
    waits = world.get("/v1/approvals", "analyst").json()["items"]
    assert [w["id"] for w in waits] == [asked.json()["proposal"]] and waits[0]["cases"] == [own["id"]]
    path = f"/v1/approvals/{asked.json()['proposal']}"
    yes = {"agree": True, "reason": "seen it too"}
    assert post(world, path, yes, "supervisor").status_code == 403, "the proposer"
    assert post(world, path, yes, "analyst").status_code == 403, "the role"
    done = post(world, path, yes, "admin")
    assert done.status_code == 200 and done.json()["results"][0]["done"], done.text
    assert post(world, path, yes, "admin").status_code == 404
    wait_for("listed", lambda: blocked(world, OWN), 20)
    assert world.site.one("SELECT detail FROM wish WHERE origin = %s", f"person:{own['id']}")["detail"] == "bar_both"
    named = act(world, case(world, NAME), "uphold")
    assert named.status_code == 202 and named.json()["why"] == "a sender ID"
    refused = post(world, f"/v1/approvals/{named.json()['proposal']}", {"agree": False, "reason": "it is the bank's"}, "supervisor")
    assert refused.json() == {"results": []} and case(world, NAME)["state"] == "held"


def test_an_appeal(world):
    it = case(world, OWN)
    care = world.get("/v1/care/0981112233", "care")
    told = care.json()
    assert told["blocked"][0]["can_appeal"] and "lừa đảo" in told["blocked"][0]["text"]["vi"] and "fraud" in told["blocked"][0]["text"]["en"]
    assert not any(r[2:] in care.text for r in REPORTERS) and "score" not in care.text
    assert world.get(f"/v1/cases/{it['id']}", "care").status_code == 403
    said = world.site.rows("SELECT appeal_automatic, appeal_confirmed, appeal_working FROM policy_people JOIN control USING (policy)")
    assert [tuple(r.values()) for r in said] == [(datetime.timedelta(hours=24), datetime.timedelta(hours=72), False)]
    world.sql("UPDATE policy_people SET appeal_confirmed = '20 hours', appeal_working = true")  # as a policy with appeal_time: working
    opened = post(world, f"/v1/cases/{it['id']}/appeal", {"grounds": "I bought this number last week"}, "care", None)
    assert opened.status_code == 201, opened.text
    due = world.site.one("SELECT due_at, business_due(opened_at, interval '20 hours') AS want, due_at - opened_at AS took FROM appeal")
    assert due["due_at"] == due["want"] and due["took"] > datetime.timedelta(hours=44)  # over two nights at least
    assert case(world, OWN)["state"] == "appealed" and blocked(world, OWN)
    assert act(world, it, "lift").status_code == 409
    got = post(world, f"/v1/cases/{it['id']}/appeal/decision", {"decision": "grant", "reason": "another subscriber"}, "supervisor")
    assert (got.json()["state"], got.json()["outcome"]) == ("closed", "lifted"), got.text
    wait_for("lifted", lambda: not blocked(world, OWN), 20)
    wait_for("reports hear", lambda: world.site.one("SELECT count(*) AS n FROM outcome WHERE status = 'reversed'")["n"] == 6, 20)
    assert not world.site.one("SELECT was_right FROM finding_now WHERE case_id = %s", it["id"])["was_right"]
    events = [e["event"] for e in world.get(f"/v1/cases/{it['id']}/events", "viewer").json()["items"]]
    assert events == ["bar", "appeal", "appeal_grant"]


def test_a_new_report_reopens_with_history(world):
    it = case(world, OWN)
    world.site.produce([record(0, OWN, REPORTERS[8], report_id="c/again")])
    world.site.settle()
    again = case(world, OWN)
    assert again["id"] == it["id"] and again["reopened"] == 1 and again["state"] in ("open", "verifying") and again["clock"] == "running"
    assert again["reports"] == it["reports"] + 1 and not blocked(world, OWN)
    assert [e["event"] for e in world.get(f"/v1/cases/{it['id']}/events", "viewer").json()["items"]][-1] == "report"


def test_nobody_decides_an_appeal_in_time(world):
    it = case(world, SCAM)
    assert blocked(world, SCAM)
    assert post(world, f"/v1/cases/{it['id']}/appeal", {"grounds": "this is my shop"}, "care", None).status_code == 201
    world.sql("UPDATE appeal SET due_at = now() - interval '1 second' WHERE decided_at IS NULL")
    wait_for("the block is lifted", lambda: not blocked(world, SCAM), 20)
    now = case(world, SCAM)
    assert (now["state"], now["outcome"]) == ("closed", "lifted")
    assert world.site.one("SELECT decision FROM appeal ORDER BY id DESC LIMIT 1")["decision"] == "lapsed"


def test_merging_and_splitting(world):
    a, b = case(world, MERGE_A), case(world, MERGE_B)
    assert post(world, f"/v1/cases/{a['id']}/merge", {"into": a["id"], "reason": "the same"}, "supervisor").status_code == 409
    got = post(world, f"/v1/cases/{a['id']}/merge", {"into": b["id"], "reason": "the same campaign"}, "supervisor")
    assert (got.json()["outcome"], got.json()["merged_into"]) == ("merged", b["id"]), got.text
    together = world.get(f"/v1/cases/{b['id']}/reports", "viewer").json()["items"]
    assert {r["case"] for r in together} == {a["id"], b["id"]} and len(together) == 4
    world.site.produce([record(0, MERGE_A, REPORTERS[7], report_id="c/merged")])
    world.site.settle()
    assert len(world.get(f"/v1/cases/{b['id']}/reports", "viewer").json()["items"]) == 5, "it goes on gathering"
    back = post(world, f"/v1/cases/{b['id']}/split", {"case": a["id"], "reason": "not the same"}, "supervisor")
    assert back.status_code == 200, back.text
    now = case(world, MERGE_A)
    assert (now["id"], now["state"], now["outcome"], now["merged_into"], now["reports"]) == (a["id"], a["state"], None, None, 4)
    assert len(world.get(f"/v1/cases/{b['id']}/reports", "viewer").json()["items"]) == 1


def test_referred(world):
    it = case(world, MERGE_B)
    assert act(world, it, "refer", role="liaison").status_code == 409, "to whom?"
    got = act(world, it, "refer", role="liaison", to="viettel")
    assert (got.json()["state"], got.json()["outcome"]) == ("closed", "referred"), got.text

    def told():
        return [(key.decode(), json.loads(value)) for *_, value, key in world.site.read_topic("referrals", 1) if it["id"].encode() in value]

    ((key, said),) = wait_for("the other network is told", told, 20)
    assert key == f"+{MERGE_B}" and {k: said[k] for k in ("seq", "case", "sender", "scope", "service", "class", "to", "reports", "reason")} == {
        "seq": 1, "case": it["id"], "sender": f"+{MERGE_B}", "scope": "number", "service": "sms", "class": "scam", "to": "viettel",
        "reports": it["reports"], "reason": "as seen in the texts"}  # fmt: skip
    assert said["referral_id"].startswith("r-") and said["at"] and said["first_at"] == it["first_at"]
    detail = world.site.one("SELECT detail FROM case_event WHERE case_id = %s AND event = 'refer'", it["id"])["detail"]
    assert (detail["referral_id"], detail["to"]) == (said["referral_id"], "viettel")


def test_notes_and_assignment(world):
    it = case(world, NAME)
    got = post(world, f"/v1/cases/{it['id']}/notes", {"text": "<script>called the bank</script>"}, version=None)
    assert got.status_code == 200
    assert world.get(f"/v1/cases/{it['id']}/notes", "viewer").json()["items"][0]["text"] == "<script>called the bank</script>"
    assert post(world, f"/v1/cases/{it['id']}/assignment", {"assignee": "=lan"}).json()["assignee"] == "=lan"
    assert "\"'=lan\"" in world.get("/v1/cases.csv", "viewer").text, "no formula for a spreadsheet"
    assert [c["id"] for c in world.get("/v1/cases?assignee=%3Dlan", "viewer").json()["items"]] == [it["id"]]


def test_many_at_once(world):
    ids = [c["id"] for c in world.get("/v1/cases?class=nuisance&state=open,verifying", "analyst").json()["items"]]
    assert ids
    got = post(world, "/v1/cases/bulk", {"cases": ids + ["c-zzzzzzzzzzzzz"], "action": "no_action", "reason": "old campaign"}, version=None)
    assert got.status_code == 200, got.text
    done = {r["case"]: r["done"] for r in got.json()["results"]}
    assert all(done[i] for i in ids) and not done["c-zzzzzzzzzzzzz"]
    assert {r["settled_how"] for r in world.site.rows("SELECT settled_how FROM case_file WHERE id = ANY(%s)", ids)} == {"bulk"}
    many = [f"c-{n:013d}" for n in range(51)]
    assert post(world, "/v1/cases/bulk", {"cases": many, "action": "lift", "reason": "a wrong rule"}, version=None).status_code == 202


def test_quiet_nuisance_closes_and_scam_never(world):
    world.sql("""UPDATE case_file SET due_at = now() - interval '30 days', first_at = now() - interval '31 days', state = 'open', outcome = NULL,
        closed_at = NULL, settled_at = NULL WHERE class = 0 AND kind = 'reports' AND state = 'closed' AND sender <> 0;
        UPDATE report SET received_at = received_at - interval '31 days';
        UPDATE case_file SET due_at = now() - interval '30 days' WHERE class = 1 AND state <> 'closed'""")
    scam = world.site.one("SELECT count(*) AS n FROM case_file WHERE class = 1 AND state <> 'closed'")["n"]
    world.engine.hup()
    wait_for("closed", lambda: world.site.one("SELECT count(*) AS n FROM case_event WHERE event = 'quiet'")["n"] > 0, 20)
    rows = world.site.rows("SELECT DISTINCT outcome, reason, settled_how FROM case_file WHERE id IN (SELECT case_id FROM case_event WHERE event = 'quiet')")
    assert [tuple(r.values()) for r in rows] == [("no_action", "no further report within the quiet time", "auto")]
    assert world.site.one("SELECT count(*) AS n FROM case_file WHERE class = 1 AND state <> 'closed'")["n"] == scam


def test_registers_and_audit(world):
    for path in ("orders", "protected", "policy", "rules", "quarantine", "approvals"):
        assert world.get(f"/v1/{path}", "admin").status_code == 200, path
    made = world.ask("POST", "/v1/tokens", "admin", json={"name": "it/lan", "role": "viewer", "ttl_s": 3600})
    assert made.status_code == 201 and world.ask("GET", "/v1/me", None, headers={"X-Api-Key": made.json()["token"]}).json()["role"] == "viewer"
    assert world.ask("POST", "/v1/tokens", "admin", json={"name": "it/lan", "role": "viewer"}).status_code == 409
    assert world.ask("DELETE", "/v1/tokens/it%2Flan", "admin").status_code == 204
    assert world.ask("POST", "/v1/tokens", "supervisor", json={"name": "x", "role": "viewer"}).status_code == 403
    it = world.get("/v1/audit?what=case&limit=5", "auditor").json()
    assert len(it["items"]) == 5 and it["next"] and all(json.dumps(i).count(SCAM) == 0 for i in it["items"])
    assert world.get("/v1/audit", "analyst").status_code == 403
