"""The C programs of wire/ (tests/it/wire_*.c) against the stand's real services."""
import os
import subprocess

import harness
import pytest


@pytest.mark.parametrize("name", ["wire_pg", "wire_kafka", "wire_redis"])
def test_wire(stand, name):
    program = harness.BIN.parent / name
    if not program.exists():
        pytest.skip(f"{program} is not built")
    services = {
        "KHIEN_TEST_PG": f"host={stand.pg_host} port={stand.pg_port} user=khien dbname=khien",
        "KHIEN_TEST_REDIS": stand.redis_url,
        "KHIEN_TEST_KAFKA": stand.kafka,
    }
    done = subprocess.run([program], env={**os.environ, **services}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
