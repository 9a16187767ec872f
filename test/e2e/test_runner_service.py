"""`POST /v1/execute` of `bulkhead runner --listen` as programs elsewhere call it (extensions.md §3), on both stores."""

import base64
import json
import uuid

import pytest
from harness.extensions import Extension
from harness.raw_http import RawConnection
from harness.runner import RunnerService, body_of
from harness.waiting import wait_until

USAGE = {"cpu_us", "wall_us", "memory_bytes", "egress_bytes", "host_calls"}


@pytest.fixture(scope="module")
def organization(any_platform):
    return any_platform.organization()


@pytest.fixture(scope="module")
def runner(any_platform, organization):
    running = RunnerService(any_platform, organization)
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def echo(any_platform, organization, tmp_path_factory):
    """The install of an extension that answers with the request as the guest got it."""
    return any_platform.install(Extension.of_guest(tmp_path_factory.mktemp("echo"), "echo"), organization)


@pytest.fixture
def installed(any_platform, organization, guest):
    def make(name, *grants):
        return any_platform.install(guest(name, capabilities=list(grants)), organization, *grants)

    return make


def refused(answer):
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def failed(answer):
    """A call that was dispatched and failed: HTTP says 200, the body says what happened."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["status"], body["error"]["code"]


# --- what it answers -------------------------------------------------------------------------------------------------


def test_http_call(runner, echo):
    http = {
        "method": "POST",
        "path": "/a b",
        "handler": "handle",
        "params": {"rest": "a b"},
        "query": {"x": "2", "y": "only here"},
        "query_all": {"x": ["1", "2"]},
        "headers": {"Accept": "text/plain"},
        "body_b64": base64.b64encode(b"\0body").decode(),
    }
    answer = runner.execute(echo, http)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    body = answer.json()
    assert body["status"] == 200
    assert set(body["usage"]) >= USAGE
    assert body["usage"]["wall_us"] > 0
    assert body["usage"]["memory_bytes"] > 0
    seen = json.loads(body_of(answer))
    assert seen["context"]["tenant_id"] == runner.organization.id
    assert seen["context"]["request_id"] == "from-elsewhere"
    assert {name: seen["http"][name] for name in ("method", "path", "handler", "params")} == {
        name: http[name] for name in ("method", "path", "handler", "params")
    }
    # A repeated key: the last wins, all of them in query_all.
    assert seen["http"]["query"] == {"x": "2", "y": "only here"}
    assert seen["http"]["query_all"] == {"x": ["1", "2"], "y": ["only here"]}
    assert seen["http"]["headers"] == {"accept": "text/plain"}
    assert base64.b64decode(seen["http"]["body_b64"]) == b"\0body"


def test_event_and_schedule(runner, echo):
    event = {"topic": "order.created", "id": "e-1", "payload": {"number": 1.0, "large": 12345678901234567890}}
    seen = json.loads(body_of(runner.execute(echo, event=event)))
    assert {name: seen["event"][name] for name in event} == event
    assert "http" not in seen
    seen = json.loads(body_of(runner.execute(echo, schedule={"id": "nightly"})))
    assert seen["schedule"]["id"] == "nightly"


def test_status_and_headers_of_the_guest(runner, installed):
    body = runner.execute(installed("all_headers"), {}).json()
    assert body["status"] == 201
    # All of them: what may go on to a client is the caller's affair.
    assert body["headers"]["x-ext-note"] == "kept"
    assert base64.b64decode(body["body_b64"]) == b"<b>hi</b>"


def test_failures_are_in_the_body(runner, installed):
    assert failed(runner.execute(installed("trap"), {})) == (500, "trap")
    assert failed(runner.execute(installed("handler_error"), {})) == (500, "handler_error")
    assert failed(runner.execute(installed("loop"), {}, limits={"timeout_ms": 200})) == (504, "timeout")
    assert failed(runner.execute(installed("grow"), {}, limits={"memory_mb": 16})) == (507, "memory_exceeded")
    assert failed(runner.execute(installed("oob_pointer"), {})) == (502, "module_invalid")


def test_unknown_bundle(runner, echo):
    context = runner.context(echo, content_hash="sha256:" + "0" * 64)
    assert failed(runner.execute(echo, {}, context=context)) == (502, "bundle_fetch_failed")


def test_storage_is_the_installs_own(any_platform, runner, organization, installed, echo):
    install = installed("storage", "storage.kv")
    answer = runner.execute(install, {})
    assert json.loads(body_of(answer))["value"] == {"text": "hello"}
    assert answer.json()["usage"]["host_calls"] == 4
    # A context that names an install which it does not describe opens nothing: the guest's first call is denied.
    other = runner.context(install, install_id=echo["id"])
    assert failed(runner.execute(install, {}, context=other)) == (500, "handler_error")
    stranger = runner.context(install, tenant_id=str(uuid.uuid4()))
    assert failed(runner.execute(install, {}, context=stranger)) == (500, "handler_error")
    # Without the grant it is denied too, a second after that was taken back.
    any_platform.patch_install(organization, install, granted_caps=[])
    wait_until(lambda: runner.execute(install, {}).json().get("error"), 5, "the denial")


def test_warm_up(runner, installed):
    install = installed("hello")
    wanted = {"content_hashes": [install["content_hash"]]}
    assert runner.call("POST", "/warmup", runner.token, json=wanted).status_code == 202
    ready = wait_until(
        lambda: (
            (answer := runner.call("POST", "/warmup", runner.token, json=wanted)).status_code == 200 and answer.json()
        ),
        what="the module",
    )
    assert ready == {"ready": wanted["content_hashes"], "requested": []}


# --- what it refuses -------------------------------------------------------------------------------------------------


def test_callers_need_a_service_token(runner, echo, any_platform, organization):
    request = {"context": runner.context(echo), "http": {"method": "GET", "path": "/"}}
    forged = runner.token[:-8] + ("A" if runner.token[-8] != "A" else "B") + runner.token[-7:]
    for token in ("", "x", forged, organization.key, any_platform.admin_token):
        for path in ("/v1/execute", "/warmup"):
            answer = runner.call("POST", path, token, json=request)
            assert answer.status_code == 401, (token, answer.text)
            assert "www-authenticate" in answer.headers
    assert runner.call("POST", "/v1/execute", runner.new_token(), json=request).status_code == 200


def test_headers_must_agree_with_the_context(runner, echo):
    context = runner.context(echo)
    good = {
        "x-request-id": context["request_id"],
        "x-alga-tenant": context["tenant_id"],
        "x-alga-extension": context["extension_id"],
        "x-idempotency-key": "once",
    }
    http = {"method": "POST", "headers": {"x-idempotency-key": "once"}}
    assert runner.execute(echo, http, good).status_code == 200
    for name in good:
        answer = runner.execute(echo, http, {**good, name: str(uuid.uuid4())})
        assert refused(answer) == (400, "routing_mismatch"), name
        assert name in answer.json()["detail"]


def test_requests_that_are_none(runner, echo):
    def send(text):
        return runner.call("POST", "/v1/execute", runner.token, data=text)

    assert refused(send("{")) == (400, "invalid_json")
    assert refused(send(json.dumps({"http": {"method": "GET", "path": "/"}}))) == (400, "bad_request")
    both = {"context": runner.context(echo), "http": {"method": "GET", "path": "/"}, "schedule": {"id": "x"}}
    assert refused(send(json.dumps(both))) == (400, "bad_request")
    wrong = {"context": runner.context(echo, tenant_id="me"), "http": {"method": 1, "path": "/"}}
    answer = send(json.dumps(wrong))
    assert refused(answer) == (400, "bad_request")
    assert {error["pointer"] for error in answer.json()["errors"]} == {"/context/tenant_id", "/http/method"}


def test_body_of_10_mb_fits_and_one_over_14_mb_does_not(runner, installed):
    hello = installed("hello")
    http = {"method": "POST", "path": "/", "body_b64": base64.b64encode(bytes(10_000_000)).decode()}
    assert body_of(runner.execute(hello, http)) == b"hello"
    over = {**http, "body_b64": base64.b64encode(bytes(10_500_000)).decode()}
    assert refused(runner.execute(hello, over)) == (413, "payload_too_large")
    with RawConnection(runner) as connection:
        headers = ["content-length: 14000001", "expect: 100-continue"]
        connection.request("POST", "/v1/execute", runner.token, headers)
        assert connection.answer().status == 413


def test_other_routes(runner):
    wrong = runner.call("GET", "/v1/execute", runner.token)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert runner.call("GET", "/nothing", runner.token).status_code == 404
    health = runner.call("GET", "/healthz").json()
    assert health["engine"]["up"] is True
    assert health["broker"]["reachable"] is True
    assert health["sandbox"]
    assert "runner_executions_live" in runner.call("GET", "/metrics").text


# --- beside a platform -----------------------------------------------------------------------------------------------


def test_a_revoked_signer_is_refused_by_both(any_platform, runner, organization, guest, tmp_path):
    """Several times: neither process may take the other's news away."""
    for i in range(5):
        key = tmp_path / f"key-{i}"
        any_platform.run("ext", "keygen", "-o", key)
        entry = any_platform.json("trust", "add", f"{key}.pub")
        extension = guest("hello")
        any_platform.publish(extension.bundle(key), organization)
        install = any_platform.json("ext", "install", f"{extension.name}@1.0.0", token=organization.key)
        assert body_of(runner.execute(install, {})) == b"hello"
        assert any_platform.ext(organization, extension, "GET", "/").text == "hello"
        any_platform.run("trust", "remove", entry["id"])
        wait_until(
            lambda extension=extension: any_platform.ext(organization, extension, "GET", "/").status_code == 502,
            3,
            "the refusal by the platform",
        )
        wait_until(
            lambda install=install: (
                runner.execute(install, {}).json().get("error", {}).get("code") == "signature_invalid"
            ),
            3,
            "the refusal by the runner",
        )
