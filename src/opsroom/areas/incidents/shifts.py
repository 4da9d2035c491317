"""Where a series left its level: one step fitted by medians, so single outliers move nothing; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

LEAST_BEFORE = 5
LEAST_AFTER = 2
CLEAR = 4.0
BAND = 3.0
FLOOR = 0.05
_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A series was at `before`, and at `after` from `start` on (the time of the first sample off the old level).

    `ratio` is the step over the noise before it: the median absolute deviation as a standard deviation, at least 5 % of the
    level, so that a quiet series does not shift by a hair."""

    start: float
    before: float
    after: float
    ratio: float


def find_shift(times: Sequence[float], values: Sequence[float]) -> Shift | None:
    """The step that explains a series best, where it is at least four times the noise; None where nothing stands out.

    Times are in seconds and rising. NaN and infinite values are left out. Fewer than seven samples show nothing."""
    known = [(time, value) for time, value in zip(times, values, strict=True) if math.isfinite(value)]
    if len(known) < LEAST_BEFORE + LEAST_AFTER:
        return None
    clean = [value for _, value in known]
    split = min(range(LEAST_BEFORE, len(clean) - LEAST_AFTER + 1), key=lambda at: _misfit(clean, at))
    before, after = median(clean[:split]), median(clean[split:])
    noise = max(_TO_SIGMA * _spread(clean[:split], before), FLOOR * abs(before), 1e-12)
    ratio = abs(after - before) / noise
    if ratio < CLEAR:
        return None
    return Shift(start=known[_departure(clean, split, before, noise)][0], before=before, after=after, ratio=ratio)


def _misfit(values: Sequence[float], at: int) -> float:
    """How far the values are from two levels, the one up to `at` and the one from there on."""
    left, right = values[:at], values[at:]
    low, high = median(left), median(right)
    return sum(abs(value - low) for value in left) + sum(abs(value - high) for value in right)


def _spread(values: Sequence[float], level: float) -> float:
    return median(abs(value - level) for value in values)


def _departure(values: Sequence[float], split: int, level: float, noise: float) -> int:
    """The first of the unbroken run of samples off the level that leads to the step: a rate over a window climbs slowly, and its
    climb begins with the cause."""
    first = split
    while first > LEAST_BEFORE and abs(values[first - 1] - level) > BAND * noise:
        first -= 1
    return first
