"""What all limits cost: the whole path of a call with rate limits, plan windows, quarantine and circuit breaker on,
against the same binary with them off. A guest's own limits (time, memory, answer, host calls) are never off."""

import os

from harness.figures import median
from harness.load import Request, compare, fire
from harness.platform import NO_RATES, ONE_CORE, Platform

from scenarios.gateway import LIMITS, log_written

ROUNDS = int(os.environ.get("BENCH_LIMITS_COST_ROUNDS", "5"))
SECONDS = int(os.environ.get("BENCH_LIMITS_COST_SECONDS", "3"))
# Every limit is asked and counted for every call, but none is ever reached.
PLAN = """
[plans.default]
concurrency = 1000
queue = 10000
invocations_per_minute = 1000000000
invocations_per_hour = 1000000000
cpu_ms_per_minute = 1000000000
cpu_ms_per_hour = 1000000000
egress_mb_per_hour = 1000000000
"""
ON = {"quarantine.enabled": "true", "quarantine.circuit_breaker": "true", **LIMITS}
OFF = {"quarantine.enabled": "false", "quarantine.circuit_breaker": "false", **NO_RATES}


def run(report):
    with Platform({**ONE_CORE, **ON}, config=PLAN) as limited, Platform({**ONE_CORE, **OFF}) as free:
        for platform in (limited, free):
            platform.install_hello()
            load(platform, 1)  # warm
        ours, theirs, cpu_ratios, speed_ratios = compare(
            lambda: load(limited, SECONDS), lambda: load(free, SECONDS), ROUNDS
        )
        for metric, unit, pick, ratios, more_is_better in (
            ("requests per second, all limits on", "1/s", lambda r: r.per_second, speed_ratios, True),
            ("CPU per request, all limits on", "us", lambda r: r.cpu_us, cpu_ratios, False),
        ):
            value, baseline = median([pick(r) for r in ours]), median([pick(r) for r in theirs])
            spread = (min(ratios), max(ratios))
            report.add(metric, value, unit, baseline, median(ratios), spread, more_is_better)
        report.add("cost of all limits in requests per second", 100 * (1 - median(speed_ratios)), "%")
        report.add("server core busy, all limits on", 100 * median([r.busy for r in ours]), "%")
        report.add("server core busy, all limits off", 100 * median([r.busy for r in theirs]), "%")


def load(platform, seconds):
    url = f"http://127.0.0.1:{platform.port}/api/ext/com.example.hello/hello"
    request = Request(url, headers={"authorization": f"Bearer {platform.key}"})
    return fire(platform.server, request, seconds, settle=lambda: log_written(platform))
