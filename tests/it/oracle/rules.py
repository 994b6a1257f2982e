"""Rule packs and the verdict on a text: docs/rules.md and docs/judgement.md section 2.2. Patterns run in Python's own `re`, on
the part of the language which that page says both engines share. Leaves out refusing bad packs, which is the engine's duty."""
import math
import pathlib
import re
from typing import NamedTuple

import yaml

from . import extract, fold as folding

TOKEN = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*|\(|\)|,|>=|[0-9]+)")


class Verdict(NamedTuple):
    label: str  # "" for an empty content
    score: float
    terms: list  # (name, weight), strongest first
    evidence: list = []


class Pack:
    """All files of one folder, as one pack."""

    def __init__(self, folder, homoglyphs, model=None):
        self.model = model  # of model.Model, or None
        self.table = folding.read_homoglyphs(homoglyphs)
        self.rules, self.combinations, self.words, self.links, names = [], [], {}, extract.Links(), []
        for path in sorted(pathlib.Path(folder).glob("*.yaml"), key=lambda p: p.name.encode()):
            it = yaml.safe_load(path.read_text(encoding="utf-8"))
            names.append(it["pack"])
            if "bias" in it:
                self.bias, self.scam_share, self.caps = it["bias"], it["scam_share"], it["caps"]
                self.scale, self.shift, self.label_at = it.get("scale", 1.0), it.get("shift", 0.0), it.get("label_at", 0.5)
            for r in it.get("rules") or []:
                pattern = r["evidence"] if "evidence" in r else re.compile(r["pattern"], re.IGNORECASE | re.ASCII)
                if r.get("shadow"):
                    continue
                self.rules.append((r["symbol"], r["class"], float(r["weight"]), pattern, r.get("text", "folded")))
            for c in it.get("combine") or []:
                if c.get("shadow"):
                    continue
                self.combinations.append((c["symbol"], c["class"], float(c["weight"]), parse_when(c["when"])))
            self.links.add(it.get("links") or {})
            for w in it.get("words") or []:
                self.words[w] = w
            for spelling, meaning in (it.get("spellings") or {}).items():
                self.words[spelling] = meaning
                self.words.update((w, w) for w in meaning.split(" "))
        self.version = "+".join(names)

    def folded(self, content):
        return folding.fold(folding.cut(content), self.table, self.words)

    def verdict(self, content):
        if content == b"":
            return Verdict("", 0.0, [])
        raw = folding.cut(content)
        folded = folding.fold(raw, self.table, self.words)
        evidence = extract.Reader(folded, self.links).read()
        facts = {i.kind for i in evidence}.union(*(i.flags for i in evidence))
        sums, fired, terms = {"scam": 0.0, "spam": 0.0, "ham": 0.0}, set(), []

        def count(symbol, klass, weight):
            sums[klass] += weight
            if weight != 0:
                terms.append((symbol, weight))

        for symbol, klass, weight, pattern, on in self.rules:
            if pattern in facts if isinstance(pattern, str) else pattern.search(raw if on == "raw" else folded):
                fired.add(symbol)
                count(symbol, klass, weight)
        for symbol, klass, weight, when in self.combinations:
            if when(fired):
                count(symbol, klass, weight)
        for klass, cap in self.caps.items():
            sums[klass] = max(-float(cap), min(float(cap), sums[klass]))
        if self.model is not None:
            bad, scam = self.model.says(folded)
            if bad < 0:
                count("MODEL_HAM", "ham", bad)
            if bad > 0:
                count("MODEL_SPAM", "spam", bad * (1 - scam))
                count("MODEL_SCAM", "scam", bad * scam)
        z = self.bias + sums["scam"] + sums["spam"] + sums["ham"]
        score = 1 / (1 + math.exp(-(self.scale * z + self.shift)))
        if score < self.label_at:
            label = "ham"
        else:
            label = "scam" if sums["scam"] >= self.scam_share * (sums["scam"] + sums["spam"]) else "spam"
        terms.sort(key=lambda t: (-abs(t[1]), t[0]))
        return Verdict(label, score, terms[:32], evidence)


def parse_when(text):
    """The expression as a function of the set of fired symbols."""
    tokens, at = [], 0
    while text[at:].strip():
        m = TOKEN.match(text, at)
        if m is None:
            raise ValueError(f"when: {text[at:]!r}")
        tokens.append(m.group(1))
        at = m.end()
    tokens.reverse()

    def peek():
        return tokens[-1].lower() if tokens else ""

    def take(want=None):
        token = tokens.pop()
        if want is not None and token.lower() != want:
            raise ValueError(f"when: {token} instead of {want} in {text!r}")
        return token

    def expr():
        parts = [term()]
        while peek() == "or":
            take()
            parts.append(term())
        return lambda fired: any(p(fired) for p in parts)

    def term():
        parts = [factor()]
        while peek() == "and":
            take()
            parts.append(factor())
        return lambda fired: all(p(fired) for p in parts)

    def factor():
        if peek() == "not":
            take()
            inner = factor()
            return lambda fired: not inner(fired)
        if peek() == "(":
            take()
            inner = expr()
            take(")")
            return inner
        if peek() == "count":
            take()
            take("(")
            names = [take()]
            while peek() == ",":
                take()
                names.append(take())
            take(")")
            take(">=")
            least = int(take())
            return lambda fired: sum(n in fired for n in names) >= least
        name = take()
        return lambda fired: name in fired

    whole = expr()
    if tokens:
        raise ValueError(f"when: {tokens[-1]} left over in {text!r}")
    return whole
