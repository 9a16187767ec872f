"""Bundles that must be refused: each with the contract's code (extensions.md §1), and with nothing left behind."""

import io
import json
import random
import secrets
import subprocess
import tarfile

import pytest
from harness import forge
from harness.paths import BULKHEAD
from harness.raw_http import RawConnection


@pytest.fixture(scope="module")
def organization(platform):
    return platform.organization()


def manifest(**changes):
    base = {"name": f"com.example.bad-{secrets.token_hex(4)}", "version": "1.0.0", "runtime": "wasm-core@1"}
    return {name: value for name, value in {**base, **changes}.items() if value is not None}


def upload(platform, organization, name, data):
    path = f"/api/extensions/{name}/versions"
    return platform.call("POST", path, token=organization.key, data=data)


def assert_nothing_is_visible(platform, organization, name):
    missing = platform.call("GET", f"/api/extensions/{name}", token=organization.key)
    assert missing.status_code == 404, missing.text
    assert platform.call("GET", f"/api/ext/{name}/", token=organization.key).status_code == 404
    assert not list((platform.data / "staging").iterdir())


def stored_bundles(platform):
    return set((platform.data / "blobs").rglob("bundle.tar.zst"))


@pytest.fixture
def refuse(platform, organization):
    """Uploads and gives the problem, once it is sure that nothing was kept."""

    def check(name, data, status, code):
        before = stored_bundles(platform)
        answer = upload(platform, organization, name, data)
        assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
        assert_nothing_is_visible(platform, organization, name)
        assert stored_bundles(platform) == before
        return answer.json()

    return check


# --- archives --------------------------------------------------------------------------------------------------------

