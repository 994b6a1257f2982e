"""Fixtures: one stand a session, and per test a site of its own (database, Redis number, topic, source, configuration)."""
import itertools
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import harness  # noqa: E402
import stand as services  # noqa: E402

FULL = os.environ.get("KHIEN_SIZE") == "full"
NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def stand():
    if not harness.BIN.exists():
        pytest.fail(f"{harness.BIN} is not built")
    it = services.Stand()
    yield it
    it.end()


@pytest.fixture
def site(stand, tmp_path, request):
    """site(partitions=1, **settings) makes one; what it started is ended with the test, its log shown when it failed."""
    made = []

    def make(**settings):
        it = harness.Site(stand, tmp_path / f"site{len(made)}", next(NUMBERS), **settings)
        made.append(it)
        it.prepare()
        return it

    yield make
    failed = getattr(request.node, "failed", False)
    for it in made:
        it.close(show=failed)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if call.when == "call":
        item.failed = outcome.get_result().failed
