"""Examples, templates and the guest libraries' own checks: built, and their tests/*.json run by `bulkhead ext test`."""

import subprocess

import pytest
from harness.paths import BULKHEAD, ROOT

PROJECTS = (
    "examples/hello",
    "examples/orders",
    "test/extensions/sdk_c",
    "test/extensions/sdk_cpp",
    "test/extensions/sdk_assemblyscript",
    "test/extensions/host_api_c",
    "test/extensions/host_api_assemblyscript",
)


def ext(*arguments, cwd=ROOT):
    done = subprocess.run(
        [BULKHEAD, "ext", *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("project", PROJECTS)
def test_project_builds_and_passes_its_own_tests(project):
    ext("build", project)
    ext("validate", project)
    ext("test", project)


@pytest.mark.parametrize("template", ["assemblyscript", "c"])
def test_new_project_builds_and_passes_its_tests(tmp_path, template):
    ext("new", "com.example.visits", "--template", template, "--publisher", "Me & Co", "--dir", "visits", cwd=tmp_path)
    ext("build", "visits", cwd=tmp_path)
    ext("test", "visits", cwd=tmp_path)
    assert "com.example.visits" in (tmp_path / "visits" / "README.md").read_text()


def test_a_failing_test_is_reported_with_its_exit_code(tmp_path):
    ext("new", "com.example.visits", "--template", "c", "--dir", "visits", cwd=tmp_path)
    ext("build", "visits", cwd=tmp_path)
    case = tmp_path / "visits" / "tests" / "visits.json"
    case.write_text(case.read_text().replace('"visits": 2', '"visits": 3'))
    done = subprocess.run(
        [BULKHEAD, "ext", "test", "visits"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 5, done.stdout + done.stderr
    assert "counts the next one" in done.stdout + done.stderr
