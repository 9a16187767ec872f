"""The peers alone: what `wasmtime serve` and workerd do on this machine, right now."""

from harness.figures import median
from harness.load import Request, fire
from harness.peers import PEERS

ROUNDS = 5


def run(report):
    for name, start in PEERS.items():
        server, url = start()
        with server:
            fire(server, Request(url), seconds=1)  # warm
            rounds = [fire(server, Request(url)) for _ in range(ROUNDS)]
        report.add(f"{name}: CPU per request", median([r.cpu_us for r in rounds]), "us")
        report.add(f"{name}: requests per second", median([r.per_second for r in rounds]), "1/s")
        report.add(f"{name}: p50", median([r.p50_us for r in rounds]), "us")
        report.add(f"{name}: p99", median([r.p99_us for r in rounds]), "us")
        report.add(f"{name}: core busy", 100 * median([r.busy for r in rounds]), "%")
