"""docs/clients.md tells the truth: its commands are run as they stand, in an empty folder."""
import re
import shutil
import subprocess

import api_world
import harness
from conftest import NUMBERS
from stand import TOP, wait_for
from test_api_docs import examples


def test_every_example(stand, tmp_path):
    world = api_world.World(stand, tmp_path / "site", next(NUMBERS))
    folder = tmp_path / "here"
    folder.mkdir()
    for name in ("redis.conf", "users.acl"):
        shutil.copy(TOP / "deploy/redis" / name, folder)
    try:
        world.wish("84912345671")
        wait_for("the copy", lambda: world.site.redis.get("blk:gen") == world.site.head(), 20)
        page = examples((TOP / "docs/clients.md").read_text())
        assert len(page) > 8
        auth = world.auth()["Authorization"]
        lines = ["set -e", f"API={world.url('')}", f"AUTH='Authorization: {auth}'", f"TOKEN={auth.split()[1]}", f"KHIEN={harness.BIN}"]
        lines += [f"CLIENTS={TOP}/tests/clients", f"REDIS='redis-cli -p {stand.redis_port} -n {world.site.redis_number}'", f"PORT={harness.free_port()}"]
        for command, _ in page:
            lines += [command, "printf '\\n\\036'"]
        done = subprocess.run(["bash", "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        for (command, want), got in zip(page, done.stdout.split("\036"), strict=False):
            pattern = "\n".join(".*".join(map(re.escape, line.split("…"))) for line in want)
            assert re.fullmatch(pattern, got.strip("\n")), f"{command}\ngot  {got}\nwant {want}"
    finally:
        world.close()
