"""Records and what becomes of each: docs/judgement.md section 1, docs/formats.md. Sections are checked in the order of the table.

A record here is (topic, partition, offset, value, timestamp); value None is a tombstone, the timestamp is in microseconds or left out. Leaves out duplicates and conflicts, which
need the records before: oracle.py.
"""
import datetime
import json
import re
from typing import NamedTuple, Optional

from . import citizen, numbers

CHANNELS = ("sms156", "sms5656", "voice156", "portal", "app", "care", "authority", "network")
VERIFIED = ("sms156", "sms5656", "voice156", "care")
RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
MAX_RECORD, MAX_DEPTH, MAX_AHEAD = 64 * 1024, 32, 24 * 3600 * 1_000_000


class Report(NamedTuple):
    """A record that names a report and a sender, before anything is known of other reports."""

    report_id: str
    channel: str
    kind: str
    received_at: int
    occurred_at: Optional[int]
    reporter: str
    verified: bool
    sender: numbers.Sender
    content: bytes
    category: str
    service: str
    matched: str
    origin: str
    routed: bool = False

    def identity(self):
        """The normalised fields of checks 15 and 16."""
        if self.routed:
            return ("registry", self.channel, self.reporter, self.content)
        return (self.kind, self.channel, self.occurred_at, self.reporter, self.sender.scope, self.sender.value or self.sender.hint, self.content)


class Bad(Exception):
    """A quarantined record: args are the reason and, when it was readable, the report id."""


def parse_time(text):
    """Microseconds since 1970; Bad when it is no time."""
    m = RFC3339.fullmatch(text)
    if m is None:
        raise Bad("bad_time")
    year, month, day, hour, minute, second = (int(x) for x in m.groups()[:6])
    if not 1990 <= year <= 2199:
        raise Bad("bad_time")
    zone = m.group(8)
    away = 0
    if zone not in "Zz":
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        if hours > 23 or minutes > 59:
            raise Bad("bad_time")
        away = (hours * 60 + minutes) * (-1 if zone[0] == "-" else 1)
    try:
        at = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.timezone.utc)
    except ValueError:
        raise Bad("bad_time") from None
    seconds = (at - EPOCH) // datetime.timedelta(seconds=1) - away * 60
    return seconds * 1_000_000 + int(((m.group(7) or "") + "000000")[:6])


def check_future(received, stamped):
    """Check 9a; stamped: the record's timestamp in microseconds, None when it has none."""
    if stamped is not None and received - stamped > MAX_AHEAD:
        raise Bad("received_in_future")


def depth(text):
    """How deep brackets are nested outside of strings."""
    level = most = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', text, re.DOTALL):
        if token.group()[0] in "[{":
            level += 1
            most = max(most, level)
        elif token.group()[0] in "]}":
            level -= 1
    return most


def parse_json(text):
    """One JSON object or Bad; duplicate keys, numbers out of range and half surrogates are none."""

    def once(pairs):
        if len({k for k, _ in pairs}) != len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    def refuse(word):
        raise ValueError(word)

    def real(word):
        value = float(word)
        return refuse(word) if value in (float("inf"), float("-inf")) else value

    def whole(word):
        return int(word) if len(word) < 25 and -(2**63) <= int(word) < 2**64 else refuse(word)

    if depth(text) > MAX_DEPTH:
        raise Bad("not_json")
    try:
        it = json.loads(text, object_pairs_hook=once, parse_constant=refuse, parse_float=real, parse_int=whole)
        json.dumps(it, ensure_ascii=False).encode("utf-8")
    except ValueError:
        raise Bad("not_json") from None
    if not isinstance(it, dict):
        raise Bad("not_json")
    return it


def fields_of(it, table):
    """Check 6: the named fields with their types, None when absent."""
    out = {}
    for name, kind, needed in table:
        value = it.get(name)
        if name not in it and needed:
            raise Bad("missing_field")
        if value is None and not needed:
            out[name] = None
        elif not isinstance(value, kind):
            raise Bad("wrong_type")
        else:
            out[name] = value
    return out


COMPLAINT = [
    ("report_id", str, True), ("channel", str, True), ("kind", str, True), ("received_at", str, True), ("reporter", str, True),
    ("sender", str, True), ("occurred_at", str, False), ("reporter_verified", bool, False), ("content", str, False),
    ("category", str, False), ("contact", dict, False), ("serving_carrier", str, False),
]  # fmt: skip
CONTACT = [("service", str, False), ("matched", str, False), ("origin", str, False), ("message_id", str, False)]
CITIZEN = [(name, str, True) for name in ("report_id", "from", "to", "received_at")]
CITIZEN += [("text", str, False), ("parts", list, False), ("coding", str, False)]
GSM = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
GSM_MORE = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€"}


