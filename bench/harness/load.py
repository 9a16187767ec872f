"""Load from wrk on the client core, and comparisons that a drifting machine can't spoil."""

import json
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass

from harness.figures import median
from harness.peers import PEERS
from harness.servers import CLIENT_CORE

UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}


@dataclass
class Round:
    """What one round of load came to."""

    requests: int
    seconds: float
    per_second: float
    p50_us: float
    p99_us: float
    cpu_us: float  # CPU time of all server processes per request
    busy: float  # CPU time of the server / wall time: 1 = its core was never idle


@dataclass
class Request:
    url: str
    method: str = "GET"
    headers: dict | None = None
    body: str = ""

    def script(self):
        """wrk's Lua: every request is the same bytes."""
        lines = [f"wrk.method = {json.dumps(self.method)}"]
        lines += [f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in (self.headers or {}).items()]
        if self.body:
            lines.append(f"wrk.body = [==[{self.body}]==]")
        return "\n".join(lines) + "\n"


def fire(server, request, seconds=3, connections=64, settle=None):
    """One round of load on `server`; an answer other than 2xx is a failure of the benchmark.

    `settle` waits for what the server does later on account of these requests; its CPU time is theirs."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(request.script())
        script.flush()
        command = ["taskset", "-c", str(CLIENT_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
        used = server.cpu_seconds()
        started = time.monotonic()
        text = subprocess.run(
            [*command, "-s", script.name, request.url], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        wall = time.monotonic() - started
        loaded = server.cpu_seconds() - used
        if settle:
            settle()
        used = server.cpu_seconds() - used
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"{request.url} answered with errors:\n{text}")
    requests = int(re.search(r"(\d+) requests in", text)[1])
    return Round(
        requests=requests,
        seconds=wall,
        per_second=float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        p50_us=latency(text, "50%"),
        p99_us=latency(text, "99%"),
        cpu_us=used * 1e6 / max(requests, 1),
        busy=loaded / wall,
    )


def latency(text, percent):
    number, unit = re.search(rf"{percent}\s+([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS[unit]


def compare(ours, theirs, rounds=5):
    """Interleaves two loads A B B A, `rounds` times.

    Gives the rounds of each, and for each block the ratios theirs / ours of CPU time per request and ours / theirs of
    requests per second: more than 1 is better than the peer.
    """
    all_ours, all_theirs, cpu_ratios, speed_ratios = [], [], [], []
    for _ in range(rounds):
        block = [ours(), theirs(), theirs(), ours()]
        a, b = [block[0], block[3]], [block[1], block[2]]
        all_ours += a
        all_theirs += b
        cpu_ratios.append(sum(r.cpu_us for r in b) / sum(r.cpu_us for r in a))
        speed_ratios.append(sum(r.per_second for r in a) / sum(r.per_second for r in b))
    return all_ours, all_theirs, cpu_ratios, speed_ratios


def compare_with_peers(report, server, make_request, settle=None):
    """Measures `server` against each peer in turn. `make_request` is asked before every round: tokens expire."""

    def ours():
        return fire(server, make_request(), settle=settle)

    fire(server, make_request(), seconds=1, settle=settle)  # warm
    for name, start in PEERS.items():
        peer, url = start()
        with peer:
            fire(peer, Request(url), seconds=1)
            report_comparison(report, name, compare(ours, lambda peer=peer, url=url: fire(peer, Request(url))))


def report_comparison(report, peer, comparison):
    """The figures of `compare`: the medians, their ratio's median and its spread."""
    ours, theirs, cpu_ratios, speed_ratios = comparison
    for metric, unit, pick, ratios, more_is_better in (
        ("CPU per request", "us", lambda r: r.cpu_us, cpu_ratios, False),
        ("requests per second", "1/s", lambda r: r.per_second, speed_ratios, True),
    ):
        value, baseline = median([pick(r) for r in ours]), median([pick(r) for r in theirs])
        spread = (min(ratios), max(ratios))
        name = f"{metric}, against {peer}"
        report.add(name, value, unit, baseline, median(ratios), spread, more_is_better)
        report.add(f"{name}: least ratio", spread[0], "x")
        report.add(f"{name}: greatest ratio", spread[1], "x")
    report.add(f"p50, against {peer}", median([r.p50_us for r in ours]), "us", median([r.p50_us for r in theirs]))
    report.add(f"p99, against {peer}", median([r.p99_us for r in ours]), "us", median([r.p99_us for r in theirs]))
    report.add(f"server core busy, beside {peer}", 100 * median([r.busy for r in ours]), "%")
    report.add(f"core of {peer} busy", 100 * median([r.busy for r in theirs]), "%")
