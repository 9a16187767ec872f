"""docs/guides/writing-extensions.md, executed as it stands: every marked shell block, in order, in one folder."""

import os
import re
import subprocess

from harness.paths import BULKHEAD, ROOT

BLOCK = re.compile(r"<!-- guide:step -->\n```sh\n(.*?)```", re.DOTALL)


def test_the_guide_works_as_it_stands(tmp_path):
    guide = (ROOT / "docs" / "guides" / "writing-extensions.md").read_text()
    blocks = BLOCK.findall(guide)
    assert len(blocks) >= 5
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "bulkhead").symlink_to(BULKHEAD)
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    output = ""
    for script in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        output += done.stdout
    for line in ("com.example.visits 0.1.0-dev.1 is live", "  limit?: number; // default: 10", "4 passed, 0 failed"):
        assert line in output
