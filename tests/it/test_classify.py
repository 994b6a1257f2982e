"""khien classify: JSON lines in, one verdict line out each, in order; no service, no configuration."""
import json
import subprocess

import harness
from stand import TOP


def classify(lines, *options):
    done = subprocess.run(
        [str(harness.BIN), "classify", *options], input="".join(line + "\n" for line in lines).encode(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def report(number, content):
    return json.dumps({"id": number, "channel": "sms5656", "content": content}, ensure_ascii=False)


def test_verdict_lines():
    code, out, _ = classify([
        report("1", "Tài khoản của bạn đã bị khóa, vào https://vcb-baomat.vip để xác thực"),
        report("2", "Cho vay tien nhanh, chi can CCCD, khong the chap, lh 0912345678"),
        report(3, "Mẹ ơi tối nay con về muộn"),
        report("4", "")])
    assert code == 0
    assert [v["id"] for v in out] == ["1", "2", 3, "4"]
    assert [v["label"] for v in out] == ["scam", "spam", "ham", None]
    assert all(0 <= v["score"] <= 1 and len(v["fingerprint"]) == 16 and v["rules"] for v in out)
    term = next(t for t in out[0]["terms"] if t["name"] == "ACCOUNT_LOCKED")
    assert term["weight"] > 0 and term["match"] == "Tài khoản của bạn đã bị khóa"


def test_bad_lines_do_not_stop_it():
    code, out, _ = classify([
        report("1", "xin chào"), "{", "[]", '{"id":"x"}', '{"content":3}', "", '{"content":"a","content":"b"}',
        '{"content":"khong co id"}'])
    assert code == 1
    assert [v.get("line") for v in out] == [None, 2, 3, 4, 5, 6, 7, None]
    assert all(v["error"] for v in out[1:7])
    assert out[7]["id"] is None and out[7]["label"] == "ham"


def test_rules_of_a_folder(tmp_path):
    code, out, _ = classify([report("1", "v4y tiền nhanh")], "--rules", str(TOP / "tests/it/pack"), "--explain")
    assert code == 0 and out[0]["rules"] == "it-1"
    assert {"cut", "undecided"} <= set(out[0]) and out[0]["terms"][0]["class"] == "spam"
    (tmp_path / "bad.yaml").write_text("pack: bad\nrules:\n  - {id: 1, symbol: X}\n")
    code, out, said = classify([report("1", "a")], "--rules", str(tmp_path))
    assert code == 1 and out == [] and f"{tmp_path}/bad.yaml:3:" in said


def test_wrong_usage():
    assert classify([], "--what")[0] == 2
    assert classify([], "--model", "x")[0] == 2
    assert classify([], "file.json")[0] == 2
