"""The whole path of a call, against the peers: API key, permission, endpoint match, rate bucket, runner hop, fresh
instance, execution log. What the server still has to write to its database when the load ends is counted, too."""

import time

from harness.load import Request, compare_with_peers
from harness.platform import ONE_CORE, Platform

# The buckets are asked for every call, but are never empty.
LIMITS = {"limits.execute_per_second": 1_000_000}
LOG_WRITTEN_WITHIN = 120


def run(report):
    with Platform({**ONE_CORE, **LIMITS}) as platform:
        platform.install_hello()
        url = f"http://127.0.0.1:{platform.port}/api/ext/com.example.hello/hello"
        headers = {"authorization": f"Bearer {platform.key}"}
        compare_with_peers(report, platform.server, lambda: Request(url, "GET", headers), lambda: log_written(platform))


def log_written(platform):
    """Waits until every call of the round is in the execution log."""
    deadline = time.monotonic() + LOG_WRITTEN_WITHIN
    while True:
        time.sleep(0.25)  # rendering the metrics costs the server milliseconds
        counts = platform.metrics()
        if counts["execution_log_recorded_total"] >= counts["gateway_calls_total"]:
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"the execution log lags behind after {LOG_WRITTEN_WITHIN} s")
