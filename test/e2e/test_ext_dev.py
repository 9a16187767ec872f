"""`bulkhead ext dev`: a change is live in less than a second beside the build, a broken build ends nothing."""

import json
import os
import secrets
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from harness.paths import BULKHEAD
from harness.waiting import DIES_WITH_US, wait_until

OWN_TIME_MS = 1000


def new_project(folder):
    """A project of the C template, by a name that no other test's organization has claimed."""
    name = f"com.example.visits-{secrets.token_hex(3)}"
    command = [BULKHEAD, "ext", "new", name, "--template", "c", "--dir", folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


class Dev:
    """A running `ext dev --json`: its events as they come."""

    def __init__(self, *arguments, **environment):
        self.events = []
        self.process = subprocess.Popen(
            [*DIES_WITH_US, BULKHEAD, "ext", "dev", "--json", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.errors = []
        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True).start()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def named(self, event):
        return [entry for entry in self.events if entry["event"] == event]

    def wait_for(self, event, count=1):
        return wait_until(
            lambda: self.named(event)[count - 1 :],
            seconds=40,
            what=f"event {event} number {count}; there are {self.events} {self.errors}",
        )[0]

    def stop(self, sign=signal.SIGINT):
        self.process.send_signal(sign)
        code = self.process.wait(20)
        self.reader.join(5)
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def dev():
    running = []

    def start(*arguments, **environment):
        running.append(Dev(*arguments, **environment))
        return running[-1]

    yield start
    for one in running:
        one.close()


@pytest.fixture
def server_dev(dev, platform, organization):
    def start(project, *arguments):
        key = platform.trust_signing_key()
        return dev(project, "--key", key, *arguments, BULKHEAD_SERVER=platform.url, BULKHEAD_TOKEN=organization.key)

    return start


def call(platform, organization, project):
    name = json.loads((project / "manifest.json").read_text())["name"]
    return platform.ext(organization, name, "POST", "/visits/ann")


def test_a_change_is_live_and_the_log_is_shown(tmp_path, platform, organization, server_dev):
    project = new_project(tmp_path / "visits")
    running = server_dev(project)
    first = running.wait_for("live")
    assert first["version"] == "0.1.0-dev.1"
    running.wait_for("watching")
    assert call(platform, organization, project).json() == {"name": "ann", "visits": 1}
    line = running.wait_for("execution")["execution"]
    assert (line["status"], line["logs"][0]["text"]) == ("ok", "a visit by ann")

    source = project / "src" / "main.c"
    source.write_text(source.read_text().replace('BH_TEXT("visits")', 'BH_TEXT("times")'))
    second = running.wait_for("live", 2)
    assert second["version"] == "0.1.0-dev.2"
    assert second["install_id"] == first["install_id"]
    assert set(second["milliseconds"]) == {"build", "pack", "sign", "publish", "install"}
    assert second["without_build_ms"] < OWN_TIME_MS
    # Installed for the very next request, with the data of the version before.
    assert call(platform, organization, project).json() == {"name": "ann", "times": 2}
    assert running.stop() == 0
    assert running.events[-1] == {"event": "stopped"}


def test_a_broken_build_and_a_broken_manifest_end_nothing(tmp_path, platform, organization, server_dev):
    project = new_project(tmp_path / "visits")
    running = server_dev(project)
    running.wait_for("watching")
    source, manifest = project / "src" / "main.c", project / "manifest.json"
    good = source.read_text()
    source.write_text(good + "}")
    failed = running.wait_for("failed")
    assert (failed["phase"], failed["error"]["code"]) == ("build", "build_failed")
    wait_until(lambda: any("src/main.c" in line for line in running.errors), what="the compiler's words")
    source.write_text(good)
    running.wait_for("live", 2)
    text = manifest.read_text()
    manifest.write_text(text.replace('"publisher"', '"publicher"'))
    failed = running.wait_for("failed", 2)
    assert failed["phase"] == "pack"
    assert failed["error"]["errors"], failed
    manifest.write_text(text.replace("0.1.0", "0.2.0"))
    assert running.wait_for("live", 3)["version"] == "0.2.0-dev.1"
    assert call(platform, organization, project).ok
    assert running.stop(signal.SIGTERM) == 0


def test_a_later_session_goes_on_counting(tmp_path, platform, server_dev):
    project = new_project(tmp_path / "visits")
    for number in (1, 2):
        running = server_dev(project, "--once")
        assert running.process.wait(60) == 0, running.errors
        running.reader.join(5)
        assert running.wait_for("live")["version"] == f"0.1.0-dev.{number}"


def test_a_build_that_rewrites_its_own_files_is_no_change(tmp_path, server_dev):
    project = new_project(tmp_path / "visits")
    script = project / "build.sh"
    script.write_text(script.read_text() + "\necho made > made.txt\n")
    running = server_dev(project)
    running.wait_for("watching")
    # made.txt was new: one more round, which leaves it as it is.
    source = project / "src" / "main.c"
    running.wait_for("live", 2)
    source.write_text(source.read_text() + "\n// more\n")
    running.wait_for("live", 3)
    assert running.stop() == 0
    assert len(running.named("live")) == 3


def test_a_private_platform_needs_nothing_and_ends_with_the_command(tmp_path, dev):
    running = dev(new_project(tmp_path / "visits"), "--private")
    live = running.wait_for("live")
    children = subprocess.run(
        ["pgrep", "-P", str(running.process.pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    assert children, "there is no platform"
    assert live["server"].startswith("http://127.0.0.1:")
    assert running.stop() == 0
    for child in children:
        wait_until(lambda child=child: not Path(f"/proc/{child}").exists(), what="the platform's end")


def test_a_folder_that_is_not_there_is_an_error(tmp_path, dev):
    running = dev(tmp_path / "nowhere", "--private")
    assert running.process.wait(20) == 1
    wait_until(lambda: any("There is no folder" in line for line in running.errors), what="the error")


def test_without_a_key_it_says_what_to_do(tmp_path, platform, dev):
    running = dev(new_project(tmp_path / "visits"), BULKHEAD_SERVER=platform.url, BULKHEAD_TOKEN=platform.admin_token)
    assert running.process.wait(20) == 1
    running.reader.join(5)
    error = running.wait_for("failed")["error"]
    assert error["code"] == "signing_key_missing"
    assert "bulkhead ext keygen" in error["message"]
