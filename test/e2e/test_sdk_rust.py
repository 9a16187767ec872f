"""The Rust library: its own tests, its template, its example against a real host, and what is said without a Rust.

The first build compiles the standard library for wasm32 (a minute or two); everything in between stays in the cache."""

import json
import os
import re
import subprocess

import jsonschema
import pytest
from harness.extensions import Extension
from harness.paths import BULKHEAD, CACHE, ROOT
from harness.platform import Platform
from harness.upstream import Upstream, make_certificate, private_address

pytestmark = pytest.mark.timeout(600)

ENVIRONMENT = {**os.environ, "CARGO_TARGET_DIR": str(CACHE / "rust-guests")}
RELAY = ROOT / "examples" / "webhook-relay"


def run(*command, cwd=ROOT, **environment):
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=580,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_librarys_own_tests_pass():
    assert "test result: ok" in run("cargo", "test", "--locked", "--quiet", cwd=ROOT / "sdk" / "rust")


def test_every_request_of_the_library_follows_its_schema():
    command = ("cargo", "test", "--locked", "--quiet", "--test", "host_calls", "--", "--nocapture")
    requests = re.findall(r"host call (\S+) (.*)", run(*command, cwd=ROOT / "sdk" / "rust"))
    assert len({name for name, _ in requests}) == 15
    for name, text in requests:
        document = json.loads((ROOT / "api" / "abi" / f"{name}.json").read_text())
        jsonschema.validate(json.loads(text), document["$defs"]["request"], jsonschema.Draft202012Validator)


def test_a_new_project_builds_and_passes_its_tests(tmp_path):
    run(BULKHEAD, "ext", "new", "com.example.visits", "--template", "rust", "--dir", "visits", cwd=tmp_path)
    project = tmp_path / "visits"
    run("cargo", "test", "--locked", "--quiet", cwd=project)
    run(BULKHEAD, "ext", "build", ".", cwd=project)
    assert (project / "dist" / "main.wasm").stat().st_size < 300_000
    run(BULKHEAD, "ext", "test", ".", cwd=project)


def test_without_a_rust_for_wasm32_it_says_what_to_install(tmp_path):
    done = subprocess.run(
        [ROOT / "sdk" / "rust" / "build-wasm.sh"],
        cwd=tmp_path,
        env={**ENVIRONMENT, "RUSTC": "/nonexistent/rustc", "BULKHEAD_RUST_PREFIX": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "apt-get install rustc-web cargo-web rust-web-src lld-19" in done.stderr
    assert "rustup target add wasm32-unknown-unknown" in done.stderr


# --- the example: storage, a secret in a header, http.fetch ----------------------------------------------------------


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    with private_address() as address:
        certificate, key = make_certificate(tmp_path_factory.mktemp("tls"), address)
        server = Upstream(address, tls=(certificate, key))
        server.certificate = certificate
        yield server
        server.close()


@pytest.fixture(scope="module")
def platform(tmp_path_factory, upstream):
    settings = {
        "BULKHEAD_LIMITS_RATE_LIMITS": "false",
        "EXT_EGRESS_ALLOWLIST": f"{upstream.host.split(':')[0]}/32",
        "BULKHEAD_EGRESS_CA_FILE": str(upstream.certificate),
    }
    running = Platform(tmp_path_factory.mktemp("platform"), settings).start()
    yield running
    running.close()


class Relay:
    def __init__(self, platform, folder, upstream):
        self.platform, self.organization = platform, platform.organization()
        run(BULKHEAD, "ext", "build", RELAY)
        self.extension = Extension(folder, json.loads((RELAY / "manifest.json").read_text()))
        (folder / "dist").mkdir()
        (folder / "dist" / "main.wasm").write_bytes((RELAY / "dist" / "main.wasm").read_bytes())
        self.extension.manifest["egress"] = [upstream.host]
        self.extension.manifest["name"] = f"com.example.relay-{self.organization.slug[-8:]}"
        platform.publish(self.extension.bundle(platform.trust_signing_key()), self.organization)
        settings = folder / "settings.json"
        settings.write_text(json.dumps({"target": f"{upstream.url}/in"}))
        self.install = platform.json(
            "ext",
            "install",
            f"{self.extension.name}@1.0.0",
            *("--grant", *self.extension.manifest["capabilities"]),
            *("--egress", upstream.host),
            *("--config", settings),
            token=self.organization.key,
        )

    def set_token(self, value):
        path = f"/api/installs/{self.install['id']}/secrets/target_token"
        answer = self.platform.call("PUT", path, token=self.organization.key, json={"value": value})
        assert answer.ok, answer.text

    def post(self, delivery, body):
        headers = {"idempotency-key": delivery}
        return self.platform.ext(self.organization, self.extension, "POST", "/hooks/shop", json=body, headers=headers)

    def list(self):
        return self.platform.ext(self.organization, self.extension, "GET", "/hooks/shop").json()["deliveries"]


@pytest.fixture
def relay(platform, tmp_path, upstream):
    folder = tmp_path / "relay"
    folder.mkdir()
    return Relay(platform, folder, upstream)


def test_the_relay_sends_each_delivery_once_with_a_secret_it_never_sees(relay, upstream):
    upstream.routes["/in"] = lambda _: (204, {}, b"")
    relay.set_token("s3cret-of-the-target")
    before = len(upstream.seen)
    answer = relay.post("d-1", {"order": 1})
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"id": "d-1", "state": "delivered", "target_status": 204}
    sent = upstream.seen[-1]
    assert sent["headers"]["authorization"] == "Bearer s3cret-of-the-target"
    assert (sent["headers"]["x-delivery-id"], json.loads(sent["body"])) == ("d-1", {"order": 1})
    # The gateway replays the same request; the extension itself refuses to send it again under another body's key.
    assert relay.post("d-1", {"order": 1}).headers["idempotency-replayed"] == "true"
    assert len(upstream.seen) == before + 1
    assert relay.list() == [{"id": "d-1", "state": "delivered", "target_status": 204}]
    row = relay.platform.execution(relay.organization, relay.install, answer.headers["x-request-id"])
    assert row["egress_bytes"] > 0
    assert row["host_calls"] >= 5
    assert [line["text"] for line in row["logs"]] == ["shop: delivered with status 204"]
    assert "s3cret" not in json.dumps(row)


def test_the_relay_says_what_it_lacks_and_keeps_what_failed(relay, upstream):
    answer = relay.post("d-2", {})
    assert (answer.status_code, answer.json()["code"]) == (503, "not_set_up")
    relay.set_token("s3cret")
    upstream.routes["/in"] = lambda _: (500, {}, b"")
    answer = relay.post("d-3", {})
    assert (answer.status_code, answer.json()["state"]) == (502, "failed")
    assert {delivery["id"]: delivery["state"] for delivery in relay.list()} == {"d-2": "failed", "d-3": "failed"}
