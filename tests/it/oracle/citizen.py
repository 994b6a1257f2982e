"""A citizen's own text message, read as docs/formats.md "How the text is read" says: keyword, groups, sender, content."""
import re
import unicodedata
from typing import NamedTuple

from . import numbers

OPEN, CLOSE = "([（［", ")]）］"
SKIPPED = "-:;,.|/–—―"
MARKS = numbers.MARKS
NUMBER_IN_WORDS = re.compile(r"[+＋]?[(]?\d(?:[ .\-()]{0,2}\d)*")


class Fault(Exception):
    """reason: no_keyword, no_sender, two_senders, bad_sender."""


class Read(NamedTuple):
    kind: str
    sender: numbers.Sender
    content: str


class Group(NamedTuple):
    text: str
    bracket: bool


def blank(c):
    return c.isspace() or c in MARKS


def strip(text):
    a, b = 0, len(text)
    while a < b and blank(text[a]):
        a += 1
    while b > a and blank(text[b - 1]):
        b -= 1
    return text[a:b]


def is_registry(text):
    """DK DNC, HUY DNC, FW, TCTM, with or without Vietnamese marks."""
    words = numbers.fold_word("".join(c for c in text if c not in MARKS))
    return re.match(r"(?:dk dnc|huy dnc|fw|tctm)(?![a-z0-9])", words) is not None


def keyword(text):
    """The kind and what follows; Fault when there is none."""
    text = strip(text)
    plain = "".join("D" if c in "đĐ" else c for c in text[:2]).upper()
    kind = "LD" if plain == "LD" else plain[:1]
    rest = text[len(kind) :]
    if kind not in ("S", "V", "LD") or (rest and unicodedata.category(rest[0])[0] in "LM"):
        raise Fault("no_keyword")
    return kind, strip(rest)


def skip_between(text):
    while text and (blank(text[0]) or text[0] in SKIPPED):
        text = text[1:]
    return text


def close_of(text):
    """text begins with an opening bracket: where its group ends, and where the rest begins."""
    level = 0
    for i, c in enumerate(text):
        if c in OPEN:
            level += 1
        elif c in CLOSE:
            level -= 1
            if level == 0:
                return i, i + 1
    for i, c in enumerate(text[1:], 1):
        if c in OPEN:
            return i, i
    return len(text), len(text)


def groups_of(text, r):
    """(groups, tail). A third group and later ones may name the sender too, else they are content with their brackets."""
    at = next((i for i, c in enumerate(text) if c in OPEN and i >= r.number_with_brackets(text)), None)
    shut = next((i for i, c in enumerate(text) if c in CLOSE and i >= r.number_with_brackets(text)), None)
    groups = []
    if shut is not None and (at is None or shut < at) and r.is_front(strip(text[:shut])):
        groups.append(Group(strip(text[:shut]), False))
        rest = text[shut + 1 :]
    elif at is None:
        return [Group(strip(text), False)], ""
    else:
        front, rest = trim(text[:at]), text[at:]
        if front and not r.is_front(front):
            end, _ = close_of(rest)
            if r.all_number(Group(strip(rest[1:end]), True)) is None:
                return [Group(strip(text), False)], ""
        if front:
            groups.append(Group(front, False))
    while rest := skip_between(rest):
        if rest[0] in OPEN:
            end, after = close_of(rest)
            if trim(rest[1:end]):
                groups.append(Group(strip(rest[1:end]), True))
            rest = rest[after:]
        elif len(groups) < 2:
            groups.append(Group(strip(rest), False))
            rest = ""
        else:
            break
    return groups, strip(rest)


def trim(text):
    """Without white space and separators at both ends."""
    while text and (blank(text[0]) or text[0] in SKIPPED):
        text = text[1:]
    while text and (blank(text[-1]) or text[-1] in SKIPPED):
        text = text[:-1]
    return text


class Reader:
    def __init__(self, plan, occurred):
        self.plan, self.occurred = plan, occurred

    def number_with_brackets(self, text):
        """Where a number at the start of the text ends when brackets stand inside it, else 0."""
        m = NUMBER_IN_WORDS.match(text)
        if m is None or not any(c in CLOSE for c in m.group()):
            return 0
        return m.end() if self.plan.number(m.group(), self.occurred).found != "invalid" else 0

    def is_front(self, text):
        """A sender in front of the first bracket: a number, a word for withheld, or a sender ID in capitals."""
        it = self.plan.sender(text, self.occurred)
        return bool(text) and it.found != "invalid" and (it.scope != "name" or in_capitals(text))

    def all_number(self, group):
        it = self.plan.number(group.text, self.occurred)
        return None if it.found == "invalid" else it

    def name(self, text):
        """A sender ID or a word for withheld that is all of the text."""
        it = self.plan.sender(text, self.occurred)
        return it if text and (it.scope == "name" or it.found == "withheld") else None

    def among_words(self, text):
        """The different numbers written among words, with where they stand: at each first digit the longest spelling that is one."""
        found, at = [], 0
        while m := NUMBER_IN_WORDS.search(text, at):
            at = m.start() + 1
            while at < len(text) and text[at].isdigit():
                at += 1
            if m.start() > 0 and text[m.start() - 1].isalnum():
                continue
            for end in range(m.end(), m.start(), -1):
                if end < len(text) and text[end].isalnum():
                    continue
                word = text[m.start() : end]
                it = self.plan.number(word, self.occurred)
                many = sum(c.isdigit() for c in word) >= 9 or it.value[:4] in ("1800", "1900")
                if it.found != "invalid" and many and word.count("(") == word.count(")"):
                    found.append((it, (m.start(), end)))
                    at = end
                    break
        return found

    def leading(self, group):
        """A number at the start of a group: (sender, rest), the longest spelling that is one."""
        group = Group(trim(group.text), group.bracket)
        m = NUMBER_IN_WORDS.match(group.text)
        if m is None:
            return None
        ends = [i for i in range(m.end(), 0, -1) if i == m.end() or not group.text[i].isdigit()]
        for end in ends:
            it = self.plan.number(group.text[:end], self.occurred)
            if it.found == "invalid" or (it.scope == "short" and len(it.value) <= 6 and not group.text[:end].isdigit()):
                continue
            if end < len(group.text) and group.text[end].isalnum():
                continue
            return it, group.text[end:]
        return None


