"""PostgreSQL as carriers run it: behind TLS with a certificate that is checked, a server that turned read-only, and roles that may do no more
than they need."""
import os
import pathlib
import shutil

import psycopg2
import pytest

from stand import TOP, run, wait_for


@pytest.fixture
def tls(stand, tmp_path):
    """The session's server with a certificate of an authority of our own, for this test."""
    data = pathlib.Path(stand.pg_data)
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test authority", "-keyout", tmp_path / "ca.key",
        "-out", tmp_path / "ca.crt")  # fmt: skip
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", tmp_path / "server.key", "-out", tmp_path / "csr")
    (tmp_path / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    run("openssl", "x509", "-req", "-in", tmp_path / "csr", "-CA", tmp_path / "ca.crt", "-CAkey", tmp_path / "ca.key", "-CAcreateserial", "-days", "2",
        "-extfile", tmp_path / "ext", "-out", tmp_path / "server.crt")  # fmt: skip
    owner = os.stat(data)
    for name in ("server.crt", "server.key"):
        shutil.copy(tmp_path / name, data / name)
        os.chmod(data / name, 0o600)
        os.chown(data / name, owner.st_uid, owner.st_gid)
    stand.sql("ALTER SYSTEM SET ssl = on")
    stand.sql("SELECT pg_reload_conf()")
    yield tmp_path / "ca.crt"
    stand.sql("ALTER SYSTEM RESET ssl")
    stand.sql("SELECT pg_reload_conf()")
    for name in ("server.crt", "server.key"):
        (data / name).unlink()


def test_the_database_is_spoken_to_in_tls(site, stand, tls, tmp_path):
    stand.topic("outcomes", 1)
    base = f"host=127.0.0.1 port={stand.pg_port} user=khien sslmode=verify-full"
    it = site()
    it.dsn = f"{base} sslrootcert={tls} dbname={it.database}"
    engine = it.start()
    engine.wait_ready()
    got = it.rows("SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.datname = current_database() AND "
                  "a.application_name LIKE 'khien%%'")  # fmt: skip
    assert got == [{"ssl": True}]
    other = tmp_path / "other.crt"
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other", "-keyout", tmp_path / "o.key", "-out", other)
    it.dsn = f"{base} sslrootcert={other} dbname={it.database}"
    refused = it.khien("token", "list", "-c", it.configure("other"), check=False)
    assert refused.returncode == 1 and "certificate" in refused.stderr


def test_a_server_that_is_read_only_is_not_worked_with(site, stand):
    """As after a failover: the old primary takes no writes. The engine waits, says so, and goes on by itself."""
    stand.topic("outcomes", 1)
    it = site()
    stand.sql(f"ALTER DATABASE {it.database} SET default_transaction_read_only = on")
    engine = it.start()
    wait_for("it says so", lambda: "read-only" in engine.log(), 30)
    assert not engine.ready()
    stand.sql(f"ALTER DATABASE {it.database} RESET default_transaction_read_only")
    engine.wait_ready()


def test_roles_may_do_no_more_than_they_need(site, stand):
    it = site()
    db = stand.connect(it.database)
    db.cursor().execute((TOP / "deploy/postgres/roles.sql").read_text())

    def may(role, query):
        one = psycopg2.connect(host=stand.pg_host, port=stand.pg_port, user=role, dbname=it.database)
        try:
            one.cursor().execute(query)
            return True
        except psycopg2.errors.InsufficientPrivilege:
            return False
        finally:
            one.close()

    assert may("khien_switch", "SELECT * FROM blk_htable") and not may("khien_switch", "SELECT * FROM entry")
    assert may("khien_statistics", "SELECT count(*) FROM case_file") and may("khien_statistics", "SELECT count(kind) FROM report")
    month = it.one("SELECT max(relname) AS t FROM pg_class WHERE relname ~ '^report_[0-9]{6}$'")["t"]
    for query in ("SELECT content FROM report", "SELECT reporter FROM report", f"SELECT content FROM {month}" if month else "SELECT mac FROM subject",
                  "SELECT * FROM subject", "SELECT * FROM quarantine", "SELECT * FROM token", "SELECT * FROM person", "DELETE FROM case_file",
                  "INSERT INTO wish DEFAULT VALUES"):  # fmt: skip
        assert not may("khien_statistics", query), query
    for role in ("khien_switch", "khien_statistics"):
        db.cursor().execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    db.close()
