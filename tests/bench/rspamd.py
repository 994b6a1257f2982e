#!/usr/bin/python3
"""The messages of bench_classify sent to a private rspamd over HTTP, as mails, by four connections for three seconds; beside them what khien does with 1,000
rules and the model on one core. rspamd runs its own rules and some modules that
need no network, DNS or redis, and knows a dozen top-level domains. Says skipped where there is no rspamd.

    rspamd.py BENCH_CLASSIFY     RSPAMD_ROOT=DIR: Debian's packages unpacked there (dpkg -x; bookworm's rspamd cannot be installed beside libhyperscan5)
"""
import http.client
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

PLUGINS = "once_received mid http_headers forged_recipients mime_types maillist".split()
CONF = """
lua = "$RULESDIR/rspamd.lua"
.include "$CONFDIR/metrics.conf"
.include "$CONFDIR/actions.conf"
.include "$CONFDIR/groups.conf"
.include "$CONFDIR/composites.conf"
options {{ pidfile = "{dir}/pid"; tempdir = "{dir}"; hs_cache_dir = "{dir}"; url_tld = "{dir}/tld"; dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0s; }}
 filters = "chartable,regexp"; }}
lang_detection {{ languages = "$SHAREDIR/languages"; }}
logging {{ type = "file"; filename = "{dir}/log"; level = "error"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 2; }}
regexp {{ max_size = 1M; }}
chartable {{ threshold = 0.3; }}
modules {{ {modules} }}
"""
TLDS = "// ===BEGIN ICANN DOMAINS===\ncom\nnet\norg\ninfo\ntop\nvip\nxyz\ncc\nvn\ncom.vn\ngov.vn\n"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def paths():
    """The program, its variables and its environment; None: there is none."""
    root = os.environ.get("RSPAMD_ROOT", "")
    if not root:
        return shutil.which("rspamd"), [], dict(os.environ)
    top = pathlib.Path(root).resolve()
    share, conf = top / "usr/share/rspamd", top / "etc/rspamd"
    named = {"CONFDIR": conf, "LOCAL_CONFDIR": conf, "SHAREDIR": share, "RULESDIR": share / "rules", "LUALIBDIR": share / "lualib", "PLUGINSDIR": share / "plugins",
             "WWWDIR": share / "www", "DBDIR": "{dir}", "RUNDIR": "{dir}", "LOGDIR": "{dir}"}  # fmt: skip
    libs = f"{top}/usr/lib/rspamd:{top}/usr/lib/x86_64-linux-gnu"
    program = shutil.which(top / "usr/bin/rspamd")
    return program, [f"--var={k}={v}" for k, v in named.items()], {**os.environ, "LD_LIBRARY_PATH": libs, "RSPAMD_SHAREDIR": str(share)}


def ask(port, mails, until, counts, k):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
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
    program, named, env = paths()
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
            f.write(CONF.format(dir=folder, port=port, modules=" ".join(f'path = "$PLUGINSDIR/{m}.lua";' for m in PLUGINS)))
        pathlib.Path(folder, "tld").write_text(TLDS)
        named = [word.format(dir=folder) for word in named]
        server = subprocess.Popen([program, "-f", "-i", "-c", conf, *named], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 180  # it compiles its patterns first
            while time.monotonic() < end and server.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.2)
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
            log = pathlib.Path(folder, "log")
            said = log.read_text(errors="replace").splitlines()[-3:] if log.exists() else []
    if rate < 4:
        print("rspamd over HTTP: skipped, it did not start or answer (its log, last lines: " + " / ".join(said) + ")")
        return
    ours = float(subprocess.run([bench, "ours"], stdout=subprocess.PIPE, check=True).stdout)
    print(f"rspamd over HTTP: {rate:.0f} messages/s on all cores; khien with 1,000 rules and the model {ours:.0f} on one: {ours / rate:.0f} times it")


main()
