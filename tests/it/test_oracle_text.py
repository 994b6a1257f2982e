"""The oracle's reading of texts, by hand-made cases: folding, rules, citizens' messages, numbers."""
import pathlib

import pytest

from oracle import citizen, fold, numbers, records, rules

TOP = pathlib.Path(__file__).resolve().parents[2]
TABLE = fold.read_homoglyphs(TOP / "etc/fold/homoglyphs.tsv")
PLAN = numbers.Plan(TOP / "etc/numbers", "viettel")
PACK = rules.Pack(TOP / "tests/it/pack", TOP / "etc/fold/homoglyphs.tsv")
LATE = 1_800_000_000_000_000  # 2027
EARLY = 1_500_000_000_000_000  # 2017


@pytest.mark.parametrize(
    "raw, want",
    [
        ("Tài khoản ĐÃ BỊ khóa", "tai khoan da bi khoa"),
        ("  hai\t\u00a0 blanks\n", "hai blanks"),
        ("T\u200bặ\u200bng b\u00adạn", "tang ban"),
        ("v-a-y  V..N..D", "vay vnd"),
        ("v a y ngay", "vay ngay"),
        ("1-2-3", "1-2-3"),
        ("a-b", "a-b"),
        ("a-b_c", "a-b_c"),
        ("c0de ch4t th@nh", "code chat thanh"),
        ("0912 c0de", "0912 code"),
        ("xem c0de.vn/a1b x", "xem c0de.vn/a1b x"),
        ("het c0de. xem", "het code. xem"),
        ("\uff21\uff22\uff23", "abc"),
        ("ﬁn ß", "fin ss"),
        ("раура1", "paypa1"),
        ("a\u2800b", "a b"),
    ],
)
def test_fold(raw, want):
    got = fold.fold(raw, TABLE)
    assert got == want
    assert fold.fold(got, TABLE) == got


def test_cut_at_a_character():
    assert fold.cut(b"a" * 4095 + "ặ".encode()) == "a" * 4095


@pytest.mark.parametrize(
    "text, label, terms",
    [
        ("", "", []),
        ("xin chào", "ham", []),
        ("Tài khoản bị khóa, vào saovang-xacthuc.example", "scam", ["ACCOUNT_LOCKED", "LOCKED_LINK", "LINK"]),
        ("tai khoan bi khoa, vao a1.example, cam on", "scam", ["ACCOUNT_LOCKED", "THANKS", "LINK"]),
        ("V.a.y tien nhanh!!", "spam", ["LOAN", "LOUD_OFFER"]),
        ("khuyen mai!!", "spam", ["DISCOUNT", "LOUD_OFFER"]),
    ],
)
def test_verdict(text, label, terms):
    got = PACK.verdict(text.encode())
    assert (got.label, [t[0] for t in got.terms]) == (label, terms)


def test_caps_and_score():
    got = PACK.verdict("tai khoan bi khoa, trung thuong, a1.example".encode())
    assert got.score == pytest.approx(1 / (1 + 2.718281828459045 ** -(-2 + 6)))
    assert sum(w for _, w in got.terms) == 8.75


@pytest.mark.parametrize(
    "raw, at, want",
    [
        ("0912 345.678", LATE, ("number", "84912345678", "ok")),
        ("+84912345678", LATE, ("number", "84912345678", "ok")),
        ("+84 (0)912-345-678", LATE, ("number", "84912345678", "ok")),
        ("084912345678", LATE, ("number", "84912345678", "ok")),
        ("912345678", LATE, ("number", "84912345678", "ok")),
        ("849123456", LATE, ("number", "84849123456", "ok")),
        ("tel:+84912345678;ext=1", LATE, ("number", "84912345678", "ok")),
        ("\uff10\uff19\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18", LATE, ("number", "84912345678", "ok")),
        ("0012025550143", LATE, ("number", "12025550143", "ok")),
        ("12025550143", LATE, ("none", "", "invalid")),
        ("01662223334", EARLY, ("number", "84362223334", "ok")),
        ("01662223334", LATE, ("none", "", "old")),
        ("1201 2345", LATE, ("short", "12012345", "ok")),
        ("1900 1234", LATE, ("short", "19001234", "ok")),
        ("156", LATE, ("short", "156", "ok")),
        ("0156", LATE, ("none", "", "invalid")),
        ("1234567", LATE, ("none", "", "invalid")),
        ("Ẩn danh", LATE, ("none", "", "withheld")),
        (" MuaSam ", LATE, ("name", "muasam", "ok")),
        ("098x1234567", LATE, ("none", "", "invalid")),
        ("8.49E+10", LATE, ("none", "", "invalid")),
        ("NGÂN HÀNG", LATE, ("none", "", "invalid")),
    ],
)
def test_sender(raw, at, want):
    assert PLAN.sender(raw, at)[:3] == want


