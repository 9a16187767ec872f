"""The gateway as callers see it (contract: extensions.md §4), on both kinds of stores."""

import re
import threading
import uuid

import pytest
import requests
from harness.extensions import Extension
from harness.paths import ROOT
from harness.raw_http import RawConnection
from harness.waiting import wait_until

TOO_MUCH = b"x" * 10_000_001
SANDBOXED = "sandbox; default-src 'none'"


def endpoint(method, path, **more):
    return {"method": method, "path": path, "handler": "handle", **more}


def refused(answer):
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, problem["code"]


@pytest.fixture(scope="module")
def organization(any_platform):
    return any_platform.organization()


@pytest.fixture(scope="module")
def keys(any_platform, organization):
    """A key of each role, and of another organization."""

    def make(role):
        return any_platform.json("key", "create", "--org", organization.slug, "--role", role)["key"]

    made = {role: make(role) for role in ("admin", "developer", "viewer", "billing")}
    return {**made, "stranger": any_platform.organization().key}


@pytest.fixture(scope="module")
def echo(any_platform, organization, tmp_path_factory):
    """Answers with the request as the guest got it."""
    extension = Extension.of_guest(tmp_path_factory.mktemp("echo"), "echo")
    any_platform.install(extension, organization)
    return extension


@pytest.fixture(scope="module")
def orders(any_platform, organization, tmp_path_factory):
    extension = Extension.of_folder(ROOT / "examples" / "orders", tmp_path_factory.mktemp("orders"))
    extension.manifest["name"] = f"com.example.orders-{uuid.uuid4().hex[:6]}"
    any_platform.install(extension, organization, "storage.kv", "log.emit")
    return extension


# --- the order of the checks -----------------------------------------------------------------------------------------


def test_checks_come_in_the_contracts_order(any_platform, organization, keys, guest):
    """Each request is wrong in every later way too, so only the order decides which answer it gets."""
    slow = endpoint("GET", "/slow", timeout_ms=3000)
    extension = guest("loop", api={"endpoints": [slow, endpoint("GET", "/1"), endpoint("POST", "/1", timeout_ms=1)]})
    install = any_platform.install(extension, organization)
    any_platform.patch_install(organization, install, limits={"concurrency": 1, "queue": 0})
    ours = {"x-tenant-id": organization.slug}

    def call(method, path, key, headers=None, data=TOO_MUCH):
        return any_platform.call(method, f"/api/ext/{path}", token=key, headers=headers, data=data)

    with any_platform.in_background(organization, extension, "GET", "/slow"):
        nowhere = "com.example.nothing/no/such"
        assert refused(call("POST", nowhere, "", ours)) == (401, "unauthenticated")
        assert refused(call("POST", nowhere, "bh_key_wrong", ours)) == (401, "invalid_credential")
        assert refused(call("POST", nowhere, keys["stranger"], ours)) == (403, "tenant_mismatch")
        assert refused(call("POST", nowhere, keys["billing"])) == (404, "extension_not_available")
        assert refused(call("POST", f"{extension.name}/no/such", keys["billing"])) == (404, "endpoint_not_found")
        wrong_method = call("PUT", f"{extension.name}/1", keys["billing"])
        assert refused(wrong_method) == (405, "method_not_allowed")
        assert wrong_method.headers["allow"] == "GET, HEAD, OPTIONS, POST"
        assert refused(call("POST", f"{extension.name}/1", keys["viewer"])) == (403, "forbidden")
        assert refused(call("POST", f"{extension.name}/1", keys["developer"])) == (413, "payload_too_large")
        busy = call("POST", f"{extension.name}/1", keys["developer"], data=b"")
        assert refused(busy) == (429, "concurrency_exceeded")
        assert int(busy.headers["retry-after"]) >= 1
    assert refused(call("POST", f"{extension.name}/1", keys["developer"], data=b"")) == (504, "timeout")


def test_refusals_are_as_sandboxed_as_answers(any_platform, organization, echo):
    for path in ("/", "/no/such"):
        answer = any_platform.ext(organization, echo, "GET", path)
        assert answer.headers["content-security-policy"] == SANDBOXED
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_another_organizations_install_is_not_available(any_platform, keys, echo):
    answer = any_platform.call("GET", f"/api/ext/{echo.name}/", token=keys["stranger"])
    assert refused(answer) == (404, "extension_not_available")


