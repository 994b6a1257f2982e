"""khien classify: JSON lines in, one verdict line out each, in order; no service, no configuration."""
import json
import subprocess
from random import Random

import harness
from stand import TOP


def classify(lines, *options):
    done = subprocess.run(
        [str(harness.BIN), "classify", *options], input="".join(line + "\n" for line in lines).encode(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def khien(*words):
    return subprocess.run([str(harness.BIN), *map(str, words)], capture_output=True, text=True, timeout=120, check=False)


TEXTS = [
    ("spam", "cho vay tiền nhanh không thế chấp giải ngân trong ngày"), ("spam", "vay tiền góp chỉ cần cccd lãi suất thấp"),
    ("spam", "nạp lần đầu tặng 100% chơi là thắng rút tiền nhanh"), ("scam", "tài khoản bị khóa vào liên kết để xác thực"),
    ("scam", "trúng thưởng xe máy đóng phí để nhận quà"), ("ham", "mẹ ơi tối nay con về muộn nha"),
    ("ham", "mai họp lúc chín giờ phòng ba nhé"), ("ham", "đơn hàng của bạn đang được giao"), ("ham", "nhắc lịch khám sáng thứ hai"),
]  # fmt: skip


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


ENDLESS = """pack: t-1
bias: -2
scam_share: 0.5
caps: {scam: 6, spam: 5, ham: 4}
rules:
  - {id: 1, symbol: ENDLESS, class: scam, weight: 1, text: raw, pattern: '(?:€{1,9}€{1,9}){1,9}z(?=q)', description: d, match: [€€zq], nomatch: [zzz]}
  - {id: 2, symbol: OTHER, class: scam, weight: 3, pattern: 'xin', description: d, match: [xin], nomatch: [zzz]}
"""


def test_undecided_and_cut_are_said(tmp_path):
    (tmp_path / "a.yaml").write_text(ENDLESS, encoding="utf-8")
    code, out, _ = classify(
        [report("1", "€" * 60 + "z xin"), report("2", "€€zq"), report("3", "é" * 2047 + "xxin"), report("4", "é" * 2046 + "xxin")],
        "--rules", str(tmp_path), "--model", "", "--explain")  # fmt: skip
    assert code == 0
    assert [v["undecided"] for v in out] == [True, False, False, False]
    assert [v["cut"] for v in out] == [False, False, True, False]
    names = [{t["name"]: t["weight"] for t in v["terms"]} for v in out]
    assert names == [{"OTHER": 3, "UNDECIDED": 0}, {"ENDLESS": 1}, {}, {"OTHER": 3}]


def test_a_slow_pattern_is_refused_where_it_stands(tmp_path):
    (tmp_path / "a.yaml").write_text(ENDLESS.replace("€", "x").replace("(?=q)", ""), encoding="utf-8")
    code, out, said = classify([report("1", "a")], "--rules", str(tmp_path))
    assert code == 1 and out == [] and f"{tmp_path}/a.yaml:6: ENDLESS: the pattern is slow" in said and f"{tmp_path}: 1 error\n" in said


def test_wrong_usage():
    assert classify([], "--what")[0] == 2
    assert classify([], "file.json")[0] == 2


def test_without_and_with_a_model(tmp_path):
    text = report("1", "Cho vay tien nhanh, chi can CCCD, khong the chap, lh 0912345678")
    _, (without,), _ = classify([text], "--model", "")
    assert without["model"] is None and not [t for t in without["terms"] if t["name"].startswith("MODEL")]
    random = Random(3)
    learnt = [f"{label}\t{' '.join(random.sample(words.split(), 6))}\tvi" for label, words in TEXTS * 12]
    (tmp_path / "t.tsv").write_text("label\ttext\tlang\n" + "\n".join(learnt) + "\n", encoding="utf-8")
    done = khien("train", "--out", tmp_path / "m.khm", "--version", "t-1", tmp_path / "t.tsv")
    assert done.returncode == 0 and "texts judged" in done.stdout
    code, (one,), _ = classify([text], "--model", str(tmp_path / "m.khm"))
    assert code == 0 and one["model"] == "t-1" and one["label"] == "spam"
    assert [t for t in one["terms"] if t["name"] == "MODEL_SPAM" and t["weight"] > 0 and t["match"]]
    again = khien("train", "--out", tmp_path / "n.khm", "--version", "t-1", tmp_path / "t.tsv")
    assert again.returncode == 0 and (tmp_path / "m.khm").read_bytes() == (tmp_path / "n.khm").read_bytes()


def test_a_broken_model_is_refused(tmp_path):
    shipped = (TOP / "etc/model/shipped.khm").read_bytes()
    wrong = {"cut": shipped[:-1], "bit": shipped[:5000] + bytes([shipped[5000] ^ 1]) + shipped[5001:], "other": b"x" * 5000, "empty": b""}
    for name, data in wrong.items():
        (tmp_path / name).write_bytes(data)
        code, out, said = classify([report("1", "a")], "--model", str(tmp_path / name))
        assert code == 1 and out == [] and f"{tmp_path}/{name}: " in said, said
    assert classify([], "--model", str(tmp_path / "none"))[0] == 1


def test_evaluation(tmp_path):
    (tmp_path / "t.tsv").write_text("label\ttext\n" + "\n".join(f"{a}\t{b}" for a, b in TEXTS) + "\n", encoding="utf-8")
    done = khien("eval", tmp_path / "t.tsv")
    assert done.returncode == 0 and "F1" in done.stdout and "calibration" in done.stdout and "a second" in done.stdout
    (tmp_path / "bad.tsv").write_text("label\ttext\nspam\ta\nwhat\tb\nham\n", encoding="utf-8")
    done = khien("eval", tmp_path / "bad.tsv")
    assert done.returncode == 1 and done.stdout == ""
    assert f"{tmp_path}/bad.tsv:3: the label" in done.stderr and f"{tmp_path}/bad.tsv:4: not as many" in done.stderr


HAM = "xin chào buổi sáng"
EVAL_RULES = """pack: t-1
bias: -2
scam_share: 0.5
caps: {scam: 6, spam: 5, ham: 4}
rules:
  - {id: 1, symbol: OTP, class: spam, weight: 4, pattern: 'trung', description: d, match: [trung], nomatch: [zzz]}
  - {id: 2, symbol: LURE, class: scam, weight: 4, pattern: 'khoa', description: d, match: [khoa], nomatch: [zzz]}
"""
EVAL_TEXTS = [
    ("scam", "bị khóa một"), ("scam", "bị khóa hai"), ("scam", "không ai thấy"), ("spam", "trúng ba"), ("spam", "trúng bốn"), ("ham", HAM),
    ("ham", "hẹn gặp lại"), ("ham", "đi chợ chưa"), ("ham", "vé số trúng rồi"), ("ham", "HẸN gặp lại!!"),
]  # fmt: skip


def test_what_an_evaluation_says(tmp_path):
    (tmp_path / "a.yaml").write_text(EVAL_RULES, encoding="utf-8")
    path = tmp_path / "t.tsv"
    path.write_text("label\ttext\n" + "\n".join(f"{a}\t{b}" for a, b in EVAL_TEXTS) + "\n", encoding="utf-8")
    done = khien("eval", "--rules", tmp_path, "--model", "", path)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].startswith("9 texts judged (1 doubles left out, 0 of them with another label; 0 without text)")
    row = {line[:19].strip(): line[19:].split() for line in said if " rules " in line and "texts" not in line}
    # who, bad, not, precision and its interval, recall and its interval, F1 and its interval, ham called bad
    for name, want in {"spam and scam": "5 4 0.800 0.800 0.800 1", "spam": "2 7 0.667 1.000 0.800 1", "scam": "3 6 1.000 0.667 0.800 0"}.items():
        got = row[name]
        assert [got[1], got[2], got[3], got[6], got[9], got[12]] == want.split(), (name, got)
    low, high = float(row["spam and scam"][7].strip("[")), float(row["spam and scam"][8].strip("]"))
    assert abs(low - 0.376) < 0.001 and abs(high - 0.964) < 0.001  # Wilson, 4 of 5
    alarms = [line for line in said if f"{path}:" in line]
    assert len(alarms) == 1 and alarms[0].startswith(f"  {path}:10 spam 0.881 ") and alarms[0].endswith("vé số trúng rồi")
    assert "  in all 1" in said and said[-1].endswith(" texts judged a second on one core")
    each = khien("eval", "--each", "--rules", tmp_path, "--model", "", path).stdout.splitlines()
    assert each[0] == "file\tline\tfold\tlabel\tsaid\tscore\trules\tmodel\tknown" and len(each) == 10
    assert [line.split("\t")[4] for line in each[1:]] == ["scam", "scam", "ham", "spam", "spam", "ham", "ham", "ham", "spam"]


def test_wrong_usage_of_training():
    assert khien("train", "x.tsv").returncode == 2
    assert khien("train", "--out", "x").returncode == 2
    assert khien("train", "--out", "x", "--cost", "0", "x.tsv").returncode == 2
    assert khien("eval").returncode == 2
    assert khien("eval", "--model", "x", "--folds", "5", "x.tsv").returncode == 2
