"""Whose signature counts, and for how long (extensions.md §1): keys, X.509 chains, expiry, revocation."""

import datetime
import threading
import time
from contextlib import contextmanager

import pytest
import requests
from cryptography.x509.oid import ExtendedKeyUsageOID
from harness.certificates import Authority, now
from harness.waiting import wait_until

AT_ONCE = 1.0  # seconds


def problem(answer):
    return answer.status_code, answer.json().get("code")


@pytest.fixture
def organization(any_platform):
    return any_platform.organization()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "Publishers")


@pytest.fixture
def upload(any_platform, organization):
    """Sends a bundle of an extension, signed by a harness.certificates.Signer; gives the answer."""

    def send(extension, signer):
        bundle = extension.bundle(signer.key, signer.chain).read_bytes()
        path = f"/api/extensions/{extension.name}/versions"
        return any_platform.call("POST", path, token=organization.key, data=bundle)

    return send


def install(platform, organization, extension):
    wanted = {"extension": extension.name, "version": extension.version}
    answer = platform.call("POST", "/api/installs", token=organization.key, json=wanted)
    assert answer.status_code == 201, answer.text
    return answer.json()


def revoke(platform, entry):
    """Gives the time at which the platform had acknowledged it."""
    answer = platform.call("DELETE", f"/api/v1/trust/{entry['id']}")
    assert answer.status_code == 204, answer.text
    return time.monotonic()


def assert_refused_at_once(platform, organization, extension, since):
    refused = wait_until(
        lambda: (
            (answer := platform.ext(organization, extension, "GET", "/")).status_code != 200
            and (answer, time.monotonic() - since)
        ),
        what="the refusal",
    )
    assert problem(refused[0]) == (502, "signature_invalid")
    assert refused[1] < AT_ONCE
    for _ in range(10):
        assert problem(platform.ext(organization, extension, "GET", "/")) == (502, "signature_invalid")


@contextmanager
def called_all_the_time(platform, organization, extension):
    """While the block runs, two clients call the extension without a pause; each call must be answered."""
    stopping, failures, counts = threading.Event(), [], []

    def work():
        with requests.Session() as http:
            http.trust_env = False
            http.headers["authorization"] = f"Bearer {organization.key}"
            while not stopping.is_set():
                answer = http.get(f"{platform.url}/api/ext/{extension.name}/", timeout=30)
                counts.append(1)
                if (answer.status_code, answer.text) != (200, "hello"):
                    failures.append((answer.status_code, answer.text))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
        reached = len(counts) + 20
        wait_until(lambda: len(counts) >= reached, what="calls after the change")
    finally:
        stopping.set()
        for thread in threads:
            thread.join(60)
    assert not failures


# --- keys ------------------------------------------------------------------------------------------------------------


def test_revocation_reaches_what_is_loaded_and_hinders_nobody_else(any_platform, organization, guest, tmp_path):
    any_platform.run("ext", "keygen", "-o", tmp_path / "key")
    entry = any_platform.json("trust", "add", tmp_path / "key.pub")
    doomed, good = guest("hello"), guest("hello")
    any_platform.publish(doomed.bundle(tmp_path / "key"), organization)
    install(any_platform, organization, doomed)
    any_platform.install(good, organization)
    for _ in range(20):  # loaded in the runner, its code at hand in the server
        assert any_platform.ext(organization, doomed, "GET", "/").text == "hello"
        assert any_platform.ext(organization, good, "GET", "/").text == "hello"
    with called_all_the_time(any_platform, organization, good):
        assert_refused_at_once(any_platform, organization, doomed, revoke(any_platform, entry))
    # Nor does it come back with a new process.
    any_platform.stop()
    any_platform.start()
    assert problem(any_platform.ext(organization, doomed, "GET", "/")) == (502, "signature_invalid")
    assert any_platform.ext(organization, good, "GET", "/").text == "hello"
    again = any_platform.run("trust", "add", tmp_path / "key.pub", check=False)
    assert again.returncode != 0
    assert "revoked" in again.stderr


