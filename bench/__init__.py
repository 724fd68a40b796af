"""Benchmarks: each beside its peer, in one run, printed as ratios."""
