"""The ladder of one sender, service and class: docs/judgement.md section 5."""
from typing import NamedTuple, Optional

from .votes import span

ORDER = ("observe", "verify", "throttle", "bar", "bar_both", "recall")
ENFORCING = ("throttle", "bar")


class Episode(NamedTuple):
    rung: str
    decided_at: int
    until: int


class Climb(NamedTuple):
    rung: str  # the peak
    episodes: list
    one_leg: bool
    reporters: int  # the largest |S(t)|
    peak_at: Optional[int]


def climb(votes, klass, policy, floor=None, attribution=None):
    """votes: {(reporter, day): Vote}. Rungs for named attributions are left out when it is not one of them."""
    window, need = span(policy["window"]), policy["legs"]["contact_yes"]
    good = span(policy["ladders"].get("good_time", "3650d"))
    def meant(whom):
        return whom is None or attribution in (whom if isinstance(whom, list) else [whom])

    rungs = [r for r in policy["ladders"]["abuse"][klass] if meant(r.get("for"))]
    rungs.sort(key=lambda r: ORDER.index(r["rung"]))
    counting = []
    for (reporter, _), v in votes.items():
        tau = v.scam_at if klass == "scam" else v.verified_at
        if tau is None or (floor is not None and tau <= floor):
            continue
        yes = v.yes_at if v.yes_at is not None and (floor is None or v.yes_at > floor) else None
        counting.append((reporter, tau, yes))
    events = sorted({tau for _, tau, _ in counting} | {yes for _, _, yes in counting if yes is not None})
    peak, peak_at, most, episodes, short, level = 0, None, 0, [], [], 0
    for t in events:
        there = {r for r, tau, _ in counting if t - window < tau <= t}
        matched = {r for r, _, yes in counting if r in there and yes is not None and t - window < yes <= t}
        leg = len(matched) >= need
        most = max(most, len(there))
        running = bool(episodes) and t < episodes[-1].until
        next_level = level if running else max(0, level + 1 - (t - episodes[-1].until) // good) if episodes else 0
        counted = [r for r in rungs if len(there) >= r["reporters"] and next_level >= r.get("repeats", 0)]
        held = [r for r in counted if leg or not r.get("leg")]
        for r in held:
            if ORDER.index(r["rung"]) > peak:
                peak, peak_at = ORDER.index(r["rung"]), t
        opened = False
        enforcing = [r for r in held if r["rung"] in ENFORCING]
        if enforcing and not running:
            terms, level = enforcing[-1]["terms"], next_level
            term = span(terms[min(level, len(terms) - 1)])
            episodes.append(Episode(enforcing[-1]["rung"], t, t + term))
            opened = True
        if not opened and not leg and any(r.get("leg") for r in counted if r["rung"] in ENFORCING):
            short.append(t)
    one_leg = any(all(e.until <= t for e in episodes) for t in short)
    return Climb(ORDER[peak], episodes, one_leg, most, peak_at)


def action_of(rung, attribution, policy):
    """What an enforcing rung means for this sender: bar_in, bar_out, person."""
    return policy["actions"]["brandname" if attribution == "name" else attribution]


class Fate(NamedTuple):
    state: str  # shadow, expired, held, listed, none
    reason: str
    action: str
    until: Optional[int]


def fate(walk, action, protected, mode, now):
    """What becomes of the newest episode, or of a count without its leg."""
    if walk.one_leg:
        return Fate("shadow" if mode == "shadow" else "held", "one_leg", "", None)
    if not walk.episodes:
        return Fate("none", "", "", None)
    last = walk.episodes[-1]
    if mode == "shadow":
        return Fate("shadow", "", action, last.until)
    if last.until <= now:
        return Fate("expired", "", action, last.until)
    if protected:
        return Fate("held", "protected", action, last.until)
    if action == "person":
        return Fate("held", "needs_person", action, last.until)
    if mode == "review":
        return Fate("held", "review_mode", action, last.until)
    return Fate("listed", "", action, last.until)