ARCHIVES = {
    "traversal": [forge.entry("ui/../../escape.txt", b"x")],
    "absolute": [forge.entry("/etc/escape.txt", b"x")],
    "dot segment": [forge.entry("ui/./a.txt", b"x")],
    "backslash": [forge.entry("ui\\..\\a.txt", b"x")],
    "symbolic link": [forge.entry("ui/link", kind=tarfile.SYMTYPE, target="/etc/passwd")],
    "hard link": [forge.entry("ui/link", kind=tarfile.LNKTYPE, target="manifest.json")],
    "device": [forge.entry("ui/null", kind=tarfile.CHRTYPE)],
    "fifo": [forge.entry("ui/fifo", kind=tarfile.FIFOTYPE)],
    "duplicate entry": [forge.entry("ui/a.txt", b"1"), forge.entry("ui/a.txt", b"2")],
    "second manifest": [forge.entry("manifest.json", b"{}")],
    "case-colliding names": [forge.entry("ui/a.txt", b"1"), forge.entry("ui/A.txt", b"2")],
    "file that is also a folder": [forge.entry("ui/a", b"1"), forge.entry("ui/a/b", b"2")],
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_archive_is_refused(refuse, case):
    document = manifest()
    refuse(document["name"], forge.bundle(document, *ARCHIVES[case]), 400, "bundle_invalid")


def damaged(case):
    document = manifest()
    whole = forge.bundle(document)
    tar = forge.tar(
        forge.entry("manifest.json", json.dumps(document).encode()), forge.entry("dist/main.wasm", forge.MODULE)
    )
    return document["name"], {
        "empty": b"",
        "no archive": b"this is not a bundle" * 100,
        "gzip": b"\x1f\x8b\x08" + bytes(100),
        "cut in half": whole[: len(whole) // 2],
        "last byte missing": whole[:-1],
        "bytes behind the frame": whole + b"x",
        "a second frame": whole + forge.zstd(b"more"),
        "tar cut inside a file": forge.zstd(tar[: 512 + 100]),
        "tar without its end": forge.zstd(tar.rstrip(b"\0")),
        "bytes behind the tar's end": forge.zstd(tar + b"x" * 20_000),
    }[case]


@pytest.mark.parametrize(
    "case",
    [
        "empty",
        "no archive",
        "gzip",
        "cut in half",
        "last byte missing",
        "bytes behind the frame",
        "a second frame",
        "tar cut inside a file",
        "tar without its end",
        "bytes behind the tar's end",
    ],
)
def test_damaged_archive_is_refused(refuse, case):
    name, data = damaged(case)
    refuse(name, data, 400, "bundle_invalid")


def poorly_compressible(mebibytes, seed):
    """Packs to a tenth."""
    random_mebibytes = (random.Random(f"{seed} {i}").randbytes(1 << 20) for i in range(mebibytes // 10))
    return b"".join(block * 10 for block in random_mebibytes)


TOO_LARGE = {
    "bomb": (lambda: [forge.entry("ui/bomb.txt", bytes(60 << 20))], "200"),
    "file over 64 MiB": (lambda: [forge.entry("ui/large.bin", poorly_compressible(70, 0))], "64 MiB"),
    "more than 256 MiB in all": (
        lambda: [forge.entry(f"ui/{i}.bin", poorly_compressible(60, i)) for i in range(5)],
        "256 MiB",
    ),
    "more than 10,000 entries": (lambda: [forge.entry(f"ui/{i}.txt") for i in range(10_000)], "10000"),
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_too_large_archive_is_refused(refuse, case):
    document = manifest()
    entries, limit = TOO_LARGE[case]
    problem = refuse(document["name"], forge.bundle(document, *entries()), 413, "bundle_too_large")
    assert limit in problem["detail"]


def test_upload_over_200_mib_is_refused_before_it_is_sent(platform, organization):
    with RawConnection(platform) as connection:
        size = (200 << 20) + 1
        headers = [f"content-length: {size}"]
        connection.request("POST", "/api/extensions/com.example.large/versions", organization.key, headers)
        answer = connection.answer()
    assert (answer.status, json.loads(answer.body)["code"]) == (413, "payload_too_large")


def test_every_flipped_bit_is_noticed(platform, organization, guest):
    """Somewhere in the signed bundle one bit is wrong: whatever that does to it, it is never published."""
    extension = guest("echo")
    good = extension.bundle(platform.trust_signing_key()).read_bytes()
    generator = random.Random(20261)
    codes = set()
    for position in generator.sample(range(len(good)), 60):
        bad = bytearray(good)
        bad[position] ^= 1 << generator.randrange(8)
        answer = upload(platform, organization, extension.name, bytes(bad))
        assert 400 <= answer.status_code < 500, (position, answer.text)
        codes.add(answer.json()["code"])
    assert codes <= {
        "bundle_invalid",
        "bundle_too_large",
        "signature_invalid",
        "signature_required",
        "signer_untrusted",
    }
    assert_nothing_is_visible(platform, organization, extension.name)
    assert upload(platform, organization, extension.name, good).status_code == 201


# --- signatures ------------------------------------------------------------------------------------------------------


def unpacked(path):
    """The entries of a packed bundle."""
    tar = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive if info.isfile()}


def repacked(entries):
    return forge.zstd(forge.tar(*(forge.entry(name, data) for name, data in sorted(entries.items()))))


def test_unsigned_bundles_are_refused(platform, refuse, guest):
    extension = guest("hello")
    refuse(extension.name, extension.pack().read_bytes(), 422, "signature_required")
    entries = unpacked(extension.pack())
    placeholder = repacked({**entries, "SIGNATURE": b"signed by me\n"})
    refuse(extension.name, placeholder, 422, "signature_required")


def test_a_key_that_nobody_trusts_is_refused(platform, refuse, guest, tmp_path):
    platform.run("ext", "keygen", "-o", tmp_path / "key")
    extension = guest("hello")
    refuse(extension.name, extension.bundle(tmp_path / "key").read_bytes(), 422, "signer_untrusted")


def test_a_key_signs_only_the_names_it_is_trusted_for(platform, organization, refuse, guest, tmp_path):
    platform.run("ext", "keygen", "-o", tmp_path / "key", "--kind", "ecdsa-p256")
    platform.run("trust", "add", tmp_path / "key.pub", "--prefix", "com.trusted")
    refused = guest("hello", name="com.trustedbutnot.hello")
    refuse(refused.name, refused.bundle(tmp_path / "key").read_bytes(), 422, "signer_untrusted")
    accepted = guest("hello", name="com.trusted.hello")
    bundle = accepted.bundle(tmp_path / "key").read_bytes()
    assert upload(platform, organization, accepted.name, bundle).status_code == 201


def test_what_was_changed_after_signing_is_refused(platform, refuse, guest):
    key = platform.trust_signing_key()
    extension = guest("hello")
    entries = unpacked(extension.bundle(key))
    other = unpacked(guest("echo").bundle(key))
    changed = json.dumps({**extension.manifest, "publisher": "Mallory"}).encode()
    for change in (
        {"dist/main.wasm": other["dist/main.wasm"]},
        {"SIGNATURE": other["SIGNATURE"]},
        {"manifest.json": changed},
        {"ui/added.txt": b"not signed"},
    ):
        refuse(extension.name, repacked({**entries, **change}), 422, "signature_invalid")


def test_verify_says_the_same_as_the_server(platform, guest, tmp_path):
    platform.run("ext", "keygen", "-o", tmp_path / "key")
    platform.run("ext", "keygen", "-o", tmp_path / "other")
    bundle = guest("hello").bundle(tmp_path / "key")
    platform.run("ext", "verify", bundle, "--trust", tmp_path / "key.pub")
    failed = platform.run("ext", "verify", bundle, "--trust", tmp_path / "other.pub", "--json", check=False)
    assert failed.returncode != 0
    assert json.loads(failed.stderr)["error"]["code"] == "signer_untrusted"


# --- manifests -------------------------------------------------------------------------------------------------------

MANIFESTS = {
    "unknown field": ({"capabilitys": []}, "/capabilitys", '"capabilities"'),
    "unknown field inside": (
        {"api": {"endpoints": [{"method": "GET", "path": "/", "handler": "h", "timeout_sm": 1}]}},
        "/api/endpoints/0/timeout_sm",
        '"timeout_ms"',
    ),
    "version that is not semver": ({"version": "1.0"}, "/version", "semantic version"),
    "version with a leading zero": ({"version": "1.02.0"}, "/version", "semantic version"),
    "unknown capability": ({"capabilities": ["storage.kw"]}, "/capabilities/0", '"storage.kv"'),
    "name that is not reversed": ({"name": "orders"}, "/name", ""),
    "no name": ({"name": None}, "/name", "required"),
    "unknown runtime": ({"runtime": "wasm@2"}, "/runtime", "wasm-core@1"),
    "egress that is no host": ({"egress": ["http://a.example/x"]}, "/egress/0", "host"),
    "method that does not exist": (
        {"api": {"endpoints": [{"method": "FETCH", "path": "/", "handler": "h"}]}},
        "/api/endpoints/0/method",
        "GET",
    ),
    "timeout over 30 s": (
        {"api": {"endpoints": [{"method": "GET", "path": "/", "handler": "h", "timeout_ms": 30_001}]}},
        "/api/endpoints/0/timeout_ms",
        "30000",
    ),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_manifest_is_refused_with_its_fields(refuse, tmp_path, case):
    changes, pointer, says = MANIFESTS[case]
    document = manifest(**changes)
    name = document.get("name", "com.example.nameless")
    problem = refuse(name, forge.bundle(document), 400, "INVALID_MANIFEST")
    found = {error["pointer"]: error["message"] for error in problem["errors"]}
    assert says in found[pointer]
    # The command line has the same validator.
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    checked = subprocess.run([BULKHEAD, "ext", "validate", tmp_path, "--json"], capture_output=True, text=True)
    assert checked.returncode != 0
    error = json.loads(checked.stderr)["error"]
    assert (error["code"], {e["pointer"] for e in error["errors"]}) == ("INVALID_MANIFEST", set(found))


def test_manifest_that_is_no_json_or_not_there(refuse):
    name = manifest()["name"]
    refuse(name, forge.bundle(b"{"), 400, "INVALID_MANIFEST")
    refuse(name, forge.bundle(b"[]"), 400, "INVALID_MANIFEST")
    without = forge.zstd(forge.tar(forge.entry("dist/main.wasm", forge.MODULE)))
    refuse(name, without, 400, "MANIFEST_NOT_FOUND")


def test_files_that_the_manifest_names_must_be_there(refuse):
    for changes in ({"entry": "dist/other.wasm"}, {"sbom": "sbom.json"}):
        document = manifest(**changes)
        refuse(document["name"], forge.bundle(document), 400, "bundle_invalid")


def test_bundle_of_another_name_than_the_route(refuse, platform, guest):
    bundle = guest("hello").bundle(platform.trust_signing_key()).read_bytes()
    refuse("com.example.another", bundle, 422, "unprocessable")


# --- modules ---------------------------------------------------------------------------------------------------------

MODULES = {
    "missing_handler": "handler",
    "missing_memory": "memory",
    "bad_exports": "alloc",
    "bad_signature": "handler",
    "unknown_import": '"alga"."teleport"',
    "bad_import_signature": "storage.get",
    "memory_import": '"env"."memory"',
    "memory_huge": "",
    "wasi_import": "WASI",
}


@pytest.mark.parametrize("name", MODULES)
def test_module_is_refused_at_publish_by_name(refuse, platform, guest, name):
    extension = guest(name)
    bundle = extension.bundle(platform.trust_signing_key()).read_bytes()
    problem = refuse(extension.name, bundle, 422, "module_rejected")
    assert MODULES[name].lower() in problem["detail"].lower()


def test_bytes_that_are_no_module(refuse, platform, guest):
    for data in (b"", b"no wasm", forge.MODULE, forge.MODULE + b"\xff\xff\xff"):
        extension = guest("hello")
        (extension.folder / "dist" / "main.wasm").write_bytes(data)
        bundle = extension.bundle(platform.trust_signing_key()).read_bytes()
        refuse(extension.name, bundle, 422, "module_rejected")


def test_machine_code_of_the_author_is_reported_and_never_loaded(platform, organization, guest):
    extension = guest("hello")
    code = extension.folder / "artifacts" / "cwasm" / "x86_64-linux-gnu" / "main.cwasm"
    code.parent.mkdir(parents=True)
    code.write_bytes(b"\x7fELF not ours")
    extension.manifest["precompiled"] = {"x86_64-linux-gnu": str(code.relative_to(extension.folder))}
    published = platform.publish(extension.bundle(platform.trust_signing_key()), organization)
    assert "never loaded" in published["notices"][0]
    platform.run("ext", "install", f"{extension.name}@1.0.0", token=organization.key)
    assert platform.ext(organization, extension, "GET", "/").text == "hello"
