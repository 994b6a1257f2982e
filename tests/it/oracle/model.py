"""The token model: docs/model.md sections 1 to 3, written from that page. Leaves out refusing broken files, which is the engine's duty."""
import functools
import math
import re
import struct

MASK = (1 << 64) - 1
WORD = re.compile(rb"[a-z0-9\x80-\xff]+|[%$!]|://|[.@]")
LETTER = re.compile(rb"[a-z\x80-\xff]")
INSIDE = re.compile(rb"[a-z0-9\x80-\xff]")


def fnv(kind, data):
    h = 0xCBF29CE484222325
    for b in kind + data:
        h = (h ^ b) * 0x100000001B3 & MASK
    h ^= h >> 32
    h = h * 0xBF58476D1CE4E5B9 & MASK
    return h ^ h >> 29


number = functools.lru_cache(200_000)(fnv)


def row(folded):
    """The words of the folded text, numbers without their value."""
    out = []
    for m in WORD.finditer(folded):
        word, before, after = m[0], folded[m.start() - 1 : m.start()] if m.start() else b"", folded[m.end() : m.end() + 1]
        if word in (b".", b"@"):
            if not INSIDE.match(before) or not INSIDE.match(after) or not (LETTER.match(before) or LETTER.match(after)):
                continue
        elif re.fullmatch(rb"[0-9]+", word):
            word = b"0" + bytes([ord("a") + min(len(word), 12) - 1])
        else:
            word = re.sub(rb"[0-9]+", b"0", word)
        out.append(word)
    return out


class Bank:
    def __init__(self, data, at, head, bits, seen_bits):
        (self.bad_bias, self.bad_unit, self.scam_bias, self.scam_unit, self.none, self.all, self.words_all, self.cap, self.share_bad,
         self.share_ham) = struct.unpack_from("<10d", data, head + 8)  # fmt: skip
        self.seen = data[at : at + (1 << seen_bits) // 8]
        at += len(self.seen)
        self.cells = data[at : at + (4 << bits)]
        self.seen_bits = seen_bits

    def knows(self, words):
        bits = (number(b"w", w) >> (64 - self.seen_bits) for w in words)
        return sum(self.seen[i // 8] >> i % 8 & 1 for i in bits)

    def block(self, buckets):
        square = bad = scam = 0
        for b in buckets:
            w_bad, w_scam, rare = struct.unpack_from("<bbB", self.cells, 4 * b)
            square, bad, scam = square + rare * rare, bad + rare * w_bad, scam + rare * w_scam
        scale = 1 / math.sqrt(square) if square else 0.0
        return bad * scale, scam * scale


class Model:
    def __init__(self, path):
        with open(path, "rb") as f:
            data = f.read()
        self.bits, seen_bits = struct.unpack_from("<II", data, 8)
        self.version = data[56:96].rstrip(b"\0").decode()
        size = (1 << seen_bits) // 8 + (4 << self.bits)
        banks = struct.unpack_from("<I", data, 96)[0]
        self.banks = [Bank(data, 1024 + k * size, 104 + 88 * k, self.bits, seen_bits) for k in range(banks)]

    def says(self, folded):
        """(log odds of spam or scam that go into a verdict, share of scam)."""
        words = row(folded.encode("utf-8", "surrogateescape")[:4096])
        knows = [b.knows(words) for b in self.banks]
        known = max(knows)
        if not words or known == 0:
            return 0.0, 0.0
        it = self.banks[knows.index(known)]
        gate = max(0.0, min(1.0, (known / len(words) - it.none) / (it.all - it.none))) * min(1.0, known / it.words_all)
        if gate <= 0:
            return 0.0, 0.0
        text, mask = b" " + b"".join(w + b" " for w in words), (1 << self.bits) - 1
        one = {number(b"w", w) & mask for w in words} | {number(b"p", a + b" " + b) & mask for a, b in zip(words, words[1:])}
        two = {number(b"c", text[i : i + n]) & mask for n in (3, 4, 5) for i in range(len(text) - n + 1)}
        (bad_one, scam_one), (bad_two, scam_two) = it.block(one), it.block(two)
        alone = max(-it.cap, min(it.cap, gate * (it.bad_bias + it.bad_unit * (bad_one + bad_two))))
        scam = 1 / (1 + math.exp(-(it.scam_bias + it.scam_unit * (scam_one + scam_two))))
        return alone * (it.share_bad if alone > 0 else it.share_ham), scam
