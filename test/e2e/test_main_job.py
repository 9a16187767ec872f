"""The main job on both kinds of stores: sign an extension, publish it, install it with explicit grants, call it, see
what it did, move it to another version and back, remove it. By the command line and by HTTP."""

import base64
import hashlib
import json
import time

import pytest
from harness.extensions import Extension
from harness.paths import ROOT
from harness.waiting import wait_until


@pytest.fixture
def organization(any_platform):
    return any_platform.organization()


@pytest.fixture
def two_versions(any_platform, organization, guest):
    """An extension that answers "hello" in 1.0.0 (installed) and the request in 1.1.0 (published): it, its install."""
    first = guest("hello")
    install = any_platform.install(first, organization)
    second = guest("echo", name=first.name, version="1.1.0")
    any_platform.publish(second.bundle(any_platform.signing_key), organization)
    return first, install


def answered_by(answer):
    """The version of `two_versions` that gave this answer."""
    assert answer.status_code == 200, answer.text
    return "1.0.0" if answer.text == "hello" else "1.1.0"


# --- the whole flow --------------------------------------------------------------------------------------------------


def test_whole_flow_by_the_command_line(any_platform, organization, guest, tmp_path):
    run, document = any_platform.run, any_platform.json
    key = tmp_path / "author.key"
    run("ext", "keygen", "-o", key)
    assert key.stat().st_mode & 0o077 == 0
    entry = document("trust", "add", f"{key}.pub")
    extension = guest("log", capabilities=["log.emit"])
    bundle = extension.bundle(key)
    assert document("ext", "verify", bundle, "--trust", f"{key}.pub")["name"] == extension.name

    mine = {"token": organization.key}
    published = document("ext", "publish", bundle, **mine)
    assert published["content_hash"] == "sha256:" + hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert published["version"]["signer"]["key_id"] == entry["key_id"]
    reference = f"{extension.name}@1.0.0"
    install = document("ext", "install", reference, "--org", organization.slug, "--grant", "log.emit", **mine)
    assert (install["version"], install["is_enabled"]) == ("1.0.0", True)
    assert install["granted_caps"] == ["log.emit"]
    assert install["runner_status"]["state"] == "ready"

    answer = document("ext", "invoke", extension.name, "GET", "/", **mine)
    assert answer["status"] == 200
    request_id = answer["headers"]["x-request-id"]
    row = any_platform.execution(organization, install, request_id)
    assert [line["level"] for line in row["logs"]] == ["info", "warn", "error"]
    shown = run("ext", "logs", extension.name, **mine).stdout
    assert request_id in shown
    assert "an info line" in shown
    assert extension.name in run("ext", "list", **mine).stdout
    assert extension.name in run("ext", "list", "published", **mine).stdout

    run("ext", "uninstall", extension.name, **mine)
    gone = run("ext", "invoke", extension.name, "GET", "/", check=False, **mine)
    assert gone.returncode != 0
    assert "extension_not_available" in gone.stdout


