"""Votes and the score of a sender: docs/judgement.md sections 3 and 4."""
import math
from typing import Optional

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
ZONE = 7 * HOUR


def day_of(at):
    """The calendar day in Asia/Ho_Chi_Minh, as days since 1970."""
    return (at + ZONE) // DAY


def span(text):
    """A policy's span such as 7d, 240h."""
    return int(text[:-1]) * {"d": DAY, "h": HOUR, "m": HOUR // 60, "s": HOUR // 3600}[text[-1]]


def earlier(a, b):
    return b if a is None else a if b is None else min(a, b)


def later(a, b):
    return b if a is None else a if b is None else max(a, b)


class Vote:
    """One reporter's word about one sender and service on one day."""

    def __init__(self):
        self.weight, self.scam, self.text_score, self.claim_score = 0.0, False, 0.0, 0.0
        self.first_at: Optional[int] = None
        self.last_at = self.verified_at = self.scam_at = self.yes_at = self.spoof_at = None

    def add(self, report, reason, weight, scam, score, domestic):
        at = report.received_at
        self.weight = max(self.weight, weight)
        self.scam = self.scam or scam
        if report.matched == "no" or (report.origin == "foreign" and domestic):
            self.spoof_at = earlier(self.spoof_at, at)
        if weight <= 0:
            return
        if report.service == "sms" and report.matched == "yes":
            self.text_score = max(self.text_score, score)
        else:
            self.claim_score = max(self.claim_score, score)
        self.first_at, self.last_at = earlier(self.first_at, at), later(self.last_at, at)
        if report.verified:
            self.verified_at = earlier(self.verified_at, at)
            if scam:
                self.scam_at = earlier(self.scam_at, at)
            if report.matched == "yes":
                self.yes_at = earlier(self.yes_at, at)


KIND_BOUNDS = (2000, 2000, 500, 500)  # matched, verified, forged, other


def kind_of(v):
    return 0 if v.yes_at is not None else 1 if v.verified_at is not None else 2 if v.spoof_at is not None else 3


def in_sight(votes):
    """The votes that take part: all, or of more than 5,000 the newest of each kind. Of one day they are taken in the order of the names that stand for
    reporters here, so a border inside a day is the oracle's own."""
    if len(votes) <= 5000:
        return votes
    out = {}
    for kind, bound in enumerate(KIND_BOUNDS):
        mine = sorted(((k, v) for k, v in votes.items() if kind_of(v) == kind), key=lambda kv: (-kv[0][1], kv[0][0]))
        out.update(mine[:bound])
    return out


def weigh(report, domestic, late_after, trust=1.0):
    """The reason of acceptance and the weight; weight None is no vote."""
    if report.sender.found == "withheld":
        return "withheld", None
    if report.sender.found == "old":
        return "old_number", None
    if report.occurred_at is not None and report.received_at - report.occurred_at > late_after:
        return "late", 0.0
    if report.matched == "no":
        return "no_contact", 0.0
    if report.origin == "foreign" and domestic:
        return "spoofed", 0.0
    return "counted", trust


def score_of(votes, policy, floor=None, campaign=0):
    """votes: {(reporter, day): Vote} of one sender and service. (score, as_of, terms {name: weight}, number of votes that weigh)."""
    part = {k: v for k, v in votes.items() if v.weight > 0 and (floor is None or v.first_at >= floor)}
    if not part:
        return 0.0, None, {}, sum(v.weight > 0 for v in votes.values())
    p = policy["score"]
    as_of = max(v.last_at for v in part.values())
    half = span(p["half_life"])
    by_reporter = {}
    for (reporter, _), v in part.items():
        by_reporter.setdefault(reporter, []).append(v)
    weights = sorted(
        (max(v.weight for v in mine) * 2 ** (-(as_of - max(v.last_at for v in mine)) / half), any(v.scam for v in mine))
        for mine in by_reporter.values()
    )
    n = sum(w for w, _ in weights)
    n_scam = sum(w for w, scam in weights if scam)
    fresh = sum(any(as_of - DAY < v.last_at <= as_of for v in mine) for mine in by_reporter.values())
    window = span(policy["window"])
    days = len({day for (_, day), v in part.items() if as_of - window < v.first_at <= as_of})
    contacts = sum(any(v.yes_at is not None for v in mine) for mine in by_reporter.values())
    terms = {
        "REPORTERS": p["reporters"] * math.log1p(n),
        "SCAM": p["scam"] * math.log1p(n_scam),
        "VELOCITY": p["velocity"] * math.log1p(max(0, fresh - 1)),
        "SPREAD": p["spread"] * math.log1p(max(0, days - 1)),
        "TEXT": p["text"] * max(v.text_score for v in part.values()),
        "CLAIM": p["claim"] * max(v.claim_score for v in part.values()),
        "CONTACT": p["contact"] if contacts >= policy["legs"]["contact_yes"] else 0.0,
        "CAMPAIGN": p["campaign"] * campaign / 4,
    }
    terms = {k: v for k, v in terms.items() if v != 0}
    score = 1 / (1 + math.exp(-(p["bias"] + sum(terms.values()))))
    return score, as_of, terms, sum(v.weight > 0 for v in votes.values())
