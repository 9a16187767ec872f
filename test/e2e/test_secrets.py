"""Secrets of an install: set by an admin, read by its guests or sent by http.fetch in their place, shown to nobody
else; encrypted at rest by a keyring that a start without it asks for."""

import base64
import json
import secrets
import subprocess
import time

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from harness.extensions import Extension
from harness.paths import BULKHEAD
from harness.upstream import Upstream, make_certificate, private_address

STORES = ("sqlite-disk", "postgresql-s3")
NAMES = ["api_key", "db.password"]


def canary():
    return "canary-" + secrets.token_hex(16)


class Vault:
    """An installed extension that passes bodies to secrets.get (test/guests/secret.c)."""

    def __init__(self, platform, folder, organization=None, declared=NAMES, grants=("secrets.get",), egress=()):
        self.platform, self.organization = platform, organization or platform.organization()
        self.extension = Extension.of_guest(
            folder, "secret", capabilities=["secrets.get", "http.fetch"], secrets=list(declared), egress=list(egress)
        )
        self.install = platform.install(self.extension, self.organization, *grants)
        if egress:
            platform.patch_install(self.organization, self.install, granted_egress=list(egress))
        self.path = f"/api/installs/{self.install['id']}/secrets"

    def put(self, key, value, token=None):
        token = token or self.organization.key
        return self.platform.call("PUT", f"{self.path}/{key}", token=token, json={"value": value})

    def set(self, key, value):
        answer = self.put(key, value)
        assert answer.status_code == 204, answer.text

    def delete(self, key, token=None):
        return self.platform.call("DELETE", f"{self.path}/{key}", token=token or self.organization.key)

    def ask(self, *lines):
        """(code, document) of the guest's last host call."""
        body = "\n".join(json.dumps(line) for line in lines)
        answer = self.platform.ext(self.organization, self.extension, "POST", "/", data=body)
        assert answer.status_code == 200, answer.text
        code, _, text = answer.text.partition("\n")
        return int(code), json.loads(text) if text else None

    def get(self, key):
        code, document = self.ask({"key": key})
        return document["value"] if code == 0 else code


@pytest.fixture
def vault(any_platform, tmp_path):
    return Vault(any_platform, tmp_path)


# --- the life of a secret --------------------------------------------------------------------------------------------


def test_set_change_and_delete(vault):
    assert vault.get("api_key") == -3
    vault.set("api_key", "first")
    assert vault.get("api_key") == "first"
    vault.set("api_key", 'second č \n " \0')
    assert vault.get("api_key") == 'second č \n " \0'
    assert vault.delete("api_key").status_code == 204
    assert vault.get("api_key") == -3
    assert vault.delete("api_key").status_code == 204


def test_a_change_is_seen_within_250_ms(vault):
    vault.set("api_key", "0")
    assert vault.get("api_key") == "0"
    slowest = 0
    for number in range(1, 21):
        vault.set("api_key", str(number))
        acknowledged = time.monotonic()
        while vault.get("api_key") != str(number):
            assert time.monotonic() - acknowledged < 0.25
        slowest = max(slowest, time.monotonic() - acknowledged)
    print(f"slowest change: {slowest * 1000:.1f} ms")


def test_only_declared_names(any_platform, vault, tmp_path):
    refused = vault.put("api-key", "x")
    assert refused.status_code == 422
    assert 'did you mean "api_key"?' in refused.json()["detail"]
    assert vault.ask({"key": "undeclared"})[0] == -1
    ungranted = Vault(any_platform, tmp_path, grants=())
    ungranted.set("api_key", "x")
    assert ungranted.ask({"key": "api_key"})[0] == -1


def test_nobody_else_reaches_it(any_platform, vault, tmp_path):
    vault.set("api_key", "mine")
    stranger = any_platform.organization()
    assert vault.put("api_key", "theirs", token=stranger.key).status_code == 404
    assert vault.delete("api_key", token=stranger.key).status_code == 404
    assert any_platform.call("GET", vault.path, token=stranger.key).status_code == 404
    assert any_platform.call("PUT", f"{vault.path}/api_key", token="", json={"value": "x"}).status_code == 401
    sibling = Vault(any_platform, tmp_path, organization=vault.organization)
    assert sibling.get("api_key") == -3
    developer = any_platform.json("key", "create", "--org", vault.organization.slug, "--role", "developer")["key"]
    assert vault.put("api_key", "x", token=developer).status_code == 403


def test_uninstalling_removes_it(any_platform, vault):
    vault.set("api_key", "value")
    install = f"/api/installs/{vault.install['id']}"
    assert any_platform.call("DELETE", install, token=vault.organization.key).status_code == 204
    assert vault.put("api_key", "value").status_code == 404
    name = f"{vault.extension.name}@1.0.0"
    token = {"token": vault.organization.key}
    any_platform.run("ext", "install", name, "--org", vault.organization.slug, "--grant", "secrets.get", **token)
    assert vault.get("api_key") == -3


