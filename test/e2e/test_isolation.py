"""What is kept away from guests, and what happens to those that misbehave (contract: extensions.md §3)."""

import os
import re
import signal
import subprocess
import uuid
from pathlib import Path

import pytest
from harness.extensions import Extension
from harness.paths import BULKHEAD
from harness.waiting import wait_until

# The development machines mount cgroup v1; everything else must hold there, or these tests say what does not.
NOT_HERE = {"cgroup"}
NO_LIMITS = {"BULKHEAD_LIMITS_RATE_LIMITS": "false"}


def layers_of(report):
    return {layer["layer"]: layer["active"] for layer in report}


def refusal(answer):
    return answer.status_code, answer.json()["code"]


# --- the walls -------------------------------------------------------------------------------------------------------


def test_health_names_every_layer_and_all_hold(platform):
    def health():
        body = platform.call("GET", "/healthz", token="").json()
        return body if body["sandbox"]["runners"] else None

    sandbox = wait_until(health, what="the runner's first word")["sandbox"]
    for report in (*sandbox["runners"], sandbox["compiler"]):
        layers = layers_of(report)
        assert len(layers) == 16
        assert {name for name, active in layers.items() if not active} <= NOT_HERE


def test_a_runner_is_alone_in_its_namespaces(platform):
    (runner,) = platform.children("runner-process")
    for kind in ("user", "pid", "net", "mnt", "ipc", "uts", "cgroup"):
        theirs, ours = (Path(f"/proc/{process}/ns/{kind}").readlink() for process in (runner, "self"))
        assert theirs != ours, kind
    status = Path(f"/proc/{runner}/status").read_text()
    assert re.search(r"^NSpid:\s+\d+\s+1$", status, re.MULTILINE)
    assert "Uid:\t61184\t61184\t61184\t61184" in status or os.geteuid() != 0


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("secomp", 'there is no "secomp"; did you mean "seccomp"?'),
        ("seccomp,cgroup", 'The sandbox layer "cgroup" is required (runner.require_layers) and not active'),
    ],
)
def test_a_platform_does_not_start_without_what_it_requires(tmp_path, layers, message):
    if layers.endswith("cgroup") and Path("/sys/fs/cgroup/cgroup.controllers").exists():
        layers, message = "cgroup", "not active"
    done = subprocess.run(
        [BULKHEAD, "serve", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0"],
        env={"PATH": os.environ["PATH"], "BULKHEAD_RUNNER_REQUIRE_LAYERS": layers},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert message in (done.stdout + done.stderr).replace('\\"', '"')


def test_a_platform_starts_with_what_it_requires(own_platform, tmp_path):
    platform = own_platform(BULKHEAD_RUNNER_REQUIRE_LAYERS="seccomp,landlock,pid_namespace,user_namespace").start()
    organization = platform.organization()
    extension = Extension.of_guest(tmp_path, "hello")
    platform.install(extension, organization)
    assert platform.ext(organization, extension, "GET", "/").status_code == 200


def test_a_stopped_runner_is_replaced(own_platform, tmp_path):
    """It says nothing, holds its socket and never ends by itself."""
    platform = own_platform(**NO_LIMITS).start()
    organization = platform.organization()
    extension = Extension.of_guest(tmp_path, "hello")
    platform.install(extension, organization)
    assert platform.ext(organization, extension, "GET", "/").status_code == 200
    (runner,) = platform.children("runner-process")
    os.kill(runner, signal.SIGSTOP)
    wait_until(lambda: not Path(f"/proc/{runner}").exists(), 30, "its end")
    wait_until(lambda: platform.ext(organization, extension, "GET", "/").status_code == 200, 10, "another one")
    assert platform.metric("runner_misbehaved_total") == 1


# --- quarantine ------------------------------------------------------------------------------------------------------


@pytest.fixture(params=("sqlite-disk", "postgresql-s3"))
def strict(request, own_platform):
    """A platform that quarantines after five failures and has no circuit breaker in the way."""
    return own_platform(
        request.param,
        BULKHEAD_QUARANTINE_TRAPS="5",
        BULKHEAD_QUARANTINE_OUT_OF_MEMORY="5",
        BULKHEAD_QUARANTINE_POLICY_VIOLATIONS="5",
        BULKHEAD_QUARANTINE_CIRCUIT_BREAKER="false",
        **NO_LIMITS,
    ).start()


def test_an_extension_that_keeps_crashing_is_quarantined_until_it_is_released(strict, tmp_path):
    organization = strict.organization()
    crashing = Extension.of_guest(tmp_path, "trap")
    neighbour = Extension.of_guest(tmp_path, "hello")
    install = strict.install(crashing, organization)
    strict.install(neighbour, organization)
    for _ in range(5):
        assert refusal(strict.ext(organization, crashing, "GET", "/")) == (500, "trap")
    answer = strict.ext(organization, crashing, "GET", "/")
    assert refusal(answer) == (503, "quarantined")
    assert int(answer.headers["retry-after"]) > 0
    assert "5 of its last 5 calls crashed" in answer.json()["detail"]
    assert strict.ext(organization, neighbour, "GET", "/").status_code == 200

    wait_until(lambda: strict.count("extension_quarantine") == 1, what="the row")
    strict.kill()
    strict.start()
    assert refusal(strict.ext(organization, crashing, "GET", "/")) == (503, "quarantined")

    (listed,) = strict.json("ext", "quarantine", "list", token=organization.key)["items"]
    assert (listed["install_id"], listed["reason"], listed["until"]) == (install["id"], "traps", None)
    assert "Nothing is quarantined." in strict.run("ext", "quarantine", "list", token=strict.organization().key).stdout
    strict.run("ext", "quarantine", "release", crashing.name, token=organization.key)
    assert refusal(strict.ext(organization, crashing, "GET", "/")) == (500, "trap")
    assert strict.count("extension_quarantine") == 0
    actions = [row["action"] for row in strict.call("GET", f"/api/v1/orgs/{organization.slug}/audit").json()["items"]]
    assert {"install.quarantine", "install.release"} <= set(actions)


@pytest.mark.parametrize(
    ("name", "reason", "error"),
    [
        ("grow", "out_of_memory", (502, "memory_exceeded")),
        ("storage", "policy_violations", (500, "handler_error")),  # it takes the denial as an answer
    ],
)
def test_each_kind_of_misbehaviour_has_its_reason(strict, tmp_path, name, reason, error):
    organization = strict.organization()
    extension = Extension.of_guest(tmp_path, name, capabilities=["storage.kv"])
    install = strict.install(extension, organization)  # nothing is granted
    strict.patch_install(organization, install, limits={"memory_mb": 16})
    for _ in range(5):
        assert refusal(strict.ext(organization, extension, "GET", "/")) == error
    assert refusal(strict.ext(organization, extension, "GET", "/")) == (503, "quarantined")
    (listed,) = strict.json("ext", "quarantine", "list", token=organization.key)["items"]
    assert (listed["install_id"], listed["reason"]) == (install["id"], reason)


def test_what_callers_and_handlers_get_wrong_quarantines_nobody(strict, tmp_path):
    organization = strict.organization()
    failing = Extension.of_guest(tmp_path, "handler_error")
    slow = Extension.of_guest(tmp_path, "loop")
    strict.install(failing, organization)
    strict.patch_install(organization, strict.install(slow, organization), limits={"timeout_ms": 50})
    for _ in range(12):
        assert refusal(strict.ext(organization, failing, "GET", "/")) == (500, "handler_error")
        assert refusal(strict.ext(organization, slow, "GET", "/")) == (504, "timeout")
        assert strict.ext(organization, failing, "GET", f"/{uuid.uuid4()}/nowhere").status_code in (404, 500)
    assert strict.json("ext", "quarantine", "list")["items"] == []


def test_an_extension_that_fails_most_calls_is_paused_and_tried_again(own_platform, tmp_path):
    platform = own_platform(BULKHEAD_QUARANTINE_ENABLED="false", **NO_LIMITS).start()
    organization = platform.organization()
    extension = Extension.of_guest(tmp_path, "trap")
    platform.install(extension, organization)
    answers = [refusal(platform.ext(organization, extension, "GET", "/")) for _ in range(21)]
    assert answers == [(500, "trap")] * 20 + [(503, "quarantined")]
    wait_until(lambda: refusal(platform.ext(organization, extension, "GET", "/")) == (500, "trap"), 15, "a probe")
    assert refusal(platform.ext(organization, extension, "GET", "/")) == (503, "quarantined")
    assert platform.json("ext", "quarantine", "list")["items"] == []


# --- what extensions count -------------------------------------------------------------------------------------------


def test_metrics_of_an_extension_are_its_organizations_and_bounded(platform, organization, guest):
    extension = guest("metrics", capabilities=["metrics.emit"])
    install = platform.install(extension, organization, "metrics.emit")
    path = f"/api/installs/{install['id']}/metrics/custom"
    for _ in range(2):
        answer = platform.ext(organization, extension, "GET", "/")
        assert (answer.status_code, answer.text) == (200, "capped")
    text = platform.call("GET", path, token=organization.key, headers={"accept": "text/plain"}).text
    assert '# TYPE orders counter\norders{tier="gold"} 2\n' in text
    assert "depth -1.5\n" in text
    assert 'took_bucket{le="0.025"} 2\n' in text
    items = platform.call("GET", path, token=organization.key).json()["items"]
    assert len({item["name"] for item in items}) == 100
    stranger = platform.organization()
    assert platform.call("GET", path, token=stranger.key).status_code == 404
    assert platform.metric("extension_metric_series") >= 100


def test_metrics_need_their_grant(platform, organization, guest):
    extension = guest("metrics", capabilities=["metrics.emit"])
    platform.install(extension, organization)
    assert refusal(platform.ext(organization, extension, "GET", "/")) == (500, "handler_error")
