"""`bulkhead runner`: runners alone, beside a platform and on its stores, for `POST /v1/execute` from elsewhere."""

import base64
import json
import subprocess

import requests

from harness.paths import BULKHEAD
from harness.waiting import DIES_WITH_US, wait_until


class RunnerService:
    """Calls the installs of one organization."""

    def __init__(self, platform, organization):
        self.platform, self.organization = platform, organization
        self.log_file = platform.folder / "runner.log"
        command = [BULKHEAD, "runner", "--data-dir", platform.data, "--listen", "127.0.0.1:0"]
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [*DIES_WITH_US, *command], stdout=log, stderr=log, env=platform.environment(), start_new_session=True
            )
        self.url = "http://" + wait_until(self.address, what="the runner's ready line").removeprefix("http://")
        self.http = requests.Session()
        self.http.trust_env = False
        wait_until(lambda: self.call("GET", "/readyz").status_code == 200, what="a runner")
        self.token = self.new_token()

    def address(self):
        for line in self.log_file.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and (event := json.loads(line)).get("event") == "ready":
                return event["address"]
        if self.process.poll() is not None:
            raise AssertionError(f"the runner ended with {self.process.returncode}:\n{self.log_file.read_text()}")
        return None

    def new_token(self):
        command = [BULKHEAD, "runner", "token", "--data-dir", self.platform.data]
        done = subprocess.run(command, env=self.platform.environment(), capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def call(self, method, path, token=None, headers=None, **options):
        headers = {"authorization": f"Bearer {token}", **(headers or {})} if token else headers
        return self.http.request(method, self.url + path, headers=headers, timeout=60, **options)

    def context(self, install, **changes):
        return {
            "request_id": "from-elsewhere",
            "tenant_id": self.organization.id,
            "extension_id": install["extension_id"],
            "install_id": install["id"],
            "content_hash": install["content_hash"],
            "version_id": install["version_id"],
            **changes,
        }

    def execute(self, install, http=None, headers=None, **members):
        """`members` replace or add members of the request; the context's defaults are the install's."""
        request = {"context": self.context(install)}
        if http is not None:
            request["http"] = {"method": "GET", "path": "/", **http}
        return self.call("POST", "/v1/execute", self.token, headers, json={**request, **members})

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.http.close()
        return self.process.wait(30)


def body_of(answer):
    """The guest's answer, out of an execute response."""
    return base64.b64decode(answer.json()["body_b64"])
