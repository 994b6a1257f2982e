"""A wire to PostgreSQL that loses the answer of a COMMIT: the connection is cut when the client's COMMIT is seen, either before the
server gets it or after the server has answered, unheard by the client. Understands just enough of the protocol (version 3,
no encryption) to know a COMMIT when it is sent as text or as a prepared statement.
"""
import socket
import struct
import threading


class Proxy:
    def __init__(self, host, port, cut):
        """cut(n): None to let the n-th COMMIT pass, or "before" or "after"."""
        self.target = f"{host}/.s.PGSQL.{port}"
        self.cut, self.commits, self.cuts, self.lock = cut, 0, {"before": 0, "after": 0}, threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.target)
        except OSError:
            client.close()
            return
        deaf = threading.Event()  # the client hears no more
        heard = threading.Event()  # the server has answered a COMMIT
        threading.Thread(target=self.answers, args=(client, server, deaf, heard), daemon=True).start()
        try:
            self.requests(client, server, deaf, heard)
        except (OSError, EOFError):
            pass
        deaf.set()
        for s in (client, server):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    @staticmethod
    def answers(client, server, deaf, heard):
        try:
            while data := server.recv(65536):
                if deaf.is_set():
                    if b"COMMIT\0" in data:
                        heard.set()
                else:
                    client.sendall(data)
        except OSError:
            pass
        heard.set()
        try:
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def requests(self, client, server, deaf, heard):
        stream = client.makefile("rb")

        def take(n):
            data = stream.read(n)
            if len(data) < n:
                raise EOFError
            return data

        head = take(4)  # the start packet has no type
        server.sendall(head + take(struct.unpack("!I", head)[0] - 4))
        commits = set()  # names of prepared statements
        while True:
            head = take(5)
            kind, size = head[:1], struct.unpack("!I", head[1:])[0]
            body = take(size - 4)
            way = None
            if self.is_commit(kind, body, commits):
                with self.lock:
                    way = self.cut(self.commits)
                    self.commits += 1
                    if way:
                        self.cuts[way] += 1
            if way == "before":
                return
            if way == "after":
                deaf.set()
            server.sendall(head + body)
            if way == "after":
                if kind != b"Q":
                    server.sendall(b"E" + struct.pack("!I", 9) + b"\0" + struct.pack("!I", 0))
                    server.sendall(b"S" + struct.pack("!I", 4))
                heard.wait(5)
                return

    @staticmethod
    def is_commit(kind, body, commits):
        if kind == b"Q":
            return body.rstrip(b"\0; ").upper() == b"COMMIT"
        if kind == b"P":
            name, query = body.split(b"\0")[:2]
            if query.rstrip(b"; ").upper() == b"COMMIT":
                commits.add(name)
            else:
                commits.discard(name)
            return False
        return kind == b"B" and body.split(b"\0")[1] in commits
