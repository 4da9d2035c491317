"""Which samples each step sees: index ranges for all series and steps at once, without a search per step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from opsroom.telemetry.promql.source import Bools, Ints, Samples

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Windows:
    """For series i and step k the samples low[i, k]:high[i, k] of `samples`: those in (end[k] - range, end[k]].

    `ends` are the ends of the windows (ms, after offset and @), `evaluated` the times of the steps themselves.
    """

    samples: Samples
    low: Ints
    high: Ints
    ends: Ints
    evaluated: Ints
    range: int
    check: Callable[[], None] = lambda: None
    """Raises when the query's time is over; called between pieces of long work."""

    @property
    def counts(self) -> Ints:
        return self.high - self.low

    def fold(self) -> Iterator[tuple[Bools, Ints]]:
        """The j-th sample of every window at once: (windows that have one, its index, 0 where there is none)."""
        counts = self.counts
        for j in range(int(counts.max(initial=0))):
            self.check()
            there = counts > j
            yield there, np.where(there, self.low + j, 0)

    def first(self, of: NDArray[T]) -> NDArray[T]:
        """The array's element at each window's first sample; arbitrary where the window is empty."""
        return _pick(of, self.low)

    def last(self, of: NDArray[T]) -> NDArray[T]:
        """The array's element at each window's last sample; arbitrary where the window is empty."""
        return _pick(of, self.high - 1)


def windows(
    samples: Samples, *, ends: Ints, evaluated: Ints, step: int, range_ms: int, check: Callable[[], None]
) -> Windows:
    """Windows that end at `ends`: equally spaced by `step`, or a single one which then holds for every evaluated step."""
    if range_ms % step == 0 and len(ends) > 1:
        shift = range_ms // step
        earlier = ends[0] - step * np.arange(shift, 0, -1, dtype=np.int64)
        bounds = _upto(samples, np.concatenate((earlier, ends)), step)
        low, high = bounds[:, : len(ends)], bounds[:, shift:]
    else:
        low, high = _upto(samples, ends - range_ms, step), _upto(samples, ends, step)
    if len(ends) != len(evaluated):
        shape = (len(samples.labels), len(evaluated))
        low, high = np.broadcast_to(low, shape), np.broadcast_to(high, shape)
        ends = np.broadcast_to(ends, evaluated.shape)
    return Windows(samples, low, high, ends, evaluated, range_ms, check)


def _upto(samples: Samples, bounds: Ints, step: int) -> Ints:
    """For each series and bound the index after the last sample with time <= bound; bounds are equally spaced."""
    series, steps = len(samples.labels), len(bounds)
    first_bound = np.ceil((samples.times - bounds[0]) / step) if step > 1 else samples.times - bounds[0]
    bucket = np.clip(first_bound, 0, steps).astype(np.int64)
    bucket += samples.series_index * (steps + 1)
    counted = np.bincount(bucket, minlength=series * (steps + 1)).reshape(series, steps + 1)[:, :steps]
    return np.cumsum(counted, axis=1) + samples.offsets[:-1, np.newaxis]


def _pick(of: NDArray[T], index: Ints) -> NDArray[T]:
    if not len(of):
        return np.zeros(index.shape, of.dtype)
    return of[np.clip(index, 0, len(of) - 1)]
