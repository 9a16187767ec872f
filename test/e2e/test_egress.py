"""http.fetch through everything: gateway, runner, guest, broker, egress, a real host, and back into the log.

What a guest may not reach is proved case by case in src/features/egress/egress_service_test.cpp; here it is the shipped
binary with its real address guard."""

import base64
import hashlib
import json
import socket
import subprocess
import threading

import pytest
from harness.extensions import Extension
from harness.paths import ROOT
from harness.platform import Platform
from harness.upstream import Upstream, make_certificate, private_address
from harness.waiting import wait_until

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def address():
    with private_address() as found:
        yield found


@pytest.fixture(scope="module")
def upstream(address):
    server = Upstream(address)
    yield server
    server.close()


@pytest.fixture(scope="module")
def secure_upstream(address, tmp_path_factory):
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"), address)
    server = Upstream(address, tls=(certificate, key))
    server.certificate = certificate
    yield server
    server.close()


@pytest.fixture(scope="module")
def runner_listener(address):
    """HOST:PORT that is free now."""
    with socket.create_server((address, 0)) as free:
        return f"{address}:{free.getsockname()[1]}"


@pytest.fixture(scope="module")
def platform(tmp_path_factory, address, runner_listener, secure_upstream):
    settings = {
        "BULKHEAD_LIMITS_RATE_LIMITS": "false",
        "EXT_EGRESS_ALLOWLIST": f"{address}/32",
        "BULKHEAD_EGRESS_CA_FILE": str(secure_upstream.certificate),
        "BULKHEAD_RUNNER_LISTEN": runner_listener,
    }
    running = Platform(tmp_path_factory.mktemp("platform"), settings).start()
    yield running
    running.close()


class Fetcher:
    """An installed extension that passes bodies to http.fetch."""

    def __init__(self, platform, folder, hosts, grants=("http.fetch",)):
        self.platform, self.organization = platform, platform.organization()
        self.extension = Extension.of_guest(folder, "fetch", capabilities=["http.fetch"], egress=list(hosts))
        self.install = platform.install(self.extension, self.organization, *grants)
        if hosts:
            platform.patch_install(self.organization, self.install, granted_egress=list(hosts))
        self.last = None

    def __call__(self, url, **request):
        """(code, document) of a fetch."""
        self.last = self.platform.ext(self.organization, self.extension, "POST", "/", json={"url": url, **request})
        assert self.last.status_code == 200, self.last.text
        code, _, text = self.last.text.partition("\n")
        return int(code), json.loads(text) if text else None

    def refusal(self, url, **request):
        """(code, reason or error code)"""
        code, document = self(url, **request)
        assert code < 0 and document, (code, document)
        return code, document["error"].get("reason", document["error"]["code"])

    def row(self):
        return self.platform.execution(self.organization, self.install, self.last.headers["x-request-id"])


@pytest.fixture
def fetcher(platform, tmp_path):
    return lambda *hosts, **options: Fetcher(platform, tmp_path, hosts, **options)


def test_a_fetch_and_what_is_left_of_it(platform, upstream, fetcher):
    upstream.routes["/orders?limit=1"] = lambda request: (
        201,
        {"content-type": "application/json", "set-cookie": "a=b", "x-method": request["method"]},
        request["body"] * 1000,
    )
    fetch = fetcher(upstream.host)
    before = platform.metric("egress_bytes_total")
    code, answer = fetch(
        f"{upstream.url}/orders?limit=1",
        method="POST",
        body="0123456789",
        headers={"x-mine": "1"},
    )
    assert code == 0, answer
    assert (answer["status"], answer["url"]) == (201, f"{upstream.url}/orders?limit=1")
    assert base64.b64decode(answer["body_b64"]) == b"0123456789" * 1000
    assert answer["headers"]["x-method"] == "POST"
    assert "set-cookie" not in answer["headers"]
    sent = upstream.seen[-1]["headers"]
    assert sent["x-mine"] == "1"
    for name in ("cookie", "authorization", "x-request-id", "x-alga-tenant"):
        assert name not in sent

    row = fetch.row()
    assert row["status"] == "ok"
    assert row["host_calls"] == 1
    assert 10_000 < row["egress_bytes"] < 11_000
    assert platform.metric("egress_bytes_total") - before == row["egress_bytes"]
    path = f"/api/installs/{fetch.install['id']}/usage"

    def usage():
        windows = platform.call("GET", path, token=fetch.organization.key).json()["items"]
        return sum(window["egress_bytes"] for window in windows) == row["egress_bytes"]

    wait_until(usage, what="the bytes in the usage")