def test_the_command_line(any_platform, vault, tmp_path):
    token = {"token": vault.organization.key}
    name = vault.extension.name
    any_platform.run("ext", "secret", "set", name, "api_key", stdin="from a pipe\n", **token)
    assert vault.get("api_key") == "from a pipe"
    (tmp_path / "value").write_text("exact\n")
    any_platform.run("ext", "secret", "set", name, "db.password", "--from-file", tmp_path / "value", **token)
    assert vault.get("db.password") == "exact\n"
    listed = any_platform.json("ext", "secret", "list", name, **token)["items"]
    assert [item["key"] for item in listed] == ["api_key", "db.password"]
    assert "exact" not in json.dumps(listed)
    assert "db.password" in any_platform.run("ext", "secret", "list", name, **token).stdout
    any_platform.run("ext", "secret", "delete", name, "api_key", **token)
    assert vault.get("api_key") == -3
    wrong = any_platform.run("ext", "secret", "set", name, "api_kye", stdin="x", check=False, **token)
    assert wrong.returncode == 3
    assert "api_key" in wrong.stderr
    argument = any_platform.run("ext", "secret", "set", name, "api_key", "a value", check=False, **token)
    assert argument.returncode == 2


# --- at rest ---------------------------------------------------------------------------------------------------------


def everything_stored(platform, postgres):
    """The bytes of all that the platform keeps or said: database, files, log."""
    found = platform.log_file.read_bytes()
    for path in sorted(platform.data.rglob("*")):
        if path.is_file():
            found += path.read_bytes()
    url = platform.settings.get("BULKHEAD_DATABASE_URL")
    if url:
        name = url.rsplit("/", 1)[1]
        found += postgres.execute("SELECT database_to_xml(true, false, '')", database=name).encode()
    return found


@pytest.mark.parametrize("stores", STORES)
def test_the_value_is_nowhere_in_the_clear(own_platform, postgres, tmp_path, stores):
    platform = own_platform(stores, BULKHEAD_SERVER_LOG_LEVEL="debug").start()
    vault, value = Vault(platform, tmp_path), canary()
    vault.set("api_key", value)
    assert vault.get("api_key") == value
    assert vault.ask({"key": "api_key", "handle": True})[0] == 0
    vault.put("undeclared", value)
    platform.call(
        "PUT",
        f"{vault.path}/api_key",
        token=vault.organization.key,
        data=value + "{",
        headers={"content-type": "application/json"},
    )
    stored = everything_stored(platform, postgres)
    assert b"A256GCM" in stored, "the search looks in the right place"
    assert value.encode() not in stored
    assert base64.b64encode(value.encode())[:-4] not in stored
    platform.stop()
    assert value.encode() not in everything_stored(platform, postgres)


def b64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def cbor(item):
    """Deterministic CBOR (RFC 8949 §4.2.1) of what associated data holds."""
    if isinstance(item, list):
        return bytes([0x80 | len(item)]) + b"".join(map(cbor, item))
    if isinstance(item, int):
        return bytes([item])
    text = item.encode()
    return (bytes([0x60 | len(text)]) if len(text) < 24 else bytes([0x78, len(text)])) + text


@pytest.mark.parametrize("stores", ["postgresql-s3"])
def test_the_stored_form_is_the_contracts(own_platform, postgres, tmp_path, stores):
    """Another implementation opens it, with the keyring and the place that the value was sealed for, and no other."""
    platform = own_platform(stores).start()
    vault = Vault(platform, tmp_path)
    vault.set("api_key", "the value")
    name = platform.settings["BULKHEAD_DATABASE_URL"].rsplit("/", 1)[1]
    envelope = json.loads(postgres.execute("SELECT value_enc FROM extension_secret", database=name))
    assert list(envelope) == ["v", "alg", "kid", "dek", "iv", "ct", "tag"]
    keyring_file = platform.data / "keys" / "keyring.json"
    assert keyring_file.stat().st_mode & 0o077 == 0
    keyring = json.loads(keyring_file.read_text())
    assert envelope["kid"] == f"{keyring['id']}:{keyring['current']}"
    tenant, row = vault.organization.id, f"{vault.install['id']}/api_key"
    wrapped = b64(envelope["dek"])
    data_key = AESGCM(b64(keyring["keys"][0]["key"])).decrypt(
        wrapped[:12], wrapped[12:], cbor(["bulkhead/local-kms", envelope["kid"], f"tenant:{tenant}"])
    )

    def opened(row):
        place = cbor([1, "A256GCM", "extension_secret", "value_enc", row, tenant])
        return AESGCM(data_key).decrypt(b64(envelope["iv"]), b64(envelope["ct"]) + b64(envelope["tag"]), place)

    assert opened(row) == b"the value"
    with pytest.raises(InvalidTag):
        opened(row + "2")


@pytest.mark.parametrize("stores", STORES)
def test_kill_9_loses_nothing_that_was_acknowledged(own_platform, tmp_path, stores):
    platform = own_platform(stores).start()
    vault = Vault(platform, tmp_path)
    vault.set("db.password", "from the first life")
    for life in range(4):
        vault.set("api_key", f"life {life}")
        platform.kill()
        platform.start()
        assert vault.get("api_key") == f"life {life}"
    assert vault.get("db.password") == "from the first life"


