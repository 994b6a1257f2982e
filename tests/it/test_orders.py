"""Authority orders: from the file to the list, past every cap and switch, whole or not at all, and answered number by number."""
import csv
import datetime
import hashlib
import io
import json
import os
import pathlib

import pytest

from stand import wait_for

OWN, OTHER, THIRD = "+84981112233", "0912345678", "0321234567"  # the own carrier's, another one's, an own one again
PROTECTED = "+84969115115"


def order(number, items, **more):
    head = {
        "schema": "order/1", "document_no": number, "issuer": "the authority", "signed_at": "2026-09-01T08:00:00+07:00",
        "received_at": "2026-09-01T09:00:00+07:00", "deadline": "2199-01-01T00:00:00Z", "legal_basis": "decree 91/2020",
        "action": "bar_in", "service": "voice",
        "list_sha256": hashlib.sha256("".join(f"{i}\n" for i in items).encode()).hexdigest(),
    }  # fmt: skip
    return head | more


class Desk:
    def __init__(self, site, folder):
        self.site, self.folder, self.n = site, folder, 0

    def put(self, content):
        self.n += 1
        path = self.folder / f"order{self.n}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def json(self, number, items, **more):
        return self.put(json.dumps(order(number, items, **more) | {"items": items}))

    def csv(self, number, items, end="\n", bom=b"", **more):
        return self.put(bom + end.join([json.dumps(order(number, items, **more)), "sender", *items, ""]).encode())

    def run(self, what, *words, check=True):
        return self.site.khien("order", what, "-c", self.site.conf, *words, check=check)

    def receipt(self, number, columns="raw,receipt"):
        text = self.run("receipt", number, "--columns", columns).stdout
        return {row[0]: row[1] for row in list(csv.reader(io.StringIO(text)))[1:]}

    def refused(self, path, *words):
        got = self.run("import", path, *words, check=False)
        assert got.returncode == 1, got.stdout + got.stderr
        assert self.site.one("SELECT count(*) AS n FROM order_doc")["n"] == 0
        return got.stderr


@pytest.fixture
def desk(site, tmp_path):
    return Desk(site(), tmp_path)


@pytest.fixture
def live(site, stand, tmp_path):
    stand.topic("provisioning", 1)
    it = Desk(site(), tmp_path)
    it.engine = it.site.start()
    it.engine.wait_ready()
    return it


def listed(desk, service="voice"):
    return {e["value"]: e for e in desk.site.feed(desk.engine, service)[1]}


def acknowledge(desk):
    """A switch says that it holds the list as it is."""
    import requests

    head = desk.site.one("SELECT list, release, count, encode(digest, 'hex') AS digest FROM list_head")
    body = {"consumer": "switch-1", "list": str(head["list"]), "release": head["release"], "count": head["count"], "digest": head["digest"]}
    got = requests.post(f"http://127.0.0.1:{desk.engine.port}/v1/feed/acks", json=body, headers=desk.site.headers(), timeout=10)
    assert got.status_code in (200, 201, 204), got.text


# --- the way of an order


def test_from_the_file_to_the_receipt(live):
    live.run("import", live.json("12/CD", [OWN, OTHER, PROTECTED, "098 111 2233"], action="bar_both"))
    live.site.settle()
    assert set(listed(live)) == {"84981112233", "84912345678"}
    assert live.receipt("12/CD") == {OWN: "pending", OTHER: "pending", PROTECTED: "protected_held", "098 111 2233": "pending"}
    acknowledge(live)
    wait_for("the proof is noted", lambda: live.receipt("12/CD")[OTHER] == "executed", 20)
    assert live.receipt("12/CD")[OWN] == "partial"  # the HLR has not answered
    (asked,) = live.site.rows("SELECT request_id, action FROM provisioning")
    assert asked["action"] == "bar_both"
    live.site.rows("INSERT INTO provisioning_result VALUES (%s, 'done', now(), 'x', 0, 0, now())", asked["request_id"])
    assert live.receipt("12/CD")[OWN] == live.receipt("12/CD")["098 111 2233"] == "executed"
    case = live.site.one("SELECT state FROM case_file k JOIN sender s ON s.id = k.sender WHERE s.value = '84912345678'")
    assert case["state"] == "enforced"