def test_whose_number():
    def of(value, scope="number"):
        return PLAN.attribution(numbers.Sender(scope, value, "ok"))

    assert of("84961111222") == "own"
    assert of("84911112222") == "other"
    assert of("84900000001") == "own"  # ported
    assert of("842838880000") == "unattributed"
    assert of("375291111222") == "foreign"
    assert of("8077", "short") == "short"
    assert of("muasam", "name") == "brandname"


@pytest.mark.parametrize(
    "text, kind, sender, content",
    [
        ("S (0901000101) (Căn hộ ven sông)", "S", "84901000101", "Căn hộ ven sông"),
        ("V(0812000106) quay roi", "V", "84812000106", "quay roi"),
        ("lđ [0812000106][a] b", "LD", "84812000106", "a b"),
        ("V 0333000111 goi moi", "V", "84333000111", "goi moi"),
        ("V (Gọi chào) (0765000114)", "V", "84765000114", "Gọi chào"),
        ("S [CHO QUE ONL] [Mua 1]", "S", "cho que onl", "Mua 1"),
        ("V (0812341213) (goi lai so 0912345678)", "V", "84812341213", "goi lai so 0912345678"),
        ("V (so 0812341213 goi) (x)", "V", "84812341213", "so goi x"),
        ("S 8788 moi tai", "S", "8788", "moi tai"),
        ("V (0917000623) (+84917000623)", "V", "84917000623", "+84917000623"),
        ("V [0812 341 213", "V", "84812341213", ""),
    ],
)
def test_citizen(text, kind, sender, content):
    got = citizen.read(PLAN, text, LATE)
    assert (got.kind, got.sender.value, got.content) == (kind, sender, content)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("Vay tien", "no_keyword"),
        ("", "no_keyword"),
        ("S", "no_sender"),
        ("V (bi goi lam phien suot ca ngay)", "no_sender"),
        ("V (0917000618) (0917000620)", "two_senders"),
        ("V (SaoVang) (0917000620)", "two_senders"),
        ("V (so 0917000618 va 0917000620 goi)", "two_senders"),
        ("V (09170) (goi)", "bad_sender"),
    ],
)
def test_citizen_fault(text, reason):
    with pytest.raises(citizen.Fault, match=f"^{reason}$"):
        citizen.read(PLAN, text, LATE)


def test_registry_words():
    assert all(citizen.is_registry(t) for t in ("DK DNC", "đk dnc S", "Hủy DNC", "FW [QC]", "tctm a.example"))
    assert not any(citizen.is_registry(t) for t in ("DKDNC", "FWD x", "DK", "V (0912345678)"))


@pytest.mark.parametrize(
    "text, want",
    [
        ("1970-01-01T00:00:00Z", None),
        ("2026-08-31T09:15:02+07:00", 1788142502000000),
        ("2026-08-31t02:15:02.1234567z", 1788142502123456),
        ("2026-02-29T00:00:00Z", None),
        ("2026-08-31T24:00:00Z", None),
        ("2026-08-31 09:15:02+07:00", None),
        ("2026-08-31T09:15:02", None),
    ],
)
def test_time(text, want):
    try:
        got = records.parse_time(text)
    except records.Bad:
        got = None
    assert got == want
