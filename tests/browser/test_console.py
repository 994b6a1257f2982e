"""The abuse team's day in a real Chromium: log in, triage a scam wave by keyboard, lift a block and see it gone at a feed client, decide with four
eyes, answer a subscriber; what citizens write stays text; WCAG 2.2 AA by axe; what the first load weighs. KHIEN_PICTURES=docs/pictures renews the
pictures of the docs.
"""
import hashlib
import itertools
import json
import os
import pathlib
import subprocess

import pytest

import page
from page import Page, record, user

import api_world  # noqa: E402, I001  (page.py has shown the way to tests/it)
import harness  # noqa: E402
import stand as services  # noqa: E402
from stand import wait_for  # noqa: E402

PICTURES = pathlib.Path(os.environ["KHIEN_PICTURES"]) if os.environ.get("KHIEN_PICTURES") else None
WAVE = [f"8491234570{n}" for n in range(6)]
EVIL = "84912345790"
TEXT = "Tai khoan VCB cua quy khach bi khoa, truy cap http://vcb-dangnhap.top de xac thuc, ma OTP 482913"
ATTACKS = ['<img src=x onerror="window.hit=1">', "<script>window.hit=1</script>", "javascript:window.hit=1", "\"'><svg onload=window.hit=1>",
           "{{constructor.constructor('window.hit=1')()}}", "\u202eevil\u2066 <b>bold</b> &lt;i&gt;"]
COUNT = itertools.count()