def test_permissions_are_the_endpoints(any_platform, organization, keys, guest):
    own = [endpoint("GET", "/"), endpoint("POST", "/"), endpoint("GET", "/own", permission="extension:publish")]
    extension = guest("hello", api={"endpoints": own})
    any_platform.install(extension, organization)

    def status(method, path, role):
        return any_platform.ext(organization, extension, method, path, token=keys[role]).status_code

    table = {
        ("GET", "/", "viewer"): 200,
        ("HEAD", "/", "viewer"): 200,
        ("GET", "/", "billing"): 403,
        ("POST", "/", "viewer"): 403,
        ("POST", "/", "developer"): 200,
        ("GET", "/own", "viewer"): 403,
        ("GET", "/own", "developer"): 200,
    }
    assert {case: status(*case) for case in table} == table


def test_a_credential_without_organization_must_name_one(any_platform, organization, echo, keys):
    path = f"/api/ext/{echo.name}/"
    assert refused(any_platform.call("GET", path)) == (400, "tenant_required")
    for name in (organization.slug, organization.id):
        assert any_platform.call("GET", path, headers={"x-tenant-id": name}).status_code == 200
    assert any_platform.call("GET", path, token="", headers={"x-api-key": keys["viewer"]}).status_code == 200


def test_head_and_options(any_platform, organization, guest):
    extension = guest("hello")
    any_platform.install(extension, organization)
    head = any_platform.ext(organization, extension, "HEAD", "/")
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", "text/plain")
    assert head.headers["content-length"] == "5"
    options = any_platform.ext(organization, extension, "OPTIONS", "/")
    assert (options.status_code, options.content) == (204, b"")
    assert options.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


def test_paths_that_are_not_allowed(any_platform, organization, echo):
    for path in ("/%2e%2e", "/..", "/a%2fb", "/%zz", "/a/../b", "/..%2f.."):
        with RawConnection(any_platform) as connection:
            connection.request("GET", f"/api/ext/{echo.name}{path}", organization.key)
            assert connection.answer().status in (400, 404), path


# --- headers ---------------------------------------------------------------------------------------------------------


def test_only_the_contracts_request_headers_reach_the_guest(any_platform, organization, echo):
    sent = {
        "accept": "text/plain",
        "accept-encoding": "gzip",
        "content-type": "text/x-mine",
        "user-agent": "mine\t1.0",
        "x-request-id": "mine-1",
        "cookie": "session=secret",
        "x-api-key": organization.key,
        "x-alga-tenant": "forged",
        "x-alga-admin": "true",
        "x-forwarded-for": "10.0.0.1",
        "x-other": "dropped",
    }
    install = any_platform.call("GET", "/api/installs", token=organization.key).json()["items"]
    extension_id = next(item["extension_id"] for item in install if item["extension_name"] == echo.name)
    common = {
        "accept": "text/plain",
        "accept-encoding": "gzip",
        "content-type": "text/x-mine",
        "user-agent": "mine1.0",
        "x-request-id": "mine-1",
        "x-alga-tenant": organization.id,
        "x-alga-extension": extension_id,
    }
    for method, own in (("GET", {}), ("POST", {"x-idempotency-key": "mine-1"})):
        answer = any_platform.ext(organization, echo, method, "/", headers=sent)
        assert answer.json()["http"]["headers"] == {**common, **own}
    keyed = any_platform.ext(organization, echo, "POST", "/", headers={**sent, "idempotency-key": "client-7"})
    assert keyed.json()["http"]["headers"] == {**common, "x-idempotency-key": "client-7"}


def test_only_the_contracts_response_headers_reach_the_client(any_platform, organization, guest):
    extension = guest("all_headers")
    any_platform.install(extension, organization)
    answer = any_platform.ext(organization, extension, "GET", "/")
    assert (answer.status_code, answer.text) == (201, "<b>hi</b>")
    headers = {name.lower(): value for name, value in answer.headers.items()}
    passed = {"content-type": "text/html", "x-ext-note": "kept", "etag": '"1"'}
    ours = {"content-security-policy": SANDBOXED, "x-content-type-options": "nosniff", "content-length": "9"}
    assert {name: headers.pop(name, None) for name in passed | ours} == passed | ours
    assert not headers.keys() & {
        "set-cookie",
        "location",
        "cache-control",
        "connection",
        "transfer-encoding",
        "x-other",
    }


def test_trace_context_goes_on(any_platform, organization, echo):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "x-request-id": f"trace-{uuid.uuid4()}"}
    any_platform.ext(organization, echo, "GET", "/", headers=sent)
    install = install_of(any_platform, organization, echo)
    assert any_platform.execution(organization, install, sent["x-request-id"])["trace_id"] == trace