def test_an_extension_is_back_with_a_version_that_a_trusted_key_signed(any_platform, organization, guest, tmp_path):
    any_platform.run("ext", "keygen", "-o", tmp_path / "key")
    entry = any_platform.json("trust", "add", tmp_path / "key.pub")
    extension = guest("hello")
    any_platform.publish(extension.bundle(tmp_path / "key"), organization)
    made = install(any_platform, organization, extension)
    assert any_platform.ext(organization, extension, "GET", "/").text == "hello"
    assert_refused_at_once(any_platform, organization, extension, revoke(any_platform, entry))
    any_platform.publish(extension.with_version("1.0.1").bundle(any_platform.trust_signing_key()), organization)
    any_platform.patch_install(organization, made, version="1.0.1")
    assert any_platform.ext(organization, extension, "GET", "/").text == "hello"


# --- certificates ----------------------------------------------------------------------------------------------------


def test_chain_to_a_trusted_authority(any_platform, organization, guest, authority, upload):
    any_platform.run("trust", "add", authority.path)
    direct, by_intermediate = guest("hello"), guest("hello")
    intermediate = Authority(authority.folder, "Team", issuer=authority)
    for extension, signer in ((direct, authority.signer("Ann")), (by_intermediate, intermediate.signer("Bob"))):
        bundle = extension.bundle(signer.key, signer.chain)
        verified = any_platform.run("ext", "verify", bundle, "--trust", authority.path)
        assert extension.name in verified.stdout
        answer = upload(extension, signer)
        assert answer.status_code == 201, answer.text
        subject = answer.json()["version"]["signer"]["certificate_subject"]
        assert subject == ("CN=Ann" if extension is direct else "CN=Bob")
        install(any_platform, organization, extension)
        assert any_platform.ext(organization, extension, "GET", "/").text == "hello"


def test_chains_that_do_not_count(any_platform, guest, authority, upload, tmp_path):
    any_platform.run("trust", "add", authority.path, "--prefix", "com.example")
    day = datetime.timedelta(days=1)
    refused = {
        "unknown authority": (Authority(tmp_path, "Publishers").signer(), {}, "certificate"),
        "expired": (authority.signer(lasts=-day), {}, "expired"),
        "not yet valid": (authority.signer(began=-day), {}, "not yet valid"),
        "for another purpose": (authority.signer(purpose=ExtendedKeyUsageOID.SERVER_AUTH), {}, "may not sign code"),
        "for another name": (authority.signer(), {"name": "org.example.hello"}, "may not vouch for this name"),
    }
    for case, (signer, changes, why) in refused.items():
        answer = upload(guest("hello", **changes), signer)
        assert problem(answer) == (422, "signer_untrusted"), (case, answer.text)
        assert why in answer.json()["detail"], case


def test_a_certificate_may_expire_once_its_bundle_is_published(any_platform, organization, guest, authority, upload):
    any_platform.run("trust", "add", authority.path)
    extension = guest("hello")
    signer = authority.signer(lasts=datetime.timedelta(seconds=8))
    answer = upload(extension, signer)
    assert answer.status_code == 201, answer.text
    install(any_platform, organization, extension)
    wait_until(lambda: now() > signer.expires_at, 30, "the certificate's end")
    any_platform.stop()
    any_platform.start()  # loads and verifies anew
    assert any_platform.ext(organization, extension, "GET", "/").text == "hello"
    assert problem(upload(extension.with_version("1.0.1"), signer)) == (422, "signer_untrusted")


def test_revoked_authority_and_revoked_signer(any_platform, organization, guest, authority, upload):
    entry = any_platform.json("trust", "add", authority.path)
    ann, bob = authority.signer("Ann"), authority.signer("Bob")
    of_ann, of_bob = guest("hello"), guest("hello")
    for extension, signer in ((of_ann, ann), (of_bob, bob)):
        assert upload(extension, signer).status_code == 201
        install(any_platform, organization, extension)
        assert any_platform.ext(organization, extension, "GET", "/").text == "hello"
    # One signer's key: naming it and revoking that bans it, its authority's word notwithstanding.
    with called_all_the_time(any_platform, organization, of_bob):
        known = any_platform.json("trust", "add", ann.public_key)
        assert_refused_at_once(any_platform, organization, of_ann, revoke(any_platform, known))
    assert_refused_at_once(any_platform, organization, of_bob, revoke(any_platform, entry))
    assert problem(upload(of_bob.with_version("1.0.1"), bob)) == (422, "signer_untrusted")
