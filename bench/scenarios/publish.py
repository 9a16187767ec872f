"""Publishing a 10 MB bundle, the compile not counted: it has a process of its own."""

import time

from harness.figures import median, percentile
from harness.guests import module
from harness.platform import NO_RATES, Platform

ROUNDS = 5
SIZE = 10_000_000


def run(report):
    seconds, compiles = [], []
    with Platform(NO_RATES, core=None) as platform:
        for number in range(ROUNDS):
            bundle = platform.bundle(f"com.example.large-{number}", module(number, SIZE))
            compiled = platform.metrics()["compile_duration_seconds_sum"]
            begun = time.monotonic()
            platform.publish(bundle)
            took = time.monotonic() - begun
            compiles.append(platform.metrics()["compile_duration_seconds_sum"] - compiled)
            seconds.append(took - compiles[-1])
    report.add("10 MB bundle without the compile: median", median(seconds), "s")
    report.add("10 MB bundle without the compile: slowest", percentile(seconds, 100), "s")
    report.add("its compile: median", median(compiles), "s")