def check_id(report_id):
    if not 1 <= len(report_id) <= 128 or any(not "!" <= c <= "~" for c in report_id):
        raise Bad("bad_report_id")


def check_contact(contact):
    for name, words in (("service", ("sms", "voice")), ("matched", ("yes", "no", "unchecked")), ("origin", ("own", "other", "foreign", "unknown"))):
        if contact.get(name) is not None and contact[name] not in words:
            raise Bad("bad_contact")
    length = contact.get("duration_s")
    if length is not None and (isinstance(length, bool) or not isinstance(length, (int, float)) or length < 0):
        raise Bad("bad_contact")


def read_complaint(it, plan, stamped):
    f = fields_of(it, COMPLAINT)
    contact = f["contact"] or {}
    words = fields_of(contact, CONTACT)
    check_id(f["report_id"])
    if f["channel"] not in CHANNELS:
        raise Bad("bad_channel")
    if f["kind"] not in ("S", "V", "LD"):
        raise Bad("bad_kind")
    check_contact(contact)
    received = parse_time(f["received_at"])
    occurred = None if f["occurred_at"] is None else parse_time(f["occurred_at"])
    check_future(received, stamped)
    reporter = plan.msisdn(f["reporter"])
    if reporter is None:
        raise Bad("bad_reporter")
    content = f["content"] or ""
    if "\0" in content:
        raise Bad("bad_content")
    sender = plan.sender(f["sender"], received if occurred is None else occurred)
    if sender.found == "invalid":
        raise Bad("bad_sender")
    verified, category = f["reporter_verified"], f["category"] or ""
    if "\0" in category or len(category.encode()) > 128:
        category = ""
    return Report(
        report_id=f["report_id"], channel=f["channel"], kind=f["kind"], received_at=received, occurred_at=occurred, reporter=reporter,
        verified=f["channel"] in VERIFIED if verified is None else verified, sender=sender, content=content.encode(),
        category=category, service=service_of(f["kind"], words["service"]),
        matched=words["matched"] or "unchecked", origin=words["origin"] or "unknown",
    )  # fmt: skip


def service_of(kind, contact_service):
    if kind == "LD":
        return "sms" if contact_service == "sms" else "voice"
    return "sms" if kind == "S" else "voice"


def unpacked(octets):
    """Packed GSM 7-bit as text."""
    bits = "".join(f"{b:08b}"[::-1] for b in octets)
    codes = [int(bits[i : i + 7][::-1], 2) for i in range(0, len(bits) - 6, 7)]
    if octets and len(octets) % 7 == 0 and codes[-1] in (0, 0x0D):
        codes.pop()
    out, codes = "", iter(codes)
    for code in codes:
        if code == 0x1B:
            code = next(codes, None)
            out += "" if code is None else GSM_MORE.get(code, " ")
        else:
            out += GSM[code]
    return out


def message(f):
    """Check 10a: the text of a citizen's message."""
    if (f["text"] is None) == (f["parts"] is None):
        raise Bad("missing_field")
    coding, parts = f["coding"] or "text", [f["text"]] if f["parts"] is None else f["parts"]
    if f["coding"] == "" or coding not in ("text", "gsm7", "ucs2") or not 1 <= len(parts) <= 16 or any(not isinstance(p, str) for p in parts):
        raise Bad("bad_text")
    if coding == "text":
        return "".join(parts)
    try:
        if any(re.fullmatch("([0-9a-fA-F]{2})*", p) is None for p in parts):
            raise ValueError
        return "".join(unpacked(bytes.fromhex(p)) if coding == "gsm7" else bytes.fromhex(p).decode("utf-16-be") for p in parts)
    except ValueError:
        raise Bad("bad_text") from None


def read_citizen(it, plan, stamped):
    f = fields_of(it, CITIZEN)
    check_id(f["report_id"])
    if f["to"] not in ("156", "5656"):
        raise Bad("bad_channel")
    channel = "sms" + f["to"]
    received = parse_time(f["received_at"])
    check_future(received, stamped)
    reporter = plan.msisdn(f["from"])
    if reporter is None:
        raise Bad("bad_reporter")
    text = message(f)
    base = {"report_id": f["report_id"], "channel": channel, "received_at": received, "occurred_at": None, "reporter": reporter}
    nothing = numbers.Sender("none", "", "withheld")
    if citizen.is_registry(text):
        return Report(**base, kind="", verified=True, sender=nothing, content=text.encode(), category="", service="",
                      matched="unchecked", origin="unknown", routed=True)  # fmt: skip
    try:
        read = citizen.read(plan, text, received)
    except citizen.Fault as e:
        # Check 13 comes before the sender is judged (14), after there is one (12).
        raise Bad("bad_content" if str(e) == "bad_sender" and "\0" in text else str(e)) from None
    if "\0" in read.content:
        raise Bad("bad_content")
    return Report(**base, kind=read.kind, verified=True, sender=read.sender, content=read.content.encode(), category="",
                  service=service_of(read.kind, None), matched="unchecked", origin="unknown")  # fmt: skip