def one_of(found):
    if len({(it.scope, it.value, it.hint) for it, _ in found}) > 1:
        raise Fault("two_senders")
    return found[0]


def has_capital(text):
    return any("A" <= c <= "Z" for c in text)


def in_capitals(text):
    return sum("A" <= c <= "Z" for c in text) >= 2 and text == text.upper()


def find_sender(r, groups):
    """Rule 4: (sender, pieces that are content, in order)."""
    texts = [g.text for g in groups]
    whole = [(it, i) for i, g in enumerate(groups) if (it := r.all_number(g)) is not None]
    if len(whole) > 1:
        whole = [(it, i) for it, i in whole if groups[i].bracket or not (it.scope == "short" and len(it.value) <= 6)] or whole
    if whole:
        it, at = one_of(whole)
        first = r.name(texts[0]) if at != 0 else None
        capital = has_capital(texts[0]) if groups[0].bracket else in_capitals(texts[0])
        if first is not None and first.scope == "name" and " " not in texts[0] and capital:
            raise Fault("two_senders")
        return it, [t for i, t in enumerate(texts) if i not in {n for _, n in whole}]
    lead = r.leading(groups[0])
    if lead is not None:
        it, rest = lead
        other = r.plan.number(trim(rest), r.occurred)
        if (other.scope == "number" or other.found == "old") and (other.scope, other.value) != (it.scope, it.value):
            raise Fault("two_senders")
        return it, [trim(rest)] + texts[1:]
    it = name_first(r, groups)
    if it is not None:
        return it[0], [trim(it[1])] + texts[1:]
    found = r.among_words(texts[0])
    if found:
        it, (a, b) = one_of(found)
        return it, [trim(texts[0][:a]), trim(texts[0][b:])] + texts[1:]
    head = texts[0] if groups[0].bracket else texts[0].split()[0]
    if sum(c.isdigit() for c in head) >= 3 and not any(c.isalpha() for c in head):
        raise Fault("bad_sender")
    for i, text in enumerate(texts[1:], 1):
        found = r.among_words(text)
        if found:
            it, (a, b) = one_of(found)
            return it, texts[:i] + [trim(text[:a]), trim(text[b:])] + texts[i + 1 :]
    if len(texts) > 1:
        it = r.name(texts[1])
        if it is not None and (it.found == "withheld" or in_capitals(texts[1])):
            return it, [texts[0]] + texts[2:]
    raise Fault("no_sender")


def name_first(r, groups):
    """A sender ID or a word for withheld at the start of the first group: (sender, rest of the group)."""
    text, bracket = groups[0]
    if bracket:
        it = r.name(text)
        if it is not None and (it.found == "withheld" or len(text.split()) == 1 or len(groups) > 1 or in_capitals(text)):
            return it, ""
    m = re.match(r"([^\s:–—-]+)\s*[:–—-]", text)
    if m is not None and has_capital(m.group(1)):
        it = r.name(m.group(1))
        if it is not None:
            return it, text[m.end(1) :]
    words = text.split()
    if not bracket and r.name(text) is not None and r.name(text).found == "withheld":
        return r.name(text), ""
    if not bracket and in_capitals(words[0]) and (len(words) == 1 or words[1] != words[1].upper() or not has_capital(words[1])):
        it = r.name(words[0])
        if it is not None:
            return it, text[len(words[0]) :]
    return None


def read(plan, text, occurred):
    """Kind, sender and content of one text. Fault when it is none; a routed text is told apart by is_registry before."""
    kind, rest = keyword(text)
    r = Reader(plan, occurred)
    groups, tail = groups_of(rest, r)
    groups = [g for g in groups if g.text]
    if not groups:
        raise Fault("no_sender")
    sender, pieces = find_sender(r, groups)
    pieces = [strip(p) for p in [*pieces, tail]]
    return Read(kind, sender, " ".join(p for p in pieces if p))
