"""What the benchmarks share: figures, pinned servers, load, peers."""
