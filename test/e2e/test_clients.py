"""Clients that send too much, too slowly or wrongly, or that leave: they get the answer of contracts/access.md (Edge),
and everybody else is served as before."""

import base64
import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor

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


def slow_heads(platform, organization, echo):
    connections = [RawConnection(platform) for _ in range(200)]
    for connection in connections:
        connection.send("GET /healthz HTTP/1.1\r\nhost: ")
    for connection in connections:
        with connection:
            assert refusal(connection.answer()) == (408, "request_timeout")
            assert connection.is_closed()


def trickling_body(platform, path, token, content_type):
    """A byte now and then keeps nothing alive: the whole body has its time."""
    with RawConnection(platform, seconds=0.5) as connection:
        headers = ["content-length: 1000", f"content-type: {content_type}"]
        connection.request("POST", path, token, headers, b"{")
        answer = None
        while answer is None:
            with contextlib.suppress(TimeoutError):  # nothing yet
                answer = connection.answer()
            if answer is None:
                connection.send(b" ")
        assert refusal(answer) == (408, "request_timeout")


def slow_body_of_a_call(platform, organization, echo):
    trickling_body(platform, f"/api/ext/{echo.name}/", organization.key, "text/plain")


def slow_body_of_the_control_plane(platform, organization, echo):
    trickling_body(platform, "/api/v1/orgs", platform.admin_token, "application/json")


def idle_connection(platform, organization, echo):
    with RawConnection(platform, seconds=100) as connection:
        connection.request("GET", "/healthz")
        assert connection.answer().status == 200
        assert connection.is_closed()


def silent_connection(platform, organization, echo):
    with RawConnection(platform, seconds=100) as connection:
        assert connection.is_closed()


def test_slow_clients_time_out_and_hinder_nobody(platform, organization, echo):
    """access.md, Edge: heads have 10 s, bodies 30 s, idle connections 60 s. All at once, to wait once."""
    clients = {
        slow_heads: 10,
        slow_body_of_a_call: 30,
        slow_body_of_the_control_plane: 30,
        idle_connection: 60,
        silent_connection: 60,
    }
    began = time.monotonic()

    def timed(client):
        client(platform, organization, echo)
        return time.monotonic() - began

    with ThreadPoolExecutor(len(clients)) as pool:
        running = {client: pool.submit(timed, client) for client in clients}
        for _ in range(20):
            answer = platform.ext(organization, echo, "GET", "/")
            assert answer.status_code == 200
            assert answer.elapsed.total_seconds() < 2
        for client, seconds in clients.items():
            assert seconds - 1 < running[client].result() < seconds + 5, client


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


@contextlib.contextmanager
def leaving_caller(platform, organization, extension, path, *headers):
    """A POST that is running while the block does; then its caller leaves."""
    before = platform.metric("gateway_calls_total")
    with RawConnection(platform) as connection:
        connection.request(
            "POST", f"/api/ext/{extension.name}{path}", organization.key, ["content-length: 0", *headers]
        )
        wait_until(lambda: platform.metric("gateway_calls_total") > before, what="the call's dispatch")
        yield


def test_leaving_ends_the_guest_and_frees_its_place(platform, organization, guest):
    endpoints = [
        {"method": "POST", "path": "/", "handler": "h", "timeout_ms": 20_000},
        {"method": "POST", "path": "/short", "handler": "h", "timeout_ms": 100},
    ]
    extension = guest("loop", api={"endpoints": endpoints})
    install = platform.install(extension, organization)
    platform.patch_install(organization, install, limits={"concurrency": 1, "queue": 0})
    short = f"/api/ext/{extension.name}/short"
    began = time.monotonic()
    with leaving_caller(platform, organization, extension, "/", "x-request-id: left-running"):
        busy = platform.call("POST", short, token=organization.key)
        assert (busy.status_code, busy.json()["code"]) == (429, "concurrency_exceeded")
    wait_until(lambda: platform.call("POST", short, token=organization.key).status_code == 504, 5, "the free place")
    assert time.monotonic() - began < 10
    row = platform.execution(organization, install, "left-running")
    assert (row["status"], row["http_status"], row["error"]["code"]) == ("error", 499, "cancelled")
    assert 0 < row["duration_us"] < 10_000_000
    assert row["cpu_us"] > 0


def test_with_an_idempotency_key_a_caller_can_leave_and_come_back(platform, organization, guest):
    extension = guest("spin")
    install = platform.install(extension, organization)
    with leaving_caller(
        platform, organization, extension, "/1500", "x-request-id: left-with-key", "idempotency-key: back"
    ):
        pass
    headers = {"idempotency-key": "back"}

    def again():
        answer = platform.ext(organization, extension, "POST", "/1500", headers=headers)
        assert answer.status_code in (200, 409), answer.text
        return answer if answer.status_code == 200 else None

    answer = wait_until(again, what="the stored answer")
    assert answer.headers["idempotency-replayed"] == "true"
    assert platform.execution(organization, install, "left-with-key")["status"] == "ok"
    assert len(platform.executions(organization, install)) == 1


def test_pipelined_requests_are_answered_in_order(platform):
    with RawConnection(platform) as connection:
        for i in range(10):
            connection.request("GET", "/healthz", headers=[f"x-request-id: pipe-{i}"])
        assert [connection.answer().headers["x-request-id"] for _ in range(10)] == [f"pipe-{i}" for i in range(10)]