def test_only_own_subscribers_are_barred_at_home(live):
    live.run("import", live.json("13/CD", [OWN, OTHER], action="bar_out"))
    live.site.settle()
    assert set(listed(live)) == {"84981112233"}
    assert live.receipt("13/CD") == {OWN: "pending", OTHER: "not_ours"}


def test_passes_kill_switch_and_caps(live):
    live.site.rows("UPDATE control SET kill_switch = true, generation = generation + 1")
    numbers = [f"09123{n:05d}" for n in range(600)]  # more than a day's growth would let in
    live.run("import", live.csv("14/CD", numbers))
    wait_for(lambda: str(live.site.head()), lambda: len(listed(live)) == 600, 30)


def test_the_later_order_counts_and_the_former_comes_back(live):
    live.run("import", live.json("1/X", [OTHER], until="2198-01-01T00:00:00Z"))
    live.run("import", live.json("2/X", [OTHER], until="2197-01-01T00:00:00Z", received_at="2026-09-02T09:00:00+07:00"))
    live.site.settle()
    assert listed(live)["84912345678"]["until"].startswith("2197")
    live.run("revoke", "2/X", "--by", "3/X")
    live.site.settle()
    assert listed(live)["84912345678"]["until"].startswith("2198")


def test_amended_and_revoked(live):
    live.run("import", live.json("20/CD", [OTHER, THIRD]))
    live.run("import", live.json("21/CD", [THIRD], amends="20/CD"))
    live.site.settle()
    assert set(listed(live)) == {"84321234567"}
    live.run("import", live.json("22/CD", [], revokes="21/CD"))
    live.site.settle()
    assert listed(live) == {}
    assert {r["state"] for r in live.site.rows("SELECT state FROM case_file")} == {"closed"}
    states = [json.loads(line)["state"] for line in live.run("list").stdout.splitlines()]
    assert states == ["ended", "ended", "in_force"]
    again = live.run("revoke", "21/CD", "--by", "23/CD", check=False)
    assert again.returncode == 1 and "not in force" in again.stderr
    unknown = live.run("import", live.json("24/CD", [OTHER], amends="a paper of before"))
    assert "was not in force here" in unknown.stdout
    live.site.settle()
    assert set(listed(live)) == {"84912345678"}


def asked(desk):
    rows = desk.site.rows("SELECT action, origin, seq FROM provisioning ORDER BY sender, seq")
    return [(r["action"], r["origin"], r["seq"]) for r in rows]


def test_what_another_order_holds_is_not_lifted_at_the_hlr(live):
    live.run("import", live.json("1/Y", [OWN], action="bar_out"))
    live.run("import", live.json("2/Y", [OWN], action="bar_out"))
    live.run("revoke", "1/Y", "--by", "3/Y")
    first = [("bar_out", "order:1/Y", 1), ("bar_out", "order:2/Y", 2)]
    assert asked(live) == first
    live.run("import", live.json("4/Y", [OWN], action="bar_both", amends="2/Y"))
    assert asked(live) == first + [("bar_both", "order:4/Y", 3)]
    live.run("revoke", "4/Y", "--by", "5/Y")
    assert asked(live)[3:] == [("lift", "order:4/Y", 4)]
    live.site.settle()
    told = [json.loads(r[3]) for r in live.site.read_topic("provisioning", 1) if r[4] == b"84981112233"]
    assert [t["seq"] for t in told][-4:] == [1, 2, 3, 4]  # one key: of one subscriber the later word comes later


def test_when_its_time_is_over_an_order_ends_everywhere(live):
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=8)).isoformat(timespec="seconds")
    live.run("import", live.json("1234/QĐ-BTTTT", [OWN, OTHER], action="bar_both", until=soon))
    wait_for("both are listed", lambda: len(listed(live)) == 2, 7)
    acknowledge(live)
    wait_for("the proof is noted", lambda: live.receipt("1234/QĐ-BTTTT")[OTHER] == "executed", 7)
    request = live.site.one("SELECT request_id FROM provisioning")["request_id"]
    assert request.isascii() and " " not in request and len(request) < 64
    wait_for("the order ends", lambda: [a for a, _, _ in asked(live)] == ["bar_both", "lift"], 30)
    live.site.settle()
    assert listed(live) == {}
    assert live.receipt("1234/QĐ-BTTTT") == {OWN: "partial", OTHER: "executed"}  # and so it stays
    assert live.receipt("1234/QĐ-BTTTT", "raw,reason")[OWN] == "the order ended before"


