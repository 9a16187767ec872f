"""First call of installed bundles that this process never ran: verified, machine code mapped. Every call is of another
bundle; the compile was done at publish, and the server was restarted since."""

from harness.figures import median, percentile
from harness.guests import body, module
from harness.platform import NO_RATES, Platform

SIZES = {"64 KiB": (64 << 10, 100), "10 MB": (10_000_000, 12)}


def run(report):
    with Platform(NO_RATES, core=None) as platform:
        names = {}
        for label, (size, count) in SIZES.items():
            slug = label.lower().replace(" ", "-")
            names[label] = [(f"com.example.first-{slug}-{number}", number) for number in range(count)]
            for name, number in names[label]:
                platform.install(name, module(number, size))
        # One that warms the way there and not the bundles: connection, key, database pages.
        platform.install("com.example.warm", module(1_000_000))
        platform.restart()
        client = platform.client()
        platform.call(client, "com.example.warm")
        for label, bundles in names.items():
            seconds = []
            for name, number in bundles:
                took, text = platform.call(client, name)
                if text != body(number):
                    raise RuntimeError(f"{name} was answered by another module: {text[:100]}")
                seconds.append(took)
            report.add(f"{label} bundle: p50", 1e3 * median(seconds), "ms")
            report.add(f"{label} bundle: p99", 1e3 * percentile(seconds, 99), "ms")
        took = [platform.call(client, names["64 KiB"][0][0])[0] for _ in range(100)]
        report.add("second call: p50", 1e3 * median(took), "ms")
