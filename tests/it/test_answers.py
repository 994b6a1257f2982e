"""What the house gives out of its hands: a case as a signed archive, the audit chain against heads kept outside, the weekly and monthly tables.
Each is checked with the tools of whoever gets it: tar, sha256sum, openssl, a CSV reader.
"""
import csv
import io
import json
import subprocess

import pytest

import api_world
from conftest import NUMBERS
from stand import wait_for
from test_api_people import BAD, QUIET, REPORTERS, record


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    it = api_world.World(stand, tmp_path_factory.mktemp("answers") / "site", next(NUMBERS), roles=None)
    it.site.produce([record(n, BAD, r) for n, r in enumerate(REPORTERS)] + [record(20, QUIET, REPORTERS[0], kind="S")])
    it.site.settle()
    yield it
    it.close()


def khien(world, *words, check=True):
    return world.site.khien(words[0], *words[1:2], "-c", world.site.conf, *words[2:], check=check)


# --- evidence


def test_a_case_as_evidence(world, tmp_path):
    case = world.site.one("SELECT k.id FROM case_file k JOIN sender s ON s.id = k.sender WHERE s.value = %s AND k.class = 1", BAD)["id"]
    got = world.get(f"/v1/cases/{case}/bundle", "auditor")
    assert got.status_code == 200 and got.headers["Content-Type"] == "application/x-tar"
    (tmp_path / "case.tar").write_bytes(got.content)
    subprocess.run(["tar", "-xf", "case.tar"], cwd=tmp_path, check=True)
    folder = tmp_path / case
    check = ["sha256sum", "-c", "--strict", "MANIFEST.sha256"]
    subprocess.run(check, cwd=folder, check=True, capture_output=True)
    (tmp_path / "ours.pem").write_text(world.site.khien("evidence", "-c", world.site.conf, "--public").stdout)
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "../ours.pem", "-rawin", "-in", "MANIFEST.sha256", "-sigfile", "MANIFEST.sig"]
    assert "Verified Successfully" in subprocess.run(verify, cwd=folder, check=True, capture_output=True, text=True).stdout
    assert (folder / "signer.pem").read_text() == (tmp_path / "ours.pem").read_text()
    listed = {line.split("  ")[1] for line in (folder / "MANIFEST.sha256").read_text().splitlines()}
    assert listed == {p.name for p in folder.iterdir()} - {"MANIFEST.sha256", "MANIFEST.sig", "signer.pem"}
    reports = json.loads((folder / "reports.json").read_text())
    assert len(reports) == len(REPORTERS) and "vcb-dangnhap" in bytes.fromhex(reports[0]["content_hex"]).decode() and reports[0]["terms"]
    assert {r["person"] for r in reports} == set(range(1, len(REPORTERS) + 1)) and {r["contact"] for r in reports} == {"yes"}
    whole = "".join(p.read_text() for p in folder.glob("*.json"))
    assert not any(r[2:] in whole for r in REPORTERS)
    assert json.loads((folder / "actions.json").read_text()) and json.loads((folder / "acknowledgements.json").read_text())[0]["op"] == "add"
    assert any(case in line for e in json.loads((folder / "audit.json").read_text()) for line in e["lines"])
    assert {v["kind"] for v in json.loads((folder / "versions.json").read_text())} >= {"policy", "rules"}
    assert world.site.one("SELECT count(*) AS n FROM audit WHERE what = 'read.bundle' AND lines LIKE %s", f"%{case}%")["n"] == 1
    # one letter of one file, and one of the manifest
    (folder / "reports.json").write_text((folder / "reports.json").read_text().replace("SMS", "sms").replace("scam", "spam", 1))
    (folder / "case.json").write_text((folder / "case.json").read_text() + " ")
    assert subprocess.run(check, cwd=folder, capture_output=True).returncode != 0
    (folder / "MANIFEST.sha256").write_text((folder / "MANIFEST.sha256").read_text().replace("0", "1", 1))
    assert subprocess.run(verify, cwd=folder, capture_output=True).returncode != 0
    assert world.get(f"/v1/cases/{case}/bundle", "analyst").status_code == 403
    none = world.site.khien("evidence", "-c", world.site.conf, "--case", "c-zzzzzzzzzzzzz", check=False)
    assert none.returncode == 1 and none.stdout == ""


# --- the weekly and monthly tables


def tables(text):
    found, name = {}, None
    for row in csv.reader(io.StringIO(text)):
        if len(row) == 1 and not row[0].startswith("Báo cáo"):
            name = row[0]
            found[name] = []
        elif row and name:
            found[name].append(row)
    return found


