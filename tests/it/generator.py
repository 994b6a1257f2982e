"""Seeded random reports: every disposition, many duplicates, conflicts, late, foreign and withheld ones, hot senders that are
blocked, held or one leg short. Times lie so that nothing ends near `now`. Records with one id have one key.
"""
import datetime
import json
import random

ZONE = datetime.timezone(datetime.timedelta(hours=7))
WORDS = (
    "Tài khoản của quý khách đã bị khóa, vào saovang-xacthuc.example để mở", "Bạn đã TRÚNG THƯỞNG!! nhận tại canhco.example",
    "V.a.y t.i.ề.n nhanh trong ngày", "vay tin chap lai suat thap", "Khuyến mãi!! giảm giá 50%", "Nhà cái uy tín, tặng 100k",
    "c4 cuoc b0ng da", "cảm ơn, tôi chỉ muốn hỏi", "gọi mời mua căn hộ", "", "Mời đầu tư!!", "l ô đ ề mỗi ngày",
    "tai khoan bi phong toa", "ưu đãi sim số đẹp 😀", "ｖａｙ ｎｈａｎｈ", "khуến mãi cuối năm",
)  # fmt: skip
CHANNELS = ("sms156", "sms5656", "voice156", "portal", "app", "care", "authority", "network")
CATEGORIES = (None, None, None, "ad", "loan", "scam", "fake_job", "other")
BAD = (
    None, b"", b"{", b"[]", b"\xff\xfe", b'{"schema":"complaint/1"}', b'{"schema":"complaint/9","report_id":"x"}', b"{}" * 2,
    b'{"schema":"complaint/1","report_id":"b","report_id":"c"}', b"\xef\xbb\xbf{}", b'{"a":1e999}', b"x" * 70000, b'{"a":"\\u0000"}',
)  # fmt: skip


