"""Cases against forged senders: docs/judgement.md section 6."""
from typing import NamedTuple

from .votes import span


class Forged(NamedTuple):
    kind: str
    reporters: int
    begin: int


def look(key, votes, policy, floor=None):
    """key: (scope, value, service); votes: {(reporter, day): Vote}. The case that the votes open, or None."""
    window, need = span(policy["window"]), policy["spoofed_caller"]
    after = lambda t: t is not None and (floor is None or t > floor)  # noqa: E731
    forged = [(v.spoof_at, r) for (r, _), v in votes.items() if after(v.spoof_at)]
    real = [(v.yes_at, r) for (r, _), v in votes.items() if after(v.yes_at)]
    for t in sorted({at for at, _ in forged + real}):
        p = {r for at, r in forged if t - window < at <= t}
        y = {r for at, r in real if t - window < at <= t}
        if len(p) >= need["reporters"] and len(y) < need["fewer_yes_than"]:
            begin = min(at for at, _ in forged if t - window < at <= t)
            kind = "fake_station" if (key[0], key[2]) == ("name", "sms") else "spoofed_caller"
            return Forged(kind, len({r for _, r in forged}), begin)
    return None
