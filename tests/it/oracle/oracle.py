"""The whole judgement over a set of records: what must be in the ledger and on the list when everything is at rest.

Records with the same report id must be given in the order in which the engine reads them; for all others any order is right.
Caps are taken as not reached, reporters as without history.
"""
import collections
import csv
from typing import NamedTuple

import yaml

from . import campaigns, forged, ladder, numbers, records, rules, votes
from . import model as models

SERVICES = ("sms", "voice")


class World:
    """What judges: plan, pack, policy, protected list, mode."""

    def __init__(self, numbers_dir, own_carrier, rules_dir, homoglyphs, policy_file, protected_file=None, mode="auto", model=None):
        self.plan = numbers.Plan(numbers_dir, own_carrier)
        self.pack = rules.Pack(rules_dir, homoglyphs, models.Model(model) if model else None)
        with open(policy_file, encoding="utf-8") as f:
            self.policy = yaml.safe_load(f)
        self.protected = read_protected(protected_file) if protected_file else []
        self.mode = mode
        self.feeds = {}  # topic -> what it holds beside reports
        self.polls = set()  # the polls that were asked

    def is_protected(self, scope, value, service):
        return any(
            s == scope and len(low) == len(value) and low <= value <= high and (only == "" or only == service)
            for s, low, high, only in self.protected
        )


def read_protected(path):
    out = []
    with open(path, encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f):
            if row["until"]:
                raise ValueError(f"{path}: rows with an end are not for the oracle")
            if row["scope"] == "range":
                low, high = row["value"].split("-")
                out.append(("number", low, high, row["service"]))
            else:
                out.append((row["scope"], row["value"], row["value"], row["service"]))
    return out


class Judged(NamedTuple):
    """One record's end."""

    where: tuple  # topic, partition, offset
    report_id: str  # None when not readable
    disposition: str
    reason: str
    weight: float  # None: no vote
    report: records.Report
    scam: bool
    verdict: rules.Verdict


class Standing(NamedTuple):
    score: float
    as_of: int
    terms: dict
    votes: int


