"""A Redis server of a test's own: with settings of its own, and free to be stopped, flushed and spoilt."""
import os
import signal
import subprocess

import redis

import harness
from stand import wait_for


class Server:
    def __init__(self, folder, *settings, user=None, password=None, conf=None):
        self.dir, self.port = folder, harness.free_port()
        self.dir.mkdir(parents=True, exist_ok=True)
        self.settings, self.conf = settings, conf
        self.client = redis.Redis(port=self.port, username=user, password=password, decode_responses=True, socket_timeout=10)
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def start(self):
        words = ["redis-server", *([str(self.conf)] if self.conf else []), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.dir)]
        if self.conf is None:
            words += ["--save", "", "--appendonly", "no"]
        with open(self.dir / "server.log", "ab") as log:
            self.process = subprocess.Popen([*words, *self.settings], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(lambda: (self.dir / "server.log").read_text()[-2000:], self.answers, 20)

    def answers(self):
        assert self.process.poll() is None, (self.dir / "server.log").read_text()[-2000:]
        try:
            return self.client.ping()
        except redis.ConnectionError:
            return False

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def hang(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def close(self):
        self.client.close()
        if self.process.poll() is None:
            self.kill()