def test_whole_flow_by_http(any_platform, guest, tmp_path):
    def call(method, path, status, token=None, **options):
        answer = any_platform.call(method, path, token=token, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    slug = f"http-{time.monotonic_ns()}"
    made = call("POST", "/api/v1/orgs", 201, json={"slug": slug, "name": "By HTTP"})
    issued = call("POST", f"/api/v1/orgs/{slug}/api-keys", 201, json={"name": "ci", "role": "admin"})
    key = issued["key"]
    assert call("GET", "/api/v1/me", 200, token=key)["organization"] == {"id": made["id"], "slug": slug}

    any_platform.run("ext", "keygen", "-o", tmp_path / "key")
    pem = (tmp_path / "key.pub").read_text()
    # An organization's own trust is for names that nobody else uses.
    prefix = f"com.{slug}"
    call("POST", "/api/v1/trust", 201, token=key, json={"pem": pem, "prefixes": [prefix]})

    extension = guest("echo", name=f"{prefix}.echo")
    bundle = extension.bundle(tmp_path / "key").read_bytes()
    published = call("POST", f"/api/extensions/{extension.name}/versions", 201, token=key, data=bundle)
    extension_id = published["extension"]["id"]
    names = [item["name"] for item in call("GET", "/api/extensions?limit=200", 200, token=key)["items"]]
    assert extension.name in names
    assert call("GET", f"/api/extensions/{extension_id}", 200, token=key)["latest_version"] == "1.0.0"
    versions = call("GET", f"/api/extensions/{extension_id}/versions", 200, token=key)["items"]
    assert [item["content_hash"] for item in versions] == ["sha256:" + hashlib.sha256(bundle).hexdigest()]

    wanted = {"extension": extension.name, "version": "1.0.0", "granted_caps": []}
    install = call("POST", "/api/installs", 201, token=key, json=wanted)
    assert call("POST", "/api/installs", 409, token=key, json=wanted)["code"] == "already_exists"
    assert call("GET", f"/api/installs/{install['id']}", 200, token=key)["extension_name"] == extension.name

    seen = call("POST", f"/api/ext/{extension.name}/a%20b?x=1&x=2", 200, token=key, data=b"body")
    assert seen["context"]["tenant_id"] == made["id"]
    assert seen["context"]["install_id"] == install["id"]
    http = seen["http"]
    assert (http["method"], http["path"], http["handler"]) == ("POST", "/a b", "handle")
    assert (http["params"], http["query"], http["query_all"]) == ({"rest": "a b"}, {"x": "2"}, {"x": ["1", "2"]})
    assert base64.b64decode(http["body_b64"]) == b"body"
    # The same extension by its id.
    assert call("GET", f"/api/ext/{extension_id}/", 200, token=key)["context"]["extension_id"] == extension_id

    call("DELETE", f"/api/installs/{install['id']}", 204, token=key)
    call("GET", f"/api/installs/{install['id']}", 404, token=key)
    refused = call("GET", f"/api/ext/{extension.name}/", 404, token=key)
    assert refused["code"] == "extension_not_available"
    actions = [row["action"] for row in call("GET", f"/api/v1/orgs/{slug}/audit", 200, token=key)["items"]]
    assert {"extension.publish", "install.create", "install.delete"} <= set(actions)


def test_orders_example_keeps_its_data_through_a_restart(any_platform, organization, tmp_path):
    extension = Extension.of_folder(ROOT / "examples" / "orders", tmp_path)
    extension.manifest["name"] = f"com.example.orders-{organization.slug}"
    any_platform.install(extension, organization, "storage.kv", "log.emit")
    order = {"customer": "Ann", "items": [{"sku": "A-1", "quantity": 2}]}
    created = any_platform.ext(organization, extension, "POST", "/orders", json=order)
    assert (created.status_code, created.headers["location"]) == (201, "/orders/1")
    any_platform.stop()
    any_platform.start()
    read = any_platform.ext(organization, extension, "GET", "/orders/1")
    assert (read.status_code, read.json()["customer"]) == (200, "Ann")


def test_uninstalling_removes_what_was_stored(any_platform, organization, tmp_path):
    extension = Extension.of_folder(ROOT / "examples" / "orders", tmp_path)
    extension.manifest["name"] = f"com.example.orders-{organization.slug}"
    order = {"customer": "Ann", "items": [{"sku": "A-1", "quantity": 2}]}
    wanted = {"extension": extension.name, "version": extension.version, "granted_caps": ["storage.kv", "log.emit"]}
    neighbour = any_platform.organization()

    def install(by):
        answer = any_platform.call("POST", "/api/installs", token=by.key, json=wanted)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def create_orders(by):
        answers = [any_platform.ext(by, extension, "POST", "/orders", json=order) for _ in range(3)]
        assert [answer.headers["location"] for answer in answers] == ["/orders/1", "/orders/2", "/orders/3"]

    def rows(of):
        return any_platform.count("extension_kv_store", install_id=of["id"])

    any_platform.publish(extension.bundle(any_platform.trust_signing_key()), organization)
    first, other = install(organization), install(neighbour)
    create_orders(organization)
    create_orders(neighbour)
    kept = rows(other)
    assert rows(first) == kept >= 3
    any_platform.run("ext", "uninstall", extension.name, token=organization.key)
    assert (rows(first), rows(other)) == (0, kept)
    again = install(organization)
    assert again["id"] != first["id"]
    assert any_platform.ext(organization, extension, "GET", "/orders").json() == {"orders": []}
    create_orders(organization)
    assert len(any_platform.ext(neighbour, extension, "GET", "/orders").json()["orders"]) == 3


# --- grants ----------------------------------------------------------------------------------------------------------


def test_what_was_not_granted_is_denied_to_the_guest(any_platform, organization, guest):
    extension = guest("one_storage_get", capabilities=["storage.kv"])
    install = any_platform.install(extension, organization)
    denied = any_platform.ext(organization, extension, "GET", "/")
    assert (denied.status_code, denied.json()["code"]) == (500, "handler_error")
    assert "error 1" in denied.json()["detail"]  # the guest answers with the negative of storage.get's -1

    any_platform.patch_install(organization, install, granted_caps=["storage.kv"])
    found_nothing = any_platform.ext(organization, extension, "GET", "/")
    assert "error 3" in found_nothing.json()["detail"]  # -3: allowed now, but there is no such key

    any_platform.patch_install(organization, install, granted_caps=[])
    assert "error 1" in any_platform.ext(organization, extension, "GET", "/").json()["detail"]


def test_only_what_the_manifest_asks_for_can_be_granted(any_platform, organization, guest):
    extension = guest("hello")
    any_platform.publish(extension.bundle(any_platform.trust_signing_key()), organization)
    for grant in ("storage.kv", "no.such"):
        body = {"extension": extension.name, "version": "1.0.0", "granted_caps": [grant]}
        refused = any_platform.call("POST", "/api/installs", token=organization.key, json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "capability_unknown"), refused.text


def test_storage_with_its_grant(any_platform, organization, guest):
    extension = guest("storage", capabilities=["storage.kv"])
    any_platform.install(extension, organization, "storage.kv")
    answer = any_platform.ext(organization, extension, "POST", "/")
    assert (answer.status_code, answer.json()["value"]) == (200, {"text": "hello"})


# --- versions --------------------------------------------------------------------------------------------------------


def test_disable_and_enable(any_platform, organization, guest):
    extension = guest("hello")
    any_platform.install(extension, organization)
    mine = {"token": organization.key}
    any_platform.run("ext", "disable", extension.name, **mine)
    off = any_platform.ext(organization, extension, "GET", "/")
    assert (off.status_code, off.json()["code"]) == (404, "extension_not_available")
    any_platform.run("ext", "enable", extension.name, **mine)
    assert any_platform.ext(organization, extension, "GET", "/").text == "hello"


def test_version_change_and_rollback_hold_from_the_next_request(any_platform, organization, two_versions):
    extension, install = two_versions
    process = any_platform.process.pid

    def running():
        return answered_by(any_platform.ext(organization, extension, "GET", "/"))

    assert running() == "1.0.0"
    changed = any_platform.patch_install(organization, install, version="1.1.0")
    assert running() == "1.1.0"
    assert changed["previous_version"] == "1.0.0"
    any_platform.run("ext", "rollback", extension.name, token=organization.key)
    assert running() == "1.0.0"
    any_platform.json("ext", "install", f"{extension.name}@1.1.0", "--org", organization.slug, token=organization.key)
    assert running() == "1.1.0"
    assert any_platform.process.pid == process


def test_calls_in_flight_finish_on_the_old_version(any_platform, organization, guest):
    slow = guest("spin")
    install = any_platform.install(slow, organization)
    fast = guest("hello", name=slow.name, version="1.1.0")
    any_platform.publish(fast.bundle(any_platform.signing_key), organization)
    any_platform.ext(organization, slow, "GET", "/0")  # compiled and loaded
    with any_platform.in_background(organization, slow, "GET", "/600") as running:
        any_platform.patch_install(organization, install, version="1.1.0")
        assert any_platform.ext(organization, slow, "GET", "/").text == "hello"
    assert (running.answer.status_code, running.answer.text) == (200, "")
    versions = {row["request_id"]: row["version_id"] for row in any_platform.settled(organization, install, 3)}
    assert len(set(versions.values())) == 2


def test_percentage_rollout_is_sticky_per_caller_and_rolls_back_at_once(any_platform, organization, two_versions):
    extension, install = two_versions
    callers = [
        any_platform.call(
            "POST",
            f"/api/v1/orgs/{organization.slug}/api-keys",
            json={"name": f"caller {i}", "role": "developer"},
        ).json()["key"]
        for i in range(24)
    ]

    def versions():
        return [answered_by(any_platform.ext(organization, extension, "GET", "/", token=key)) for key in callers]

    any_platform.patch_install(organization, install, rollout={"version": "1.1.0", "percent": 50})
    first = versions()
    assert set(first) == {"1.0.0", "1.1.0"}
    assert versions() == first
    # Whoever has the new version keeps it when the share grows.
    any_platform.patch_install(organization, install, rollout={"version": "1.1.0", "percent": 80})
    grown = versions()
    assert all(new == "1.1.0" for old, new in zip(first, grown, strict=True) if old == "1.1.0")
    any_platform.patch_install(organization, install, rollout={"version": "1.1.0", "percent": 100})
    assert set(versions()) == {"1.1.0"}
    began = time.monotonic()
    any_platform.run("ext", "rollback", extension.name, token=organization.key)
    wait_until(lambda: set(versions()) == {"1.0.0"}, what="the rollback")
    assert time.monotonic() - began < 3  # 1 s for the switch; the command and 24 calls take their time


def test_published_versions_never_change(any_platform, organization, guest):
    extension = guest("hello")
    key = any_platform.trust_signing_key()
    any_platform.publish(extension.bundle(key), organization)
    other = guest("echo", name=extension.name)
    for again in (extension, other):
        path = f"/api/extensions/{extension.name}/versions"
        refused = any_platform.call("POST", path, token=organization.key, data=again.bundle(key).read_bytes())
        assert (refused.status_code, refused.json()["code"]) == (409, "EXTENSION_VERSION_ALREADY_EXISTS")
    failed = any_platform.run("ext", "publish", extension.bundle(key), token=organization.key, check=False)
    assert failed.returncode != 0
    assert "EXTENSION_VERSION_ALREADY_EXISTS" in failed.stderr


def test_deprecated_versions_can_be_installed_and_yanked_ones_can_not(any_platform, organization, guest):
    extension = guest("hello")
    any_platform.publish(extension.bundle(any_platform.trust_signing_key()), organization)
    version = f"/api/extensions/{extension.name}/versions/1.0.0"
    marked = any_platform.call("POST", f"{version}/deprecate", token=organization.key, json={"reason": "old"})
    assert marked.json()["deprecated"]["reason"] == "old"
    any_platform.call("POST", f"{version}/yank", token=organization.key, json={"reason": "broken"})
    wanted = {"extension": extension.name, "version": "1.0.0"}
    refused = any_platform.call("POST", "/api/installs", token=organization.key, json=wanted)
    assert (refused.status_code, refused.json()["code"]) == (409, "version_yanked")
    any_platform.call("POST", f"{version}/unyank", token=organization.key, json={})
    assert any_platform.call("POST", "/api/installs", token=organization.key, json=wanted).status_code == 201


def test_the_first_publish_claims_the_name_for_its_organization(any_platform, organization, guest):
    extension = guest("hello")
    key = any_platform.trust_signing_key()
    any_platform.publish(extension.bundle(key), organization)
    stranger = any_platform.organization()
    path = f"/api/extensions/{extension.name}/versions"
    bundle = extension.with_version("2.0.0").bundle(key).read_bytes()
    refused = any_platform.call("POST", path, token=stranger.key, data=bundle)
    assert (refused.status_code, refused.json()["code"]) == (403, "name_claimed")


def test_a_revoked_signer_is_refused_at_publish_and_at_install(any_platform, organization, guest, tmp_path):
    any_platform.run("ext", "keygen", "-o", tmp_path / "key")
    entry = any_platform.json("trust", "add", tmp_path / "key.pub")
    extension = guest("hello")
    any_platform.publish(extension.bundle(tmp_path / "key"), organization)
    any_platform.run("trust", "remove", entry["id"])
    wanted = {"extension": extension.name, "version": "1.0.0"}
    refused = any_platform.call("POST", "/api/installs", token=organization.key, json=wanted)
    assert (refused.status_code, refused.json()["code"]) == (502, "signature_invalid")
    bundle = extension.with_version("1.0.1").bundle(tmp_path / "key").read_bytes()
    path = f"/api/extensions/{extension.name}/versions"
    refused = any_platform.call("POST", path, token=organization.key, data=bundle)
    assert (refused.status_code, refused.json()["code"]) == (422, "signer_untrusted")


def test_a_detached_signature_is_as_good(any_platform, organization, guest, tmp_path):
    extension = guest("hello")
    bundle, signature = extension.pack(), tmp_path / "SIGNATURE"
    any_platform.run("ext", "sign", bundle, "--key", any_platform.trust_signing_key(), "--detached", signature)
    any_platform.run("ext", "publish", bundle, "--signature", signature, token=organization.key)
    any_platform.run("ext", "install", f"{extension.name}@1.0.0", token=organization.key)
    assert any_platform.ext(organization, extension, "GET", "/").text == "hello"


# --- look-ups by runners and the UI host -----------------------------------------------------------------------------


def test_lookup_by_host_and_validate(any_platform, organization, guest):
    extension = guest("hello")
    install = any_platform.install(extension, organization)
    hash_of = install["content_hash"]

    def get(path, **query):
        answer = any_platform.call("GET", f"/api/installs/{path}", params=query)
        assert answer.headers["cache-control"] == "no-store"
        return answer

    found = get("lookup-by-host", host=f"{install['runner_domain']}:8080")
    expected = {"tenant_id": organization.id, "extension_id": install["extension_id"], "content_hash": hash_of}
    assert (found.status_code, found.json()) == (200, expected)
    assert get("lookup-by-host").status_code == 400
    assert get("lookup-by-host", host="nobody--nothing.localhost").status_code == 404

    asked = {"tenant": organization.id, "extension": install["extension_id"], "hash": hash_of}
    assert get("validate", **asked).json() == {"valid": True}
    assert get("validate", **{**asked, "hash": "sha256:" + "0" * 64}).json() == {"valid": False}
    for name in asked:
        assert get("validate", **{k: v for k, v in asked.items() if k != name}).status_code == 400
    assert get("validate", **{**asked, "extension": "com.example.nothing"}).status_code == 404

    any_platform.run("ext", "disable", extension.name, token=organization.key)
    assert get("lookup-by-host", host=install["runner_domain"]).status_code == 404
    assert get("validate", **asked).json() == {"valid": False}


# --- the published author CLI ----------------------------------------------------------------------------------------


class AuthorCli:
    """Sends what `@alga-psa/cli` sends."""

    def __init__(self, platform, organization):
        self.platform = platform
        self.headers = {"x-api-key": organization.key, "x-tenant-id": organization.id, "x-alga-admin": "true"}

    def post(self, path, **options):
        return self.platform.call("POST", path, token="", headers=self.headers, **options)

    def upload(self, bundle, **declared):
        digest = hashlib.sha256(bundle).hexdigest()
        query = {"filename": "bundle.tar.zst", "size": len(bundle), "declaredHash": digest, **declared}
        return self.post("/api/ext-bundles/upload-proxy", params=query, data=bundle)

    def finalize(self, key, **members):
        return self.post("/api/ext-bundles/finalize", json={"key": key, **members})


def test_author_cli_uploads_finalizes_and_installs(any_platform, organization, guest):
    extension = guest("hello")
    bundle = extension.bundle(any_platform.trust_signing_key()).read_bytes()
    digest = hashlib.sha256(bundle).hexdigest()
    cli = AuthorCli(any_platform, organization)
    key = cli.upload(bundle).json()["upload"]["key"]
    manifest = json.dumps(extension.manifest)
    published = cli.finalize(key, declaredHash=digest, size=len(bundle), manifestJson=manifest)
    assert published.status_code == 200, published.text
    body = published.json()
    assert body["contentHash"] == f"sha256:{digest}"
    wanted = {"registryId": body["extension"]["id"], "version": "1.0.0"}
    installed = cli.post("/api/v1/extensions/install", json=wanted)
    assert installed.status_code == 200, installed.text
    assert installed.json()["data"]["installId"]
    assert any_platform.ext(organization, extension, "GET", "/").text == "hello"
    removed = cli.post("/api/v1/extensions/uninstall", json={"registryId": body["extension"]["id"]})
    assert removed.status_code == 200, removed.text
    assert any_platform.ext(organization, extension, "GET", "/").status_code == 404


def test_author_cli_refusals(any_platform, organization, guest):
    extension = guest("hello")
    bundle = extension.bundle(any_platform.trust_signing_key()).read_bytes()
    unsigned = guest("hello").pack().read_bytes()
    digest = hashlib.sha256(bundle).hexdigest()
    cli = AuthorCli(any_platform, organization)

    def refused(answer):
        return answer.status_code, answer.json()["code"]

    assert refused(cli.upload(bundle, declaredHash="0" * 64)) == (400, "hash_mismatch")
    key = cli.upload(bundle).json()["upload"]["key"]
    assert refused(cli.finalize(key, declaredHash="0" * 64)) == (400, "hash_mismatch")
    changed = json.dumps({**extension.manifest, "publisher": "Somebody else"})
    assert refused(cli.finalize(key, declaredHash=digest, manifestJson=changed)) == (400, "manifest_mismatch")
    assert refused(cli.finalize("staging/none")) == (400, "STAGING_NOT_FOUND")
    other = AuthorCli(any_platform, any_platform.organization())
    assert refused(other.finalize(key)) == (400, "STAGING_NOT_FOUND")
    assert cli.post("/api/ext-bundles/abort", json={"key": key}).status_code == 200
    assert refused(cli.finalize(key)) == (400, "STAGING_NOT_FOUND")
    key = cli.upload(unsigned).json()["upload"]["key"]
    assert refused(cli.finalize(key)) == (422, "signature_required")
    assert any_platform.call("GET", f"/api/extensions/{extension.name}", token=organization.key).status_code == 404
