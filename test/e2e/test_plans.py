"""Plans: what an organization may use (contract: extensions.md §3, limits per plan, install and endpoint)."""

import subprocess

import pytest
from harness.extensions import Extension
from harness.paths import BULKHEAD

PLANS = """
[plans.small]
invocations_per_hour = 3
[plans.short]
timeout_ms = 100
memory_mb = 16
concurrency = 1
queue = 0
"""


def refusal(answer):
    return answer.status_code, answer.json()["code"]


@pytest.fixture(params=("sqlite-disk", "postgresql-s3"))
def planned(request, own_platform, tmp_path):
    config = tmp_path / "bulkhead.toml"
    config.write_text(PLANS, encoding="utf-8")
    return own_platform(request.param, BULKHEAD_CONFIG=str(config), BULKHEAD_LIMITS_RATE_LIMITS="false").start()


def test_a_window_that_is_used_up_refuses_calls_also_after_a_restart(planned, tmp_path):
    organization = planned.organization()
    extension = Extension.of_guest(tmp_path, "hello")
    install = planned.install(extension, organization)
    planned.run("org", "plan", organization.slug, "small")
    for _ in range(3):
        assert planned.ext(organization, extension, "GET", "/").status_code == 200
    answer = planned.ext(organization, extension, "GET", "/")
    assert refusal(answer) == (429, "quota_exceeded")
    assert 0 < int(answer.headers["retry-after"]) <= 3601
    assert "invocations_per_hour" in answer.json()["detail"]
    shown = planned.json("org", "plan", organization.slug, token=organization.key)
    assert (shown["plan"], shown["used"]["hour"]["invocations"]) == ("small", 3)
    planned.settled(organization, install, 3)
    assert planned.stop() == 0
    planned.start()
    # Unless the hour has just ended, of course.
    if planned.json("org", "plan", organization.slug)["used"]["hour"]["invocations"] == 3:
        assert refusal(planned.ext(organization, extension, "GET", "/")) == (429, "quota_exceeded")
    planned.run("org", "plan", organization.slug, "default")
    assert planned.ext(organization, extension, "GET", "/").status_code == 200


def test_no_install_gets_more_than_its_plan(planned, tmp_path):
    organization = planned.organization()
    loop = Extension.of_guest(tmp_path, "loop")
    grow = Extension.of_guest(tmp_path, "grow")
    for extension in (loop, grow):
        install = planned.install(extension, organization)
        planned.patch_install(organization, install, limits={"timeout_ms": 20_000, "memory_mb": 512})
    planned.run("org", "plan", organization.slug, "short")
    answer = planned.ext(organization, loop, "GET", "/")
    assert refusal(answer) == (504, "timeout")
    assert answer.elapsed.total_seconds() < 5
    assert refusal(planned.ext(organization, grow, "GET", "/")) == (502, "memory_exceeded")
    with planned.in_background(organization, loop, "GET", "/"):
        assert refusal(planned.ext(organization, grow, "GET", "/"))[0] in (429, 502)


def test_plans_are_checked_at_the_start(tmp_path):
    config = tmp_path / "bulkhead.toml"
    config.write_text("[plans.pro]\ninvocations_per_minut = 1\nmemory_mb = 4096\n", encoding="utf-8")
    done = subprocess.run(
        [BULKHEAD, "config", "explain", "--config", config], capture_output=True, text=True, check=False, timeout=60
    )
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "bulkhead.toml:2: plans.pro.invocations_per_minut is not a limit of plans" in text
    assert 'did you mean "invocations_per_minute"?' in text
    assert "bulkhead.toml:3: plans.pro.memory_mb must be an integer from 1 to 1024" in text


def test_only_operators_give_plans(planned):
    organization = planned.organization(role="owner")
    done = planned.run("org", "plan", organization.slug, "small", token=organization.key, check=False)
    assert done.returncode == 3
    unknown = planned.run("org", "plan", organization.slug, "smal", check=False)
    assert unknown.returncode == 3
    assert 'did you mean "small"?' in unknown.stderr
