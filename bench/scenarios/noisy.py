"""Noisy neighbours: 10 quiet tenants at a fixed rate, alone and beside four that are not: guests that loop, guests that
take all memory they may, guests that trap, and a flood.

The senders of the noise share the client's core at the lowest priority, so that the quiet tenants' client is not what
is measured. Quarantine and circuit breaker are off: they would end the noise."""

import contextlib
import os
import subprocess
import tempfile
import time

from harness.figures import median, percentile
from harness.guests import compiled
from harness.load import Request
from harness.open_loop import Source, play
from harness.paths import GUESTS
from harness.platform import ONE_CORE, Platform
from harness.servers import CLIENT_CORE

TENANTS = 10
RATE = 20  # requests per second of each
SECONDS = float(os.environ.get("BENCH_NOISY_SECONDS", "10"))
ROUNDS = int(os.environ.get("BENCH_NOISY_ROUNDS", "5"))
NOISE_GROWS = 1.5  # seconds until all noise is there
QUIET_AGAIN = 2.0  # seconds until its last calls and log rows are gone
KEEP_NOISE = {"quarantine.enabled": "false", "quarantine.circuit_breaker": "false"}
# Nobody's rate is limited: what the flood sends has to be run, or refused, by the runner.
NO_RATE_IN_THE_WAY = {"limits.execute_per_second": 1_000_000}
# Guest, and connections that call it again and again.
NOISE = {"loop": 64, "grow": 8, "trap": 16, "hello": 64}
# Not part of the promise's noise: bulk memory instructions are not interrupted, so it shows what a long one costs.
MORE_NOISE = {"fill_memory": 2}
# To look for the one that hurts: BENCH_NOISY_GUESTS="loop fill_memory".
CHOSEN = os.environ.get("BENCH_NOISY_GUESTS", " ".join(NOISE)).split()


def run(report):
    # The promise is about the platform as it is deployed, with its rates; the other is what fairness alone can do.
    for name, settings in (("", {}), (", no rate limits", NO_RATE_IN_THE_WAY)):
        with Platform({**ONE_CORE, **KEEP_NOISE, **settings}) as platform:
            measure(report, name, platform)


def measure(report, name, platform):
    os.sched_setaffinity(0, {CLIENT_CORE})
    hello = (GUESTS / "hello.wasm").read_bytes()
    quiet = []
    for number in range(TENANTS):
        key = platform.tenant(f"quiet-{number}")
        platform.install(f"com.example.quiet-{number}", hello, key)
        path, address = f"/api/ext/com.example.quiet-{number}/hello", f"127.0.1.{number + 1}"
        quiet.append(Source(platform.port, path, key, RATE, address))
    noise = {}
    for guest in CHOSEN:
        key = platform.tenant(f"noisy-{guest.replace('_', '-')}")
        extension = f"com.example.noisy-{guest.replace('_', '-')}"
        wasm = compiled(guest, {}) if guest in MORE_NOISE else (GUESTS / f"{guest}.wasm").read_bytes()
        platform.install(extension, wasm, key)
        url = f"http://127.0.0.1:{platform.port}/api/ext/{extension}/hello"
        noise[guest] = Request(url, headers={"authorization": f"Bearer {key}"})

    def alone(seed):
        time.sleep(QUIET_AGAIN)
        return play(quiet, SECONDS, seed)

    calls = []

    def beside(seed):
        with noisy(noise):
            before, begun = platform.metrics()["gateway_calls_total"], time.monotonic()
            outcome = play(quiet, SECONDS, seed)
            made = platform.metrics()["gateway_calls_total"] - before - outcome.sent
            calls.append(made / (time.monotonic() - begun))
        return outcome

    play(quiet, 1)  # warm
    baseline, loaded = [], []
    for number in range(ROUNDS):
        baseline.append(alone(4 * number))
        loaded.append(beside(4 * number + 1))
        loaded.append(beside(4 * number + 2))
        baseline.append(alone(4 * number + 3))

    for percent in (50, 99):
        before, after = (median([percentile(o.latencies_ms, percent) for o in side]) for side in (baseline, loaded))
        report.add(f"p{percent} of the quiet tenants{name}", after, "ms", before)
        report.add(f"p{percent} of the quiet tenants, added{name}", after - before, "ms")
    before, after = (median([o.good / o.seconds for o in side]) for side in (baseline, loaded))
    report.add(f"goodput of the quiet tenants{name}", after, "1/s", before, more_is_better=True)
    report.add(f"noise{name}", median(calls), "1/s")
    refused = {}
    for outcome in loaded:
        for status, count in outcome.refused.items():
            refused[status] = refused.get(status, 0) + count
    for status, count in sorted(refused.items()):
        report.add(f"quiet calls answered {status}{name}", count, "calls")


@contextlib.contextmanager
def noisy(requests):
    """All of them at once, as fast as they are answered, until the block ends."""
    with contextlib.ExitStack() as stack:
        for guest, request in requests.items():
            script = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".lua"))
            script.write(request.script())
            script.flush()
            command = [
                "nice",
                "-n",
                "19",
                "taskset",
                "-c",
                str(CLIENT_CORE),
                "wrk",
                "-t1",
                f"-c{(NOISE | MORE_NOISE)[guest]}",
            ]
            command += ["-d600s", "--timeout", "60s", "-s", script.name, request.url]
            sender = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(sender.wait)
            stack.callback(sender.kill)
        time.sleep(NOISE_GROWS)
        yield
