"""A site whose API is asked: keeper and API in one engine, a list written by wishes as people write them, tokens by role, and raw
requests for what no client library would send. Leaves out reports: test_api_people.py has those.
"""
import http.client
import itertools
import json
import socket
import time

import requests

import harness
from stand import wait_for

CASES = itertools.count(1)


class Answer:
    """One HTTP answer as it came."""

    def __init__(self, file, method=b"GET"):
        line = file.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        self.status = int(line.split()[1])
        self.headers = http.client.parse_headers(file)
        self.body = b""
        if method != b"HEAD" and self.status not in (204, 304):
            self.body = file.read(int(self.headers.get("Content-Length", 0)))

    def problem(self):
        assert self.headers["Content-Type"] == "application/problem+json", (self.status, self.headers, self.body)
        it = json.loads(self.body)
        assert it["status"] == self.status and it["title"] and it["detail"], it
        assert it["request_id"] == self.headers["X-Request-Id"]
        return it


class World:
    def __init__(self, stand, folder, number, roles="keeper,api", **settings):
        self.site = harness.Site(stand, folder, number, protected="", **settings)
        self.tokens = {}
        self.session = requests.Session()
        try:
            self.site.prepare()
            self.engine = self.site.start(roles=roles)
            self.engine.wait_ready()
            self.list = wait_for("a list", lambda: self.site.rows("SELECT list::text FROM list_head"))[0]["list"]
        except BaseException:
            self.close()
            raise

    def close(self):
        self.session.close()
        self.site.close()

    # --- tokens

    def token(self, role, name=None, *more):
        name = name or f"{role}-{next(CASES)}"
        return self.site.khien("token", "create", "-c", self.site.conf, "--name", name, "--role", role, *more).stdout.strip()

    def auth(self, role="feed"):
        if role is None:
            return {}
        if role not in self.tokens:
            self.tokens[role] = self.token(role)
        return {"Authorization": f"Bearer {self.tokens[role]}"}

    # --- asking

    def url(self, path):
        return f"http://127.0.0.1:{self.engine.port}{path}"

    def ask(self, method, path, role="feed", headers=None, **more):
        return self.session.request(method, self.url(path), headers={**self.auth(role), **(headers or {})}, timeout=90, **more)

    def get(self, path, role="feed", **more):
        return self.ask("GET", path, role, **more)

    def lookup(self, sender, service=None):
        return self.get(f"/v1/lookup/{sender}" + (f"?service={service}" if service else ""))

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.engine.port), timeout=30)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def raw(self, request):
        """The answer to the bytes of one request, which may be malformed."""
        with self.connect() as s, s.makefile("rb") as file:
            s.sendall(request)
            return Answer(file, request.split(b" ", 1)[0])

    def head(self, path, role="feed", method="GET", *more):
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *(f"{k}: {v}" for k, v in self.auth(role).items()), *more, "", ""]
        return "\r\n".join(lines).encode()

    # --- the list

    def sql(self, query, **parameters):
        """One transaction by another connection than the engine's."""
        db = self.site.stand.connect(self.site.database)
        with db.cursor() as c:
            c.execute(query, parameters)
        db.close()

    def release(self):
        return int(self.site.one("SELECT release FROM list_head")["release"])

    def wish(self, *values, service=0, action="bar", scope="number", origin="person:an", until=None, basis="law", wait=True):
        """One release with all of them, as soon as the keeper sees the keys."""
        self.sql(
            """WITH v AS (SELECT unnest(%(values)s::text[]) AS value),
            s AS (INSERT INTO sender (scope, value, attribution, created_at) SELECT %(scope)s, value, 'other', 'epoch' FROM v
                ON CONFLICT (scope, value) DO UPDATE SET attribution = 'other' RETURNING id, value),
            c AS (INSERT INTO case_file (id, sender, service, class, first_at, due_at, opened_at)
                SELECT 'c-' || left(translate(md5(%(n)s || value), '01', 'yz'), 13), id, %(service)s, 0, now(), now(), now() FROM s
                RETURNING id, sender),
            w AS (INSERT INTO wish (sender, service, origin, action, detail, case_id, until, basis, first_at, decided_at, state)
                SELECT sender, %(service)s, %(origin)s, %(action)s, 'bar_in', id, %(until)s::timestamptz, %(basis)s, now(), now(), 'wanted'
                FROM c RETURNING sender)
            INSERT INTO dirty (sender, service) SELECT sender, %(service)s FROM w""",
            values=list(values),
            scope=scope,
            service=service,
            origin=origin,
            action=action,
            until=until,
            basis=basis,
            n=str(next(CASES)),
        )
        if wait:
            self.wait_released()

    def lift(self, *values, wait=True):
        self.sql(
            """WITH gone AS (DELETE FROM wish w USING sender s WHERE s.id = w.sender AND s.value = ANY(%(values)s)
            RETURNING w.sender, w.service) INSERT INTO dirty (sender, service) SELECT * FROM gone""",
            values=list(values),
        )
        if wait:
            self.wait_released()

    def wait_released(self):
        """Until the keeper has looked at every key, and this API's memory has what came of it."""
        wait_for("a release", lambda: self.site.one("SELECT NOT EXISTS (SELECT FROM dirty) AS done")["done"])
        now = self.release()
        wait_for("the list in memory", lambda: self.metric("khien_lookup_release") >= now)

    def log_lines(self, request_id):
        return [s for s in self.engine.log().splitlines() if f"request={request_id} " in s]

    def metric(self, name, **labels):
        want = "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}" if labels else ""
        for line in self.get("/metrics", None).text.splitlines():
            if line.startswith(name + want + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0


def elapsed(since):
    return time.monotonic() - since
