"""The command line as people and scripts meet it: help, examples, exit codes, completion."""

import os
import re
import shlex
import signal
import subprocess
import threading

import pytest
from harness.paths import BULKHEAD
from harness.waiting import free_port


def run(*arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BULKHEAD_")}
    return subprocess.run(
        [BULKHEAD, *map(str, arguments)], env={**clean, **environment}, capture_output=True, text=True, timeout=60
    )


def help_of(command):
    done = run(*command, "--help")
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


def subcommands(text):
    section = re.search(r"^Subcommands:\n(.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^  ([a-z][\w-]*)", section[1], re.MULTILINE) if section else []


def walk(command=()):
    """Every command that the help shows, as (words, help)."""
    text = help_of(command)
    yield command, text
    for name in subcommands(text):
        yield from walk((*command, name))


@pytest.fixture(scope="module")
def commands():
    return dict(walk())


def test_every_command_has_examples_and_says_its_exit_codes(commands):
    assert len(commands) > 30
    for command, text in commands.items():
        assert re.search(r"^Exit codes: 0 .* 1 .* 2 .* 3 .* 4 .* 5 ", text, re.MULTILINE), command
        examples = re.search(r"^Examples:\n((?:  .*\n)+)", text, re.MULTILINE)
        assert examples, command
        if not subcommands(text):
            assert f"bulkhead {' '.join(command)}" in examples[1], command


def test_examples_use_commands_and_options_that_exist(commands):
    checked = 0
    for text in commands.values():
        for line in re.findall(r"^  (.*\bbulkhead .*)$", text.partition("Examples:")[2], re.MULTILINE):
            for part in re.findall(r"\bbulkhead ([^&|;)]+)", line):
                words = shlex.split(part.replace('"', ""))
                command = ()
                while words and (*command, words[0]) in commands:
                    command = (*command, words.pop(0))
                if words[:1] == ["COMMAND"]:
                    continue
                assert command, line
                known = commands[command] + commands[()]
                for option in (word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)):
                    assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", known), (line, option)
                    checked += 1
    assert checked > 30


def test_exit_codes(platform, tmp_path):
    nowhere = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "manifest.json").write_text("{}")
    cases = {
        0: [("version",), ("version", "--json"), ("--help",)],
        1: [("ext", "validate", tmp_path), ("ext", "pack", tmp_path / "nothing", "-o", tmp_path / "x")],
        2: [(), ("nothing",), ("ext",), ("ext", "sign"), ("ext", "keygen", "--kind", "rsa", "-o", "x"), ("--nothing",)],
        3: [
            ("org", "create", "x y", "--server", platform.url, "--token", platform.admin_token),
            ("ext", "list", "--server", platform.url, "--token", "wrong"),
        ],
        4: [("ext", "list", "--server", nowhere, "--token", "x")],
    }
    for code, commands in cases.items():
        for command in commands:
            done = run(*command, HOME=str(tmp_path))
            assert done.returncode == code, (command, done.returncode, done.stdout, done.stderr)
            if code:
                assert done.stderr, command


def test_errors_as_json(platform, tmp_path):
    for command, code in (
        (("ext", "list", "--server", platform.url, "--token", "wrong"), "invalid_credential"),
        (("ext", "validate", tmp_path), "MANIFEST_NOT_FOUND"),
    ):
        done = run(*command, "--json")
        assert done.stdout == ""
        assert f'"code":"{code}"' in done.stderr.replace(" ", "")


def test_logs_follow(platform, guest):
    organization = platform.organization()
    extension = guest("log", capabilities=["log.emit"])
    platform.install(extension, organization, "log.emit")
    place = ("--server", platform.url, "--token", organization.key)
    command = [BULKHEAD, "ext", "logs", "-f", extension.name, *place]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:

        def call_until_it_ends():  # before it follows, calls go by unseen
            while following.poll() is None:
                platform.ext(organization, extension, "GET", "/")

        calling = threading.Thread(target=call_until_it_ends, daemon=True)
        calling.start()
        try:
            assert any("an info line" in line for line in following.stdout)
        finally:
            following.send_signal(signal.SIGINT)
            calling.join(30)
        assert following.wait(10) in (0, -signal.SIGINT)


def complete(line):
    """What bash offers for the last word of a command line."""
    words = line.split(" ")
    script = run("completion", "bash").stdout + (
        f"COMP_WORDS=({' '.join(map(shlex.quote, words))})\nCOMP_CWORD={len(words) - 1}\n"
        '_bulkhead\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "-uc", script], capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return set(done.stdout.split())


def test_bash_completion(commands):
    assert {"ext", "serve", "org", "trust", "completion"} <= complete("bulkhead ")
    assert complete("bulkhead comp") == {"completion"}
    assert complete("bulkhead ext pub") == {"publish"}
    assert {"publish", "install", "logs"} <= complete("bulkhead ext ")
    assert "--key" in complete("bulkhead ext sign bundle.tar.zst --")
    assert complete("bulkhead --json trust re") == {"remove"}
    # Where a command takes a file, files are offered.
    assert "etc" in complete("bulkhead ext publish et")
    for hidden in ("runner-process", "compiler"):
        assert hidden not in complete("bulkhead ")
    # What it knows is what the help shows.
    for command, text in commands.items():
        offered = complete(" ".join(("bulkhead", *command, "")))
        assert set(subcommands(text)) <= offered, command


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_complete(commands, shell):
    script = run("completion", shell).stdout
    for command in commands:
        assert not command or command[-1] in script
    if shell == "bash":
        subprocess.run(["bash", "-n", "-c", script], check=True)