def install_of(platform, organization, extension):
    items = platform.call("GET", "/api/installs?limit=200", token=organization.key).json()["items"]
    return next(item for item in items if item["extension_name"] == extension.name)


# --- idempotency -----------------------------------------------------------------------------------------------------

ORDER = {"customer": "Ann", "items": [{"sku": "A-1", "quantity": 2}]}


def test_same_key_and_request_replays_the_stored_answer(any_platform, organization, orders, keys):
    def create(key, token=organization.key, order=ORDER):
        headers = {"idempotency-key": key}
        return any_platform.ext(organization, orders, "POST", "/orders", headers=headers, json=order, token=token)

    key = str(uuid.uuid4())
    first, again = create(key), create(key)
    assert first.status_code == 201, first.text
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.json(), again.headers["location"]) == (
        201,
        first.json(),
        first.headers["location"],
    )
    assert again.headers["content-security-policy"] == SANDBOXED
    assert again.headers["x-content-type-options"] == "nosniff"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    # The key is the principal's own.
    other = create(key, token=keys["developer"])
    assert other.json()["id"] != first.json()["id"]
    assert refused(create(key, order={**ORDER, "customer": "Bob"})) == (422, "idempotency_mismatch")


def test_replay_without_a_stored_body_says_so(any_platform, organization, guest):
    extension = guest("hello")
    any_platform.install(extension, organization)
    headers = {"idempotency-key": "text"}
    assert any_platform.ext(organization, extension, "POST", "/", headers=headers).text == "hello"
    again = any_platform.ext(organization, extension, "POST", "/", headers=headers)
    assert (again.status_code, again.content) == (200, b"")
    assert again.headers["idempotency-body"] == "omitted"


def test_same_key_while_the_first_is_running(any_platform, organization, guest):
    extension = guest("loop", api={"endpoints": [endpoint("POST", "/", timeout_ms=2000)]})
    any_platform.install(extension, organization)
    headers = {"idempotency-key": "slow"}
    with any_platform.in_background(organization, extension, "POST", "/", headers=headers) as running:
        second = any_platform.ext(organization, extension, "POST", "/", headers=headers)
        assert refused(second) == (409, "idempotency_in_flight")
    # It ran, so its answer is the answer from now on.
    assert refused(running.answer) == (504, "timeout")
    again = any_platform.ext(organization, extension, "POST", "/", headers=headers)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (504, "true")


# --- what guests do wrong --------------------------------------------------------------------------------------------

FAILURES = {
    "trap": (500, "trap"),
    "divide": (500, "trap"),
    "recurse": (500, "trap"),
    "load_out_of_bounds": (500, "trap"),
    "abort": (500, "trap"),
    "abort_bad_pointer": (500, "trap"),
    "initialize_trap": (500, "trap"),
    "handler_error": (500, "handler_error"),
    "loop": (504, "timeout"),
    "alloc_loop": (504, "timeout"),
    "initialize_loop": (504, "timeout"),
    "grow": (502, "memory_exceeded"),
    "big_answer": (502, "response_too_large"),
    "oob_pointer": (502, "module_invalid"),
    "oob_length": (502, "module_invalid"),
    "overflow_length": (502, "module_invalid"),
    "alloc_null": (502, "module_invalid"),
    "alloc_out_of_bounds": (502, "module_invalid"),
    "log_bad_pointer": (502, "module_invalid"),
}
LOG_STATUS = {"timeout": "timeout", "memory_exceeded": "oom"}


@pytest.fixture(scope="module")
def honest(any_platform, organization, tmp_path_factory):
    extension = Extension.of_guest(tmp_path_factory.mktemp("hello"), "hello")
    any_platform.install(extension, organization)
    return extension


@pytest.mark.parametrize("name", FAILURES)
def test_failing_guest_gets_its_code_and_the_next_call_works(any_platform, organization, guest, honest, name):
    extension = guest(name, api={"endpoints": [endpoint("GET", "/", timeout_ms=300)]})
    install = any_platform.install(extension, organization)
    answer = any_platform.ext(organization, extension, "GET", "/")
    assert refused(answer) == FAILURES[name]
    assert answer.headers["content-security-policy"] == SANDBOXED
    next_call = any_platform.ext(organization, honest, "GET", "/")
    assert (next_call.status_code, next_call.text) == (200, "hello")
    row = any_platform.execution(organization, install, answer.headers["x-request-id"])
    status, code = FAILURES[name]
    assert (row["status"], row["http_status"], row["error"]["code"]) == (LOG_STATUS.get(code, "error"), status, code)


