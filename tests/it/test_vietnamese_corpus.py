"""Real Vietnamese messages through the whole path: folding, rules and reading of citizens' texts agree with the oracle on language as
people write it. The messages are public data sets that lie beside the project, and are not part of it; without them nothing runs.
"""
import csv
import json
import pathlib

import pytest

import compare
from generator import Crowd
from stand import TOP

FILES = sorted((TOP.parent / "shared/data").glob("vi-*/train.tsv"))
NOW_CHANNELS = ("sms5656", "portal", "app")


def messages():
    for path in FILES:
        with open(path, encoding="utf-8", newline="") as f:
            for row in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
                yield row["text"]


@pytest.mark.skipif(not FILES, reason="the data sets are not here")
@pytest.mark.parametrize("pack, model", [("tests/it/pack", ""), ("etc/rules", str(TOP / "etc/model/shipped.khm"))])
def test_corpus(site, pack, model):
    if not list(pathlib.Path(TOP / pack).glob("*.yaml")):
        pytest.skip(f"no packs in {pack}")
    s = site(partitions=2, workers=2, rules=TOP / pack, model__file=model)
    crowd, values = Crowd(31, compare.now_us() // 1_000_000), []
    for n, text in enumerate(messages()):
        at, sender = crowd.time(crowd.received()), crowd.senders[n % 40][0]
        reporter = crowd.reporters[n % len(crowd.reporters)]
        # Brackets inside what was pasted are a matter of the sample reports; here they stay out of citizens' texts.
        if n % 3 == 0 and not set("()[]（）［］") & set(text):
            it = {"schema": "report-sms/1", "report_id": f"v{n}", "from": reporter, "to": "5656", "received_at": at}
            it["text"] = (f"S ({sender}) ({text})", f"S {text}", f"LD ({text}) ({sender})")[n // 3 % 3]
        else:
            it = {"schema": "complaint/1", "report_id": f"v{n}", "channel": NOW_CHANNELS[n % 3], "kind": "S", "received_at": at,
                  "reporter": reporter, "sender": sender, "content": text, "contact": {"matched": "yes"}}  # fmt: skip
        values.append((f"v{n}", json.dumps(it, ensure_ascii=False).encode()))
    s.produce(values)
    engine = s.start().wait_ready()
    s.settle(120)
    compare.assert_same(s, engine)
