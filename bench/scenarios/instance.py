"""A fresh instance, one call and its drop inside the runner, with every limit on, against the bare loop."""

import re
import subprocess

from harness.paths import RELEASE, ROOT

LINE = re.compile(r"^\s*(.+?)\s+p50\s+([\d.]+) us\s+p99\s+([\d.]+) us", re.MULTILINE)


def run(report):
    subprocess.run([ROOT / "dev", "build", "bench_execution"], check=True)
    # Pinned: a run that moves to another core is a figure about the scheduler.
    command = ["taskset", "-c", "0", RELEASE / "bin" / "bench_execution"]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    times = {name: (float(p50), float(p99)) for name, p50, p99 in LINE.findall(text)}
    bare = times.pop("bare loop (no limits)")
    for name, (p50, p99) in times.items():
        report.add(f"{name}: p50, against the bare loop", p50, "us", bare[0])
        report.add(f"{name}: p99, against the bare loop", p99, "us", bare[1])
