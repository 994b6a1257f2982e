"""A citizen's own text message, read as docs/formats.md "How the text is read" says: keyword, groups, sender, content.

Where the digits of a sender end is digits.py's. Groups and rules are in the order of that page.
"""
import itertools
import re
import unicodedata
from typing import NamedTuple

from . import numbers
from .digits import Digits, Unclear, blank, letter, same, strip, trim

OPEN, CLOSE = "([（［【", ")]）］】"
MOST_GROUPS = 8
NO_NAMES = {"qc", "ad", "dkqc", "so", "sdt", "dt", "dd", "tel", "phone", "hotline", "lh", "nd"}


class Fault(Exception):
    """reason: no_keyword, no_sender, two_senders, bad_sender."""


class Read(NamedTuple):
    kind: str
    sender: numbers.Sender
    content: str


class Group(NamedTuple):
    text: str
    bracket: bool
    raw: str  # with its brackets


def is_registry(text):
    """DK DNC, HUY DNC, FW, TCTM, with or without Vietnamese marks."""
    words = numbers.fold_word("".join(c for c in text if c not in numbers.MARKS))
    return re.match(r"(?:dk dnc|huy dnc|fw|tctm)(?![a-z0-9])", words) is not None


def keyword(text):
    """The kind and what follows; Fault when there is none."""
    text = strip(text)
    plain = "".join("D" if c in "đĐ" else c for c in text[:2]).upper()
    kind = "LD" if plain == "LD" else plain[:1]
    rest = text[len(kind) :]
    if kind not in ("S", "V", "LD") or (rest and letter(rest[0])):
        raise Fault("no_keyword")
    while rest and (blank(rest[0]) or rest[0] in "-:;,.|/–—―：，"):
        rest = rest[1:]
    return kind, strip(rest)


def in_capitals(text):
    text = trim(text)
    return len(text.split()) == 1 and sum("A" <= c <= "Z" for c in text) >= 2 and not has_small(text)


def has_small(text):
    return any("a" <= c <= "z" for c in text)


def has_capital(text):
    return any("A" <= c <= "Z" for c in text)


def close_of(text):
    """text begins with an opening bracket: where its group ends, and where the rest begins."""
    level = 0
    for i, c in enumerate(text):
        level += (c in OPEN) - (c in CLOSE)
        if level == 0:
            return i, i + 1
    for i, c in enumerate(text[1:], 1):
        if c in OPEN:
            return i, i
    return len(text), len(text)


