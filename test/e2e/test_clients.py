"""Clients that send too much, too slowly or wrongly, or that leave: they get the answer of contracts/access.md (Edge),
and everybody else is served as before."""

import base64
import contextlib
import json
import time

import pytest
from harness.extensions import Extension
from harness.raw_http import RawConnection
from harness.waiting import wait_until


@pytest.fixture(scope="module")
def organization(platform):
    return platform.organization()


@pytest.fixture(scope="module")
def echo(platform, organization, tmp_path_factory):
    extension = Extension.of_guest(tmp_path_factory.mktemp("echo"), "echo")
    extension.install = platform.install(extension, organization)
    return extension


@pytest.fixture(autouse=True)
def next_call_works(platform, organization, echo):
    yield
    answer = platform.ext(organization, echo, "POST", "/", data=b"after")
    assert base64.b64decode(answer.json()["http"]["body_b64"]) == b"after"


def refusal(answer):
    return answer.status, json.loads(answer.body)["code"]


# --- too much --------------------------------------------------------------------------------------------------------


def test_body_at_the_limit_passes_and_one_byte_more_does_not(platform, organization, guest):
    extension = guest("hello")
    platform.install(extension, organization)
    assert platform.ext(organization, extension, "POST", "/", data=bytes(10_000_000)).status_code == 200
    refused = platform.ext(organization, extension, "POST", "/", data=bytes(10_000_001))
    assert (refused.status_code, refused.json()["code"]) == (413, "payload_too_large")


def test_too_large_body_is_refused_before_it_is_sent(platform, organization, echo):
    with RawConnection(platform) as connection:
        headers = ["content-length: 500000000", "expect: 100-continue"]
        connection.request("POST", f"/api/ext/{echo.name}/", organization.key, headers)
        assert refusal(connection.answer()) == (413, "payload_too_large")


def test_endless_chunks_are_refused_at_the_limit(platform, organization, echo):
    with RawConnection(platform) as connection:
        headers = ["transfer-encoding: chunked"]
        connection.request("POST", f"/api/ext/{echo.name}/", organization.key, headers)
        chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        sent = 0
        with contextlib.suppress(OSError):  # it is closed while we are sending
            for _ in range(200):
                connection.send(chunk)
                sent += 1
        assert sent < 200
        with contextlib.suppress(ConnectionResetError):  # our own unread bytes can take the answer away
            assert refusal(connection.answer()) == (413, "payload_too_large")


TOO_MUCH = {
    "header": (["x-large: " + "x" * 17_000], "/api/v1/me", b"", 431, "headers_too_large"),
    "many headers": ([f"x-{i}: {'v' * 100}" for i in range(200)], "/api/v1/me", b"", 431, "headers_too_large"),
    "target": ([], "/api/v1/me?" + "x" * 9_000, b"", 414, "uri_too_long"),
    "json": (["content-length: 1048577"], "/api/v1/orgs", b"", 413, "payload_too_large"),
    "depth": (
        ["content-length: 400", "content-type: application/json"],
        "/api/v1/orgs",
        b"[" * 200 + b"]" * 200,
        400,
        "invalid_json",
    ),
}


@pytest.mark.parametrize("case", TOO_MUCH)
def test_control_plane_bounds(platform, case):
    headers, path, body, status, code = TOO_MUCH[case]
    with RawConnection(platform) as connection:
        connection.request("POST", path, platform.admin_token, headers, body)
        assert refusal(connection.answer()) == (status, code)


# --- wrongly ---------------------------------------------------------------------------------------------------------

HEAD = "POST /api/v1/orgs HTTP/1.1\r\nhost: localhost\r\n"
SMUGGLING = {
    "length and chunks": HEAD + "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + "content-length: 5\r\ncontent-length: 6\r\n\r\n",
    "length that is a list": HEAD + "content-length: 5, 5\r\n\r\nhello",
    "negative length": HEAD + "content-length: -1\r\n\r\n",
    "bare line feed": "GET /healthz HTTP/1.1\nhost: localhost\n\n",
    "folded line": HEAD + "x-a: 1\r\n 2\r\n\r\n",
    "space before the colon": HEAD + "content-length : 5\r\n\r\nhello",
    "bad chunk": HEAD + "authorization: Bearer {token}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "other encoding": HEAD + "transfer-encoding: gzip, chunked\r\n\r\n",
    "no host": "GET /healthz HTTP/1.1\r\n\r\n",
    "no HTTP": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("case", SMUGGLING)
def test_smuggling_forms_are_refused_and_the_connection_closes(platform, case):
    with RawConnection(platform) as connection:
        connection.send(SMUGGLING[case].replace("{token}", platform.admin_token))
        answer = connection.answer()
        assert answer.status == 400
        assert connection.is_closed()


# --- too slowly ------------------------------------------------------------------------------------------------------


def test_slow_headers_time_out_and_hinder_nobody(platform, organization, echo):
    began = time.monotonic()
    slow = [RawConnection(platform) for _ in range(200)]
    for connection in slow:
        connection.send("GET /healthz HTTP/1.1\r\nhost: ")
    for _ in range(20):
        answer = platform.ext(organization, echo, "GET", "/")
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() < 2
    for connection in slow:
        with connection:
            assert refusal(connection.answer()) == (408, "request_timeout")
            assert connection.is_closed()
    assert 9 < time.monotonic() - began < 20


# --- leaving ---------------------------------------------------------------------------------------------------------


def test_leaving_inside_the_request(platform, organization, echo):
    for _ in range(20):
        with RawConnection(platform) as connection:
            headers = ["content-length: 1000000"]
            connection.request("POST", f"/api/ext/{echo.name}/", organization.key, headers, bytes(1000))
    assert platform.process.poll() is None


def test_leaving_inside_the_answer(platform, organization, echo):
    body = bytes(4_000_000)
    ids = []
    for i in range(5):
        with RawConnection(platform) as connection:
            ids.append(f"left-{i}")
            headers = [f"content-length: {len(body)}", f"x-request-id: {ids[-1]}"]
            connection.request("POST", f"/api/ext/{echo.name}/", organization.key, headers, body)
            assert connection.more().startswith(b"HTTP/1.1 200")
    for request_id in ids:
        assert platform.execution(organization, echo.install, request_id)["status"] == "ok"


def test_leaving_while_the_guest_runs(platform, organization, guest):
    endpoints = [{"method": "POST", "path": "/", "handler": "h", "timeout_ms": 2000}]
    extension = guest("loop", api={"endpoints": endpoints})
    install = platform.install(extension, organization)
    before = platform.metric("gateway_calls_total")
    with RawConnection(platform) as connection:
        headers = ["content-length: 0", "x-request-id: left-running"]
        connection.request("POST", f"/api/ext/{extension.name}/", organization.key, headers)
        wait_until(lambda: platform.metric("gateway_calls_total") > before, what="the call's dispatch")
    # Whether it ran to its end or was ended with its caller: it has its row.
    row = platform.execution(organization, install, "left-running")
    assert row["status"] in ("timeout", "error")


def test_pipelined_requests_are_answered_in_order(platform):
    with RawConnection(platform) as connection:
        for i in range(10):
            connection.request("GET", "/healthz", headers=[f"x-request-id: pipe-{i}"])
        assert [connection.answer().headers["x-request-id"] for _ in range(10)] == [f"pipe-{i}" for i in range(10)]
