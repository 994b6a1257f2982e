"""A private local API of the Debian CrowdSec with a SQLite database and N decisions, for benchmarks that stand beside it. Nothing of an installed
CrowdSec's configuration or data is read or written but its two default files of profiles and simulation. Leaves out the agent and the central API."""
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import yaml

DEFAULTS = Path("/etc/crowdsec")


def installed():
    return all(shutil.which(word) for word in ("crowdsec", "cscli")) and (DEFAULTS / "profiles.yaml").exists()


class LocalApi:
    def __init__(self, folder, port):
        self.dir, self.port, self.process = Path(folder), port, None
        for name in ("data", "hub", "notifications", "plugins"):
            (self.dir / name).mkdir(parents=True)
        for name in ("profiles.yaml", "simulation.yaml"):
            shutil.copy(DEFAULTS / name, self.dir / name)
        for name in ("credentials.yaml", "acquis.yaml"):
            (self.dir / name).touch()
        (self.dir / "hub/.index.json").write_text("{}")
        d = str(self.dir)
        self.conf = self.dir / "config.yaml"
        self.conf.write_text(yaml.safe_dump({
            "common": {"daemonize": False, "log_media": "stdout", "log_level": "warning", "working_dir": "."},
            "config_paths": {"config_dir": d, "data_dir": d + "/data", "simulation_path": d + "/simulation.yaml", "hub_dir": d + "/hub", "index_path": d + "/hub/.index.json",
                             "notification_dir": d + "/notifications", "plugin_dir": d + "/plugins"},
            "crowdsec_service": {"acquisition_path": d + "/acquis.yaml", "parser_routines": 1},
            "cscli": {"output": "human"},
            "db_config": {"log_level": "warning", "type": "sqlite", "db_path": d + "/data/crowdsec.db", "use_wal": True},
            "api": {"client": {"insecure_skip_verify": False, "credentials_path": d + "/credentials.yaml"},
                    "server": {"log_level": "warning", "listen_uri": f"127.0.0.1:{port}", "profiles_path": d + "/profiles.yaml"}},
            "prometheus": {"enabled": False},
        }))
        self.cscli("machines", "add", "bench", "--password", "bench", "-f", d + "/credentials.yaml")
        self.key = self.cscli("bouncers", "add", "bench", "-o", "raw").strip()
        with open(self.dir / "crowdsec.log", "wb") as log:
            self.process = subprocess.Popen(["crowdsec", "-c", str(self.conf), "-no-cs", "-no-capi"], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((self.dir / "crowdsec.log").read_text()[-2000:]) from None
                time.sleep(0.05)

    def cscli(self, *words):
        done = subprocess.run(["cscli", "-c", str(self.conf), *words], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"cscli {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def fill(self, n):
        file = self.dir / "decisions.csv"
        with open(file, "w") as out:
            out.write("duration,scope,value\n")
            out.writelines(f"24h,ip,10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n" for i in range(n))
        self.cscli("decisions", "import", "-i", str(file))

    def stream(self):
        """What a client is given at its start."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/decisions/stream?startup=true", headers={"X-Api-Key": self.key})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.read()

    def close(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