def test_abort_says_where(any_platform, organization, guest):
    extension = guest("abort")
    any_platform.install(extension, organization)
    assert (
        "index out of range (main.ts:12:34)" in any_platform.ext(organization, extension, "GET", "/").json()["detail"]
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("state", "1"),
        ("canary", "clean"),
        ("initialize", "initialized"),
        ("empty_answer", ""),
        ("not_json", "plain\0\xff\xfe text"),
        ("grow_refused", "pages=4096"),
        ("host_flood", "1000"),
        ("host_bad_pointer", "-2 -2 -2"),
    ],
)
def test_odd_guest_is_answered(any_platform, organization, guest, name, text):
    extension = guest(name, capabilities=["storage.kv", "context.read"])
    any_platform.install(extension, organization, "storage.kv", "context.read")
    for _ in range(3):
        answer = any_platform.ext(organization, extension, "GET", "/")
        assert (answer.status_code, answer.content) == (200, text.encode("latin-1")), answer.text


def test_a_flood_of_log_lines_is_cut(any_platform, organization, guest):
    extension = guest("log_flood", capabilities=["log.emit"])
    install = any_platform.install(extension, organization, "log.emit")
    answer = any_platform.ext(organization, extension, "GET", "/")
    assert answer.status_code == 200
    lines = any_platform.execution(organization, install, answer.headers["x-request-id"])["logs"]
    assert 32 * 1024 <= sum(len(line["text"]) for line in lines) <= 64 * 1024 + 200
    assert lines[-1]["level"] == "warn"


def test_time_limits_of_install_and_endpoint(any_platform, organization, guest):
    endpoints = [endpoint("GET", "/"), endpoint("GET", "/short", timeout_ms=100)]
    extension = guest("loop", api={"endpoints": endpoints})
    install = any_platform.install(extension, organization)
    any_platform.patch_install(organization, install, limits={"timeout_ms": 400})
    for path, limit in (("/", 400), ("/short", 100)):
        answer = any_platform.ext(organization, extension, "GET", path)
        assert refused(answer) == (504, "timeout")
        assert f"{limit} ms" in answer.json()["detail"]
        assert limit / 1000 <= answer.elapsed.total_seconds() < limit / 1000 + 2


# --- the execution log -----------------------------------------------------------------------------------------------


