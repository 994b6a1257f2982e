#!/usr/bin/python3
"""A follower of the blocklist as an SMSC would have it, in plain Python: its own copy, its own digest, acknowledgements, a state file to go on
from, and a rule for not knowing: deliver, and raise an alarm. Usage: smsc_follower.py URL TOKEN_FILE NAME STATE_FILE [SERVICE]"""
import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone

STALE_S = 60  # without a word from the feed for so long we do not know any more


class Gone(Exception):
    """This list cannot be followed from where we are."""


class Follower:
    def __init__(self, url, token, name, state, service="sms", alarm=lambda text: print("ALARM", text, file=sys.stderr, flush=True)):
        self.url, self.token, self.name, self.state, self.service, self.alarm = url, token, name, state, service, alarm
        self.list, self.release, self.entries, self.heard = None, -1, {}, None

    # --- the copy: key -> (line, action, until); its digest is computed from what is held

    @staticmethod
    def until(entry):
        if entry["until"] is None:
            return 0
        return int(datetime.strptime(entry["until"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())

    def add(self, entries, e):
        key = (e["scope"], e["value"], e["service"])
        entries[key] = ("|".join([*key, e["action"], e["case"], str(self.until(e))]), e["action"], self.until(e))

    def sums(self):
        buckets = [0] * 256
        for key, (line, _, _) in self.entries.items():
            at = hashlib.sha256("|".join(key).encode()).digest()[0]
            buckets[at] = (buckets[at] + int.from_bytes(hashlib.sha256(line.encode()).digest(), "big")) % 2**256
        return buckets

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
        head, tail, entries = json.loads(lines[0]), json.loads(lines[-1]), {}
        if len(lines) < 2 or head != tail:
            raise ValueError("a cut snapshot")  # the old copy stays in force
        for line in lines[1:-1]:
            self.add(entries, json.loads(line))
        self.list, self.release, self.entries = head["list"], head["release"], entries
        self.proved(head)

    def changes(self, wait=30):
        with self.ask(f"/v1/feed/changes?list={self.list}&after={self.release}&wait={wait}&service={self.service}&consumer={self.name}") as answer:
            news = json.load(answer)
        for c in news["changes"]:
            if c["op"] == "add":
                self.add(self.entries, c)
            else:
                self.entries.pop((c["scope"], c["value"], c["service"]), None)
        self.release = news["to"]
        self.proved(news)

    def proved(self, told):
        """Acknowledges what is held, right or wrong; wrong: everything anew."""
        buckets = self.sums()
        digest = f"{sum(buckets) % 2**256:064x}"
        ack = {"consumer": self.name, "service": self.service, "list": self.list, "release": self.release, "count": len(self.entries), "digest": digest}
        good = (len(self.entries), digest) == (told["count"], told["digest"])
        self.ask("/v1/feed/acks", ack if good else {**ack, "buckets": [f"{b:064x}" for b in buckets]}).close()
        self.heard = time.monotonic()
        if not good:
            self.alarm(f"release {self.release}: this copy is not the list")
            raise Gone
        with open(self.state + ".new", "w", encoding="utf-8") as f:
            json.dump([self.list, self.release, [[*k, *v] for k, v in self.entries.items()]], f)
        os.replace(self.state + ".new", self.state)

    def resume(self):
        try:
            with open(self.state, encoding="utf-8") as f:
                self.list, self.release, held = json.load(f)
            self.entries = {tuple(row[:3]): tuple(row[3:]) for row in held}
        except (OSError, ValueError):
            pass

    def step(self, wait=30):
        try:
            if self.list is None:
                self.snapshot()
            else:
                self.changes(wait)
        except Gone:
            self.list = None  # the copy stays in force until the snapshot is there
        except (OSError, ValueError, KeyError) as e:
            self.alarm(f"the feed cannot be followed: {e}")
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
