"""What somebody meets who has only the documentation: mistakes, their messages, and commands that must not surprise."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest
from harness.paths import BULKHEAD
from harness.waiting import free_port, wait_until


def run(*arguments, cwd=None, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BULKHEAD_", "PLATFORM_"))}
    return subprocess.run(
        [BULKHEAD, *map(str, arguments)],
        env={**clean, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def two_versions(platform, organization, guest):
    """An extension that logs, published as 1.0.0 (which asks for log.emit) and 1.1.0 (and for storage.kv)."""
    key = platform.trust_signing_key()
    extension = guest("log", capabilities=["log.emit"])
    platform.publish(extension.bundle(key), organization)
    extension.with_version("1.1.0").manifest["capabilities"] = ["log.emit", "storage.kv"]
    platform.publish(extension.bundle(key), organization)
    return extension.name


def test_moving_an_install_keeps_its_grants(platform, organization, two_versions):
    def install(version, *options):
        return platform.run("ext", "install", f"{two_versions}@{version}", *options, token=organization.key).stdout

    first = install("1.0.0", "--grant", "log.emit")
    assert f"Installed {two_versions} 1.0.0 as " in first
    assert "Granted: log.emit" in first
    assert f"Next: bulkhead ext invoke {two_versions} GET /" in first
    moved = install("1.1.0")
    assert "Granted: log.emit\n" in moved
    assert "not granted: storage.kv" in moved
    assert "--grant log.emit storage.kv" in moved
    assert "Granted: log.emit, storage.kv\n" in install("1.1.0", "--grant", "storage.kv,log.emit")
    assert "Granted: log.emit\n" in install("1.0.0")
    assert "Granted: log.emit, storage.kv\n" in install("1.1.0")
    assert "Granted: nothing\n" in install("1.1.0", "--grant", "none")


def test_log_lines_need_their_grant(platform, organization, two_versions):
    install = platform.json("ext", "install", f"{two_versions}@1.0.0", token=organization.key)
    answer = platform.ext(organization, two_versions, "GET", "/")
    assert answer.status_code == 200
    assert not platform.execution(organization, install, answer.headers["x-request-id"])["logs"]
    assert platform.metric("guest_log_lines_not_granted_total") >= 3
    platform.patch_install(organization, install, granted_caps=["log.emit"])
    answer = platform.ext(organization, two_versions, "GET", "/")
    assert len(platform.execution(organization, install, answer.headers["x-request-id"])["logs"]) == 3


def test_versions_rollouts_and_rollback(platform, organization, two_versions):
    def ext(*arguments, check=True):
        return platform.run("ext", *arguments, token=organization.key, check=check)

    ext("install", f"{two_versions}@1.0.0")
    none = ext("rollback", two_versions, check=False)
    assert f"bulkhead ext versions {two_versions}" in none.stderr
    assert [line.split()[0] for line in ext("versions", two_versions).stdout.splitlines()[1:]] == ["1.1.0", "1.0.0"]
    missing = ext("install", f"{two_versions}@9.9.9", check=False)
    assert f"{two_versions} has no version 9.9.9." in missing.stderr
    assert "1.1.0, 1.0.0" in missing.stderr
    assert "1.1.0 (10 %)" in ext("rollout", f"{two_versions}@1.1.0", "--percent", "10").stdout
    assert "1.1.0 (10 %)" in ext("list").stdout
    assert f"Ended the rollout of 1.1.0 (10 %); {two_versions} stays" in ext("rollback", two_versions).stdout
    ext("rollout", f"{two_versions}@1.1.0", "--percent", "100")
    assert "every caller" in ext("rollout", two_versions, "--end").stdout
    assert "1.1.0" not in ext("list").stdout


def test_an_unknown_path_shows_the_endpoints(platform, organization, two_versions):
    platform.run("ext", "install", f"{two_versions}@1.0.0", token=organization.key)
    done = platform.run("ext", "invoke", two_versions, "GET", "/a/b/c", token=organization.key, check=False)
    assert done.returncode == 3
    assert "(endpoint_not_found)" in done.stderr
    assert "GET /:rest" in done.stderr


def test_keys_are_not_mixed_up(platform, tmp_path):
    run("ext", "keygen", "-o", "signing.key", cwd=tmp_path)
    before = platform.json("trust", "list")
    done = platform.run("trust", "add", tmp_path / "signing.key", check=False)
    assert done.returncode == 1
    assert "is a private key; it was not sent" in done.stderr
    assert "signing.key.pub" in done.stderr
    assert platform.json("trust", "list") == before
    done = run("ext", "sign", "x", "--key", "signing.key.pub", cwd=tmp_path)
    assert "is a public key" in done.stderr
    assert "--key signing.key." in done.stderr


def test_folders_that_are_not_whole(tmp_path):
    run("ext", "new", "com.example.visits", "--template", "c", "--dir", "visits", cwd=tmp_path)
    shutil.rmtree(tmp_path / "visits" / "dist", ignore_errors=True)
    for command in ("validate", "test", "pack"):
        done = run("ext", command, "visits", cwd=tmp_path)
        assert done.returncode == 1, command
        assert "next: bulkhead ext build visits" in done.stderr, (command, done.stderr)
    (tmp_path / "visits" / "manifest.json").write_text('{\n  "name": "x",\n  oops\n}')
    assert "visits/manifest.json:3:3: " in run("ext", "validate", "visits", cwd=tmp_path).stderr


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (("ext", "instal", "x"), 2, ('did you mean "install"?', "next: bulkhead ext --help")),
        (("serv",), 2, ('did you mean "serve"?',)),
        (("ext", "install"), 2, ("reference is required", "next: bulkhead ext install --help")),
        (("--version",), 0, ("bulkhead ",)),
        (("trust", "add", "nofile"), 1, ("nofile: No such file or directory.", "next: Check the path.")),
        (("ext", "invoke", "a.b", "POST", "/", "-d", "@nofile"), 1, ("nofile: No such file or directory.",)),
        (("ext", "install", "a.b@1.0.0", "--config", "nofile"), 1, ("nofile: No such file or directory.",)),
        (("ext", "install", "a.b@1.0.0", "--config", "bad.json"), 1, ("bad.json:2:3: not valid JSON",)),
        (("ext", "list", "--server", "http://127.0.0.1:{free}"), 4, ("nothing listens there.",)),
        (("ext", "list", "--server", "http://no-such-name.invalid"), 4, ("its name is not known.",)),
        (("serve", "--listen", "127.0.0.1:99999"), 1, ("server.listen", "at most 65535")),
        (("serve", "--config", "nofile"), 1, ("nofile: there is no such file",)),
        (("serve", "--data-dir", "bad.json"), 1, ("is a file; name another with --data-dir",)),
    ],
)
def test_mistakes_say_what_to_do(tmp_path, command, code, says):
    (tmp_path / "bad.json").write_text('{"a": 1,\n  oops}')
    words = [word.format(free=free_port()) for word in command]
    done = run(*words, cwd=tmp_path, HOME=str(tmp_path))
    shown = done.stdout + done.stderr
    assert done.returncode == code, shown
    for text in says:
        assert text in shown, shown
    assert not any(odd in shown for odd in ("..\n", "?.\n")), shown
    if code:
        done = run(*words, "--json", cwd=tmp_path, HOME=str(tmp_path))
        error = json.loads(done.stderr.splitlines()[-1])["error"]
        assert {"code", "message", "next"} <= error.keys()


def test_credentials_and_organizations_are_asked_for(platform, two_versions, tmp_path):
    nobody = run("ext", "list", "--server", platform.url, HOME=str(tmp_path))
    assert (nobody.returncode, "bulkhead login" in nobody.stderr) == (3, True)
    platform.organization()  # a second one: it is not clear which is meant
    unclear = platform.run("ext", "list", check=False)
    assert "--org SLUG" in unclear.stderr
    other = platform.organization()
    named = run(
        "ext", "list", "--server", platform.url, "--token", platform.admin_token, BULKHEAD_ORG=other.slug, HOME="/"
    )
    assert named.stdout == "Nothing is installed.\n"


def test_settings_are_json_values():
    done = run("config", "explain", "--json", BULKHEAD_SERVER_CORES="3")
    settings = {one["key"]: one["value"] for one in json.loads(done.stdout)["settings"]}
    assert settings["server.cores"] == 3
    assert settings["server.listen"] == "127.0.0.1:8080"
    assert isinstance(settings["server.trusted_proxies"], list)


def test_taken_address_and_folder(platform):
    place = platform.url.removeprefix("http://")
    done = run("serve", "--data-dir", platform.folder / "other", "--listen", place)
    assert done.returncode == 4
    assert f"error: Can't listen on {place}: another process listens on it; name another address with --listen." in (
        done.stderr
    )
    done = run("serve", "--data-dir", platform.data, "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert "Another bulkhead serve uses the data folder" in done.stderr


def test_a_database_that_is_not_there_is_said_at_once(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nowhere = f"postgresql://127.0.0.1:{taken.getsockname()[1]}/x"
    log = tmp_path / "log"
    with log.open("wb") as output:
        serving = subprocess.Popen(
            [BULKHEAD, "serve", "--data-dir", tmp_path / "data", "--set", f"database.url={nowhere}"], stderr=output
        )
    try:
        wait_until(lambda: b"waiting_for_database" in log.read_bytes(), what="the line")
        started = time.monotonic()
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(20) == 0
        assert time.monotonic() - started < 5
        assert b'"stopped"' in log.read_bytes()
    finally:
        serving.kill()


def test_a_runner_that_ends_as_asked_is_no_error(own_platform):
    platform = own_platform().start()
    assert platform.stop() == 0
    lines = platform.log_lines()
    assert "stopped" in [line["event"] for line in lines]
    assert not [line for line in lines if line["level"] == "error"]
