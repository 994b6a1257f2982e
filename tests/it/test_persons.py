"""Persons' rights: shown, erased for good, kept no longer than needed; a new wrap key changes nobody's identity."""
import datetime
import json

import pytest

from stand import TOP
from test_keep import number, scam

NOW = datetime.datetime.now(datetime.timezone.utc)


@pytest.fixture
def live(site, stand, tmp_path):
    stand.topic("outcomes", 1)
    it = site(privacy__erasure_files=[str(tmp_path / "erased-a"), str(tmp_path / "erased-b")])
    it.engine = it.start()
    it.engine.wait_ready()
    it.produce([scam("0912345678", r, f"bi mat so {r}") for r in range(5)])
    it.settle()
    return it


def subject(site, what, *words, check=True):
    return site.khien("subject", what, "-c", site.conf, *words, check=check)


def test_a_person_is_shown_then_erased_and_a_replay_brings_nobody_back(live, tmp_path):
    shown = json.loads(subject(live, "export", "--why", "letter 12/2026", "098 000 0003").stdout)
    assert [r["content"] for r in shown["as_reporter"]["reports"]] == ["bi mat so 3"] and shown["number"] == number(3)
    about = json.loads(subject(live, "export", "--why", "letter 13/2026", "0912345678").stdout)
    assert "as_reporter" not in about and about["as_sender"] and "bi mat" not in json.dumps(about)
    live.produce([b"{ so 0980000003"])  # not understood, and it names the person
    live.settle()
    told = subject(live, "erase", "--why", "letter 14/2026", number(3)).stdout
    assert "1 reports without content, 1 quarantined" in told
    for name in ("erased-a", "erased-b"):
        assert len((tmp_path / name).read_text().splitlines()) == 1 and "98000" not in (tmp_path / name).read_text()
    left = live.rows("SELECT count(*) AS n, count(*) FILTER (WHERE content = '') AS empty FROM report")[0]
    assert left == {"n": 5, "empty": 1} and live.one("SELECT count(*) AS n FROM subject")["n"] == 4
    assert subject(live, "export", "--why", "again", number(3), check=False).returncode == 1
    live.produce([scam("0912345678", 3, "bi mat so 3")])
    live.settle()
    assert live.one("SELECT count(*) AS n FROM subject")["n"] == 4
    assert live.one("SELECT count(*) AS n FROM vote")["n"] == 5  # what was decided stays explained
    whats = [r["what"] for r in live.rows("SELECT what, lines FROM audit WHERE what LIKE 'subject%%' ORDER BY id")]
    assert whats == ["subject.export", "subject.export", "subject.erase", "subject.export"]
    assert not live.rows("SELECT FROM audit WHERE lines LIKE '%%980000003%%'")


def test_an_erasure_that_cannot_be_remembered_is_not_begun(live, tmp_path):
    (tmp_path / "erased-b").mkdir()
    got = subject(live, "erase", "--why", "x", number(3), check=False)
    assert got.returncode == 1 and "erased-b" in got.stderr
    assert live.one("SELECT count(*) AS n FROM subject")["n"] == 5


def test_requests_have_clocks_of_working_days(live):
    friday = "2026-11-20T10:00:00+07:00"
    said = subject(live, "ask", "--asked", friday, number(1)).stdout
    assert "answer by 2026-11-24T17:00:00Z, carry out by 2026-12-05T03:00:00Z" in said, said
    assert json.loads(subject(live, "list").stdout)["kind"] == "erase"
    subject(live, "erase", "--why", "x", number(1))
    assert "done_at" in json.loads(subject(live, "list").stdout)


def test_retention_counts_first_and_then_forgets_by_outcome(live):
    live.rows("UPDATE report SET stored_at = stored_at - interval '800 days' WHERE report_id = '0912345678:1'")
    live.rows("UPDATE case_file SET state = 'closed', outcome = 'no_action', closed_at = now() - interval '91 days'")
    live.rows("UPDATE subject SET created_at = created_at - interval '800 days'")
    before = live.khien("retention", "run", "-c", live.conf, "--dry-run").stdout
    assert "content of other closed cases: 5" in before and "content of upheld and referred cases: 0" in before
    assert "reporters who are silent: 1" in before, before
    assert live.one("SELECT count(*) AS n FROM report WHERE content <> ''")["n"] == 5
    assert live.khien("retention", "run", "-c", live.conf).stdout == before
    assert live.one("SELECT count(*) AS n FROM report WHERE content <> ''")["n"] == 0
    again = live.khien("retention", "run", "-c", live.conf).stdout
    assert all(line.endswith(": 0") for line in again.splitlines())


def test_a_new_wrap_key_splits_nobody_in_two(site, stand, tmp_path):
    stand.topic("outcomes", 1)
    it = site(keys__dir=str(tmp_path / "keys"))
    it.khien("keys", "--dir", tmp_path / "keys")
    engine = it.start()
    engine.wait_ready()
    it.produce([scam("0912345678", r) for r in range(3)] + [b"nonsense"])
    it.settle()
    people = it.rows("SELECT id, mac FROM subject ORDER BY id")
    it.khien("keys", "rotate", "-c", it.conf)
    assert it.khien("keys", "rotate", "-c", it.conf, check=False).returncode == 1
    engine.stop()
    it.engines.clear()
    engine = it.start("second")
    engine.wait_ready()
    it.produce([scam("0912345679", r) for r in range(4)])
    it.settle()
    assert it.khien("keys", "forget", "-c", it.conf, check=False).returncode == 1
    assert "4 rows" not in it.khien("keys", "rewrap", "-c", it.conf).stdout  # forget has done it
    it.khien("keys", "forget", "-c", it.conf)
    assert not (tmp_path / "keys/wrap.old.key").exists()
    assert it.rows("SELECT id, mac FROM subject WHERE id = ANY(%s) ORDER BY id", [p["id"] for p in people]) == people
    assert it.one("SELECT count(*) AS n FROM subject")["n"] == 4
    q = it.one('SELECT topic, part, "offset" AS at FROM quarantine')
    shown = it.khien("quarantine", "show", "-c", it.conf, "--why", "x", q["topic"], q["part"], q["at"])
    assert "nonsense" in shown.stdout


def test_the_data_map_names_every_column(live):
    """docs/privacy.md: each column of the schema once, in a class."""
    named = {}
    for line in (TOP / "docs/privacy.md").read_text().splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 4:
            for column in cells[1].split():
                key = (cells[0].strip("`"), column)
                assert key not in named, f"{key} is named twice"
                named[key] = cells[2]
                assert cells[2] in ("person", "sender", "content", "staff", "none"), line
    there = {(r["t"], r["c"]) for r in live.rows(
        "SELECT c.relname AS t, a.attname AS c FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind IN ('r', 'p') AND "
        "NOT c.relispartition AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped")}  # fmt: skip
    assert set(named) == there, (sorted(there - set(named)), sorted(set(named) - there))


def test_everything_that_is_sealed_is_known_to_the_rewrap():
    """Whoever seals a field of a new table adds its line to keep/rewrap.c; files that seal are counted here."""
    sealing = {p.name for room in ("api", "blocklist", "cases", "engine", "ingest", "audit") for p in (TOP / room).glob("*.c")
               if "keys_seal(" in p.read_text()}  # fmt: skip
    assert sealing == {"orders.c", "people.c", "person.c", "store.c"}, sealing