@pytest.fixture(scope="module")
def browser():
    api = page.playwright()
    with api.sync_playwright() as p:
        it = p.chromium.launch(executable_path=page.CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield it
        it.close()


@pytest.fixture(scope="module")
def world(browser, tmp_path_factory):
    stand = services.Stand()
    it = api_world.World(stand, tmp_path_factory.mktemp("console") / "site", 0, roles=None, mode="review")
    try:
        wave = [record(next(COUNT), s, f"8498765430{n}", TEXT, 40 + 3 * n + k) for k, s in enumerate(WAVE) for n in range(7)]
        evil = [record(next(COUNT), EVIL, f"8498765431{n}", f"{a} trung thuong xe may, nop phi truoc", 30 + n, category=a[:100]) for n, a in enumerate(ATTACKS)]
        it.site.produce(wave + evil + [("x", b"<b>not json</b>")])
        it.site.settle()
        for name, role in (("an", "analyst"), ("lan", "supervisor"), ("care1", "care"), ("root", "admin")):
            user(it.site, name, role)
        yield it
    finally:
        it.close()
        stand.end()


@pytest.fixture
def open_page(browser, world):
    made = []

    def make(name=None, **context):
        made.append(Page(browser, world.url("/"), name, **context))
        return made[-1]

    yield make
    for p in made:
        p.close()


def followed(world, folder):
    """What a switch holds that follows the list: its file's lines."""
    out = folder / "list"
    key = folder / "key"
    if not key.exists():
        key.write_text(world.token("feed") + "\n")
        key.chmod(0o600)
    done = subprocess.run([str(harness.BIN), "follow", "--url", world.url("").rstrip("/"), "--key", str(key), "--out", str(out), "--once"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return out.read_text()


def open_case(p, sender):
    p.keys("g", "c")
    p.page.fill("[data-search]", sender[2:])
    p.keys("Escape")
    p.page.locator("a.case", has_text=sender).first.wait_for()
    p.page.wait_for_function("() => document.querySelectorAll('a.case').length === 1")
    p.keys("j", "Enter")
    p.page.wait_for_selector(".reports li")


def test_log_in(open_page):
    p = open_page()
    p.page.wait_for_selector("[name=name]")
    assert p.violations() == []
    p.log_in("an", "a wrong password")
    p.see("không đúng")
    p.log_in("an")
    p.page.wait_for_selector("nav")
    p.see("Hôm nay", "h1")
    p.page.get_by_role("button", name="English").click()
    p.see("Today", "h1")
    p.page.get_by_role("button", name="Log out").click()
    p.page.wait_for_selector("[name=password]")
    p.page.reload()
    p.page.wait_for_selector("[name=password]")


def test_a_scam_wave_by_keyboard(open_page, world):
    p = open_page("an")
    p.page.wait_for_selector(".cards")
    p.page.wait_for_selector(".chart canvas")
    p.picture("today", PICTURES)
    p.keys("g", "c")
    p.page.wait_for_selector("a.case")
    p.picture("queue", PICTURES)
    open_case(p, WAVE[0])
    assert "vcb-dangnhap.top" in p.page.locator(".content").first.inner_text()
    assert p.page.locator(".content mark").count() > 0, "what matched is marked"
    assert "482913" not in p.page.locator("main").inner_text(), "a code is hidden"
    p.picture("case", PICTURES)
    p.decide("u", "tên miền giả ngân hàng")
    p.see("đã áp dụng")
    wait_for("the block", lambda: world.lookup(WAVE[0], "sms").status_code == 200)
    p.keys("Backspace")
    p.page.wait_for_selector("[data-search]")
    p.page.fill("[data-search]", "tài khoản vcb")
    p.keys("Escape")
    p.page.wait_for_function("n => document.querySelectorAll('a.case').length === n", arg=len(WAVE) - 1)
    p.keys("X")
    try:
        p.page.wait_for_selector("tr.picked", timeout=5000)
    except Exception as e:
        raise AssertionError(p.page.evaluate("() => [document.activeElement.outerHTML.slice(0, 200), document.querySelector('[data-search]').value, document.querySelectorAll('a.case').length, document.querySelector('.bulk').innerText, document.querySelectorAll('dialog').length].join(' # ')")) from e
    p.decide("u", "cùng một chiến dịch")
    p.see(f"Xong {len(WAVE) - 1} trên {len(WAVE) - 1}.")
    for sender in WAVE:
        wait_for("the blocks", lambda s=sender: world.lookup(s, "sms").status_code == 200)
    actors = {r["actor"] for r in world.site.rows("SELECT actor FROM audit WHERE what = 'case'")}
    assert actors == {"person:an"}


def test_a_lift_is_seen_at_a_feed_client(open_page, world, tmp_path):
    assert WAVE[1] in followed(world, tmp_path)
    p = open_page("an")
    p.page.wait_for_selector("nav")
    p.page.goto(world.url(f"/#/sender/0{WAVE[1][2:]}"))
    p.page.locator("main a[href^='#/case/']").first.wait_for()
    p.picture("sender", PICTURES)
    p.page.locator("main a[href^='#/case/']").first.click()
    p.page.wait_for_selector(".actions button")
    p.decide("l", "khách hàng chứng minh bị nhầm")
    p.see("đã đóng")
    wait_for("the lift", lambda: world.lookup(WAVE[1], "sms").status_code == 204)
    assert WAVE[1] not in followed(world, tmp_path)


def test_four_eyes(open_page, world):
    first = open_page("an")
    first.page.wait_for_selector("nav")
    first.page.goto(world.url(f"/#/sender/0{WAVE[2][2:]}"))
    first.page.locator("main a[href^='#/case/']").first.click()
    first.page.wait_for_selector(".actions button")
    first.decide("b", "cần chặn hai chiều", detail="bar_both")
    first.see("Cần người thứ hai")
    second = open_page("lan")
    second.page.wait_for_selector("nav")
    second.keys("g", "a")
    second.page.get_by_role("button", name="Đồng ý").click()
    second.page.fill("dialog textarea", "đã xem nội dung")
    second.keys("Control+Enter")
    second.see("Đã đồng ý.")
    first.see("chặn hai chiều")  # told by the stream, without a reload
    assert world.site.one("SELECT action FROM action WHERE action = 'bar_both'")["action"] == "bar_both"


def test_what_citizens_write_stays_text(open_page, world):
    p = open_page("root")
    p.page.wait_for_selector("nav")
    open_case(p, EVIL)
    shown = "\n".join(p.page.locator(".content").all_inner_texts())
    for attack in ATTACKS[:4]:
        assert attack.split()[0] in shown, attack
    p.decide("m", ATTACKS[0])
    p.page.locator(".notes").get_by_text("<img src=x").wait_for()
    for view in ("sender/" + EVIL, "quarantine", "audit", "sender/" + "%3Cimg%20src%3Dx%20onerror%3Dhit%3D1%3E"):
        p.page.goto(world.url(f"/#/{view}"))
        p.page.locator("main table, main .problem").first.wait_for()
    assert p.page.evaluate("window.hit") is None
    assert p.page.locator("main script, main img, main svg, main b").count() == 0


def test_care(open_page, world):
    p = open_page("care1")
    p.page.wait_for_selector("nav")
    assert p.page.locator("nav a").count() == 1, "care sees its own view alone"
    p.page.fill("[name=sender]", "0" + WAVE[3][2:])
    p.keys("Enter")
    p.see("Số này đang bị chặn")
    text = p.page.locator("main").inner_text()
    assert "vcb" not in text and "98765430" not in text
    p.page.get_by_role("button", name="Khiếu nại").click()
    p.page.fill("dialog textarea", "chủ thuê bao mới mua số")
    p.keys("Control+Enter")
    p.see("Đã khiếu nại")
    assert p.violations() == []


@pytest.mark.parametrize("width, scheme", [(1280, "light"), (390, "dark"), (390, "light"), (1280, "dark")])
def test_accessible(open_page, world, width, scheme):
    p = open_page("root", viewport={"width": width, "height": 844}, color_scheme=scheme)
    p.page.wait_for_selector(".cards")
    case = world.site.one("SELECT k.id FROM case_file k JOIN sender s ON s.id = k.sender WHERE s.value = %s", EVIL)["id"]
    views = ["today", "cases", f"case/{case}", f"sender/0{WAVE[0][2:]}", "approvals", "orders", "protected", "feeds", "rules", "quarantine", "audit", "care"]
    for view in views if (width, scheme) in ((1280, "light"), (390, "dark")) else views[:4]:
        p.page.goto(world.url(f"/#/{view}"))
        p.page.wait_for_function("() => document.querySelector('main h1') && !document.querySelector('main [role=status].quiet')")
        assert p.violations() == [], view
        wide = p.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{view} scrolls sideways by {wide}"
    p.page.goto(world.url("/#/cases"))
    p.page.wait_for_selector("a.case, .quiet")
    if width == 390:
        p.picture("queue-phone-" + scheme, PICTURES)
    p.keys("?")
    p.page.wait_for_selector("dialog[open] .keys")
    assert p.violations() == []
    p.keys("Escape")
    p.page.wait_for_selector("dialog[open]", state="detached")


def test_shortcuts_can_be_switched_off(open_page):
    p = open_page("an")
    p.page.wait_for_selector(".cards")
    p.keys("?")
    p.page.locator("dialog input[type=checkbox]").uncheck()
    p.keys("Escape")
    p.keys("g", "c")
    assert p.page.locator("h1").inner_text() == "Hôm nay"


def test_the_first_load(open_page, world, record_property):
    p = open_page()
    p.page.wait_for_selector("[name=name]")
    cdp = p.context.new_cdp_session(p.page)
    sizes = []
    cdp.send("Network.enable")
    cdp.send("Network.setCacheDisabled", {"cacheDisabled": True})
    cdp.on("Network.loadingFinished", lambda e: sizes.append(e["encodedDataLength"]))
    p.page.reload()
    p.page.wait_for_selector("[name=name]")
    ms = p.page.evaluate("performance.getEntriesByType('paint').find(e => e.name === 'first-contentful-paint')?.startTime ?? 0")
    print(f"first load: {sum(sizes)} bytes, first paint with content after {ms:.0f} ms")
    record_property("first_load_bytes", sum(sizes))
    record_property("first_load_ms", ms)
    assert 0 < sum(sizes) < 200_000
    got = world.get("/", None)
    assert "'unsafe" not in got.headers["Content-Security-Policy"] and "default-src 'none'" in got.headers["Content-Security-Policy"]
    again = world.get("/console/app.js", None)
    assert again.headers["Content-Encoding"] == "gzip"
    assert world.get("/console/app.js", None, headers={"If-None-Match": again.headers["ETag"]}).status_code == 304
    assert world.get("/console/../khien.yaml", None).status_code == 404 and world.get("/console/built", None).status_code == 404


def test_an_order_is_taken_in(open_page, world, tmp_path):
    items = ["0912345680", "0912345681", "not a number"]
    head = {"schema": "order/1", "document_no": "77/B-<b>1</b>", "issuer": "Bộ Công an", "signed_at": "2026-11-20T08:00:00+07:00",
            "received_at": "2026-11-20T09:00:00+07:00", "deadline": None, "legal_basis": "Nghị định 91/2020/NĐ-CP", "action": "bar_in",
            "service": "sms", "until": None, "list_sha256": hashlib.sha256("".join(f"{i}\n" for i in items).encode()).hexdigest()}
    file = tmp_path / "order.csv"
    file.write_text(json.dumps(head, ensure_ascii=False) + "\nsender\n" + "".join(f"{i}\n" for i in items))
    p = open_page("root")
    p.page.wait_for_selector("nav")
    p.keys("g", "o")
    p.page.get_by_role("button", name="Nhập văn bản").click()
    p.page.set_input_files("dialog input[type=file]", str(file))
    p.see("3 mục, 1 không phải người gửi", "dialog")
    assert world.site.one("SELECT count(*) AS n FROM order_doc")["n"] == 0, "a look changes nothing"
    p.keys("Control+Enter")
    p.page.wait_for_selector("dialog .problem")  # not without the word that the valid ones are enough
    p.page.check("dialog input[type=checkbox]")
    p.keys("Control+Enter")
    p.see("chờ người thứ hai")
    second = open_page("lan")
    second.page.wait_for_selector("nav")
    second.keys("g", "o")
    second.page.get_by_role("button", name="Đồng ý").click()
    second.see("đang hiệu lực")
    second.page.get_by_role("link", name=head["document_no"]).click()
    second.see("đang thực hiện")
    second.see("không hợp lệ")
    wait_for("the list", lambda: world.lookup(items[0], "sms").status_code == 200)
    assert second.violations() == []


def test_a_record_is_taken_out_of_quarantine(open_page, world):
    p = open_page("lan")
    p.page.wait_for_selector("nav")
    p.keys("g", "q")
    p.page.get_by_role("button", name="Thử lại").click()
    p.page.fill("dialog textarea", "có thể đã sửa bộ đọc")
    p.keys("Control+Enter")
    p.page.wait_for_selector("dialog .problem")  # it is as little understood as before
    p.keys("Escape")
    p.page.get_by_role("button", name="Bỏ", exact=True).click()
    p.page.fill("dialog textarea", "rác")
    p.keys("Control+Enter")
    p.see("đã bỏ")
    assert world.site.one("SELECT state FROM quarantine")["state"] == "dropped"
    assert p.violations() == []
