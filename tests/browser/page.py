"""A browser on an installation of its own: Playwright by PyPI in the build folder, Debian's Chromium, axe by the build's npm folder."""
import datetime
import json
import pathlib
import shutil
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/it"))
import harness  # noqa: E402

BUILD = harness.BIN.parent
PLAYWRIGHT = "playwright==1.65.2"
CHROMIUM = shutil.which("chromium")
AXE = BUILD / "console-npm/node_modules/axe-core/axe.min.js"
PASSWORD = "một mật khẩu dài"


def playwright():
    """The module, installed once; the tests are skipped where it cannot be had."""
    folder = BUILD / "browser-py"
    if CHROMIUM is None:
        pytest.skip("skipped: there is no chromium")
    if not (BUILD / "console/app.js").exists():
        pytest.skip("skipped: the console is not built, for npm is not here or could not fetch")
    if not (folder / "playwright").exists():
        done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(folder), PLAYWRIGHT],
                              capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            pytest.skip(f"skipped: {PLAYWRIGHT} cannot be had: {done.stderr[-300:]}")
    sys.path.insert(0, str(folder))
    import playwright.sync_api

    return playwright.sync_api


def record(n, sender, reporter, content, ago_min, **more):
    at = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=ago_min)).strftime("%Y-%m-%dT%H:%M:%SZ")
    it = {"schema": "complaint/1", "report_id": f"b:{n}", "channel": "sms5656", "kind": "LD", "received_at": at, "occurred_at": at,
          "reporter": reporter, "sender": sender, "content": content, "contact": {"service": "sms", "matched": "yes", "origin": "other"}}
    return (sender, json.dumps({**it, **more}).encode())


def user(site, name, role):
    subprocess.run([str(harness.BIN), "user", "create", "-c", str(site.conf), "--name", name, "--role", role], input=PASSWORD + "\n", text=True,
                   check=True, capture_output=True)


class Page:
    """One person's page; what a script complains of is an error of the test."""

    def __init__(self, browser, url, name=None, **context):
        self.url, self.errors = url, []
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "vi-VN", "reduced_motion": "reduce", **context})
        self.context.set_default_timeout(15000)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("dialog", lambda d: (self.errors.append(f"dialog {d.message}"), d.dismiss()))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" and "Failed to load resource" not in m.text else None)
        self.page.goto(url)
        if name:
            self.log_in(name)

    def log_in(self, name, password=PASSWORD):
        self.page.fill("[name=name]", name)
        self.page.fill("[name=password]", password)
        self.page.keyboard.press("Enter")

    def keys(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def see(self, text, within="main"):
        self.page.locator(within).get_by_text(text).first.wait_for()

    def decide(self, key, reason, **fields):
        """A shortcut, the reason that it asks for, Ctrl+Enter."""
        self.keys(key)
        self.page.wait_for_selector("dialog[open] textarea")
        for name, value in fields.items():
            self.page.select_option(f"dialog [name={name}]", value)
        self.page.fill("dialog textarea", reason)
        self.keys("Control+Enter")
        self.page.wait_for_selector("dialog[open]", state="detached")

    def violations(self):
        """What axe finds against WCAG 2.2 AA, as lines."""
        if not self.page.evaluate("typeof axe !== 'undefined'"):
            self.context.add_init_script(path=str(AXE))
            # the page's policy lets no script in; the browser's own channel does
            self.page.evaluate(AXE.read_text() + "; 0")
        found = self.page.evaluate(
            "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
            ".then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 150) + ' ' + n.failureSummary).join(' | ')))")
        return found

    def picture(self, name, folder):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(folder / f"{name}.png"))

    def close(self):
        self.context.close()
        assert self.errors == []
