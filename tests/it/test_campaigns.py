"""Campaigns and evidence: copies of one text are found again in other words, whatever the order; what people uphold is a second leg only where the SMSC carried it."""
import collections
import datetime
import json
import random

import pytest
import requests

import compare
from harness import TOP
from oracle import campaigns

ZONE = datetime.timezone(datetime.timedelta(hours=7))
NOW = datetime.datetime.now(ZONE).replace(microsecond=0)
TEMPLATES = (
    "ngan hang sao vang thong bao tai khoan cua quy khach dang bi tam khoa do dang nhap la vui long vao {link} de xac thuc lai truoc {n} gio hom nay",
    "chuc mung thue bao da trung mot xe may trong chuong trinh tri an lien he {phone} de nop le phi ho so {n} dong va nhan giai ngay",
    "cong ty can ho vinh loc mo ban dot cuoi chiet khau {n} phan tram ho tro vay von toi da goi {phone} de nhan bang gia chi tiet",
    "tuyen cong tac vien lam viec tai nha thu nhap {n} moi ngay khong can kinh nghiem chi can dien thoai nhan tin zalo {phone} nhan viec lien",
    "buu kien cua ban bi giu o kho hai quan vi thieu dia chi cap nhat thong tin va dong phi {n} dong qua {link} trong hom nay",
    "vay tieu dung giai ngan nhanh chi can can cuoc khong the chap khong goi nguoi than duyet han muc {n} trieu truy cap {link} dang ky",
    "canh sat giao thong thong bao xe cua ong ba co bien ban phat nguoi chua nop qua han {n} ngay tra cuu tai {link} de tranh cuong che",
    "sim so dep phong thuy hop menh giao tan noi gia chi tu {n} nghin khuyen mai cuoi tuan xem kho sim {link} hoac goi {phone}",
)
TAILS = "tran trong kinh chao mong som nhan hoi am cua anh chi xin cam on nhieu lam day nhe a ha".split()


def variants(rnd, n=12):
    """(template, text): other numbers and links, a few words exchanged or left out, a random tail."""
    out = []
    for number, template in enumerate(TEMPLATES):
        for _ in range(n):
            words = template.split()
            for _ in range(rnd.randint(0, 3)):
                at = rnd.randrange(len(words))
                if "{" not in words[at]:
                    words[at : at + 1] = rnd.choice(([], [rnd.choice(TAILS)], [words[at], rnd.choice(TAILS)]))
            words += rnd.sample(TAILS, rnd.randint(0, 4))
            out.append((number, " ".join(words).format(
                link=f"{rnd.choice(('canhco', 'saovang', 'nhanqua'))}-{rnd.randint(10, 99)}.example/{rnd.randint(100, 999)}",
                phone=f"09{rnd.randint(10**7, 10**8 - 1)}", n=rnd.randint(2, 999),
            )))  # fmt: skip
    return out


def report(number, sender, reporter, text, minutes=60, matched=None, **more):
    it = {
        "schema": "complaint/1", "report_id": f"c:{number}", "channel": "sms5656", "kind": "S", "reporter": f"+8498{reporter:07d}", "sender": sender,
        "received_at": (NOW - datetime.timedelta(minutes=minutes)).isoformat(), "content": text, **more,
    }  # fmt: skip
    if matched:
        it["contact"] = {"service": "sms", "matched": matched, "origin": "other"}
    return sender, json.dumps(it).encode()


def parts(site):
    """The campaigns as sets of their texts' fingerprints, by name."""
    out = collections.defaultdict(set)
    for r in site.rows("SELECT campaign_name(c.name) AS name, campaign_name(t.fingerprint) AS text FROM campaign c JOIN campaign_text t ON t.campaign = c.id"):
        out[r["name"]].add(r["text"])
    return dict(out)


def pairs(groups):
    return {frozenset((a, b)) for g in groups for a in g for b in g if a < b}


def test_copies_are_found_again_in_any_order(site):
    rnd = random.Random(4)
    made = variants(rnd)
    said = [report(i, f"09{i % 40:08d}", i % 70, text) for i, (_, text) in enumerate(made)]
    found = []
    for shape in ({}, {"workers": 4, "batch__records": 7}):
        s = site(**({"partitions": 4} if shape else {}), **shape)
        rnd.shuffle(said)
        s.produce(said)
        engine = s.start().wait_ready()
        s.settle()
        compare.assert_same(s, engine)
        found.append(parts(s))
    assert found[0] == found[1]
    world = s.world()
    of = collections.defaultdict(set)
    for number, text in made:
        of[number].add(f"{campaigns.sketch(world.pack.folded(text.encode()))[0]:016x}")
    assert all(name == min(texts) for name, texts in found[0].items())
    want, got = pairs(of.values()), pairs(found[0].values())
    recall, precision = len(want & got) / len(want), len(want & got) / len(got)
    print(f"campaigns: recall {recall:.3f}, precision {precision:.3f} of {len(want)} pairs in {len(TEMPLATES)} campaigns")
    assert recall >= 0.95 and precision == 1.0


TEXT = TEMPLATES[0].format(link="saovang-11.example/x", n=4)


def fingerprint(site):
    return f"{campaigns.sketch(site.world().pack.folded(TEXT.encode()))[0]:016x}"


@pytest.fixture
def live(site):
    it = site(mode="auto", rules=TOP / "etc/rules")
    it.engine = it.start()
    it.engine.wait_ready()
    return it


