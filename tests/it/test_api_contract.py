"""The server against its own OpenAPI document, by schemathesis from PyPI in a virtual environment of the test, with every check it has. Without the
registry the test says so and is skipped. The feeds' streams and long polls are left out: they have tests of their own.
"""
import hashlib
import os
import pathlib
import subprocess
import sys

import pytest

import api_world
from conftest import FULL, NUMBERS
from test_api_people import BAD, QUIET, REPORTERS, record

VERSION = "4.32.5"
TAGS = ("cases", "care", "audit", "registers")
# what a random but well-formed request may well be told, besides success
EXPECTED = ["2xx", "304", "400", "403", "404", "409", "412", "415", "422"]


@pytest.fixture(scope="module")
def tool():
    """A virtual environment that is kept between runs, below the user's cache."""
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    key = hashlib.sha256(f"{sys.version} {VERSION}".encode()).hexdigest()[:12]
    folder = home / "khien" / f"schemathesis-{key}"
    program = folder / "bin/schemathesis"
    if not (folder / "whole").exists():
        made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, text=True)
        if made.returncode != 0:
            pytest.skip(f"no virtual environment: {made.stdout[-200:]}")
        pip = [folder / "bin/pip", "install", "-q", "--retries", "1", "--timeout", "20", f"schemathesis=={VERSION}"]
        made = subprocess.run(pip, capture_output=True, text=True)
        if made.returncode != 0:
            pytest.skip(f"schemathesis cannot be installed: {made.stderr[-200:]}")
        (folder / "whole").touch()
    return program


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    it = api_world.World(stand, tmp_path_factory.mktemp("contract") / "site", next(NUMBERS), roles=None, mode="review")
    it.site.produce([record(n, BAD, r) for n, r in enumerate(REPORTERS)] + [record(20, QUIET, REPORTERS[0], kind="S")])
    it.site.settle()
    yield it
    it.close()


def test_the_server_keeps_to_its_document(world, tool, tmp_path):
    case = world.site.one("SELECT id FROM case_file ORDER BY id LIMIT 1")["id"]
    (tmp_path / "schemathesis.toml").write_text(
        f"""[parameters]
"path.id" = "{case}"
"path.sender" = "{BAD}"
[checks.positive_data_acceptance]
expected-statuses = {EXPECTED}
[checks.missing_required_header]
expected-statuses = ["400", "428"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "406", "409", "412", "415", "422", "428"]
"""
    )
    command = [tool, "--config-file", tmp_path / "schemathesis.toml", "run", world.url("/v1/openapi.json"), "--url", world.url("")]
    for tag in TAGS:
        command += ["--include-tag", tag]
    # One worker: ast.parse of Python before 3.11.5, which the generator calls, is not for several threads (CPython #106905).
    command += ["-H", f"Authorization: {world.auth('admin')['Authorization']}", "-n", "200" if FULL else "4", "--seed", "1", "--workers", "1"]
    command += ["--generation-database", "none", "--no-color", "--phases", "examples,coverage,fuzzing", "--max-time", "600" if FULL else "25"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=900)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "No issues found" in done.stdout or "passed" in done.stdout, done.stdout[-2000:]
    world.engine.check()
