"""The token model in the engine: the oracle's own reader of the file reaches the same verdicts, and what is active is what the ledger names."""
import json
import shutil
import subprocess

import compare
import harness
from generator import Crowd
from oracle import model, rules
from stand import TOP

SHIPPED = TOP / "etc/model/shipped.khm"
TEXTS = [
    "Cho vay tiền nhanh, chỉ cần CCCD, lh 0912345678", "Mẹ ơi tối nay con về muộn", "Tài khoản bị khóa, vào http://a-b.top/x để mở 100%!",
    "Votre colis est en attente, payez les frais", "Congratulations! You won a prize, call 09061234567 now", "ok", "v a y t i ề n", "12 345",
    "1.500.000 a@b.c $50 x.9 .a a. @b", "Gói cước của quý khách hết hạn, soạn GH gửi 191", "привет как дела", "😀😀", "Selamat anda menang undian, hub 0812",
    "ｎạp ⅔ đầu tặng 150% ︎ nhận ngay", " " * 50 + "vay" * 2000, "mẹ con " * 900,
]  # fmt: skip


def test_two_readers_agree():
    pack = rules.Pack(TOP / "etc/rules", TOP / "etc/fold/homoglyphs.tsv", model.Model(SHIPPED))
    lines = "".join(json.dumps({"id": n, "content": text}) + "\n" for n, text in enumerate(TEXTS))
    done = subprocess.run(
        [str(harness.BIN), "classify", "--model", str(SHIPPED)], input=lines.encode(), stdout=subprocess.PIPE, timeout=60, check=True)
    spoke = 0
    for text, line in zip(TEXTS, map(json.loads, done.stdout.splitlines())):
        want = pack.verdict(text.encode())
        assert (line["label"] or "") == want.label and abs(line["score"] - want.score) < 1e-7, (text, line, want)
        got = {t["name"]: t["weight"] for t in line["terms"]}
        assert got.keys() == {n for n, _ in want.terms}, text
        assert all(abs(got[n] - w) < 1e-7 for n, w in want.terms), text
        spoke += any(n.startswith("MODEL_") for n in got)
    assert spoke > len(TEXTS) // 2


def test_the_active_model_judges(site, tmp_path):
    own = tmp_path / "own.khm"
    shutil.copy(SHIPPED, own)
    s = site(model__file=str(own))
    crowd = Crowd(7, compare.now_us() // 1_000_000)
    values = []
    for n, text in enumerate(TEXTS):
        it = {"schema": "complaint/1", "report_id": f"m{n}", "channel": "sms5656", "kind": "S", "received_at": crowd.time(crowd.received()),
              "reporter": crowd.reporters[n], "sender": crowd.senders[n % 5][0], "content": text, "contact": {"matched": "yes"}}  # fmt: skip
        values.append((f"m{n}", json.dumps(it, ensure_ascii=False).encode()))
    s.produce(values)
    engine = s.start().wait_ready()
    own.unlink()  # what was activated lies in the ledger
    s.settle(60)
    assert s.one("SELECT a.kind FROM control k JOIN artifact a ON a.hash = k.model") is not None
    assert all(row["rules"].endswith("/" + model.Model(SHIPPED).version) for row in s.rows("SELECT DISTINCT rules FROM report"))
    shutil.copy(SHIPPED, own)
    compare.assert_same(s, engine)
