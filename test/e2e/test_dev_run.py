"""`./dev run`: the first thing that a new user does."""

import json
import os
import re
import subprocess

from harness.paths import ROOT


def dev_run(folder):
    environment = {**os.environ, "BULKHEAD_RUN_DIR": str(folder)}
    done = subprocess.run(
        ["./dev", "run", "--once", "--listen", "127.0.0.1:0"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_dev_run_shows_an_address_a_key_and_three_commands(tmp_path):
    shown = dev_run(tmp_path)
    assert re.search(r"^ +address +http://127\.0\.0\.1:\d+$", shown, re.MULTILINE)
    assert re.search(r"^ +key +bh_key_\w+ ", shown, re.MULTILINE)
    for command in (
        "ext invoke com.example.hello GET /hello/you",
        "ext logs -f com.example.hello",
        "./dev run --publish",
    ):
        assert command in shown
    manifest = json.loads((tmp_path / "hello" / "manifest.json").read_text())
    assert manifest["version"] == "1.0.0"


def test_dev_run_again_keeps_its_key_and_publishes_the_next_version(tmp_path):
    first, second = dev_run(tmp_path), dev_run(tmp_path)
    key = re.search(r"bh_key_\w+", first)[0]
    assert key in second
    assert json.loads((tmp_path / "hello" / "manifest.json").read_text())["version"] == "1.0.1"


def test_keys_are_readable_by_their_owner_only(tmp_path):
    dev_run(tmp_path)
    for name in ("admin.token", "api.key", "signing.key", "env"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0, name