def test_the_tables(world):
    today = world.site.one("SELECT (now() AT TIME ZONE 'Asia/Ho_Chi_Minh')::date::text AS d")["d"]
    for span in ("week", "month"):
        got = tables(khien(world, "report", span, "--of", today).stdout)
        kinds = {r[0]: r[1:] for r in got["Phản ánh theo loại"]}
        assert kinds["Lừa đảo"][:2] == ["9", "90.0"] and kinds["Tin nhắn rác"][:2] == ["1", "10.0"] and kinds["Cuộc gọi rác"][0] == "0"
        assert sum(int(r[6]) for r in got["Phản ánh theo mạng"][1:]) == 10
        barred = got["Số bị chặn"]
        assert sum(int(r[2]) for r in barred[1:]) == 1, barred
        cases = {r[0]: r[1:] for r in got["Hồ sơ"]}
        assert int(cases["Lừa đảo"][0]) == 1 and int(cases["Quấy rối"][2]) >= 1
        assert got["Khiếu nại"][1] == ["0", "0", "0", "0", "0"] and got["Yêu cầu của cơ quan có thẩm quyền"][1] == ["0", "0", "0"]
    before = tables(khien(world, "report", "month", "--of", "2020-02-15").stdout)
    assert {r[1] for r in before["Phản ánh theo loại"][1:]} == {"0"}
    page = khien(world, "report", "week", "--of", today, "--html").stdout
    assert page.startswith("<!doctype html>") and page.count("<table>") == len(got) and "@media print" in page
    assert khien(world, "report", "week", "--of", "2026-13-01", check=False).returncode == 2


# --- the audit chain, last: it is damaged here


def verify(world, *words):
    return khien(world, "audit", "verify", *words, check=False)


def test_the_chain_against_heads_kept_outside(world, tmp_path):
    heads = tmp_path / "heads"
    kept = wait_for("heads", lambda: [f for f in world.site.dir.rglob("*heads.log") if f.stat().st_size], 20) or []
    world.engine.stop()
    heads.write_bytes(kept[0].read_bytes())
    good = verify(world, "--heads", heads)
    assert good.returncode == 0 and "links hold" in good.stdout, good.stderr
    lines = heads.read_text().splitlines()
    at, seq, digest = lines[-1].split()
    topic = tmp_path / "topic"
    topic.write_text(json.dumps({"seq": int(seq), "hash": digest, "at": at}) + "\n")
    assert verify(world, "--heads", topic).stdout.endswith(", 1 heads agree\n")
    topic.write_text("nonsense\n")
    assert "line 1 is no head" in verify(world, "--heads", topic).stderr
    assert "is not there" in verify(world, "--heads", tmp_path / "gone").stderr
    for sql, why, inside in (
        ("UPDATE audit SET lines = lines || ' ' WHERE id = (SELECT min(id) FROM audit)", "does not hold", True),
        ("DELETE FROM audit_chain WHERE seq = 2; DELETE FROM audit WHERE id NOT IN (SELECT id FROM audit_chain)", "link 2 is missing", True),
        ("UPDATE audit_chain c SET id = (SELECT id FROM audit_chain WHERE seq = 5 - c.seq) WHERE seq IN (2, 3)", "does not hold", True),
        ("DELETE FROM audit_chain WHERE seq > 1; DELETE FROM audit WHERE id NOT IN (SELECT id FROM audit_chain)", "before the kept link", False),
    ):
        world.sql(
            "CREATE TABLE a2 AS TABLE audit; CREATE TABLE c2 AS TABLE audit_chain; TRUNCATE audit_pending;"
            " ALTER TABLE audit_chain DROP CONSTRAINT IF EXISTS audit_chain_id_key;" + sql
        )
        found = verify(world, "--heads", heads)
        assert found.returncode == 1 and why in found.stderr, (sql, found.stderr)
        assert (verify(world, "--heads", "none").returncode == 1) == inside, sql
        world.sql(
            "TRUNCATE audit, audit_chain; INSERT INTO audit OVERRIDING SYSTEM VALUE SELECT * FROM a2;"
            " INSERT INTO audit_chain SELECT * FROM c2; DROP TABLE a2, c2"
        )
    assert verify(world, "--heads", heads).returncode == 0
    # whoever owns the database makes the whole chain anew with the engine itself: only the head shows it
    world.sql("UPDATE audit SET lines = 'another' WHERE id = (SELECT min(id) FROM audit); DELETE FROM audit_chain;"
              " INSERT INTO audit_pending SELECT id FROM audit")
    engine = world.site.start(roles="keeper")
    wait_for("chained anew", lambda: world.site.one("SELECT NOT EXISTS (SELECT FROM audit_pending) AS d")["d"], 20)
    engine.stop()
    assert verify(world, "--heads", "none").returncode == 0
    assert "made anew" in verify(world, "--heads", heads).stderr