class Judgement:
    def __init__(self, world):
        self.world = world
        self.judged = []
        self.claims = {}  # report id -> identity
        self.noted = collections.Counter()  # (topic, partition) -> facts that were understood
        self.contacts = {}  # report id -> (place, matched, origin) of the last contact fact
        self.says = set()  # (sketch, place, reporter, verified)
        self.campaigns_of = None
        self.votes = collections.defaultdict(lambda: collections.defaultdict(votes.Vote))
        self.cases = {}  # (scope, value, service, class) -> [reports, first received_at]
        self.totals = collections.defaultdict(collections.Counter)  # (topic, partition) -> disposition -> count

    def take(self, where, value, stamped=None):
        one = self.judge(where, value, stamped)
        self.judged.append(one)
        self.totals[where[:2]][one.disposition] += 1
        return one

    def take_fact(self, feed, where, value, stamped=None):
        """A record beside the reports: accepted or quarantined. Contacts change what reports weigh."""
        disposition, reason = "accepted", "noted"
        try:
            it = records.read_fact(feed, value, self.world.plan, stamped)
            if feed == "poll_answers" and it["poll_id"] not in self.world.polls:
                raise records.Bad("unknown_poll")
        except records.Bad as e:
            disposition, reason, it = "quarantined", e.args[0], None
        if feed == "contacts" and it is not None:
            place = (where[2], where[1])
            if it.report_id not in self.contacts or self.contacts[it.report_id][0] < place:
                self.contacts[it.report_id] = (place, it.matched, it.origin)
        if disposition == "quarantined":
            self.judged.append(Judged(where, None, disposition, reason, None, None, False, rules.Verdict("", 0.0, [])))
        else:
            self.noted[where[:2]] += 1
        self.totals[where[:2]][disposition] += 1

    def judge(self, where, value, stamped=None):
        plan, empty = self.world.plan, rules.Verdict("", 0.0, [])
        try:
            report = records.read_record(value, plan, stamped)
        except records.Bad as e:
            return Judged(where, e.args[1], "quarantined", e.args[0], None, None, False, empty)
        it = lambda d, r, w=None, scam=False, v=empty: Judged(where, report.report_id, d, r, w, report, scam, v)  # noqa: E731
        if report.report_id in self.claims:
            same = self.claims[report.report_id] == report.identity()
            return it("duplicate", "duplicate") if same else it("quarantined", "conflict")
        self.claims[report.report_id] = report.identity()
        if report.routed:
            return it("routed", "registry")
        if report.sender.scope == "number" and report.sender.value == report.reporter:
            return it("rejected", "self_report")
        klass = plan.klass(report.sender)
        if klass == "emergency":
            return it("rejected", "emergency_number")
        if klass == "own_service":
            return it("rejected", "own_service_number")
        return self.accept(it, report)

    def accept(self, it, report):
        policy = self.world.policy
        if report.report_id in self.contacts:
            _, matched, origin = self.contacts[report.report_id]
            report = report._replace(matched=matched, origin=origin)
            given = it
            it = lambda *a: given(*a)._replace(report=report)  # noqa: E731
        verdict = self.world.pack.verdict(report.content)
        scam = (
            report.kind == "LD"
            or report.category in policy["scam_categories"]
            or (report.kind == "S" and verdict.label == "scam" and verdict.score >= policy["text"]["scam_at"])
        )
        domestic = self.world.plan.domestic(report.sender)
        reason, weight = votes.weigh(report, domestic, votes.span(policy["late_after"]))
        s = report.sender
        key = (s.scope, s.value, report.service)
        if weight is not None:
            score = verdict.score if verdict.label in ("spam", "scam") else 0.0
            self.votes[key][report.reporter, votes.day_of(report.received_at)].add(report, reason, weight, scam, score, domestic)
        drawn = campaigns.sketch(self.world.pack.folded(report.content)) if weight is not None and report.content else None
        if drawn is not None:
            self.says.add((drawn, key, report.reporter, report.verified))
            self.campaigns_of = None
        case = self.cases.setdefault((*key, "scam" if scam else "nuisance"), [0, report.received_at])
        case[0] += 1
        case[1] = min(case[1], report.received_at)
        return it("accepted", reason, weight, scam, verdict)

    def campaigns(self):
        if self.campaigns_of is None:
            self.campaigns_of = campaigns.Campaigns(self.says)
        return self.campaigns_of

    def standing(self, key):
        return Standing(*votes.score_of(votes.in_sight(self.votes[key]), self.world.policy, campaign=self.campaigns().levels.get(key, 0)))

    def climb(self, key, klass):
        who = self.attribution(key)
        seen = votes.in_sight(self.votes.get(key, {}))
        return ladder.climb(seen, klass, self.world.policy, attribution="brandname" if who == "name" else who)

    def attribution(self, key):
        return self.world.plan.attribution(numbers.Sender(key[0], key[1], "ok"))

    def open_cases(self):
        """{(scope, value, service, class or kind): (rung, reports, begin)}: of reports, of ladders that left observe, of forged senders."""
        out = {key: ("observe", *it) for key, it in self.cases.items()}
        for key, votes_of in self.votes.items():
            for klass in ("nuisance", "scam"):
                rung = self.climb(key, klass).rung
                if rung != "observe":
                    _, reports, first = out.get((*key, klass), ("", 0, None))
                    taus = [v.scam_at if klass == "scam" else v.verified_at for v in votes_of.values()]
                    begin = min(t for t in [first, *taus] if t is not None)
                    out[(*key, klass)] = (rung, reports, begin)
            case = forged.look(key, votes.in_sight(votes_of), self.world.policy)
            if case is not None:
                out[(*key, case.kind)] = ("observe", case.reporters, case.begin)
        return out

    def fate(self, key, klass, now):
        """The state of one sender, service and class."""
        walk = self.climb(key, klass)
        rung = walk.episodes[-1].rung if walk.episodes else "bar"
        action = ladder.action_of(rung, self.attribution(key), self.world.policy)
        return ladder.fate(walk, action, self.world.is_protected(*key), self.world.mode, now)

    def fates(self, now):
        """{(scope, value, service, class): Fate} of all that is not none."""
        out = {}
        for key in self.votes:
            for klass in ("nuisance", "scam"):
                it = self.fate(key, klass, now)
                if it.state != "none":
                    out[(*key, klass)] = it
        return out

    def entries(self, now):
        """{(scope, value, service): (action, until in seconds)}: the strongest listed wish of each."""
        out = {}
        for (scope, value, service, _), it in self.fates(now).items():
            if it.state == "listed":
                until = it.until // 1_000_000
                old = out.get((scope, value, service))
                if old is None or old[1] < until:
                    out[scope, value, service] = ("bar", until)
        return out

    def dispositions(self):
        """report id -> multiset of (disposition, reason)."""
        out = collections.defaultdict(collections.Counter)
        for j in self.judged:
            out[j.report_id][j.disposition, j.reason] += 1
        return out


def judge(world, stream):
    """stream: (topic, partition, offset, value) in order, and the record's timestamp when there is one. Contact facts are looked at
    first: whether they came before or after their report must make no difference."""
    it = Judgement(world)
    for topic, partition, offset, value, *stamped in stream:
        if topic in world.feeds:
            it.take_fact(world.feeds[topic], (topic, partition, offset), value, *stamped)
    for topic, partition, offset, value, *stamped in stream:
        if topic not in world.feeds:
            it.take((topic, partition, offset), value, *stamped)
    return it
