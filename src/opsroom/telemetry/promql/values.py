"""What expressions evaluate to: vectors as matrices of series x steps with a mask of presence, scalars as one row of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic

import numpy as np

from opsroom.kernel.errors import Invalid, TooLarge, Unavailable
from opsroom.telemetry.port import Labels
from opsroom.telemetry.promql.source import Bools, Floats, Ints


@dataclass(frozen=True, slots=True)
class Grid:
    """The steps of an evaluation, in ms: start, start + step, … up to end. An instant query has one step."""

    start: int
    end: int
    step: int

    @property
    def times(self) -> Ints:
        return np.arange(self.start, self.end + 1, self.step, dtype=np.int64)

    def __len__(self) -> int:
        return max(0, (self.end - self.start) // self.step + 1)


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number per step."""

    values: Floats


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str


@dataclass(frozen=True, slots=True)
class Vector:
    """`values[i, k]` is the value of series i at step k where `present[i, k]`; elsewhere it is NaN and means nothing.

    `ordered`: the rows stand in an order that the query asked for (only an instant query shows it).
    """

    labels: list[Labels]
    values: Floats
    present: Bools
    ordered: bool = False

    def where(self, mask: Bools) -> Vector:
        """Only the points under the mask."""
        present = self.present & mask
        return Vector(self.labels, np.where(present, self.values, np.nan), present, self.ordered)

    def with_values(self, values: Floats) -> Vector:
        """Other values at the same points."""
        return Vector(self.labels, np.where(self.present, values, np.nan), self.present, self.ordered)

    def take(self, rows: Ints, *, ordered: bool = False) -> Vector:
        """These rows, in this order."""
        return Vector([self.labels[i] for i in rows], self.values[rows], self.present[rows], ordered)

    def nonempty(self) -> Vector:
        """Without rows that have no point at all."""
        kept = self.present.any(axis=1)
        return self if kept.all() else self.take(np.flatnonzero(kept), ordered=self.ordered)

    def relabelled(self, labels: list[Labels]) -> Vector:
        """Other labels for the rows; rows that became equal are merged, and two points at one step are Invalid."""
        return merged(Vector(labels, self.values, self.present, self.ordered))

    def without_name(self) -> Vector:
        """Drops `__name__`, as everything that changes a value does."""
        return self.relabelled([without(one, ("__name__",)) for one in self.labels])


def empty_vector(steps: int) -> Vector:
    return Vector([], np.zeros((0, steps)), np.zeros((0, steps), bool))


def vector_of(labels: Labels, values: Floats) -> Vector:
    """A vector of one series that is there at every step."""
    return Vector([labels], values[np.newaxis, :], np.ones((1, len(values)), bool))


def without(labels: Labels, names: Sequence[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] not in names)


def only(labels: Labels, names: Sequence[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] in names)


_WORK = 100
"""Samples that windows may look at, for each value a query may hold: ranges overlap."""

SAME_LABELS = "vector cannot contain metrics with the same labelset"


def merged(vector: Vector, complaint: str = SAME_LABELS) -> Vector:
    """Joins rows with equal labels. Two of them present at one step is Invalid with `complaint`."""
    if len(set(vector.labels)) == len(vector.labels):
        return vector
    first: dict[Labels, int] = {}
    target = np.array([first.setdefault(one, len(first)) for one in vector.labels])
    values = np.full((len(first), vector.values.shape[1]), np.nan)
    present = np.zeros(values.shape, bool)
    for row, into in enumerate(target):
        mask = vector.present[row]
        if (present[into] & mask).any():
            raise Invalid(complaint)
        values[into, mask] = vector.values[row, mask]
        present[into] |= mask
    return Vector(list(first), values, present, vector.ordered)


@dataclass(slots=True)
class Budget:
    """What one query may use, and what it remarks on."""

    deadline: float
    seconds: float
    points: int
    warnings: dict[str, None] = field(default_factory=dict)
    infos: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, *, seconds: float, points: int) -> Budget:
        return cls(monotonic() + seconds, seconds, points)

    def check(self) -> None:
        """Unavailable when the time is over."""
        if monotonic() > self.deadline:
            raise Unavailable(
                f"the query took longer than {self.seconds:g} s; ask for fewer series, a shorter time or a larger step"
            )

    def reserve(self, series: int, steps: int) -> None:
        """TooLarge when a part of the query would hold more values than allowed."""
        self.check()
        if series * steps > self.points:
            raise TooLarge(
                f"a part of the query holds {series} series x {steps} steps, the limit is {self.points:,} values;"
                " select fewer series or a larger step"
            )

    def reserve_work(self, looked_at: int) -> None:
        """TooLarge when the windows of all steps together look at more samples than allowed."""
        self.check()
        if looked_at > _WORK * self.points:
            raise TooLarge(
                f"the windows of all steps look at {looked_at:,} samples, the limit is {_WORK * self.points:,};"
                " use a shorter range, a larger step or fewer series"
            )

    def warn(self, message: str) -> None:
        self.warnings[f"PromQL warning: {message}"] = None

    def info(self, message: str) -> None:
        self.infos[f"PromQL info: {message}"] = None
