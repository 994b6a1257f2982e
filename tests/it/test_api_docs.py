"""docs/api.md and docs/feeds.md tell the truth: their commands are run as they stand, and answer what the pages say; … stands for anything."""
import re
import subprocess

import pytest

import api_world
from conftest import NUMBERS
from stand import TOP

PAGES = {name: (TOP / "docs" / name).read_text() for name in ("api.md", "feeds.md")}
PAGE = PAGES["api.md"]


@pytest.fixture(scope="module")
def world(stand, tmp_path_factory):
    it = api_world.World(stand, tmp_path_factory.mktemp("api") / "site", next(NUMBERS))
    it.wish("84912345671")
    yield it
    it.close()


def examples(page):
    """(command, expected lines) in the order of the page."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", page, re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


@pytest.mark.parametrize("name, role, least", [("api.md", "supervisor", 12), ("feeds.md", "feed", 3)])
def test_every_example(world, name, role, least):
    page = PAGES[name]
    assert len(examples(page)) > least
    lines = ["set -e", f"API={world.url('')}", f"AUTH='Authorization: Bearer {world.auth(role)['Authorization'].split()[1]}'"]
    lines += [f"ADMIN='Authorization: {world.auth('supervisor')['Authorization']}'"]
    for command, _ in examples(page):
        lines += [command, "printf '\\n\\036'"]
    done = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60, check=True)
    for (command, want), got in zip(examples(page), done.stdout.split("\036"), strict=False):
        pattern = "\n".join(".*".join(map(re.escape, line.split("…"))) for line in want)
        assert re.fullmatch(pattern, got.strip("\n")), f"{command}\ngot  {got}\nwant {want}"


def test_every_route_is_on_the_page():
    source = (TOP / "api/routes.c").read_text()
    for path in re.findall(r'\{"(?:GET|POST|PUT|DELETE)", "([^"]+)"', source):
        assert path.replace("...", "") in PAGE, path


def test_every_metric_is_on_the_page():
    source = (TOP / "api/api.c").read_text()
    names = re.findall(r'"(khien_[a-z_]+)"', source)
    assert names
    for name in names:
        assert name in PAGE, name
