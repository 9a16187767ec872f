"""A module here is a benchmark: `run(report)` measures and calls report.add for each figure."""
