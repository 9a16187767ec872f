"""Benchmarks of the rooms: programs built from src/**/x_bench.cpp.

A google-benchmark program gives the median CPU time of five repetitions for each of its benchmarks; x_baseline is the
baseline of x. A program of its own kind prints the figures itself, as lines of JSON in the form of ./dev bench --json.
"""

import json
import subprocess
import sys

from harness.paths import RELEASE, ROOT

NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}


def run(report, name):
    subprocess.run([ROOT / "dev", "build", f"bench_{name}"], check=True)
    program = RELEASE / "bin" / f"bench_{name}"
    if is_google_benchmark(program):
        run_google_benchmark(report, program)
        return
    for line in subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        if line.startswith("{"):
            figure = json.loads(line)
            report.add(figure["metric"], figure["value"], figure["unit"], figure.get("baseline"), figure.get("ratio"))
        else:
            print(line, file=sys.stderr)


def is_google_benchmark(program):
    return b"benchmark_repetitions" in program.read_bytes()


def run_google_benchmark(report, program):
    arguments = ["--benchmark_format=json", "--benchmark_repetitions=5", "--benchmark_report_aggregates_only=true"]
    answer = subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE)
    medians = {}
    for row in json.loads(answer.stdout)["benchmarks"]:
        if row.get("aggregate_name") == "median":
            medians[row["run_name"]] = row["cpu_time"] * NANOSECONDS[row["time_unit"]]
    for name, value in medians.items():
        if not name.endswith("_baseline"):
            report.add(name, value, "ns", medians.get(f"{name}_baseline"))
