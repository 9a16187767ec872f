"""storage.get from a guest through the broker, on SQLite: time of one call, and calls per second on one core.

A guest makes CALLS of them in one execution; what the same execution takes without any is taken off."""

import os
import time

from harness.figures import median, percentile
from harness.guests import compiled
from harness.load import Request, fire
from harness.platform import NO_RATES, ONE_CORE, Platform
from harness.servers import CLIENT_CORE

CALLS = 500
PAIRS = int(os.environ.get("BENCH_HOST_CALLS_PAIRS", "400"))
ROUNDS = int(os.environ.get("BENCH_HOST_CALLS_ROUNDS", "5"))
CONNECTIONS = 8
NAME = "com.example.storage-gets"


def run(report):
    os.sched_setaffinity(0, {CLIENT_CORE})
    settings = {**ONE_CORE, **NO_RATES, "quarantine.enabled": "false"}
    with Platform(settings) as platform:
        wasm = compiled("storage_gets", {"CALLS": CALLS})
        platform.install(NAME, wasm, capabilities=["storage.kv"], paths=["prepare", "none", "many"])
        client = platform.client()
        platform.call(client, NAME, "prepare")
        walls = {"none": [], "many": []}
        for number in range(-10, PAIRS):
            for path in ("none", "many") if number % 2 else ("many", "none"):
                seconds = platform.call(client, NAME, path)[0]
                if number >= 0:  # the first ones warm up
                    walls[path].append(seconds)
        without = median(walls["none"])
        each = [1e6 * (wall - without) / CALLS for wall in walls["many"]]
        report.add("storage.get: p50 of the mean call of an execution", percentile(each, 50), "us")
        report.add("storage.get: p99 of the mean call of an execution", percentile(each, 99), "us")

        request = Request(
            f"http://127.0.0.1:{platform.port}/api/ext/{NAME}/many", headers={"authorization": f"Bearer {platform.key}"}
        )
        rounds = []
        for _ in range(ROUNDS):
            rounds.append(fire(platform.server, request, connections=CONNECTIONS))
            time.sleep(0.5)
        report.add("host calls per second on one core", CALLS * median([r.per_second for r in rounds]), "1/s")
        report.add("CPU per host call, execution included", median([r.cpu_us for r in rounds]) / CALLS, "us")
        report.add("server core busy", 100 * median([r.busy for r in rounds]), "%")
