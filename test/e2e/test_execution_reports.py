"""What a call cost, on the command line: `ext invoke --report`, `ext executions`; and `ext types`."""

import json
import secrets
import subprocess

import pytest
from harness.paths import BULKHEAD, ROOT


@pytest.fixture
def visits(platform, organization, tmp_path):
    project, name = tmp_path / "visits", f"com.example.visits-{secrets.token_hex(3)}"
    key = platform.trust_signing_key()
    platform.run("ext", "new", name, "--template", "c", "--dir", project)
    platform.run("ext", "dev", project, "--key", key, "--once", token=organization.key)
    return name


def test_invoke_reports_what_the_call_cost(platform, organization, visits):
    done = platform.json("ext", "invoke", visits, "POST", "/visits/ann", "--report", token=organization.key)
    assert done["json"] == {"name": "ann", "visits": 1}
    report = done["report"]
    assert (report["status"], report["http_status"], report["host_calls"]) == ("ok", 200, 2)
    assert report["cpu_us"] > 0
    assert report["duration_us"] > 0
    assert report["memory_bytes"] >= 65536
    assert report["egress_bytes"] == 0
    assert [line["text"] for line in report["logs"]] == ["a visit by ann"]
    assert report["request_id"] == done["headers"]["x-request-id"]

    done = platform.run("ext", "invoke", visits, "POST", "/visits/ann", "-v", token=organization.key)
    assert json.loads(done.stdout) == {"name": "ann", "visits": 2}
    shown = dict(line.split(maxsplit=1) for line in done.stderr.splitlines() if line.startswith(("cpu", "memory")))
    assert shown["cpu"].endswith(" us")
    assert "host calls  2" in done.stderr
    assert "info  a visit by ann" in done.stderr


def test_a_call_that_never_began_has_no_report(platform, organization, visits):
    done = platform.run("ext", "invoke", visits, "GET", "/nowhere", "-v", token=organization.key, check=False)
    assert done.returncode == 3
    assert "no report" in done.stderr


def test_executions_are_listed_and_filtered(platform, organization, visits):
    for _ in range(3):
        platform.run("ext", "invoke", visits, "GET", "/visits/ann", token=organization.key)
    run = platform.json("ext", "invoke", visits, "GET", "/visits/ann", "-v", token=organization.key)

    def listed(*arguments):
        return platform.json("ext", "executions", visits, *arguments, token=organization.key)["items"]

    assert len(listed()) == 4
    assert len(listed("--limit", "2")) == 2
    assert listed("--status", "timeout") == []
    assert len(listed("--status", "ok", "--since", "10m")) == 4
    assert listed("--since", "2100-01-01T00:00:00Z") == []
    only = listed("--request-id", run["report"]["request_id"])
    assert [row["execution_id"] for row in only] == [run["report"]["execution_id"]]
    table = platform.run("ext", "executions", visits, token=organization.key).stdout.splitlines()
    assert table[0].startswith("STARTED")
    assert table[0].endswith("REQUEST")
    assert len(table) == 5
    wrong = platform.run("ext", "executions", visits, "--since", "soon", token=organization.key, check=False)
    assert wrong.returncode == 3


@pytest.mark.parametrize(
    ("language", "line"),
    [
        ("typescript", '  greeting?: string; // default: "Hello"'),
        ("assemblyscript", '    value.greeting = json.get("greeting").asString(value.greeting);'),
        ("rust", "    pub greeting: String,"),
    ],
)
def test_types_are_made_of_the_manifests_config(tmp_path, language, line):
    out = tmp_path / "config"
    command = [BULKHEAD, "ext", "types", ROOT / "examples" / "hello", "--language", language]
    subprocess.run([*command, "-o", out], check=True, stdout=subprocess.DEVNULL)
    assert line in out.read_text().splitlines()
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed == out.read_text()


def test_the_examples_types_are_up_to_date():
    example = ROOT / "examples" / "hello"
    command = [BULKHEAD, "ext", "types", example, "--language", "assemblyscript"]
    made = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert (example / "assembly" / "config.ts").read_text() == made
