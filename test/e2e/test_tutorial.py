"""The README's tutorial, executed as it stands: every marked shell block, in order, in one folder."""

import os
import re
import subprocess
from pathlib import Path

from harness.paths import ROOT
from harness.waiting import free_port, wait_until

BLOCK = re.compile(r"<!-- tutorial:(background|step)[^>]*-->\n```sh\n(.*?)```", re.DOTALL)


def shell(script, folder, environment):
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_readme_tutorial_works_as_it_stands(tmp_path):
    port = free_port()
    text = (ROOT / "README.md").read_text().replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    blocks = BLOCK.findall(text)
    assert [kind for kind, _ in blocks].count("background") == 1
    assert len(blocks) >= 4
    (tmp_path / "build").symlink_to(ROOT / "build")
    (tmp_path / "tutorial").mkdir()
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    log = Path(tmp_path / "serve.log")
    server = None
    output = ""
    try:
        # Each step starts where the one before it ended: exports stay in force, as in one terminal.
        exports = ""
        for kind, script in blocks:
            if kind == "background":
                with log.open("w") as stream:
                    command = ["bash", "-c", script.replace("build/bulkhead serve", "exec build/bulkhead serve")]
                    server = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=stream)
                wait_until(lambda: '"event":"ready"' in log.read_text(), what="the ready line")
                continue
            done = shell(exports + script, tmp_path, environment)
            assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
            output += done.stdout
            exports += "".join(line + "\n" for line in script.splitlines() if line.startswith("export "))
        assert '"visits":1' in output.replace(" ", ""), output
        assert "POST /api/ext/com.example.visits/visits/ann" in output, output
    finally:
        if server is not None:
            server.terminate()
            server.wait(30)