def test_the_trace_goes_on_at_the_host(platform, upstream, fetcher):
    upstream.routes["/trace"] = lambda _: (204, {}, b"")
    fetch = fetcher(upstream.host)
    assert fetch(f"{upstream.url}/trace")[0] == 0
    platform.ext(
        fetch.organization,
        fetch.extension,
        "POST",
        "/",
        json={"url": f"{upstream.url}/trace"},
        headers={"traceparent": TRACE},
    )
    version, trace, span, flags = upstream.seen[-1]["headers"]["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE.split("-")[1], "01")
    assert span != TRACE.split("-")[2]


def test_both_grants_are_needed(upstream, fetcher):
    upstream.routes["/"] = lambda _: (200, {}, b"")
    assert fetcher().refusal(f"{upstream.url}/") == (-1, "host_not_granted")
    code, document = fetcher(upstream.host, grants=())(f"{upstream.url}/")
    assert (code, document["error"]["code"]) == (-1, "capability_denied")
    assert fetcher(upstream.host)(f"{upstream.url}/")[0] == 0


def test_the_guard_stands_behind_the_grants(platform, address, upstream, fetcher):
    own = platform.url.removeprefix("http://")
    hosts = [own, "169.254.169.254", "10.0.0.1", "2130706433:80", "192.0.2.1", "93.184.216.34"]
    fetch = fetcher(*hosts, upstream.host)
    table = {
        f"http://{own}/healthz": "loopback",
        "http://169.254.169.254/latest/meta-data/": "metadata",
        "http://10.0.0.1/": "not_in_allowlist",
        "http://93.184.216.34/": "not_in_allowlist",
        "http://192.0.2.1/": "documentation",
        "http://2130706433:80/": "host_form",
        "http://[::1]/": "host_not_granted",
        "http://localhost/": "host_not_granted",
    }
    before = platform.metric("egress_refused_total")
    for url, reason in table.items():
        assert fetch.refusal(url) == (-1, reason), url
        assert address not in fetch.last.text
    for url, reason in table.items():
        upstream.routes["/away"] = lambda _, to=url: (302, {"location": to}, b"")
        assert fetch.refusal(f"{upstream.url}/away") == (-1, reason), url
    assert platform.metric("egress_refused_total") - before == 2 * len(table)


def test_private_addresses_are_closed_unless_the_operator_opens_them(own_platform, upstream, tmp_path):
    closed = own_platform().start()
    assert Fetcher(closed, tmp_path, [upstream.host]).refusal(f"{upstream.url}/") == (-1, "private")


def test_own_listeners_stay_closed(fetcher, runner_listener):
    assert fetcher(runner_listener).refusal(f"http://{runner_listener}/healthz") == (-1, "own_listener")


def test_https_is_checked_against_the_operators_authorities(own_platform, address, secure_upstream, fetcher, tmp_path):
    secure_upstream.routes["/"] = lambda _: (200, {}, b"secure")
    code, answer = fetcher(secure_upstream.host)(f"{secure_upstream.url}/")
    assert code == 0, answer
    assert base64.b64decode(answer["body_b64"]) == b"secure"
    other = own_platform(EXT_EGRESS_ALLOWLIST=f"{address}/32").start()
    refused = Fetcher(other, tmp_path, [secure_upstream.host]).refusal(f"{secure_upstream.url}/")
    assert refused == (-7, "upstream_error")


def test_a_pinned_host_must_show_its_key(own_platform, address, secure_upstream, tmp_path):
    secure_upstream.routes["/"] = lambda _: (200, {}, b"secure")
    public = ["openssl", "x509", "-in", secure_upstream.certificate, "-pubkey", "-noout"]
    pem = subprocess.run(public, check=True, capture_output=True, text=True).stdout
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    right = "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()
    wrong = "sha256//" + base64.b64encode(bytes(32)).decode()
    for pins, expected in ((wrong, -7), (f"{wrong};{right}", 0)):
        pinned = own_platform(
            EXT_EGRESS_ALLOWLIST=f"{address}/32",
            BULKHEAD_EGRESS_CA_FILE=str(secure_upstream.certificate),
            BULKHEAD_EGRESS_PINNED_KEYS=f"{address}={pins}",
        ).start()
        code, document = Fetcher(pinned, tmp_path, [secure_upstream.host])(f"{secure_upstream.url}/")
        assert code == expected, document


def test_a_secret_goes_to_the_host_and_not_to_the_guest(platform, upstream, secure_upstream, tmp_path):
    secure_upstream.routes["/"] = lambda _: (200, {}, b"fine")
    secure_upstream.routes["/away"] = lambda _: (302, {"location": f"{secure_upstream.url}/"}, b"")
    organization = platform.organization()
    extension = Extension.of_guest(
        tmp_path,
        "secret",
        capabilities=["http.fetch", "secrets.get"],
        egress=[secure_upstream.host, upstream.host],
        secrets=["api_key"],
    )
    install = platform.install(extension, organization, "http.fetch", "secrets.get")
    platform.patch_install(organization, install, granted_egress=[secure_upstream.host, upstream.host])
    path = f"/api/installs/{install['id']}/secrets/api_key"
    assert platform.call("PUT", path, token=organization.key, json={"value": "s3cret-value"}).ok

    def fetch(url):
        request = {"url": url, "headers": {"authorization": {"secret_handle": "@", "prefix": "Bearer "}}}
        body = '{"key":"api_key","handle":true}\n' + json.dumps(request)
        answer = platform.ext(organization, extension, "POST", "/", data=body)
        assert answer.status_code == 200, answer.text
        assert "s3cret-value" not in answer.text
        code, _, document = answer.text.partition("\n")
        return int(code), json.loads(document)

    code, answer = fetch(f"{secure_upstream.url}/away")
    assert (code, answer["status"]) == (0, 200), answer
    assert [seen["headers"]["authorization"] for seen in secure_upstream.seen[-2:]] == ["Bearer s3cret-value"] * 2
    before = len(upstream.seen)
    code, answer = fetch(f"{upstream.url}/")
    assert (code, answer["error"]["reason"]) == (-1, "secret")
    assert len(upstream.seen) == before
    assert b"s3cret-value" not in platform.log_file.read_bytes()


def test_limits_of_time_and_size(upstream, fetcher):
    over = threading.Event()
    upstream.routes["/slow"] = lambda _: (over.wait(30), (200, {}, b""))[1]
    upstream.routes["/five"] = lambda _: (200, {}, bytes(5_000_000))
    upstream.routes["/eleven"] = lambda _: (200, {}, bytes(11_000_000))
    fetch = fetcher(upstream.host)
    try:
        assert fetch.refusal(f"{upstream.url}/slow", timeout_ms=200) == (-6, "timeout")
    finally:
        over.set()
    code, answer = fetch(f"{upstream.url}/five")
    assert (code, len(base64.b64decode(answer["body_b64"]))) == (0, 5_000_000)
    assert fetch.refusal(f"{upstream.url}/eleven") == (-5, "response_too_large")


def test_malformed_requests_are_the_guests_fault(upstream, fetcher):
    fetch = fetcher(upstream.host)
    before = len(upstream.seen)
    assert fetch.refusal(f"{upstream.url}/", headers={"x": "a\r\nevil: 1"}) == (-2, "invalid_request")
    assert fetch.refusal(f"http://user@{upstream.host}/") == (-2, "invalid_request")
    assert fetch.refusal(f"{upstream.url}/", headers={"cookie": "a=b"}) == (-1, "header")
    assert fetch.refusal(f"{upstream.url}/", method="CONNECT") == (-1, "method")
    assert len(upstream.seen) == before


def test_the_guide_names_every_reason():
    guide = (ROOT / "docs" / "guides" / "egress.md").read_text()
    header = (ROOT / "src" / "features" / "egress" / "fetch_failure.h").read_text()
    reasons = header.split("kDenialReasons = {")[1].split("}")[0].replace('"', "").replace("\n", "").split(",")
    for reason in reasons:
        assert f"`{reason.strip()}`" in guide, reason