# --- the keyring -----------------------------------------------------------------------------------------------------


def refused_start(platform, **settings):
    """What `serve` says when it does not start."""
    done = subprocess.run(
        [BULKHEAD, "serve", "--data-dir", platform.data, "--listen", "127.0.0.1:0"],
        env={**platform.environment(), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode not in (0, None), done.stdout
    return done.stdout + done.stderr


@pytest.mark.parametrize("stores", STORES)
def test_a_start_without_the_right_keyring_says_so(own_platform, tmp_path, stores):
    platform = own_platform(stores).start()
    vault = Vault(platform, tmp_path)
    vault.set("api_key", "value")
    vault.set("db.password", "value")
    platform.stop()
    path = platform.data / "keys" / "keyring.json"
    document = path.read_text()
    key_id = json.loads(document)["id"]

    path.unlink()
    said = refused_start(platform)
    assert f"2 secrets are encrypted with the key {key_id}:1" in said
    assert "keyring.json" in said
    assert not path.exists(), "no new one is made beside secrets of an old one"

    other = json.loads(document)
    other["id"] = "local-other"
    said = refused_start(platform, BULKHEAD_ENCRYPTION_KEYRING=json.dumps(other))
    assert f"the key {key_id}:1, which is not in the setting encryption.keyring" in said
    other = json.loads(document)
    other["keys"][0]["key"] = base64.urlsafe_b64encode(bytes(32)).rstrip(b"=").decode()
    said = refused_start(platform, BULKHEAD_ENCRYPTION_KEYRING=json.dumps(other))
    assert f"the key {key_id}:1, which is another key in" in said
    assert "malformed" in refused_start(
        platform, BULKHEAD_ENCRYPTION_KEYRING='{"v":1,"id":"x","current":1,"keys":[{}]}'
    )

    platform.settings["BULKHEAD_ENCRYPTION_KEYRING"] = document
    platform.start()
    assert vault.get("api_key") == "value", "the same keyring from the environment"
    platform.stop()
    del platform.settings["BULKHEAD_ENCRYPTION_KEYRING"]

    path.write_text(document)
    path.chmod(0o644)
    assert "chmod 600" in refused_start(platform)
    path.chmod(0o600)
    platform.start()
    assert vault.get("api_key") == "value"


def test_a_rotated_keyring_reads_old_and_writes_new(own_platform, tmp_path):
    platform = own_platform().start()
    vault = Vault(platform, tmp_path)
    vault.set("api_key", "old")
    platform.stop()
    path = platform.data / "keys" / "keyring.json"
    keyring = json.loads(path.read_text())
    fresh = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    keyring["keys"].append({"version": 2, "key": fresh})
    keyring["current"] = 2
    path.write_text(json.dumps(keyring))
    platform.start()
    assert vault.get("api_key") == "old"
    vault.set("db.password", "new")
    assert vault.get("db.password") == "new"
    platform.stop()
    keyring["keys"] = keyring["keys"][1:]
    said = refused_start(platform, BULKHEAD_ENCRYPTION_KEYRING=json.dumps(keyring))
    assert f"1 secrets are encrypted with the key {keyring['id']}:1" in said


# --- http.fetch ------------------------------------------------------------------------------------------------------


def test_a_handle_reaches_the_host_and_never_the_guest(own_platform, tmp_path):
    with private_address() as address:
        certificate, key = make_certificate(tmp_path, address)
        upstream, plain = Upstream(address, tls=(certificate, key)), Upstream(address)
        try:
            platform = own_platform(
                EXT_EGRESS_ALLOWLIST=f"{address}/32", BULKHEAD_EGRESS_CA_FILE=str(certificate)
            ).start()
            hosts = [upstream.host, plain.host]
            vault = Vault(platform, tmp_path, grants=("secrets.get", "http.fetch"), egress=hosts)
            value = canary()
            vault.set("api_key", value)
            upstream.routes["/"] = lambda _: (200, {}, b"thanks")
            wanted = {"key": "api_key", "handle": True}
            headers = {"authorization": {"secret_handle": "@", "prefix": "Bearer "}}
            code, answer = vault.ask(wanted, {"url": f"{upstream.url}/", "headers": headers})
            assert code == 0, answer
            assert base64.b64decode(answer["body_b64"]) == b"thanks"
            assert upstream.seen[-1]["headers"]["authorization"] == f"Bearer {value}"

            code, answer = vault.ask(wanted, {"url": f"{plain.url}/", "headers": headers})
            assert (code, answer["error"]["reason"]) == (-1, "secret"), "not where anybody on the way reads it"
            assert plain.seen == []
            _, handle = vault.ask(wanted)
            late = {"authorization": {"secret_handle": handle["handle"]}}
            code, _ = vault.ask(wanted, {"url": f"{upstream.url}/", "headers": late})
            assert code == -3, "a handle of another call means nothing"
            assert value.encode() not in platform.log_file.read_bytes()
        finally:
            upstream.close()
            plain.close()
