"""khien replay: what is active finds nothing to say of what was decided, in whatever order it came; another policy or pack tells what it would have done,
and nothing is written."""
import datetime
import json
import random
import time

from generator import Crowd
from stand import TOP
from test_contacts import facts_of
from test_lift import NOW, lift, scam, scam_report

FROM, TO = "1990-01-02T00:00:00Z", "2199-01-01T00:00:00Z"


def replay(site, *words, check=True, since=FROM, to=TO):
    got = site.khien("replay", "-c", site.conf, "--from", since, "--to", to, *words, check=check)
    if not check:
        return got
    *lines, last = [json.loads(line) for line in got.stdout.splitlines()]
    return lines, last["summary"]


def changed(tmp_path, *swaps):
    text = (TOP / "etc/policy.yaml").read_text()
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "other.yaml"
    path.write_text(text)
    return path


def state(site):
    tables = [r["t"] for r in site.rows("SELECT relname AS t FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")]
    return {t: site.one(f"SELECT count(*) AS n, coalesce(sum(hashtext(x::text)::bigint), 0) AS h FROM {t} x") for t in tables}


def test_what_is_active_would_do_the_same(site, tmp_path):
    values = Crowd(71, time.time(), senders=25, reporters=80).records(2500)
    s = site(partitions=2, feeds=["contacts"], batch__records=300)
    engine = s.start().wait_ready()
    s.note("contacts", facts_of(values, random.Random(71), 0.3))
    s.produce(values)
    s.settle()
    engine.stop()
    before = state(s)
    lines, summary = replay(s)
    assert lines == [] and summary["was"] == summary["would"] == summary["same"] > 5
    assert summary["reports"] == s.one("SELECT count(*) AS n FROM report WHERE disposition = 0 AND sender <> 0")["n"]
    lines, summary = replay(s, "--policy", changed(tmp_path, ("contact_yes: 2", "contact_yes: 5"), ("policy: shipped", "policy: other")))
    assert summary["policy"].startswith("other") and summary["freed"] > 0
    lines, summary = replay(s, "--rules", s.rules)  # the same texts again, by the same rules
    assert lines == [] and summary["judged_again"] > 100 and summary["label_changed"] == 0
    lines, summary = replay(s, "--rules", TOP / "etc/rules")
    assert summary["label_changed"] > 0
    assert state(s) == before


def test_a_difference_is_told_with_both_sides(site, tmp_path):
    s = site()
    s.start().wait_ready()
    scam(s, "0912345678")
    when = (NOW - datetime.timedelta(minutes=60)).isoformat()
    s.produce([("0912345679", scam_report("0912345679", r, 60, when)) for r in range(4)])
    s.settle()
    other = changed(tmp_path, ("rung: bar, reporters: 5", "rung: bar, reporters: 4"), ("terms: [24h]", "terms: [2h]"))
    lines, summary = replay(s, "--policy", other)
    by_value = {line["value"]: line for line in lines}
    assert by_value["84912345679"]["change"] == "blocked" and by_value["84912345679"]["was"] == []
    was, would = by_value["84912345678"]["was"][0], by_value["84912345678"]["would"][0]
    assert by_value["84912345678"]["change"] == "changed" and was["state"] == "admitted" and was["until"] > would["until"]
    assert (summary["blocked"], summary["changed"], summary["freed"], summary["precision"]) == (1, 1, 0, None)
    # people have said since that it was wrong: the precision of what would be blocked
    lift(s, "--sender", "0912345678", "--apply", "--why", "x")
    lines, summary = replay(s, "--policy", other)
    assert (summary["overturned"], summary["upheld"], summary["precision"]) == (1, 0, 0)
    assert summary["blocked"] == 1  # a lift takes nothing away from what was decided before it
    assert replay(s, to=(NOW - datetime.timedelta(days=9)).isoformat())[1]["senders"] == 0


def test_wrong_files_and_spans_are_named(site, tmp_path):
    s = site()
    got = replay(s, "--policy", changed(tmp_path, ("scam_at: 0.80", "scam_at: 8")), check=False)
    assert got.returncode == 2 and "other.yaml:" in got.stderr and "scam_at" in got.stderr
    assert replay(s, since=TO, to=FROM, check=False).returncode == 2
    assert replay(s, "--policy", tmp_path / "none", check=False).returncode != 0
