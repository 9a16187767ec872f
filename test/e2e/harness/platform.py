"""The platform under test: `bulkhead serve` as a process, its HTTP interface, its command line."""

import json
import os
import secrets
import signal
import sqlite3
import subprocess
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import requests

from harness.paths import BULKHEAD
from harness.waiting import DIES_WITH_US, wait_until


@dataclass
class Organization:
    slug: str
    id: str
    key: str = field(repr=False)


class Platform:
    """Started by `start()`; `stop()` is a SIGTERM, `kill()` a SIGKILL. Both leave the data for `start()`."""

    def __init__(self, folder, settings=None):
        self.folder = Path(folder)
        self.data = self.folder / "data"
        self.log_file = self.folder / "serve.log"
        self.admin_token = secrets.token_urlsafe(32)
        self.settings = dict(settings or {})
        self.process = None
        self.url = None
        self.http = requests.Session()
        self.http.trust_env = False
        self.signing_key = self.folder / "signing.key"

    # --- the process -------------------------------------------------------------------------------------------------

    def environment(self):
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(("BULKHEAD_", "PLATFORM_"))},
            "PLATFORM_API_ADMIN_TOKEN": self.admin_token,
            **self.settings,
        }

    def start(self):
        assert self.process is None or self.process.poll() is not None, "it is running"
        self.folder.mkdir(parents=True, exist_ok=True)
        started_at = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*DIES_WITH_US, BULKHEAD, "serve", "--data-dir", self.data, "--listen", "127.0.0.1:0"],
                stdout=log,
                stderr=log,
                env=self.environment(),
                start_new_session=True,
            )
        ready = wait_until(lambda: self.ready_line(started_at), what="the ready line")
        self.url = "http://" + ready["address"].removeprefix("http://")
        return self

    def ready_line(self, offset):
        for line in self.log_lines(offset):
            if line.get("event") == "ready":
                return line
        if self.process.poll() is not None:
            raise AssertionError(f"serve ended with {self.process.returncode}:\n{self.log_tail()}")
        return None

    def stop(self, seconds=30):
        """Gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        """As a crash would: no time for anything. Its children end by themselves."""
        self.process.kill()
        self.process.wait(30)

    def close(self):
        if self.process and self.process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.http.close()

    def children(self, name=None):
        """Process ids of its descendants, those of `bulkhead NAME` only where a name is given."""
        found, queue = [], [self.process.pid]
        while queue:
            parent = queue.pop()
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                for children in Path(f"/proc/{parent}/task").glob("*/children"):
                    queue += map(int, children.read_text().split())
                command = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
                if parent != self.process.pid and (name is None or name.encode() in command[1:2]):
                    found.append(parent)
        return found

    # --- its log -----------------------------------------------------------------------------------------------------

    def log_lines(self, offset=0):
        """The JSON lines of the log; whatever is no JSON is a failure of the test."""
        with self.log_file.open("rb") as log:
            log.seek(offset)
            text = log.read()
        return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines() if line]

    def log_tail(self):
        return self.log_file.read_text(errors="replace")[-4000:]

    # --- its tables --------------------------------------------------------------------------------------------------

    def count(self, table, **columns):
        """How many rows of a table have these texts in these columns, as the database itself says."""
        where = " AND ".join(f"{name} = '{value}'" for name, value in columns.items()) or "1 = 1"
        statement = f"SELECT COUNT(*) FROM {table} WHERE {where}"
        url = self.settings.get("BULKHEAD_DATABASE_URL")
        if url is None:
            with closing(sqlite3.connect(f"file:{self.data}/bulkhead.db?mode=ro", uri=True)) as database:
                return database.execute(statement).fetchone()[0]
        done = subprocess.run(["psql", "-AtqX", url, "-c", statement], capture_output=True, text=True, check=True)
        return int(done.stdout)

    # --- HTTP --------------------------------------------------------------------------------------------------------

    def call(self, method, path, token=None, **options):
        """A request with `token` (a key, or the administrator's where it is None and not "")."""
        headers = dict(options.pop("headers", None) or {})
        token = self.admin_token if token is None else token
        if token:
            headers.setdefault("authorization", f"Bearer {token}")
        options.setdefault("timeout", 60)
        options.setdefault("allow_redirects", False)
        return self.http.request(method, self.url + path, headers=headers, **options)

    def ext(self, organization, extension, method, path, **options):
        """A call of an extension (its name, or an Extension) through the gateway, with the organization's key."""
        name = getattr(extension, "name", extension)
        token = options.pop("token", organization.key)
        return self.call(method, f"/api/ext/{name}{path}", token=token, **options)

    def executions(self, organization, install, **query):
        """All rows of an install's execution log that match, newest first."""
        path, rows = f"/api/installs/{install['id']}/executions", []
        query = {"limit": 500, **query}
        while True:
            page = self.call("GET", path, token=organization.key, params=query).json()
            rows += page["items"]
            if "next_cursor" not in page:
                return rows
            query["cursor"] = page["next_cursor"]

    def execution(self, organization, install, request_id):
        """The row of one request; rows are written in batches, so it may take a moment."""
        return wait_until(
            lambda: self.executions(organization, install, request_id=request_id), what="the execution log's row"
        )[0]

    def settled(self, organization, install, count):
        """The execution log, once it has `count` rows."""

        def rows():
            found = self.executions(organization, install)
            return found if len(found) >= count else None

        return wait_until(rows, what=f"{count} rows in the execution log")

    def metric(self, name):
        """The sum of a counter over its labels."""
        lines = self.call("GET", "/metrics").text.splitlines()
        found = [line.rsplit(" ", 1) for line in lines if line.split("{")[0].split(" ")[0] == name]
        return sum(float(value) for _, value in found)

    @contextmanager
    def in_background(self, organization, extension, method, path, **options):
        """A call that is running while the block does: gives an object whose `answer` is there after the block."""
        before = self.metric("gateway_calls_total")
        running = SimpleNamespace(answer=None)

        def work():
            with requests.Session() as http:
                http.trust_env = False
                headers = {"authorization": f"Bearer {organization.key}", **options.pop("headers", {})}
                url = f"{self.url}/api/ext/{extension.name}{path}"
                running.answer = http.request(method, url, headers=headers, timeout=60, **options)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        wait_until(lambda: self.metric("gateway_calls_total") > before, what="the call's dispatch")
        try:
            yield running
        finally:
            thread.join(60)

    # --- the command line --------------------------------------------------------------------------------------------

    def run(self, *arguments, token=None, stdin=None, check=True):
        """`bulkhead ARGUMENTS` against this platform. Gives the finished process, with text output."""
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("BULKHEAD_", "PLATFORM_"))},
            "BULKHEAD_SERVER": self.url or "",
            "BULKHEAD_TOKEN": self.admin_token if token is None else token,
            "HOME": str(self.folder),
        }
        done = subprocess.run(
            [BULKHEAD, *map(str, arguments)],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if check and done.returncode != 0:
            command = " ".join(map(str, arguments))
            raise AssertionError(f"bulkhead {command}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def json(self, *arguments, **options):
        """The same with --json: gives the document."""
        return json.loads(self.run(*arguments, "--json", **options).stdout)

    # --- what nearly every test needs --------------------------------------------------------------------------------

    def trust_signing_key(self):
        """Makes a key for this platform's bundles, once, and trusts it."""
        if not self.signing_key.exists():
            self.run("ext", "keygen", "-o", self.signing_key)
            self.run("trust", "add", f"{self.signing_key}.pub")
        return self.signing_key

    def organization(self, slug=None, role="admin"):
        """A new organization with a key."""
        slug = slug or f"org-{secrets.token_hex(4)}"
        made = self.json("org", "create", slug)
        key = self.json("key", "create", "--org", slug, "--role", role)["key"]
        return Organization(slug, made["id"], key)

    def patch_install(self, organization, install, **change):
        """The install after the change."""
        answer = self.call("PATCH", f"/api/installs/{install['id']}", token=organization.key, json=change)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def publish(self, bundle, organization):
        return self.json("ext", "publish", bundle, token=organization.key)

    def install(self, extension, organization, *grants):
        """Publishes and installs an extension (harness.extensions.Extension) with these grants; gives the install."""
        bundle = extension.bundle(self.trust_signing_key())
        self.publish(bundle, organization)
        return self.json(
            "ext",
            "install",
            f"{extension.name}@{extension.version}",
            "--org",
            organization.slug,
            *(["--grant", *grants] if grants else []),
            token=organization.key,
        )
