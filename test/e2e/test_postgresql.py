"""PostgreSQL as an operator finds it: what has to be prepared is said at start, as statements that can be run."""

import re
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.paths import BULKHEAD
from harness.platform import Platform
from harness.postgres import Postgres


@pytest.fixture
def server():
    """Of one test alone: roles belong to the whole server."""
    made = Postgres()
    yield made
    made.close()


@pytest.fixture
def platform(server, tmp_path):
    made = Platform(tmp_path, {"BULKHEAD_DATABASE_URL": server.database()})
    yield made
    if made.process:
        made.close()


def start_refused(platform, *command):
    """What the program says on its way out."""
    arguments = [BULKHEAD, *command, "--data-dir", platform.data]
    done = subprocess.run(arguments, env=platform.environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def statements_in(text):
    (line,) = (line for line in text.splitlines() if line.startswith("error: "))
    return re.search(r"As a superuser run: (.+)$", line)[1]


def test_a_user_that_may_not_make_roles_is_told_what_to_run(server, platform):
    server.execute("DROP ROLE bulkhead_tenant")
    for command in (["serve", "--listen", "127.0.0.1:0"], ["migrate"]):
        said = start_refused(platform, *command)
        assert "row-level security" in said
        assert "next: Prepare it as the message says, then start again." in said
    statements = statements_in(said)
    assert statements == 'CREATE ROLE bulkhead_tenant NOLOGIN; GRANT bulkhead_tenant TO "bulkhead";'
    assert '"code":"database_not_prepared"' in start_refused(platform, "migrate", "--json")
    # The log has it too, for whoever reads that.
    refused = start_refused(platform, "serve", "--listen", "127.0.0.1:0")
    assert '"error_code":"database_not_prepared"' in refused.splitlines()[0]
    server.execute(statements)
    platform.start()
    assert platform.call("GET", "/readyz", token="").status_code == 200


def test_a_user_that_may_not_make_tables_is_told_what_to_run(server, platform):
    name = platform.settings["BULKHEAD_DATABASE_URL"].rpartition("/")[2]
    server.execute(f"ALTER DATABASE {name} OWNER TO postgres")
    statements = statements_in(start_refused(platform, "serve", "--listen", "127.0.0.1:0"))
    assert statements == f'ALTER DATABASE "{name}" OWNER TO "bulkhead";'
    server.execute(statements)
    platform.start()
    assert platform.call("GET", "/readyz", token="").status_code == 200


def test_a_server_waits_for_its_database(server, platform):
    """Machines start in any order."""
    server.stop()

    def start_when_asked_for():
        with socket.create_server(("127.0.0.1", server.port)) as port:
            port.settimeout(20)
            port.accept()[0].close()
        server.start()

    with ThreadPoolExecutor(1) as pool:  # its thread has to live as long as what it started
        starting = pool.submit(start_when_asked_for)
        platform.start()
        starting.result()
        assert platform.call("GET", "/readyz", token="").status_code == 200


def test_a_role_that_could_get_around_the_policies_is_refused(server, platform):
    server.execute("ALTER ROLE bulkhead_tenant BYPASSRLS")
    statements = statements_in(start_refused(platform, "migrate"))
    server.execute(statements)
    platform.start()
    assert platform.call("GET", "/readyz", token="").status_code == 200
