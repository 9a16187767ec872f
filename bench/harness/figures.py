"""Figures and how they are printed."""

import json
import statistics


class Report:
    """Prints each figure of one benchmark as it is known.

    `ratio` says how many times better than the baseline the value is: value / baseline where more is better,
    baseline / value where less is better. Without a baseline both are null.
    """

    def __init__(self, bench, as_json):
        self.bench = bench
        self.as_json = as_json

    def add(self, metric, value, unit, baseline=None, ratio=None, spread=None, more_is_better=False):
        if baseline and ratio is None:
            ratio = value / baseline if more_is_better else baseline / value
        figure = {
            "bench": self.bench,
            "metric": metric,
            "value": shorten(value),
            "unit": unit,
            "baseline": shorten(baseline),
            "ratio": shorten(ratio),
        }
        if self.as_json:
            print(json.dumps(figure), flush=True)
            return
        against = f"   baseline {figure['baseline']:g}, ratio {figure['ratio']:g}" if baseline else ""
        if spread:
            against += f" ({spread[0]:.2f} to {spread[1]:.2f})"
        print(f"{self.bench}  {metric}  {figure['value']:g} {unit}{against}", flush=True)


def shorten(number):
    """Four significant digits: more would claim a precision that no figure here has."""
    return None if number is None else float(f"{number:.4g}")


def median(values):
    return statistics.median(values)


def percentile(values, percent):
    """The smallest value that at least `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
