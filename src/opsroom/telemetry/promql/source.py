"""Where the evaluator gets its samples: a selection comes as one ragged array, series after series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from opsroom.telemetry.port import STALE, Labels
from opsroom.telemetry.promql.matchers import Alternatives, compiled, matches

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

STALE_BITS = np.float64(STALE).view(np.int64)


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of many series: those of series i stand at offsets[i]:offsets[i+1], times (ms) strictly growing within it."""

    labels: list[Labels]
    offsets: Ints
    times: Ints
    values: Floats

    @property
    def series_index(self) -> Ints:
        """For each sample the number of its series."""
        return np.repeat(np.arange(len(self.labels), dtype=np.int64), np.diff(self.offsets))

    def without_stale(self) -> Samples:
        """The same without staleness markers, which only instant selection looks at."""
        stale = self.values.view(np.int64) == STALE_BITS
        if not stale.any():
            return self
        gone = np.concatenate(([0], np.cumsum(stale)))
        keep = ~stale
        return Samples(self.labels, self.offsets - gone[self.offsets], self.times[keep], self.values[keep])


def empty_samples() -> Samples:
    """A selection that found nothing."""
    return Samples([], np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))


class Source(Protocol):
    """A store of samples. Raises TooLarge when a selection passes its limits."""

    def select(self, matchers: Alternatives, start: int, end: int) -> Samples:
        """Samples with start < time <= end (ms), stale markers included; series without any sample may be left out."""
        ...

    def groups(self, pattern: str, texts: Sequence[str]) -> list[tuple[str, ...] | None]:
        """For each text the groups (0: the whole) of the pattern matched against all of it; None: no match.

        Raises Invalid on a pattern that is none. Time is linear where patterns come from strangers.
        """
        ...


class MemorySource:
    """Samples held in memory: what rule unit tests and the evaluator's own tests run against."""

    def __init__(self) -> None:
        self._series: dict[Labels, list[tuple[int, float]]] = {}

    def add(self, labels: Labels, points: Sequence[tuple[int, float]]) -> None:
        """Adds (ms, value) points; a later point at the same time replaces the earlier."""
        known = dict(self._series.get(labels, ()))
        known.update(points)
        self._series[labels] = sorted(known.items())

    def select(self, matchers: Alternatives, start: int, end: int) -> Samples:
        labels, counts = [], [0]
        times: list[int] = []
        values: list[float] = []
        for one, points in sorted(self._series.items()):
            if any(all(matches(m, one) for m in group) for group in matchers):
                inside = [(t, v) for t, v in points if start < t <= end]
                labels.append(one)
                counts.append(len(inside))
                times += [t for t, _ in inside]
                values += [v for _, v in inside]
        return Samples(labels, np.cumsum(counts), np.array(times, np.int64), np.array(values, np.float64))

    def groups(self, pattern: str, texts: Sequence[str]) -> list[tuple[str, ...] | None]:
        found = [compiled(pattern).fullmatch(text) for text in texts]
        return [None if one is None else (one[0], *(group or "" for group in one.groups())) for one in found]
