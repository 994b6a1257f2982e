"""Sketches of texts and the campaigns they make: docs/judgement.md sections 2.3 and 8. Compares every pair, knows no bound but the largest campaign."""
import collections

M64 = (1 << 64) - 1
KEPT, LEAST, BANDS, ALIKE, OVERSIZED = 32, 6, 16, 0.3, 1000


def mix(z):
    z = (z + 0x9E3779B97F4A7C15) & M64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return z ^ (z >> 31)


def fnv(data):
    h = 14695981039346656037
    for c in data:
        h = ((h ^ c) * 1099511628211) & M64
    return h


def letter(c):
    return 97 <= c <= 122 or c >= 0x80


def word_hash(piece):
    """None: no word."""
    if any(48 <= c <= 57 or c in b"/@" for c in piece):
        return None
    for i, c in enumerate(piece):
        if c in b".:" and 0 < i < len(piece) - 1 and letter(piece[i - 1]) and letter(piece[i + 1]):
            return None
    letters = bytes(c for c in piece if letter(c))
    return fnv(letters) if letters else None


def features(folded):
    out, before, words = [], 0, 0
    for piece in folded.encode().split(b" "):
        h = word_hash(piece)
        if h is None:
            continue
        if len(piece) > 16:
            out += [mix(fnv(piece[i : i + 6])) for i in range(len(piece) - 5)]
        if words:
            out.append(mix((before * 31 + h) & M64))
        words, before = words + 1, h
    return [mix(before)] if words == 1 and not out else out + ([mix(before)] if words == 1 else [])


def sketch(folded):
    """(fingerprint, values, bands), or None when the text is too short to be compared."""
    fs = features(folded)
    low = tuple(sorted({(f >> 27) & 0xFFFFFFFF for f in fs})[:KEPT])
    if len(low) < LEAST:
        return None
    fingerprint = sum(1 << i for i in range(64) if 2 * sum(f >> i & 1 for f in fs) > len(fs))
    bins = {}
    for f in fs:
        bins[f >> 59] = min(bins.get(f >> 59, 0xFFFFFFFF), f & 0xFFFFFFFF)
    value = lambda i: next(bins[(i + k) % 32] for k in range(32) if (i + k) % 32 in bins)  # noqa: E731
    bands = frozenset(mix(((value(2 * b) << 32 | value(2 * b + 1)) + b) & M64) for b in range(BANDS))
    return fingerprint, low, bands


def alike(a, b):
    union = sorted(set(a) | set(b))[:KEPT]
    return sum(v in a and v in b for v in union) / len(union)


def link(texts):
    """{text: name of its campaign}."""
    texts = sorted(texts, key=lambda t: (t[0], t[1]))
    up = list(range(len(texts)))

    def root(i):
        while up[i] != i:
            up[i] = up[up[i]]
            i = up[i]
        return i

    meet = collections.defaultdict(list)
    for i, t in enumerate(texts):
        for key in (*(("band", b) for b in t[2]), ("fingerprint", t[0])):
            meet[key].append(i)
    for (kind, _), those in meet.items():
        for n, i in enumerate(those):
            for j in those[:n]:
                if root(i) != root(j) and (kind == "fingerprint" or alike(texts[i][1], texts[j][1]) >= ALIKE):
                    up[root(j)] = root(i)
    names = {}
    for i, t in enumerate(texts):
        names[root(i)] = min(names.get(root(i), M64), t[0])
    return {t: names[root(i)] for i, t in enumerate(texts)}


def level_of(texts, reporters):
    return 0 if texts > OVERSIZED else sum(reporters >= n for n in (3, 6, 12, 24))


class Campaigns:
    """says: (text, place of a sender, reporter, verified)."""

    def __init__(self, says):
        self.of = link({text for text, *_ in says})
        self.members = collections.defaultdict(set)
        reporters = collections.defaultdict(set)
        for text, name in self.of.items():
            self.members[name].add(text)
        for text, _, reporter, verified in says:
            if verified:
                reporters[self.of[text]].add(reporter)
        self.level = {name: level_of(len(those), len(reporters[name])) for name, those in self.members.items()}
        self.levels = collections.defaultdict(int)
        for text, place, *_ in says:
            self.levels[place] = max(self.levels[place], self.level[self.of[text]])
