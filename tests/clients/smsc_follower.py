#!/usr/bin/python3
"""A follower of the blocklist as an SMSC would have it, in plain Python: its own copy, its own digest, acknowledgements, a state file to go on
from, and a rule for not knowing: deliver, and raise an alarm. Usage: smsc_follower.py URL TOKEN_FILE NAME STATE_FILE [SERVICE]"""
import hashlib
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone

CHECK_S = 60  # so often the sums are made anew from all that is held, in case this program or its memory lost something
STALE_S = 60  # without a word from the feed for so long we do not know any more


class Gone(Exception):
    """This list cannot be followed from where we are."""


class Follower:
    def __init__(self, url, token, name, state, service="sms", alarm=lambda text: print("ALARM", text, file=sys.stderr, flush=True)):
        self.url, self.token, self.name, self.state, self.service, self.alarm = url, token, name, state, service, alarm
        self.list, self.release, self.entries, self.sums, self.heard = None, -1, {}, [0] * 256, None
        self.checked, self.check_s = 0.0, CHECK_S

    # --- a copy: key -> (line, action, until), and 256 sums that are kept with every change of it

    @staticmethod
    def until(entry):
        if entry["until"] is None:
            return 0
        return int(datetime.strptime(entry["until"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())

    @staticmethod
    def count(sums, key, line, sign):
        at = hashlib.sha256("|".join(key).encode()).digest()[0]
        sums[at] = (sums[at] + sign * int.from_bytes(hashlib.sha256(line.encode()).digest(), "big")) % 2**256

    def add(self, entries, sums, e):
        key = (e["scope"], e["value"], e["service"])
        self.remove(entries, sums, key)
        entries[key] = ("|".join([*key, e["action"], e["case"], str(self.until(e))]), e["action"], self.until(e))
        self.count(sums, key, entries[key][0], 1)

    def remove(self, entries, sums, key):
        if key in entries:
            self.count(sums, key, entries.pop(key)[0], -1)

    def sums_of(self, entries):
        sums = [0] * 256
        for key, (line, _, _) in entries.items():
            self.count(sums, key, line, 1)
        return sums

    def blocked(self, scope, value):
        """True, False, or None: not known. Deliver on None."""
        if self.heard is None or time.monotonic() - self.heard > STALE_S:
            self.alarm("the blocklist is not known: delivering")
            return None
        _, action, until = self.entries.get((scope, value, self.service), (None, None, 0))
        return action == "bar" and (until == 0 or until > time.time())

    # --- the feed

    def ask(self, path, body=None):
        request = urllib.request.Request(self.url + path, data=body and json.dumps(body).encode(), headers={"Authorization": f"Bearer {self.token}"})
        try:
            return urllib.request.urlopen(request, timeout=90)
        except urllib.error.HTTPError as e:
            if e.code == 410:
                raise Gone from None
            raise

    def snapshot(self):
        with self.ask(f"/v1/feed/snapshot?service={self.service}&consumer={self.name}") as answer:
            lines = answer.read().splitlines()
        head, tail, entries, sums = json.loads(lines[0]), json.loads(lines[-1]), {}, [0] * 256
        if len(lines) < 2 or head != tail:
            raise ValueError("a cut snapshot")  # the old copy stays in force
        for line in lines[1:-1]:
            self.add(entries, sums, json.loads(line))
        if not self.take(head["list"], head["release"], entries, sums, head):
            raise ValueError("a snapshot that does not add up")

    def changes(self, wait=30):
        with self.ask(f"/v1/feed/changes?list={self.list}&after={self.release}&wait={wait}&service={self.service}&consumer={self.name}") as answer:
            news = json.load(answer)
        entries, sums = (dict(self.entries), list(self.sums)) if news["changes"] else (self.entries, self.sums)
        for c in news["changes"]:
            if c["op"] == "add":
                self.add(entries, sums, c)
            else:
                self.remove(entries, sums, (c["scope"], c["value"], c["service"]))
        if time.monotonic() - self.checked > self.check_s:
            sums = self.sums_of(entries)
            self.checked = time.monotonic()
        if not self.take(news["list"], news["to"], entries, sums, news):
            raise Gone

    def take(self, at, release, entries, sums, told):
        """Puts a copy in force that is what the feed says it is; another one is thrown away, and everything is fetched anew. Tells either way."""
        digest = f"{sum(sums) % 2**256:064x}"
        ack = {"consumer": self.name, "service": self.service, "list": at, "release": release, "count": len(entries), "digest": digest}
        if (len(entries), digest) != (told["count"], told["digest"]):
            self.alarm(f"release {release}: this copy is not the list")
            self.tell({**ack, "buckets": [f"{b:064x}" for b in sums]})
            return False
        new = (at, release) != (self.list, self.release)
        self.list, self.release, self.entries, self.sums, self.heard = at, release, entries, sums, time.monotonic()
        if new:
            self.save()
        self.tell(ack)
        return True

    def save(self):
        try:
            with open(self.state + ".new", "w", encoding="utf-8") as f:
                json.dump([self.list, self.release, [[*k, *v] for k, v in self.entries.items()]], f)
            os.replace(self.state + ".new", self.state)
        except OSError as e:
            self.alarm(f"the state cannot be written: {e}")

    def tell(self, ack):
        """An acknowledgement that is refused says nothing about the copy."""
        try:
            self.ask("/v1/feed/acks", ack).close()
        except (Gone, OSError, http.client.HTTPException) as e:
            self.alarm(f"the acknowledgement was not taken: {e!r}")

    def resume(self):
        try:
            with open(self.state, encoding="utf-8") as f:
                self.list, self.release, held = json.load(f)
            self.entries = {tuple(row[:3]): tuple(row[3:]) for row in held}
            self.sums = self.sums_of(self.entries)
        except (OSError, ValueError, TypeError):
            self.list, self.entries = None, {}

    def step(self, wait=30):
        try:
            if self.list is None:
                self.snapshot()
            else:
                self.changes(wait)
        except Gone:
            self.list = None  # the copy stays in force until the snapshot is there
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError) as e:
            self.alarm(f"the feed cannot be followed: {e!r}")
            return False
        return True


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    with open(sys.argv[2], encoding="utf-8") as f:
        follower = Follower(sys.argv[1], f.read().strip(), *sys.argv[3:])
    follower.resume()
    while True:
        if not follower.step():
            time.sleep(5)
