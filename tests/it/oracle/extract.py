"""Links, numbers, accounts and handles in a folded text: docs/judgement.md section 2.4. Leaves out the place in the raw text. Lengths are
bytes, so the text is looked at as Latin-1 of its UTF-8."""
import re
from typing import NamedTuple

LABEL_RUN = re.compile(r"[a-z0-9-]+")
PLAIN_DOT = re.compile(r"\.(?=[a-z0-9])")
HIDDEN_DOT = re.compile(r"(?: \. | \.| ?(?:\[(?:\.|dot|cham)\]|\((?:\.|dot|cham)\)|\{\.\}) ?| dot | cham )(?=[a-z0-9])")
NUMBER = re.compile(r"(?<![0-9a-z+])(\+?)([0-9])")
APART = set(" .-()_")
WORDS = {w: d for d, ws in enumerate("khong zero|mot one|hai two|ba three|bon tu four|nam lam five|sau six|bay seven|tam eight|chin nine".split("|")) for w in ws.split()}
ACCOUNT = re.compile(r"(?<![a-z0-9])(so tai khoan|tai khoan|so tk|stk|tk)(?![a-z0-9])[^0-9]{0,24}([0-9](?:[ -]?[0-9]){5,18})(?![ -]?[0-9])(?![0-9a-z])")
NEAR = re.compile(r"(zalo|viber|whatsapp|telegram)([^0-9]{0,16})$")
AT = re.compile(r"@([a-z0-9_]{5,32})(?![a-z0-9_])")
SITES = {"t.me": "telegram", "telegram.me": "telegram", "zalo.me": "zalo", "facebook.com": "facebook", "fb.com": "facebook", "m.me": "facebook", "wa.me": "whatsapp"}
SKELETON = str.maketrans("0134578i", "oleastbl")
MAX = 16


class Item(NamedTuple):
    kind: str
    value: str
    flags: frozenset = frozenset()


class Links:
    """The packs' `links`, all files together."""

    def __init__(self):
        self.tlds, self.abused, self.shorteners, self.brands = set(), set(), set(), []

    def add(self, it):
        self.tlds.update(it.get("tlds") or [])
        self.abused.update(it.get("abused_tlds") or [])
        self.shorteners.update(it.get("shorteners") or [])
        for name, own in (it.get("brands") or {}).items():
            self.brands.append((name, own))

    def is_tld(self, label):
        return label in self.tlds or label in self.abused


def skeleton(text):
    return text.translate(SKELETON).replace("rn", "m").replace("vv", "w")


def one_apart(a, b):
    """They differ by one letter put in, left out or changed."""
    if abs(len(a) - len(b)) > 1 or a == b:
        return False
    i = 0
    while i < min(len(a), len(b)) and a[i] == b[i]:
        i += 1
    if len(a) == len(b):
        return a[i + 1 :] == b[i + 1 :]
    return a[i + 1 :] == b[i:] if len(a) > len(b) else a[i:] == b[i + 1 :]


def has_brand(label, brand, abused):
    if len(brand) >= 5:
        if brand in label:
            return True
        return len(brand) >= 8 and any(one_apart(p, brand) for p in label.split("-"))
    return brand in label.split("-") or (abused and label.startswith(brand))


def lookalike(labels, domain, abused, links):
    for name, own in links.brands:
        if any(domain == o or domain.endswith("." + o) for o in own):
            continue
        if any(has_brand(skeleton(x), skeleton(name), abused) for x in labels[:-1]):
            return name
    return None


def is_label(run):
    return len(run) <= 63 and run[0] != "-" and run[-1] != "-"


def needed(digits):
    """How many digits a number that begins so has; 0: none. Digits without 00 or + at the front."""
    if re.match("84[35789]", digits):
        return 11
    if digits.startswith("842"):
        return 12
    if re.match("0[35789]", digits):
        return 10
    if digits.startswith("02"):
        return 11
    return 0


def normal(digits):
    return "84" + digits[1:] if digits[0] == "0" else digits


def whole_number(digits):
    """These digits, and all of them, as a phone; None: they are none."""
    if digits.startswith("0084"):
        digits = digits[2:]
    if re.fullmatch("1[89]00[0-9]{4,6}", digits):
        return digits
    return normal(digits) if digits and needed(digits) == len(digits) else None


