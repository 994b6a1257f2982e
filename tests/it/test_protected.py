"""The protected list by the hand of two people, ranges with exceptions, the queue of reports about protected senders; what caps hold and the word
that lets it through."""
import json
import os

import pytest

from stand import wait_for
from test_lift import listed, scam
from test_replay import changed

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be two people")


@pytest.fixture
def people(monkeypatch):
    def be(name):
        monkeypatch.setenv("SUDO_USER", name)

    return be


def verb(site, name, what, *words, check=True):
    return site.khien(name, what, "-c", site.conf, *words, check=check)


def rows(site):
    return [json.loads(line) for line in verb(site, "protected", "list").stdout.splitlines()]


def test_two_people_protect_and_the_block_falls(site, people):
    s = site()
    s.start().wait_ready()
    scam(s, "0912345678")
    assert listed(s) == {"84912345678"}
    words = ["--scope", "number", "--value", "84912345678", "--owner", "Bach Mai, \"A\"", "--reason", "hospital"]
    people("lan")
    assert "a second person" in verb(s, "protected", "add", *words).stdout
    assert verb(s, "protected", "add", *words, check=False).returncode == 1  # her own word again
    assert listed(s) == {"84912345678"}
    people("minh")
    verb(s, "protected", "add", *words)
    wait_for("the block falls", lambda: listed(s) == set(), 20)
    (row,) = [r for r in rows(s) if r["origin"] == "person:minh"]
    assert row["owner"] == 'Bach Mai, "A"' and row["service"] is None
    case, *_ = [json.loads(x) for x in verb(s, "protected", "reports").stdout.splitlines() if "84912345678" in x]
    assert case["reports"] == 5
    verb(s, "protected", "remove", str(row["id"]))
    people("lan")
    verb(s, "protected", "remove", str(row["id"]))
    wait_for("it comes back", lambda: listed(s) == {"84912345678"}, 20)
    shipped = next(r["id"] for r in rows(s) if r["origin"] == "file")
    assert "taken out of it" in verb(s, "protected", "remove", str(shipped), check=False).stderr
    bad = verb(s, "protected", "add", *words[:2], "--value", "0912", *words[4:], check=False)
    assert bad.returncode == 1 and "is no number" in bad.stderr
    lines = [r["lines"] for r in s.rows("SELECT lines FROM audit WHERE what LIKE 'protected.%' AND actor LIKE 'person:%' ORDER BY id")]
    assert len(lines) == 4 and "8491*****78" in lines[1]


def test_a_range_with_exceptions_and_a_file(site, people, tmp_path):
    s = site()
    path = tmp_path / "banks.csv"
    head = "scope,value,service,owner,reason,until\n"
    path.write_bytes(b"\xef\xbb\xbf" + (head + "range,84911000000-84911000999 except 84911000000 84911000500 84911000501,voice,B,x,\r\n").encode())
    for name in ("lan", "minh"):
        people(name)
        verb(s, "protected", "import", path)
    assert [(r["low"], r["high"]) for r in rows(s) if r["owner"] == "B"] == [("84911000001", "84911000499"), ("84911000502", "84911000999")]
    before = len(rows(s))
    path.write_text(head + "short,191,,A,x,\nrange,84911000000-84911000999 except 84912,,B,x,\n")
    got = verb(s, "protected", "import", path, check=False)
    assert got.returncode == 1 and "banks.csv:3:" in got.stderr and len(rows(s)) == before


def test_what_a_cap_holds_is_let_through_by_a_word(site, people, tmp_path):
    s = site(policy__file=str(changed(tmp_path, ("per_hour: 200", "per_hour: 1"))), lift__alone_max=1)
    s.start().wait_ready()
    for n in range(4):
        scam(s, f"091234567{n}")
    assert len(listed(s)) == 1
    held = [json.loads(x) for x in verb(s, "held", "list").stdout.splitlines()]
    assert {h["reason"] for h in held} == {"cap_hour"} and len(held) == 3
    people("lan")
    verb(s, "held", "release", "--case", held[0]["case"], "--why", "looked at")
    wait_for("one is listed", lambda: len(listed(s)) == 2, 20)
    words = ["--reason", "cap_hour", "--why", "a wave, looked at"]
    assert "a second person" in verb(s, "held", "release", *words).stdout
    people("minh")
    assert "let through: 2" in verb(s, "held", "release", *words).stdout
    wait_for("all are listed", lambda: len(listed(s)) == 4, 20)
    assert verb(s, "held", "release", *words, check=False).returncode == 1
    s.settle()
    assert {r["state"] for r in s.rows("SELECT state FROM action WHERE origin = 'auto' AND class = 1")} == {"admitted"}
