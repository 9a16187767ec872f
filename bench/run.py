"""./dev bench [NAME ...] [--json]: runs the benchmarks and prints their figures. See README.md."""

import argparse
import importlib
import pkgutil
import subprocess
import sys

import scenarios
from harness import programs
from harness.figures import Report
from harness.paths import ROOT


def find():
    """Every benchmark by name: scenario modules, and programs of the rooms (src/**/x_bench.cpp is bench x)."""
    found = {}
    for module in pkgutil.iter_modules(scenarios.__path__):
        found[module.name] = lambda report, name=module.name: importlib.import_module(f"scenarios.{name}").run(report)
    for path in sorted(ROOT.glob("src/**/*_bench.cpp")):
        name = path.name.removesuffix("_bench.cpp")
        found[name] = lambda report, name=name: programs.run(report, name)
    return found


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--json", action="store_true", help="one object per figure")
    parser.add_argument("--list", action="store_true", help="print the names and exit")
    options = parser.parse_args()
    found = find()
    if options.list:
        print(*sorted(found), sep="\n")
        return 0
    unknown = [name for name in options.names if name not in found]
    if unknown:
        print(
            f"./dev bench: no benchmark is named {unknown[0]}; there are: {', '.join(sorted(found))}", file=sys.stderr
        )
        return 2
    failed = []
    for name in options.names or sorted(found):
        print(f"bench {name}", file=sys.stderr)
        try:
            found[name](Report(name, as_json=options.json))
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            print(f"bench {name} failed: {error}", file=sys.stderr)
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
