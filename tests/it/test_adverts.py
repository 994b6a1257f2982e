"""Facts about advertising beside a case: what breaks a cited limit is named, what is not known is unknown and never a violation."""
import json

from stand import wait_for

ON_LIST, OFF_LIST = "0912000001", "0912000002"


def report(n, sender, content, when, **more):
    it = {
        "schema": "complaint/1", "report_id": f"ad:{n}", "channel": "sms5656", "kind": "S", "received_at": "2026-11-20T23:30:00+07:00",
        "reporter": ON_LIST, "sender": sender, "content": content, "contact": {"matched": "yes"},
    }  # fmt: skip
    if when:
        it["occurred_at"] = f"2026-11-20T{when}:00+07:00"
    return sender, json.dumps(it | more).encode()


def facts(engine, site, value):
    case = site.one("SELECT k.id FROM case_file k JOIN sender s ON s.id = k.sender WHERE s.value = %s", value)["id"]
    got = engine.get(f"/v1/cases/{case}")
    assert got.status_code == 200, got.text
    return {f["fact"]: (f["yes"], f["no"], f["unknown"], f["violates"]) for f in got.json()["adverts"]}


def test_limits_and_what_is_unknown(site, tmp_path):
    dnc, brands = tmp_path / "dnc.csv", tmp_path / "brands.csv"
    dnc.write_text(f"number,service,from,to\n{ON_LIST},S,2020-01-01,\n{OFF_LIST},V,2020-01-01,\n")
    brands.write_text("name,owner,from,to\nShopGood,A,2020-01-01,2030-01-01\nShopOld,A,2020-01-01,2021-01-01\n")
    s = site(dnc__file=str(dnc), brandnames__file=str(brands))
    engine = s.start().wait_ready()
    wait_for("both are loaded", lambda: s.one("SELECT count(*) AS n FROM loaded_file")["n"] == 2, 20)
    s.produce([
        report(1, "SHOPGOOD", "[QC] giam gia 50%", "10:00", reporter=OFF_LIST),
        report(2, "ShopOld", "[qc] giam gia 50%", "23:00"),
        report(3, "0912345678", "mua ngay", "", category="advertisement", contact={"matched": "unchecked"}),
        *[report(10 + n, "ShopMany", "hom nay re", f"{9 + n:02}:00", reporter=OFF_LIST) for n in range(5)],
    ])  # fmt: skip
    s.settle()
    good = facts(engine, s, "shopgood")
    assert {f: v[3] for f, v in good.items()} == dict.fromkeys(good, 0)
    assert good["registered_sender"] == good["allowed_hour"] == good["labelled"] == good["not_on_dnc_list"] == (1, 0, 0, 0)
    assert good["within_24h_limit"] == (0, 0, 1, 0)  # how many there were is not known
    old = facts(engine, s, "shopold")
    assert [old[f][3] for f in ("not_on_dnc_list", "registered_sender", "allowed_hour", "labelled")] == [1, 1, 1, 0]
    number = facts(engine, s, "84912345678")
    assert number["allowed_hour"] == number["labelled"] == (0, 0, 1, 0) and number["registered_sender"] == (0, 1, 0, 1)
    many = facts(engine, s, "shopmany")
    assert many["advertisement"] == (0, 0, 5, 0) and many["within_24h_limit"] == (0, 2, 3, 0)  # no advertisement, as far as is known


def test_without_registries_all_is_unknown_and_bad_files_are_named(site, tmp_path):
    s = site()
    engine = s.start().wait_ready()
    s.produce([report(1, "ShopGood", "[QC] giam gia", "10:00")])
    s.settle()
    got = facts(engine, s, "shopgood")
    assert got["not_on_dnc_list"] == got["registered_sender"] == (0, 0, 1, 0)
    bad = tmp_path / "dnc.csv"
    bad.write_text("number,service,from,to\n0912000001,S,2020-01-01,\n8.4E+10,S,2020-01-01,\n0912000001,X,2020-01-01,\n")
    other = site(dnc__file=str(bad))
    got = other.khien("check", "-c", other.conf, check=False)
    assert got.returncode == 2 and "dnc.csv:3:" in got.stderr and "dnc.csv:4:" in got.stderr