class Reader:
    def __init__(self, plan, occurred):
        self.plan, self.occurred, self.digits = plan, occurred, Digits(plan, occurred)

    def clear(self, text):
        """The sender when the text is a number or short code and nothing else."""
        text = trim(text)
        it = self.plan.number(text, self.occurred) if text else None
        return it if it is not None and it.found != "invalid" else None

    def sender_id(self, text):
        text = trim(text)
        if not text or set(text) & set("()") or text.lower() in NO_NAMES:
            return None
        it = self.plan.sender(text, self.occurred)
        return it if it.scope == "name" else None

    def withheld(self, text):
        text = trim(text)
        it = self.plan.sender(text, self.occurred) if text else None
        return it if it is not None and it.found == "withheld" else None

    # --- rule 3

    def groups(self, text):
        """(groups, tail)."""
        at = next((i for i, c in enumerate(text) if c in OPEN), None)
        shut = next((i for i, c in enumerate(text) if c in CLOSE), None)
        groups, rest = [], text
        if shut is not None and (at is None or shut < at):
            head = strip(text[:shut])
            if not head or self.clear(head) or self.sender_id(head) or self.withheld(head):
                groups, rest = [Group(head, True, text[: shut + 1])], text[shut + 1 :]
        if not groups and at == 0:
            end = self.number_with_bracket(text)
            if end:
                groups, rest = [Group(text[:end], False, text[:end])], text[end:]
        elif not groups:
            if at is None:
                return [Group(text, False, text)], ""
            front, (end, _) = trim(text[:at]), close_of(text[at:])
            good = self.clear(front) or self.withheld(front) or (self.sender_id(front) and in_capitals(front))
            if not good and not self.clear(strip(text[at + 1 : at + end])):
                return [Group(text, False, text)], ""
            groups, rest = [Group(front, False, front)], text[at:]
        while len(groups) < MOST_GROUPS:
            bare = self.after_separators(rest)
            if not bare or bare[0] not in OPEN:
                break
            end, after = close_of(bare)
            groups.append(Group(strip(bare[1:end]), True, bare[:after]))
            rest = bare[after:]
        bare = self.after_separators(rest)
        if len(groups) == 1 and bare:
            return groups + [Group(strip(bare), False, strip(bare))], ""
        return groups, strip(rest)

    @staticmethod
    def after_separators(text):
        while text and (blank(text[0]) or text[0] in "-:;,.|/：，" or unicodedata.category(text[0]) == "Pd"):
            text = text[1:]
        return text

    def number_with_bracket(self, text):
        end, _ = close_of(text)
        inner = strip(text[1:end])
        if self.clear(inner) and "".join(c for c in inner if c.isdigit()) not in ("1800", "1900"):
            return 0
        try:
            found = self.digits.at(text, 0)
        except Unclear:
            return 0
        return found[1] if found and found[1] > end else 0

    # --- rule 4

    def leading(self, text):
        """What the digits at the start are: (sender, rest) or None; Unclear when there are two ways."""
        text = self.after_separators(text)
        found = self.digits.at(text, 0)
        return None if found is None else (found[0], text[found[1] :])

    def find(self, groups):
        """(sender, pieces that are content, in order)."""
        first, texts = groups[0], [g.text if i < 2 else g.raw for i, g in enumerate(groups)]
        clear = [(i, it) for i, g in enumerate(groups) if (it := self.clear(g.text)) is not None]
        if clear:
            at, it = clear[0]
            self.check_clear(groups, at, it, clear[1:])
            return it, texts[:at] + texts[at + 1 :]
        lead = self.two_ways(lambda: self.leading(first.text))
        if lead is not None and not (is_code(lead[0]) and self.sender_id(first.text) and len(groups) > 1):
            it, rest = lead
            rest = trim(rest)
            self.no_other(it, rest)
            return it, [rest] + texts[1:]
        it = self.name_of(first, len(groups) > 1)
        if it is not None:
            return it[0], [trim(it[1])] + texts[1:]
        found = self.among(first.text)
        if found:
            it, (a, b) = found
            return it, [trim(first.text[:a]), trim(first.text[b:])] + texts[1:]
        head = first.text if first.bracket else (first.text.split() or [""])[0]
        if sum(c.isdigit() for c in head) >= 3 and not any(letter(c) for c in head):
            raise Fault("two_senders" if self.clear(head) else "bad_sender")
        found = [(i, f) for i, g in enumerate(groups[1:], 1) if (f := self.among(g.text))]
        if found:
            i, (it, (a, b)) = found[0]
            if any(not same(it, other[0]) for _, other in found[1:]):
                raise Fault("two_senders")
            text = groups[i].text
            return it, texts[:i] + [trim(text[:a]), trim(text[b:])] + texts[i + 1 :]
        if len(groups) > 1 and groups[1].bracket and trim(first.text):
            second = groups[1].text
            it = self.withheld(second) or (self.sender_id(second) if in_capitals(second) else None)
            if it is not None:
                return it, texts[:1] + texts[2:]
        raise Fault("no_sender")

    def two_ways(self, ask):
        try:
            return ask()
        except Unclear:
            raise Fault("two_senders") from None

    def check_clear(self, groups, at, it, others):
        for i, other in others:
            if not same(it, other) and not (is_code(other) and not groups[i].bracket):
                raise Fault("two_senders")
        if at == 0:
            return
        first = groups[0]
        lead = self.two_ways(lambda: self.leading(first.text))
        if lead is not None and not same(it, lead[0]) and not (first.bracket and is_code(lead[0])):
            raise Fault("two_senders")
        name = self.sender_id(first.text)
        if name and len(trim(first.text).split()) == 1 and (has_capital(first.text) if first.bracket else in_capitals(first.text)):
            raise Fault("two_senders")

    def no_other(self, it, rest):
        """What follows the digits is not another number."""
        other = self.clear(rest)
        if other is not None and (other.scope == "number" or other.found == "old") and not same(it, other):
            raise Fault("two_senders")
        found = self.digits.word(rest, 0)
        if found is not None and not same(it, found[0]):
            raise Fault("two_senders")

    def name_of(self, first, more):
        """A sender ID or a word for withheld at the start of the first group: (sender, rest)."""
        text, bracket = first.text, first.bracket
        if self.withheld(text):
            return self.withheld(text), ""
        it = self.sender_id(text)
        if it is not None and (in_capitals(text) if not bracket else more or not (len(trim(text).split()) > 1 and has_small(text))):
            return it, ""
        m = re.search(r":|(?<=\s)[-–—]|[-–—](?=\s|$)", text)
        if m is not None and len(text[: m.start()].encode()) < 48:
            head, rest = strip(text[: m.start()]), trim(text[m.end() :])
            it = self.withheld(head)
            if it is None and len(head.split()) == 1 and (has_capital(head) if bracket else in_capitals(head)):
                it = self.sender_id(head)
            if it is not None:
                if self.digits.word(rest, 0) is not None:
                    raise Fault("two_senders")
                return it, rest
        if bracket or not text:
            return None
        word = text.split()[0]
        rest = self.after_separators(text[len(word) :])
        word = word.rstrip(":,;.-")
        if in_capitals(word) and self.sender_id(word):
            letters = "".join(itertools.takewhile(letter, rest))
            if not rest or has_small(letters):
                return self.sender_id(word), rest
        return None

    def among(self, text):
        """The one number among the words: (sender, span); Fault when there are two."""
        found = self.digits.words(text)
        if any(not same(found[0][0], other[0]) for other in found[1:]):
            raise Fault("two_senders")
        return found[0] if found else None


def is_code(it):
    """A short code of 3 to 6 digits."""
    return it.scope == "short" and len(it.value) <= 6


def read(plan, text, occurred):
    """Kind, sender and content of one text. Fault when it is none; a routed text is told apart by is_registry before."""
    kind, rest = keyword(text)
    if not rest:
        raise Fault("no_sender")
    r = Reader(plan, occurred)
    groups, tail = r.groups(rest)
    sender, pieces = r.find(groups)
    pieces = [strip(p) for p in [*pieces, tail]]
    return Read(kind, sender, " ".join(p for p in pieces if p))
