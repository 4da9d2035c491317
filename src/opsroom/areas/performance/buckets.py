"""Latency buckets 4 % apart: mergeable by adding counts, so percentiles of windows and of whole runs are of one kind."""

from __future__ import annotations

import bisect
from collections.abc import Mapping

BOUNDS = tuple(0.0005 * 1.04**n for n in range(300))
"""Upper bounds in seconds, from 0.5 ms to 62 s; what is above goes into the last."""


def bucket_of(seconds: float) -> int:
    """The number of the first bucket whose bound is not below."""
    return min(bisect.bisect_left(BOUNDS, seconds), len(BOUNDS) - 1)


def quantile(buckets: Mapping[int, int], q: float) -> float | None:
    """The latency in seconds that a share `q` of requests did not exceed, at most 4 % too high; None without requests."""
    total = sum(buckets.values())
    if not total:
        return None
    rank, seen = q * total, 0
    for number in sorted(buckets):
        seen += buckets[number]
        if seen >= rank:
            return BOUNDS[number]
    return BOUNDS[max(buckets)]
