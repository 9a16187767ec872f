"""Time until ready, memory when idle, and what 1,000 installs of 1,000 different bundles add, each called once.

Memory is the proportional set size of serve and its runner. Files in memory (sealed machine code) that no process has
mapped are not in it; they are a figure of their own."""

import sys
import time
from pathlib import Path

from harness.figures import median
from harness.guests import body, module
from harness.platform import NO_RATES, Platform
from harness.servers import family

STARTS = 10
INSTALLS = 1_000
QUIET = 3  # seconds after which what was begun is over
MB = 1e6


def run(report):
    with Platform(NO_RATES, core=None) as platform:
        seconds = [platform.restart() for _ in range(STARTS)]
        report.add("ready: median", 1e3 * median(seconds), "ms")
        report.add("ready: slowest", 1e3 * max(seconds), "ms")
        time.sleep(QUIET)
        report.add("idle memory of serve and runner", platform.server.pss_bytes() / MB, "MB")

        names = [f"com.example.many-{number}" for number in range(INSTALLS)]
        for number, name in enumerate(names):
            platform.install(name, module(number))
            if (number + 1) % 100 == 0:
                print(f"  {number + 1} installed", file=sys.stderr, flush=True)
        # What publishing left behind in the allocator is another matter.
        platform.restart()
        time.sleep(QUIET)
        before = platform.server.pss_bytes()
        client = platform.client()
        for number, name in enumerate(names):
            if platform.call(client, name)[1] != body(number):
                raise RuntimeError(f"{name} was answered by another module")
        time.sleep(QUIET)
        root = platform.server.process.pid
        report.add(f"{INSTALLS} installs called once: added", (platform.server.pss_bytes() - before) / MB, "MB")
        report.add(f"{INSTALLS} installs called once: files in memory", memory_files(root) / MB, "MB")


def memory_files(root):
    """Bytes of the memory files that the processes hold, each once."""
    sizes = {}
    for pid in family(root):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if str(entry.readlink()).startswith("/memfd:"):
                    held = entry.stat()
                    sizes[held.st_ino] = held.st_blocks * 512
            except OSError:
                continue  # closed meanwhile
    return sum(sizes.values())