def test_a_protected_sender_needs_two_people(live, monkeypatch):
    if os.getuid() != 0:
        pytest.skip("needs root, to be two people")
    live.run("import", live.json("30/CD", [PROTECTED]))
    for name, says in (("lan", "a second person must agree"), ("lan", None), ("minh", "let through")):
        monkeypatch.setenv("SUDO_USER", name)
        got = live.run("release", "30/CD", "1", check=False)
        assert (got.returncode == 0 and says in got.stdout) if says else got.returncode == 1
    live.site.settle()
    assert set(listed(live)) == {"84969115115"}
    assert live.run("release", "30/CD", "1", check=False).returncode == 1


def test_bad_items_wait_for_a_second_person(live, monkeypatch):
    if os.getuid() != 0:
        pytest.skip("needs root, to be two people")
    path = live.csv("31/CD", [OTHER, "nobody at all here"])
    assert "line 4: nobody at all here" in live.run("preview", path).stdout
    assert "refused whole" in live.refused(path)
    monkeypatch.setenv("SUDO_USER", "lan")
    live.run("import", path, "--accept-valid")
    assert live.run("approve", "31/CD", check=False).returncode == 1
    live.site.settle()
    assert listed(live) == {}
    monkeypatch.setenv("SUDO_USER", "minh")
    live.run("approve", "31/CD")
    live.site.settle()
    assert set(listed(live)) == {"84912345678"}
    assert live.receipt("31/CD") == {OTHER: "pending", "nobody at all here": "invalid"}


def test_twice_is_once_and_after_the_deadline_is_told(live):
    path = live.json("40/CD", [OTHER], deadline="2026-09-02T00:00:00Z")
    assert "after its deadline" in live.run("import", path).stdout
    assert "in already" in live.run("import", path).stderr
    other = live.run("import", live.json("40/CD", [THIRD]), check=False)
    assert other.returncode == 1 and "another order" in other.stderr
    assert live.site.one("SELECT breach FROM order_doc")["breach"]


# --- files


def test_intact_items_are_read_whatever_the_editor_did(desk):
    desk.run("import", desk.csv("50/CD", [OTHER, THIRD], end="\r\n", bom=b"\xef\xbb\xbf"))
    assert desk.site.one("SELECT count(*) AS n FROM order_target WHERE state = 'wished'")["n"] == 2


DAMAGED = {
    "cut": (lambda d: d.put(pathlib.Path(d.csv("a", [OTHER, THIRD])).read_bytes()[:-8]), "list is cut or changed"),
    "one changed": (lambda d: d.put(pathlib.Path(d.csv("a", [OTHER])).read_bytes().replace(b"0912345678", b"0912345679")), "cut or changed"),
    "rounded": (lambda d: d.csv("a", [OTHER, "8.4E+10"]), ":4: 8.4E+10: a number as a spreadsheet rounds it"),
    "no zero": (lambda d: d.csv("a", ["912345678"]), ":3: 912345678: a number that lost its leading 0"),
    "numbers": (lambda d: d.put(json.dumps(order("a", [OTHER]) | {"items": [84912345678]})), "item 1 is not a text"),
    "utf-16": (lambda d: d.put(json.dumps(order("a", [OTHER]) | {"items": [OTHER]}).encode("utf-16")), "UTF-16"),
    "half a file": (lambda d: d.put(pathlib.Path(d.json("a", [OTHER])).read_bytes()[:-5]), "neither a JSON object nor"),
    "empty list": (lambda d: d.json("a", []), "the list is empty"),
    "no basis": (lambda d: d.json("a", [OTHER], legal_basis=""), "legal_basis is empty"),
    "bad time": (lambda d: d.json("a", [OTHER], signed_at="yesterday"), "signed_at is no RFC 3339 time"),
    "bad action": (lambda d: d.json("a", [OTHER], action="delete"), "action must be"),
    "two columns": (lambda d: d.csv("a", [OTHER + ",x"]), "more than one column"),
    "revokes a list": (lambda d: d.json("a", [OTHER], revokes="zz"), "they would be barred anew"),
}


def test_a_damaged_file_is_refused_whole(desk):
    for what, (make, says) in DAMAGED.items():
        assert says in desk.refused(make(desk)), what
