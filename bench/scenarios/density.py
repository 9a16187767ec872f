"""Memory of 1,000 live one-page instances, overshoot of time limits, CPU of an idle runner."""

import re
import subprocess

from harness.paths import RELEASE, ROOT

LINE = re.compile(r"^(.+?)\s{2,}([\d.]+) (KiB|ms|%)$", re.MULTILINE)


def run(report):
    subprocess.run([ROOT / "dev", "build", "bench_isolation"], check=True)
    text = subprocess.run([RELEASE / "bin" / "bench_isolation"], check=True, stdout=subprocess.PIPE, text=True).stdout
    for name, value, unit in LINE.findall(text):
        report.add(name, float(value), unit)