class Crowd:
    def __init__(self, seed, now, senders=60, reporters=300):
        self.r, self.now = random.Random(seed), now
        r = self.r
        number = lambda p: p + "".join(str(r.randint(0, 9)) for _ in range(9 - len(p)))  # noqa: E731
        self.reporters = ["+84" + number(r.choice(("90", "91", "96", "70", "38", "56"))) for _ in range(reporters)]
        makers = (
            lambda: "0" + number(r.choice(("96", "97", "32", "86"))), lambda: "+84" + number(r.choice(("91", "90", "58", "99"))),
            lambda: "0" + number("51"), lambda: "0242" + "".join(str(r.randint(0, 9)) for _ in range(7)),
            lambda: "+37529" + str(r.randint(1000000, 9999999)), lambda: str(r.randint(7000, 9999)), lambda: "1900" + str(r.randint(1000, 9999)),
            lambda: "SHOP" + str(r.randint(10, 99)),
        )  # fmt: skip
        self.senders = [(makers[i % len(makers)](), r.choice((1, 1, 2, 6, 20))) for i in range(senders)]
        self.senders += [("0969115115", 12), ("19000099", 10), ("02439990012", 10), ("saovangbank", 6), ("113", 1), ("5656", 1)]
        # Somebody else uses these: hardly any contact existed.
        self.forged = ("0911000077", "02438880077", "GIA BANK")
        self.senders += [(sender, 5) for sender in self.forged]

    def time(self, at):
        return datetime.datetime.fromtimestamp(at, ZONE).isoformat(timespec="seconds")

    def received(self):
        """Five minutes off every ten minutes before now, give or take: what ends days later ends minutes away from now."""
        span = self.r.choice((6, 40, 250, 500)) * self.r.random()
        return int(self.now - int(span * 6) * 600 - 300 - self.r.randint(-100, 100))

    def content(self):
        """Mostly a few words; now and then so many that only the first 4,096 bytes are judged."""
        r = self.r
        few = " ".join(r.choice(WORDS) for _ in range(r.choice((1, 1, 1, 2, 5))))
        return few if r.random() < 0.98 else r.choice(("x", "ặ", "quảng cáo ")) * r.randint(1000, 4100) + few

    def complaint(self, n):
        r = self.r
        sender, _ = r.choices(self.senders, [w for _, w in self.senders])[0]
        if r.random() < 0.04:
            sender = r.choice(("", "anonymous", "ẩn danh", "01662223334", "0912", "khong ro so may"))
        kind = r.choices(("S", "V", "LD"), (4, 3, 4))[0]
        at = self.received()
        it = {
            "schema": "complaint/1", "report_id": f"r{n}", "channel": r.choice(CHANNELS), "kind": kind, "received_at": self.time(at),
            "reporter": r.choice(self.reporters), "sender": sender, "content": self.content(),
        }  # fmt: skip
        if r.random() < 0.4:
            it["occurred_at"] = self.time(at - r.choice((60, 3600, 3 * 86400, 604800, 604801, 9 * 86400)))
        if r.random() < 0.5:
            it["reporter_verified"] = r.random() < 0.8
        if r.random() < 0.3:
            it["category"] = r.choice(CATEGORIES)
        if r.random() < 0.6:
            it["contact"] = {
                "matched": r.choices(("yes", "no", "unchecked"), (6, 1, 2))[0], "origin": r.choices(("own", "other", "foreign", "unknown"), (4, 4, 1, 1))[0],
            }  # fmt: skip
            if sender in self.forged and r.random() < 0.97:
                it["contact"]["matched"] = r.choice(("no", "no", "unchecked"))
            if kind == "LD":
                it["contact"]["service"] = r.choice(("sms", "voice"))
        return it

    def citizen(self, n):
        r = self.r
        sender, _ = r.choices(self.senders, [w for _, w in self.senders])[0]
        word = r.choice(WORDS).replace("(", "")
        form = r.choice(("{k} ({s}) ({w})", "{k}[{s}][{w}]", "{k} ({s} - {w})", "{k}({s}) {w}", " {k} ({s})", "DK DNC", "Huy DNC {k}", "xin chao", "{k}"))
        text = form.format(k=r.choice(("S", "V", "LD", "lđ")), s=sender, w=word)
        return {
            "schema": "report-sms/1", "report_id": f"c{n}", "from": r.choice(self.reporters), "to": r.choice(("156", "5656")),
            "received_at": self.time(self.received()), **r.choice(({"text": text},) * 6 + ({"parts": [text[:7], text[7:]]}, {"coding": "ucs2", "text": text.encode("utf-16-be").hex()})),
        }  # fmt: skip

    def records(self, count):
        """(key, value) in order."""
        r, out, made = self.r, [], []
        while len(out) < count:
            n, dice = len(out), r.random()
            if dice < 0.03:
                out.append((f"bad{n}", r.choice(BAD)))
                continue
            if dice < 0.15 and made:
                key, it = r.choice(made[-200:])
                if r.random() < 0.3 and it["schema"] == "complaint/1":
                    it = {**it, **r.choice(({"content": "khac"}, {"reporter": r.choice(self.reporters)}, {"channel": "care"}, {"kind": "V"}))}
                elif r.random() < 0.3:
                    it = {**it, "received_at": self.time(self.received()), "evidence": [n]}
            elif dice < 0.3:
                it = self.citizen(n)
            else:
                it = self.complaint(n)
            key = it["report_id"]
            made.append((key, it))
            out.append((key, json.dumps(it, ensure_ascii=r.random() < 0.2).encode()))
        return out

    def texts(self, count):
        """(key, value): citizens' texts put together at random out of senders, words, brackets and separators."""
        r, out = self.r, []
        senders = [s for s, _ in self.senders] + [
            "MUASAM", "Shop Hoa", "VAY 24H", "anonymous", "an danh", "01662223334", "0912", "+12025550143", "156", "1900 1234 5",
            "0912.345.678", "(+84) 912345678", "tel:0912345678", "SaoVang",
        ]  # fmt: skip
        words = [w for w in WORDS if w] + ["goi luc 9h", "3 lan 1 ngay", "MUA NGAY", "lh 0987654321", "so 5656", "123", "so tien 500k", "-", "..."]
        close = {"(": ")", "[": "]", "（": "）", "": ""}

        def group():
            text = r.choice(senders if r.random() < 0.5 else words)
            if r.random() < 0.15:
                text = r.choice(senders) + r.choice((" - ", ": ", " ", "-", ", ")) + r.choice(words)
            elif r.random() < 0.1:
                text = f"{r.choice(words)} {r.choice(senders)} {r.choice(words)}"
            o = r.choice(list(close))
            return o + r.choice(("", " ")) + text + r.choice(("", " ")) + (close[o] if r.random() < 0.93 else "")

        for n in range(count):
            kind = r.choice(("S", "V", "LD", "lđ", "s", "ld", " V", "\u200bS"))
            text = r.choice((" ", "", " - ", " , ")).join(group() for _ in range(r.choice((1, 1, 2, 2, 2, 2, 3))))
            it = {
                "schema": "report-sms/1", "report_id": f"x{n}", "from": r.choice(self.reporters), "to": "156", "received_at": self.time(self.received()),
                "text": kind + r.choice(("", " ", "  ")) + text,
            }  # fmt: skip
            out.append((it["report_id"], json.dumps(it, ensure_ascii=False).encode()))
        return out
