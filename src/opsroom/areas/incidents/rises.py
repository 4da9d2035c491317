"""How a series went from its calm level to where the alert found it, and which share of that way was gone when; pure.

Only what stays counts: a bump that falls back before the end is no part of the way, however near to the step it lies, and an outlier
moves nothing. So a load test that made everything slower for a moment does not move the time at which trouble began.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median

LEAST_BEFORE = 5
LEAST_AFTER = 2
CLEAR = 4.0
BAND = 3.0
FLOOR = 0.05
SMOOTHED = 2
"""Samples on each side that a sample is the median with: an outlier of one or two vanishes, a step stays where it is."""
BEGUN = 0.25
_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """A series was at `before` and went to `after`, up or down; of that way, `shares` (they sum to 1) were gone at `times` (rising).

    `ratio` is the way over the noise before it: the median absolute deviation as a standard deviation, at least 5 % of the level, so
    that a quiet series does not rise by a hair."""

    before: float
    after: float
    ratio: float
    times: tuple[float, ...]
    shares: tuple[float, ...]

    @property
    def start(self) -> float:
        """When a quarter of the way was gone."""
        total = accumulate(self.shares)
        return next((time for time, gone in zip(self.times, total, strict=True) if gone >= BEGUN), self.times[-1])

    def gone_before(self, moment: float) -> float:
        """The share of the way that was gone earlier than a moment."""
        return math.fsum(self.shares[: bisect_left(self.times, moment)])

    def follows(self, began: float, ended: float, half_life: float) -> float:
        """How shortly the way follows what lasted from `began` to `ended`: 1 where it went meanwhile, half as much for every `half_life`
        after it; what was gone before it began is left out, and 0 is answered where that is all."""
        first = bisect_left(self.times, began)
        rest = math.fsum(self.shares[first:])
        if rest <= 0:
            return 0.0
        kept = (
            share * 0.5 ** (max(0.0, time - ended) / half_life)
            for time, share in zip(self.times[first:], self.shares[first:], strict=True)
        )
        return min(1.0, math.fsum(kept) / rest)


def find_rise(times: Sequence[float], values: Sequence[float], *, onset: float, bad: int = 0) -> Rise | None:
    """The way to what the alert found from its `onset` on, where it is at least four times the noise; None where nothing stands out.

    Times are in seconds and rising. `bad`: 1 where high values are bad, -1 where low ones are, 0 where that is not known. NaN and infinite
    values are left out. Fewer than seven samples show nothing."""
    known = [(time, value) for time, value in zip(times, values, strict=True) if math.isfinite(value)]
    if len(known) < LEAST_BEFORE + LEAST_AFTER:
        return None
    found = [value for time, value in known if time >= onset]
    after = median(found if len(found) >= LEAST_AFTER else [value for _, value in known[-LEAST_AFTER:]])
    earlier = [value for time, value in known if time < onset]
    if len(earlier) < LEAST_BEFORE:
        return None
    sign = bad or (1 if after >= median(earlier) else -1)
    level = _calm([sign * value for value in earlier], sign * after)
    if level is None:
        return None
    before, noise = level
    way = sign * after - before
    if way < CLEAR * noise:
        return None
    smooth = _smoothed([sign * value for _, value in known])
    shares = _shares([(value - before - BAND * noise) / (way - BAND * noise) for value in smooth])
    if shares is None:
        return None
    return Rise(
        before=sign * before, after=after, ratio=way / noise, times=tuple(time for time, _ in known), shares=shares
    )


def _calm(values: Sequence[float], after: float) -> tuple[float, float] | None:
    """The level before and its noise, from the samples nearer to the calmest quarter than to what came after."""
    quarter = sorted(values)[len(values) // 4]
    calm = [value for value in values if value <= (quarter + after) / 2]
    if len(calm) < LEAST_BEFORE:
        return None
    level = median(calm)
    spread = median(abs(value - level) for value in calm)
    return level, max(_TO_SIGMA * spread, FLOOR * abs(level), 1e-12)


def _smoothed(values: Sequence[float]) -> list[float]:
    return [median(values[max(0, at - SMOOTHED) : at + SMOOTHED + 1]) for at in range(len(values))]


def _shares(heights: Sequence[float]) -> tuple[float, ...] | None:
    """What each sample adds for good to the height: the lowest that is still to come, and how much that grows."""
    lasting = list(accumulate((min(1.0, max(0.0, height)) for height in reversed(heights)), min))[::-1]
    if lasting[-1] <= 0:
        return None
    steps = [lasting[0], *(later - earlier for earlier, later in pairwise(lasting))]
    return tuple(step / lasting[-1] for step in steps)