class Reader:
    def __init__(self, folded, links):
        self.f, self.links = folded.encode().decode("latin-1"), links
        self.items, self.phones, self.handles = [], [], []

    def put(self, kind, value, flags=frozenset()):
        value = value.encode("latin-1").decode()
        if len(self.items) < MAX and all((i.kind, i.value) != (kind, value) for i in self.items):
            self.items.append(Item(kind, value, flags))

    def chain(self, start):
        """(labels, ends, hidden) of the chain at the run that begins at start, where labels may be empty; and where to go on."""
        f = self.f
        labels, ends, hidden, at = [], [], [], start
        while True:
            run = LABEL_RUN.match(f, at)
            if not is_label(run.group()):
                return labels, ends, hidden, run.end()
            labels.append(run.group())
            ends.append(run.end())
            at = run.end()
            if len(labels) == 10:
                return labels, ends, hidden, at
            dot = PLAIN_DOT.match(f, at)
            if dot is None:
                dot = HIDDEN_DOT.match(f, at)
                if dot is None or (not any(hidden) and len(labels) >= 2 and self.links.is_tld(labels[-1])):
                    return labels, ends, hidden, at
                hidden.append(True)
            else:
                hidden.append(False)
            at = dot.end()

    def hosts(self):
        f, at = self.f, 0
        while True:
            run = LABEL_RUN.search(f, at)
            if run is None:
                return
            start = run.start()
            labels, ends, hidden, at = self.chain(start)
            if start > 0 and f[start - 1] in "_@":
                continue
            at = self.host(start, labels, ends, hidden, at)

    def host(self, start, labels, ends, hidden, after):
        f, links = self.f, self.links
        ip = len(labels) == 4 and not any(hidden) and f[:start].endswith("//")
        ip = ip and all(re.fullmatch("[0-9]{1,3}", x) and int(x) <= 255 for x in labels)
        n = len(labels)
        while not ip and n >= 2 and not links.is_tld(labels[n - 1]):
            n -= 1
        if n < 2:
            return after
        labels, end, is_hidden = labels[:n], ends[n - 1], any(hidden[: n - 1])
        if f[end : end + 1] == "@":
            return after
        abused = labels[-1] in links.abused
        if is_hidden and not (n >= 3 or len(labels[0]) >= 7 or re.search("[0-9]", labels[0])):
            return after
        shown = labels[1:] if n >= 3 and labels[0] == "www" else labels
        domain, flags = ".".join(shown), set()
        for name, is_so in (("ip_address", ip), ("abused_tld", abused), ("hidden", is_hidden), ("shortener", domain in links.shorteners)):
            if is_so:
                flags.add(name)
        brand = None if ip else lookalike(shown, domain, abused, links)
        if brand is not None:
            flags.add("lookalike")
        self.put("domain", domain, frozenset(flags))
        if f[end : end + 1] != "/":
            return end
        stop = f.find(" ", end)
        stop = len(f) if stop < 0 else stop
        path = f[end:stop].encode("latin-1")[:200].decode("utf-8", errors="ignore").encode().decode("latin-1")
        path = path.rstrip(".,;:!?)]}>\"'")
        if len(path) > 1:
            self.put("url", domain + path, frozenset(flags))
            name = re.split("[/?]", path[1:])[0]
            if domain in SITES and 0 < len(name) <= 64:
                phone = whole_number(name) if re.fullmatch("[0-9]+", name) else None
                self.handles.append(SITES[domain] + ":" + (phone or name))
        return stop

    def numbers(self):
        f, at = self.f, 0
        while True:
            m = NUMBER.search(f, at)
            if m is None:
                return
            at = self.number(m.start(2))

    def number(self, start):
        f, digits, at = self.f, [], start
        plain = re.compile("[0-9]+").match(f, start).end()
        while at < len(f) and len(digits) < 14:
            if "0" <= f[at] <= "9":
                digits.append((f[at], at))
                at += 1
                continue
            k = at
            while k < len(f) and f[k] in APART and k - at < 2:
                k += 1
            if k == at or k >= len(f) or not "0" <= f[k] <= "9":
                break
            at = k
        text = "".join(d for d, _ in digits)
        skip = 2 if text.startswith("0084") else 0
        if re.match("1[89]00", text) and start + 4 <= plain:
            want = min(plain - start, 10)
            want = want if want >= 8 else 0
        else:
            want = needed(text[skip:])
        if want == 0 or len(digits) < skip + want:
            return plain
        end = digits[skip + want - 1][1] + 1
        if end < len(f) and ("0" <= f[end] <= "9" or "a" <= f[end] <= "z"):
            return plain
        value = normal(text[skip : skip + want])
        self.put("phone", value)
        self.phones.append((start, value))
        return end

    def spelled(self):
        row, words = "", 0
        for piece in [*self.f.split(" "), ""]:
            core = piece.strip(".,;:-()")
            if core in WORDS:
                row, words = row + str(WORDS[core]), words + 1
            elif re.fullmatch("[0-9]{1,4}", core):
                row += core
            else:
                if words >= 6:
                    skip = 2 if row.startswith("0084") else 0
                    want = needed(row[skip:])
                    if want and len(row) >= skip + want:
                        self.put("phone", normal(row[skip : skip + want]))
                row, words = "", 0

    def accounts(self):
        at = 0
        while True:
            m = ACCOUNT.search(self.f, at)
            if m is None:
                return
            digits = re.sub("[ -]", "", m.group(2))
            if m.group(1) not in ("tai khoan", "tk") or whole_number(digits) is None:
                self.put("account", digits)
            at = m.end()

    def chat(self):
        for value in self.handles:
            self.put("handle", value)
        for start, value in self.phones:
            near = NEAR.search(self.f, max(0, start - 24), start)
            if near:
                self.put("handle", near.group(1) + ":" + value)
        for m in re.finditer("telegram", self.f):
            at = self.f.find("@", m.end(), m.end() + 17)
            name = AT.match(self.f, at) if at >= 0 else None
            if name:
                self.put("handle", "telegram:" + name.group(1))

    def read(self):
        self.hosts()
        self.numbers()
        self.spelled()
        self.accounts()
        self.chat()
        return self.items
