"""Senders and subscriber numbers: the number plan of etc/numbers and the written forms of docs/numbers.md.

Times are microseconds since 1970, as everywhere here.
"""
import csv
import pathlib
import re
import unicodedata
from typing import NamedTuple

BORDER = 1561914000 * 1_000_000  # 2019-07-01T00:00:00+07:00
WITHHELD = {"", "anonymous", "private", "unknown", "withheld", "an danh", "so an", "khong hien so"}
MARKS = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\u00ad"
SEPARATORS = " .-‐‑‒–—―−－·．()[]<>（）［］＜＞\"'‘’“”_"
SPREADSHEET = re.compile(r"[0-9]+([.,][0-9]+)?[eE]\+?[0-9]+")
GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€"
)


class Sender(NamedTuple):
    scope: str  # number, short, name; none for withheld and old numbers
    value: str
    found: str  # ok, withheld, old, invalid
    hint: str = ""


def rows(path):
    with open(path, encoding="utf-8", newline="") as f:
        lines = [s for s in f if s.strip() and not s.startswith("#")]
    return list(csv.DictReader(lines))


class Plan:
    def __init__(self, folder, own_carrier):
        folder = pathlib.Path(folder)
        self.own = own_carrier
        self.plan = [(r["prefix"], int(r["min_digits"]), int(r["max_digits"]), r["class"], r["carrier"]) for r in rows(folder / "plan.csv")]
        self.plan.sort(key=lambda r: -len(r[0]))
        self.short = {r["code"]: (r["class"], r["owner"]) for r in rows(folder / "short.csv")}
        self.old = {r["old"]: r["new"] for r in rows(folder / "old_prefixes.csv")}
        self.world = {}
        if (folder / "world.csv").exists():
            for r in rows(folder / "world.csv"):
                spans = [[int(n) for n in span.split("-")] for span in r["digits"].split()]
                self.world[r["code"]] = {n for span in spans for n in range(span[0], span[-1] + 1)}
        self.ported = {r["number"]: r["carrier"] for r in rows(folder / "portability.csv")}

    def national(self, digits):
        """The plan's row of national significant digits: (class, carrier), or None."""
        for prefix, least, most, klass, carrier in self.plan:
            if digits.startswith(prefix) and least <= len(digits) <= most:
                return klass, carrier
        return None

    def digits_of(self, raw):
        """Plain digits, perhaps after a plus; None when there is anything but digits and separators."""
        text = []
        raw = raw.strip()
        if raw[:4].lower() == "tel:":
            raw = raw[4:].split(";")[0]
        for c in raw:
            if c in MARKS:
                continue
            if unicodedata.category(c) == "Nd":
                text.append(str(unicodedata.decimal(c)))
            elif c in "+＋":
                text.append("+")
            elif c in SEPARATORS or c.isspace():
                continue
            else:
                return None
        text = "".join(text)
        return text if re.fullmatch(r"\+?[0-9]+", text) else None

    def of_national(self, rest, occurred):
        """A sender from national significant digits."""
        row = self.national(rest)
        if row is not None:
            if row[0] in ("tollfree", "premium"):
                return Sender("short", rest, "ok")
            return Sender("number", "84" + rest, "ok")
        if rest.startswith("0"):
            return self.of_national(rest[1:], occurred) if not rest.startswith("00") else Sender("none", "", "invalid")
        if len(rest) == 10 and rest[:3] in self.old:
            today = "84" + self.old[rest[:3]] + rest[3:]
            if occurred < BORDER:
                return Sender("number", today, "ok")
            return Sender("none", "", "old", today)
        return Sender("none", "", "invalid")

    def abroad(self, digits):
        """A country has numbers that begin so and are as long."""
        codes = [digits[:n] for n in (1, 2, 3) if digits[:n] in self.world]
        return not self.world or (codes != [] and len(digits) - len(codes[0]) in self.world[codes[0]])

    def number(self, raw, occurred):
        """A sender written as digits; found is invalid when it is none."""
        text = self.digits_of(raw)
        none = Sender("none", "", "invalid")
        if text is None:
            return none
        if text.startswith("+") or text.startswith("00"):
            digits = text[1:] if text[0] == "+" else text[2:]
            if digits.startswith("84"):
                return self.of_national(digits[2:], occurred)
            if 7 <= len(digits) <= 15 and digits[0] != "0" and self.abroad(digits):
                return Sender("number", digits, "ok")
            return none
        if text.startswith("0"):
            found = self.of_national(text[1:], occurred)
            if found.found == "invalid" and text.startswith("084"):
                return self.of_national(text[3:], occurred)
            return found
        if 3 <= len(text) <= 6:
            return Sender("short", text, "ok")
        row = self.national(text)
        if row is not None and row[0] in ("tollfree", "premium"):
            return Sender("short", text, "ok")
        if len(text) == 9 and row is not None and row[0] == "mobile":
            return Sender("number", "84" + text, "ok")
        if text.startswith("84"):
            return self.of_national(text[2:], occurred)
        return none

    def sender(self, raw, occurred):
        """Any written form: found is ok, withheld, old or invalid."""
        bare = "".join(c for c in raw if c not in MARKS).strip()
        if fold_word(bare) in WITHHELD:
            return Sender("none", "", "withheld")
        found = self.number(raw, occurred)
        if found.found != "invalid":
            return found
        if is_name(bare):
            return Sender("name", ascii_lower(bare), "ok")
        return found

    def msisdn(self, raw):
        """A subscriber's own number as digits, else None."""
        it = self.number(raw, 0)  # an old number always means the one of today
        if it.found != "ok" or it.scope != "number":
            return None
        return it.value

    def domestic(self, it):
        return it.scope == "number" and it.value.startswith("84")

    def klass(self, it):
        """emergency, own_service, or what the plan says."""
        if it.scope == "short":
            klass = self.short.get(it.value, ("short", ""))
            if klass[0] == "care":
                return "own_service" if klass[1] == self.own else "short"
            return klass[0]
        return it.scope

    def attribution(self, it):
        if it.scope == "short":
            return "short"
        if it.scope == "name":
            return "brandname"
        if it.scope != "number":
            return "unattributed"
        if not it.value.startswith("84"):
            return "foreign"
        carrier = self.ported.get(it.value)
        if carrier is None:
            row = self.national(it.value[2:])
            carrier = row[1] if row else ""
        if not carrier:
            return "unattributed"
        return "own" if carrier == self.own else "other"


def ascii_lower(text):
    return "".join(c.lower() if "A" <= c <= "Z" else c for c in text)


def fold_word(text):
    """For the words of a withheld sender: case, Vietnamese marks, brackets and runs of blanks do not matter."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if unicodedata.category(c) != "Mn")
    return " ".join(re.sub(r"[()\[\]<>]", " ", plain.replace("đ", "d")).split())


def is_name(text):
    return (
        1 <= len(text) <= 11
        and all(c in GSM and c not in "|\n\r" for c in text)
        and any(c.isalpha() for c in text)
        and sum("0" <= c <= "9" for c in text) <= 6
        and not SPREADSHEET.fullmatch(text)
    )