def test_every_call_has_exactly_one_row(any_platform, organization, guest):
    """Calls that end well, fail and are refused, from several clients at once: each dispatched one has its row."""
    good = guest("log", capabilities=["log.emit"])
    bad = guest("handler_error")
    installs = {
        good.name: any_platform.install(good, organization, "log.emit"),
        bad.name: any_platform.install(bad, organization),
    }
    clients, each = 6, 40
    done = []

    def call(url, request_id):
        headers = {"x-request-id": request_id, "authorization": f"Bearer {organization.key}"}
        return requests.get(url, headers=headers, timeout=60)

    def work(client):
        for i in range(each):
            extension = bad if i % 4 == 0 else good
            request_id = f"row-{client}-{i}-{uuid.uuid4()}"
            path = "/no/such/path" if i % 10 == 9 else f"/{i}"
            answer = call(f"{any_platform.url}/api/ext/{extension.name}{path}", request_id)
            done.append((extension.name, request_id, answer.status_code))

    threads = [threading.Thread(target=work, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == clients * each
    for name, install in installs.items():
        dispatched = {request_id: status for of, request_id, status in done if of == name and status != 404}
        rows = any_platform.settled(organization, install, len(dispatched))
        assert {row["request_id"]: row["http_status"] for row in rows} == dispatched
        assert len(rows) == len(dispatched)
        expected = ["an info line", "a warning", "an error\nin two lines"] if name == good.name else []
        assert all([line["text"] for line in row["logs"]] == expected for row in rows)
        hours = any_platform.call("GET", f"/api/installs/{install['id']}/usage", token=organization.key).json()["items"]
        assert sum(hour["invocations"] for hour in hours) == len(rows)
        assert sum(hour["errors"] for hour in hours) == (0 if name == good.name else len(rows))
        counts = any_platform.call("GET", f"/api/installs/{install['id']}/metrics", token=organization.key).json()
        assert counts["executions"] == len(rows)


def test_log_shows_what_has_just_been_answered(any_platform, organization, echo):
    install = install_of(any_platform, organization, echo)
    for _ in range(20):
        answer = any_platform.ext(organization, echo, "GET", "/")
        (row,) = any_platform.executions(organization, install, request_id=answer.headers["x-request-id"])
        assert row["http_status"] == 200


def test_log_is_paged_filtered_and_the_organizations_own(any_platform, organization, keys, guest):
    extension = guest("log", capabilities=["log.emit"])
    install = any_platform.install(extension, organization, "log.emit")
    ids = [any_platform.ext(organization, extension, "GET", "/").headers["x-request-id"] for _ in range(5)]
    any_platform.settled(organization, install, 5)
    paged = any_platform.executions(organization, install, limit=2)
    assert sorted(row["request_id"] for row in paged) == sorted(ids)
    assert any_platform.executions(organization, install, status="error") == []
    path = f"/api/installs/{install['id']}"
    logs = any_platform.call("GET", f"{path}/logs", token=organization.key, params={"request_id": ids[0]}).json()
    assert [line["text"] for line in logs["items"]] == ["an info line", "a warning", "an error\nin two lines"]
    for part in ("executions", "logs", "usage", "metrics"):
        foreign = any_platform.call("GET", f"{path}/{part}", token=keys["stranger"])
        assert foreign.status_code == 404 or foreign.json().get("items", []) == [], foreign.text


def test_live_tail_shows_a_call_soon(any_platform, organization, guest):
    extension = guest("log", capabilities=["log.emit"])
    install = any_platform.install(extension, organization, "log.emit")
    headers = {"accept": "text/event-stream"}
    path = f"/api/installs/{install['id']}/logs"
    with any_platform.call("GET", path, token=organization.key, headers=headers, stream=True, timeout=10) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        answer = any_platform.ext(organization, extension, "GET", "/")
        for line in stream.iter_lines(chunk_size=1):
            if answer.headers["x-request-id"].encode() in line:
                break
        else:
            raise AssertionError("the tail ended")


def test_test_run_shows_everything_about_one_call(any_platform, organization, guest, keys):
    extension = guest("log", capabilities=["log.emit"])
    install = any_platform.install(extension, organization, "log.emit")
    path = f"/api/installs/{install['id']}/test-run"
    answer = any_platform.call("POST", path, token=organization.key, json={"method": "GET", "path": "/x?y=1"})
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, 200), answer.text
    assert [line["level"] for line in body["logs"]] == ["info", "warn", "error"]
    assert body["usage"]["cpu_us"] > 0
    row = any_platform.execution(organization, install, answer.headers["x-request-id"])
    assert (row["execution_id"], row["kind"]) == (body["execution_id"], "test")
    assert refused(any_platform.call("POST", path, token=keys["viewer"], json={"path": "/"})) == (403, "forbidden")


# --- every route is guarded ------------------------------------------------------------------------------------------

PUBLIC = {"/healthz", "/readyz"}


def test_every_route_answers_401_without_a_credential(any_platform):
    """The route list is the running platform's own: each route has its counters from the start."""
    text = any_platform.call("GET", "/metrics").text
    routes = set(re.findall(r'http_requests_total\{route="(/[^"]*)",method="([A-Z]+)"', text))
    assert len(routes) > 45
    assert {route for route, _ in routes} >= PUBLIC
    for pattern, method in sorted(routes):
        path = re.sub(r":\w+", str(uuid.UUID(int=4)), pattern).replace("*path", "x")
        answer = any_platform.call(method, path, token="")
        if pattern in PUBLIC:
            assert answer.status_code == 200, pattern
            continue
        assert answer.status_code == 401, f"{method} {pattern}: {answer.status_code}"
        assert "www-authenticate" in answer.headers, f"{method} {pattern}"
        wrong = any_platform.call(method, path, token="bh_key_" + "0" * 49)
        assert wrong.status_code == 401, f"{method} {pattern} with a wrong key: {wrong.status_code}"


def test_rate_limited_callers_are_told_how_long_to_wait(own_platform):
    platform = own_platform().start()
    organization = platform.organization()

    def limited():
        answer = platform.call("POST", "/api/ext-bundles/upload-proxy", token=organization.key, data=b"x")
        return (answer,) if answer.status_code == 429 else None

    (answer,) = wait_until(limited, what="a rate limit")
    assert refused(answer) == (429, "rate_limited")
    assert int(answer.headers["retry-after"]) >= 1
    assert "ratelimit-policy" in answer.headers