def read_record(value, plan, stamped=None):
    """A Report, or Bad(reason, report_id or None)."""
    if value is None:
        raise Bad("tombstone", None)
    if len(value) > MAX_RECORD:
        raise Bad("too_large", None)
    report_id = None
    try:
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            raise Bad("not_utf8") from None
        it = parse_json(text)
        if isinstance(it.get("report_id"), str):
            report_id = it["report_id"]
        if it.get("schema") == "complaint/1":
            return read_complaint(it, plan, stamped)
        if it.get("schema") == "report-sms/1":
            return read_citizen(it, plan, stamped)
        raise Bad("unknown_schema")
    except Bad as e:
        raise Bad(e.args[0], report_id) from None


# --- records beside the reports (docs/formats.md)

NUMBER = "a whole number"
COUNTS = ("sms_out", "calls_out", "sms_in", "calls_in", "new_contacts", "short_calls", "short_gaps", "distinct_peers")
FACTS = {
    "contacts": [("report_id", str, True), *CONTACT],
    "activity": [("sender", str, True), ("from", str, True), ("to", str, True), *((c, NUMBER, False) for c in COUNTS)],
    "poll_answers": [("poll_id", str, True), ("sender", str, True), ("yes", NUMBER, True), ("no", NUMBER, True), ("silent", NUMBER, True)],
    "provisioning_results": [("request_id", str, True), ("status", str, True), ("at", str, True)],
    "notice_results": [("request_id", str, True), ("delivered", bool, True), ("at", str, True)],
    "subscriptions": [("msisdn", str, True), ("event", str, True), ("carrier", str, False), ("at", str, True)],
}
STATUSES, EVENTS = ("done", "failed", "not_ours"), ("reassigned", "ported_in", "ported_out", "terminated")
LONGEST = 31 * 86400 * 1_000_000


class Contact(NamedTuple):
    report_id: str
    matched: str
    origin: str


def typed(it, table):
    """fields_of with whole numbers."""
    for name, kind, needed in table:
        if kind is NUMBER and name in it and not (it[name] is None and not needed):
            if isinstance(it[name], bool) or not isinstance(it[name], int):
                raise Bad("wrong_type")
    return fields_of(it, [(n, int if k is NUMBER else k, need) for n, k, need in table])


def past(text, stamped):
    at = parse_time(text)
    if stamped is not None and at - stamped > MAX_AHEAD:
        raise Bad("bad_time")
    return at


def printable(text):
    if not 1 <= len(text) <= 128 or any(not "!" <= c <= "~" for c in text):
        raise Bad("bad_id")


def counted(n):
    if n is not None and not 0 <= n < 2**32:
        raise Bad("bad_count")


def known_sender(plan, text, at):
    if plan.sender(text, at).found != "ok":
        raise Bad("bad_sender")


def read_fact(feed, value, plan, stamped=None):
    """A Contact, the fields of another fact, or Bad(reason)."""
    if value is None:
        raise Bad("tombstone")
    if len(value) > MAX_RECORD:
        raise Bad("too_large")
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise Bad("not_utf8") from None
    it = parse_json(text)
    if it.get("schema") != feed.replace("_", "-") + "/1":
        raise Bad("unknown_schema")
    f = typed(it, FACTS[feed])
    if feed == "contacts":
        check_id(f["report_id"])
        check_contact({**f, "duration_s": it.get("duration_s")})
        return Contact(f["report_id"], f["matched"] or "unchecked", f["origin"] or "unknown")
    if feed == "activity":
        begin, end = parse_time(f["from"]), past(f["to"], stamped)
        if not 0 < end - begin <= LONGEST:
            raise Bad("bad_span")
        known_sender(plan, f["sender"], begin)
        for name in COUNTS:
            counted(f[name])
    elif feed == "poll_answers":
        printable(f["poll_id"])
        known_sender(plan, f["sender"], 0)
        for name in ("yes", "no", "silent"):
            counted(f[name])
    elif feed == "subscriptions":
        if plan.msisdn(f["msisdn"]) is None:
            raise Bad("bad_number")
        if f["event"] not in EVENTS:
            raise Bad("bad_status")
        if f["carrier"] is not None and (len(f["carrier"].encode()) > 63 or "\0" in f["carrier"]):
            raise Bad("bad_carrier")
        past(f["at"], stamped)
    else:
        printable(f["request_id"])
        if feed == "provisioning_results" and f["status"] not in STATUSES:
            raise Bad("bad_status")
        past(f["at"], stamped)
    return f
