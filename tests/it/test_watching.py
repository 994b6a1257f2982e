"""Alarms: each goes red within a minute of its fault and clears by itself, as promtool runs the rules; every metric that a rule or panel asks for
is one that the engine has; every alarm has its runbook; and a running engine shows what the page of metrics says."""
import json
import re
import subprocess

import yaml

from stand import TOP, wait_for

RULES = TOP / "deploy/prometheus/khien.rules.yml"
METRIC = re.compile(r"\bkhien_[a-z_]+")
# What the fault looks like: series -> (value when well, value during the fault); a pair (start, step) is a counter.
FAULTS = {
    "KhienDown": {'up{job="khien",instance="a"}': (1, 0)},
    "KhienNoKeeper": {"khien_keeper_leads": (1, 0)},
    "KhienPartWaits": {'khien_part_ok{part="worker-0",instance="a"}': (1, 0)},
    "KhienPartitionStopped": {"khien_partitions_stopped": (0, 1)},
    "KhienLagGrows": {'khien_lag_records{topic="complaints",partition="0"}': (0, 20000)},
    "KhienQuarantineMany": {
        'khien_records_total{disposition="quarantined"}': ("+0", "+50"), 'khien_records_total{disposition="accepted"}': ("+100", "+100")},
    "KhienBatchRetries": {'khien_batch_retries_total{cause="lost",instance="a"}': ("+0", "+200")},
    "KhienCopyBroken": {'khien_copy_ok{copy="redis-0"}': (1, 0)},
    "KhienCopyBehind": {'khien_copy_release{copy="redis-0"}': (7, 6), "khien_lookup_release": (7, 7)},
    "KhienConsumerAlarm": {'khien_consumer_alarm{consumer="smsc-1"}': (0, 1)},
    "KhienOutboxOld": {"khien_outbox_oldest_seconds": (0, 61)},
    "KhienReleaseLate": {"khien_dirty_oldest_seconds": (0, 61)},
    "KhienListStale": {'khien_lookup_age_seconds{instance="a"}': (1, 61)},
    "KhienLookupsUnknown": {'khien_lookups_total{answer="unknown"}': ("+0", "+100")},
    "KhienChoreFailing": {'khien_chore_failing{chore="protected"}': (0, 1)},
    "KhienHeldMany": {"khien_wishes_held_total": ("+0", "+200")},
    "KhienShed": {'khien_http_shed_total{what="database"}': ("+0", "+100")},
    "KhienRefused": {'khien_http_refused_total{code="400"}': ("+0", "+400")},
    "KhienUndecided": {"khien_undecided_total": ("+0", "+200")},
    "KhienBackupOld": {'khien_backup_age_seconds{dir="/backup"}': (100, 100000)},
    "KhienRequestOverdue": {"khien_subject_requests_overdue": (0, 1)},
    "KhienSurge": {'khien_surge_hour{what="scam"}': (10, 100), 'khien_surge_usual{what="scam"}': (12, 12)},
    "KhienMetricsOverflow": {"khien_metrics_overflow": (0, 1)},
}
WELL, ILL, AGAIN = 30, 7, 100  # samples of 10 s before, during and after


def series(name, well, ill):
    """The values as promtool writes them; a counter goes on from where it stood."""
    if isinstance(well, str):
        values, at = [], 0
        for n, step in ((WELL, int(well)), (ILL, int(ill)), (AGAIN, int(well))):
            for _ in range(n):
                at += step
                values.append(at)
    else:
        values = [well] * WELL + [ill] * ILL + [well] * AGAIN
    return {"series": name, "values": " ".join(map(str, values))}


def rules():
    return yaml.safe_load(RULES.read_text())["groups"][0]["rules"]


def names():
    got = subprocess.run(["/usr/bin/python3", str(TOP / "tests/unit/metrics_page.py"), "--names"], capture_output=True, text=True, check=True)
    return set(got.stdout.split()) | {"khien_metrics_overflow"}


def test_every_alarm_goes_red_within_a_minute_and_clears(tmp_path):
    assert {r["alert"] for r in rules()} == set(FAULTS)
    tests = []
    for alert, fault in FAULTS.items():
        red, clear = (WELL + 6) * 10, (WELL + ILL + AGAIN - 1) * 10
        query = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
        tests.append({
            "interval": "10s", "name": alert, "input_series": [series(n, *v) for n, v in fault.items()],
            "promql_expr_test": [
                {"expr": query, "eval_time": f"{at}s", "exp_samples": [{"labels": "{}", "value": value}]}
                for at, value in (((WELL - 1) * 10, 0), (red, 1), (clear, 0))
            ],
        })  # fmt: skip
    file = tmp_path / "alarms.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "10s", "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_panels_ask_only_for_what_there_is():
    known = names()
    panels = json.loads((TOP / "deploy/grafana/khien.json").read_text())["panels"]
    asked = [r["expr"] for r in rules()] + [t["expr"] for p in panels for t in p["targets"]]
    used = {re.sub(r"_(bucket|sum|count)$", "", m) for text in asked for m in METRIC.findall(text)}
    assert used <= known, used - known


def test_every_alarm_has_its_runbook():
    sections = set(re.findall(r"^## (\w+)$", (TOP / "docs/runbooks.md").read_text(), re.M))
    assert sections == {r["alert"] for r in rules()}
    for r in rules():
        assert r["annotations"]["runbook"] == f"docs/runbooks.md#{r['alert'].lower()}"


def test_a_running_engine_shows_what_the_page_says(site, stand):
    page = {m[0]: m[1:] for m in re.findall(r"^\| `(\w+)` \| (\w+) \|[^|]*\| (.*) \|$", (TOP / "docs/metrics.md").read_text(), re.M)}
    stand.topic("outcomes", 1)
    it = site()
    engine = it.start()
    engine.wait_ready()

    def shown():
        text = engine.get("/metrics").text
        helps = dict(re.findall(r"^# HELP (\w+) (.*)$", text, re.M))
        return helps if "khien_surge_hour{" in text else None

    helps = wait_for("the watch looked", shown, 30)
    assert {n for n in helps if n not in page and n != "khien_metrics_overflow"} == set()
    assert all(page[n][1] == text.replace("\\n", " ") for n, text in helps.items() if n in page)
    done = subprocess.run(["promtool", "check", "metrics"], input=engine.get("/metrics").text, capture_output=True, text=True)
    assert done.returncode == 0 or "error" not in done.stderr.lower(), done.stderr


def test_a_backend_that_is_away_is_seen_and_gone(site, stand):
    """Redis dead: the part and the copy are red, as the rules want them, and green again by themselves."""
    stand.topic("outcomes", 1)
    it = site()
    engine = it.start()
    engine.wait_ready()

    def value(name):
        got = re.search(rf"^{re.escape(name)} (\S+)$", engine.get("/metrics").text, re.M)
        return float(got[1]) if got else None

    stand.stop_redis()
    try:
        wait_for("the part is red", lambda: value('khien_part_ok{part="redis-0"}') == 0, 60)
    finally:
        stand.start_redis()
    wait_for("and green again", lambda: value('khien_part_ok{part="redis-0"}') == 1, 60)
