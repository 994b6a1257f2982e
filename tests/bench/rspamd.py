#!/usr/bin/python3
"""The messages of bench_classify sent to a private rspamd over HTTP, as mails, by four connections for three seconds; beside them what khien does with 1,000
rules and the model on one core. rspamd's modules that need DNS or the network are off. Says skipped where there is no rspamd.

    rspamd.py BENCH_CLASSIFY
"""
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

OFF = "rbl dkim dkim_signing spf dmarc arc asn phishing fuzzy_check mx_check emails hfilter url_redirector neural bayes_expiry greylist ratelimit replies history_redis".split()
CONF = """
options {{ pidfile = "{dir}/pid"; tempdir = "{dir}"; dns {{ nameserver = ["127.0.0.1"]; timeout = 0s; }} filters = "chartable,regexp"; }}
logging {{ type = "file"; filename = "{dir}/log"; level = "error"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 2; }}
{off}
.include "$CONFDIR/composites.conf"
modules {{ path = "$PLUGINSDIR"; }}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(port, mails, until, counts, k):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    n = 0
    while time.monotonic() < until:
        c.request("POST", "/checkv2", mails[n % len(mails)])
        answer = c.getresponse()
        answer.read()
        if answer.status != 200:
            return
        n += 1
    counts[k] = n


def main():
    program = shutil.which("rspamd")
    if program is None:
        print("rspamd over HTTP: skipped, it is not installed")
        return
    bench = sys.argv[1]
    texts = subprocess.run([bench, "texts"], stdout=subprocess.PIPE, check=True).stdout.split(b"\n")
    head = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    mails = [head + t for t in texts if t]
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        conf = os.path.join(folder, "rspamd.conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(CONF.format(dir=folder, port=port, off="\n".join(f"{m} {{ enabled = false; }}" for m in OFF)))
        server = subprocess.Popen([program, "-f", "-i", "-c", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 20
            while time.monotonic() < end and server.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            counts, start = [0] * 4, time.monotonic()
            threads = [threading.Thread(target=ask, args=(port, mails, start + 3, counts, k)) for k in range(4)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            rate = sum(counts) / (time.monotonic() - start)
        finally:
            server.terminate()
            server.wait(20)
    if rate == 0:
        print("rspamd over HTTP: skipped, it did not start or answer")
        return
    ours = float(subprocess.run([bench, "ours"], stdout=subprocess.PIPE, check=True).stdout)
    print(f"rspamd over HTTP: {rate:.0f} messages/s on all cores; khien with 1,000 rules and the model {ours:.0f} on one: {ours / rate:.0f} times it")


main()