def ask(site, path, role="supervisor", **more):
    token = site.khien("token", "create", "-c", site.conf, "--name", f"{role}-{random.random()}", "--role", role).stdout.strip()
    return requests.request(more.pop("method", "GET"), f"http://127.0.0.1:{site.engine.port}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=20, **more)


def test_what_people_uphold_is_a_leg_only_where_it_was_carried(live):
    """A brigade pastes a phishing text against a victim whose messages never held it: never blocked, also after the campaign is upheld. The one whose message the
    SMSC has carried is, when the reporters are enough and one contact alone was too few."""
    live.produce([report(f"v{r}", "0912345601", r, TEXT) for r in range(30)])
    live.produce([report(f"s{r}", "0912345602", 100 + r, TEXT, matched="yes" if r == 0 else None) for r in range(8)])
    live.settle()
    compare.assert_same(live, live.engine)
    terms = {r["value"]: r["terms"] for r in live.rows("SELECT n.value, s.terms FROM standing s JOIN sender n ON n.id = s.sender")}
    assert all('"CAMPAIGN","weight":0.6' in t for t in terms.values()) and len(terms) == 2
    assert live.rows("SELECT value FROM entry") == []
    name = fingerprint(live)
    shown = ask(live, f"/v1/campaigns/{name}").json()
    assert (shown["campaign"]["senders"], shown["campaign"]["reporters"], shown["campaign"]["state"]) == (2, 38, "open")
    assert [c["campaign"] for c in ask(live, "/v1/campaigns").json()["campaigns"]] == [shown["campaign"]["campaign"]]
    assert ask(live, f"/v1/campaigns/{name}", "viewer", method="POST", json={"state": "upheld", "why": "x"}).status_code == 403
    done = ask(live, f"/v1/campaigns/{name}", method="POST", json={"state": "upheld", "why": "phishing, seen with the bank"})
    assert (done.status_code, done.json()["texts"]) == (200, 1)
    live.settle()
    assert [r["value"] for r in live.rows("SELECT value FROM entry")] == ["84912345602"]
    why = ask(live, "/v1/senders/0912345602/why").json()
    assert why["signals"][0]["campaign_leg_at"] and why["campaigns"][0]["campaign"] == shown["campaign"]["campaign"]
    assert live.one("SELECT lines FROM audit WHERE what = 'campaign.decide'")["lines"].startswith(f"campaign {name} upheld texts=1")


def test_evidence_has_a_history(live):
    text = "lien he zalo 0987654321 hoac vao nhanqua-vang.com/a de nhan qua tri an cua cong ty chung toi trong hom nay"
    live.produce([report(f"e{r}", f"091234560{r % 2}", r, text, minutes=600 - r) for r in range(6)])
    live.settle()
    rows = {r["kind"]: r for r in live.rows("SELECT kind, shown, reports, reporters, senders, last_at - first_at AS span FROM evidence")}
    assert all((r["reports"], r["reporters"], r["senders"], r["span"]) == (6, 6, 2, 5 * 60_000_000) for r in rows.values())
    assert rows[0]["shown"] == "nhanqua-vang.com" and rows[2]["shown"] == "8498*****21" and rows[4]["shown"] == "zalo:8498*****21"
    assert "0987654321" not in str(live.rows("SELECT * FROM evidence")) and "84987654321" not in str(live.rows("SELECT * FROM evidence"))
    told = ask(live, "/v1/reports/c:e0").json()["evidence"]
    assert {e["value"] for e in told} == {r["shown"] for r in rows.values()} and {e["reports"] for e in told} == {6}
    assert len(ask(live, "/v1/senders/0912345600/why").json()["evidence"]) == len(rows)


def test_rules_tell_their_hits(live):
    live.produce([report(f"r{r}", "0912345609", r, "vay tien nhanh trong ngay, vao saovang-xacthuc.example") for r in range(3)])
    live.settle()
    before = ask(live, "/v1/rules/hits").json()["rules"]
    assert before and all(r["hits"] == 3 and r["precision"] is None for r in before)
    live.rows("UPDATE case_file SET state = 'closed', outcome = 'upheld'")
    assert all((r["upheld"], r["overturned"], r["precision"]) == (3, 0, 1) for r in ask(live, "/v1/rules/hits").json()["rules"])


def test_trust_follows_decisions(live):
    """Farmed trust ends at 1.5 and makes nobody two; who accused somebody that was lifted weighs less, to 0.2. A second run changes nothing."""
    live.produce([report(f"t{s}:{r}", f"09123457{s:02d}", r, "goi lam phien nhieu lan", matched="yes") for s in range(12) for r in ((1, 2) if s < 11 else (1, 3))])
    live.settle()
    live.rows("UPDATE case_file k SET state = 'closed', outcome = CASE WHEN n.value = '84912345711' THEN 'lifted' ELSE 'upheld' END FROM sender n WHERE n.id = k.sender")
    assert "3 reporters weigh" in live.khien("trust", "run", "-c", live.conf).stdout
    weights = lambda: sorted(round(r["trust"], 3) for r in live.rows("SELECT trust FROM subject"))  # noqa: E731
    assert weights() == [0.8, 1.35, 1.5]
    assert "0 reporters weigh" in live.khien("trust", "run", "-c", live.conf).stdout
    live.produce([report(f"u{r}", "0912345799", r, "goi lam phien nhieu lan", matched="yes") for r in (1, 2, 3)])
    live.settle()
    assert live.rows("SELECT value FROM entry") == []
    runs = [r["lines"] for r in live.rows("SELECT lines FROM audit WHERE what = 'trust.run' AND actor <> 'engine/keeper' ORDER BY id")]
    assert runs == [f"trust trust-1 reporters changed={n}\n" for n in (3, 0)]
