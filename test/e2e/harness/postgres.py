"""A PostgreSQL server of the tests' own: temporary data, free port, no system service."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from harness.waiting import DIES_WITH_US, free_port, wait_until

BINARIES = Path("/usr/lib/postgresql/15/bin")
UNPRIVILEGED = "nobody"


def as_unprivileged(command):
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return [*DIES_WITH_US, *command]
    return [*DIES_WITH_US, f"--reuid={UNPRIVILEGED}", "--regid=nogroup", "--clear-groups", *command]


class Postgres:
    """Holds a server; `database()` makes an empty database for one test."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="bulkhead-postgres-"))
        if os.geteuid() == 0:
            shutil.chown(self.folder, UNPRIVILEGED, "nogroup")
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.port = free_port()
        self.process = None
        self.made = 0
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()
        # The platform's user may make no roles, so the one that row-level security binds is there already.
        self.execute("CREATE ROLE bulkhead LOGIN NOSUPERUSER NOBYPASSRLS")
        self.execute("CREATE ROLE bulkhead_tenant NOLOGIN NOSUPERUSER NOBYPASSRLS")
        self.execute("GRANT bulkhead_tenant TO bulkhead")

    def run(self, program, *arguments):
        command = as_unprivileged([str(BINARIES / program), *map(str, arguments)])
        done = subprocess.run(
            command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0:
            raise AssertionError(f"{program} failed:\n{done.stdout}")
        return done.stdout

    def start(self):
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "max_connections": 60,
            "shared_buffers": "32MB",
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                as_unprivileged([str(BINARIES / "postgres"), "-D", str(self.data), *options]),
                cwd="/",
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self.ready, what="PostgreSQL")

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"PostgreSQL ended:\n{self.log.read_text(errors='replace')}")
        command = [str(BINARIES / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def stop(self):
        """Closes all connections and ends; `start()` brings it back on the same port with the same data."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown
            self.process.wait(30)

    def execute(self, statement, database="postgres"):
        """As the superuser; gives the rows as text."""
        options = [
            "-h",
            "127.0.0.1",
            "-p",
            self.port,
            "-U",
            "postgres",
            "-d",
            database,
            "-Atq",
            "-v",
            "ON_ERROR_STOP=1",
        ]
        return self.run("psql", *options, "-c", statement)

    def database(self):
        """The URL of a new, empty database that belongs to a role without privileges."""
        self.made += 1
        name = f"test_{self.made}"
        self.execute(f"CREATE DATABASE {name} OWNER bulkhead")
        return f"postgres://bulkhead@127.0.0.1:{self.port}/{name}"

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)  # its "immediate" shutdown: nobody needs the data any more
            self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)
