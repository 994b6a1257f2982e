"""Where the digits of a sender end inside a text: docs/formats.md "Where digits end"."""
import unicodedata

from . import numbers

OPEN, CLOSE = "([（［【", ")]）］】"
SEPARATORS = "-:;,.|/：，·_"
MARKS = numbers.MARKS


class Unclear(Exception):
    """The digits can be read in two ways."""


SIGNS = ((0x2000, 0x2BFF), (0x3000, 0x303F), (0xFE00, 0xFE0F), (0xFF01, 0xFF20), (0x1F000, 0x1FAFF))


def blank(c):
    return c.isspace() or c in MARKS or unicodedata.category(c) == "Cc"


def letter(c):
    """A-Z, a-z and all from U+00C0 on that is none of the other things."""
    if c < "\u00c0":
        return c.isascii() and c.isalpha()
    if c in "×÷" or any(a <= ord(c) <= b for a, b in SIGNS):
        return False
    return not (blank(c) or digit(c) or c in OPEN + CLOSE or separator(c))


def separator(c):
    return c in SEPARATORS or unicodedata.category(c) == "Pd"


def digit(c):
    return unicodedata.category(c) == "Nd"


def strip(text):
    a, b = 0, len(text)
    while a < b and blank(text[a]):
        a += 1
    while b > a and blank(text[b - 1]):
        b -= 1
    return text[a:b]


def trim(text):
    """Without white space and separators at both ends."""
    a, b = 0, len(text)
    while a < b and (blank(text[a]) or separator(text[a])):
        a += 1
    while b > a and (blank(text[b - 1]) or separator(text[b - 1])):
        b -= 1
    return text[a:b]


def letter_at(text, i):
    return i < len(text) and letter(text[i])


def same(a, b):
    return (a.scope, a.value, a.hint) == (b.scope, b.value, b.hint)


class Digits:
    def __init__(self, plan, occurred):
        self.plan, self.occurred = plan, occurred

    def runs(self, text, start):
        """The ends behind runs of digits where all brackets are closed, as (end, runs so far)."""
        ends, level, count, n = [], 0, 0, 0
        i = start
        while i < len(text):
            c = text[i]
            if digit(c):
                j = i
                while j < len(text) and digit(text[j]):
                    j += 1
                count, n, i = count + j - i, n + 1, j
                if count > 20 or len(text[start:i].encode()) > 64:
                    break
                if level == 0:
                    ends.append((i, n))
                continue
            if c in OPEN:
                level += 1
            elif c in CLOSE:
                level -= 1
                if level < 0:
                    break
            elif not (blank(c) or separator(c) or (c in "+＋" and count == 0)):
                break
            i += 1
        return ends

    @staticmethod
    def word_ends(text, end):
        if end == len(text) or blank(text[end]) or text[end] in OPEN + CLOSE + "!?\"'":
            return True
        return separator(text[end]) and not (end + 1 < len(text) and digit(text[end + 1]))

    def number(self, text):
        it = self.plan.number(text, self.occurred)
        return None if it.found == "invalid" else it

    def at(self, text, start):
        """The sender whose spelling begins at start, and its end; None, or Unclear."""
        if start >= len(text) or not (digit(text[start]) or text[start] in "+＋" or text[start] in OPEN):
            return None
        ends = self.runs(text, start)
        if not ends:
            return None
        plain = self.plan.digits_of(text[start : ends[-1][0]].replace(",", " ").replace("/", " ").replace(":", " ")) or ""
        with_prefix = plain.startswith(("0", "84", "+84"))
        abroad = plain.startswith(("+", "00")) and not plain.startswith(("+84", "0084"))
        possible = [e for e, n in ends if not letter_at(text, e) and (n == 1 or self.word_ends(text, e))]
        first = ends[0][0] if ends[0][1] == 1 else None
        code = self.code(text, start, first)
        long = self.longer(text, start, ends, possible, first, with_prefix, abroad)
        if code and long and long[1] > first:
            raise Unclear
        return long or code

    def code(self, text, start, first):
        if first is None or not self.word_ends(text, first):
            return None
        it = self.number(text[start:first])
        return (it, first) if it is not None and it.scope == "short" and len(it.value) <= 6 and it.value[:4] not in ("1800", "1900") else None

    def longer(self, text, start, ends, possible, first, with_prefix, abroad):
        """A number or a service line."""
        if with_prefix and not abroad:
            for end, _ in ends:
                it = self.number(text[start:end])
                if it is not None and (it.scope == "number" or it.found == "old"):
                    if self.national_without_prefix(text[start:end]):
                        break
                    return it, end
        if first is not None:
            it = self.number(text[start:first])
            if it is not None and it.scope == "number" and not abroad and self.word_ends(text, first):
                return it, first
            if it is not None and abroad and len(it.value) >= 10 and not letter_at(text, first):
                return it, first
            if it is not None and self.service(it) and not letter_at(text, first):
                return it, first
        for end in reversed(possible):
            it = self.number(text[start:end])
            if it is None:
                continue
            if abroad and it.scope == "number":
                return it, end
            if self.service(it) and (with_prefix or first is None or first - start >= 4):
                return it, end
            if it.scope == "number" and not with_prefix and self.code(text, start, first) and self.word_ends(text, end):
                return it, end  # readable in two ways: at() says so
        return None

    def national_without_prefix(self, text):
        """Nine digits that begin with 84, which is a mobile prefix as well."""
        plain = self.plan.digits_of(text)
        return len(plain) == 9 and plain.startswith("84")

    @staticmethod
    def service(it):
        return it.scope == "short" and len(it.value) > 6

    def word(self, text, start):
        """A number as it counts among words, at start; None when there is none. Brackets in front belong to the words."""
        if text[start : start + 1] in OPEN:
            return None
        try:
            found = self.at(text, start)
        except Unclear:
            return None
        if found is None:
            return None
        it, end = found
        plain = self.plan.digits_of(text[start:end]) or ""
        if it.scope == "short":
            return found if self.service(it) else None
        if it.scope == "number" and not it.value.startswith("84"):
            return found if plain.startswith("+") else None
        return found if plain.startswith(("0", "84", "+84")) and not self.national_without_prefix(text[start:end]) else None

    def words(self, text):
        """All numbers among the words: [(sender, span)]."""
        out, i = [], 0
        while i < len(text) and len(text[:i].encode()) < 1024:
            c = text[i]
            if (digit(c) or c in "+＋") and not (i > 0 and (letter(text[i - 1]) or digit(text[i - 1]))):
                found = self.word(text, i)
                if found is not None:
                    out.append((found[0], (i, found[1])))
                    i = found[1]
                    continue
                while i < len(text) and digit(text[i]):
                    i += 1
            i += 1
        return out
