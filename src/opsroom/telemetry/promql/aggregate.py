"""Aggregation over series: sum, avg, topk and the rest, by or without labels, for all steps at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from opsroom.kernel.errors import Invalid
from opsroom.telemetry.port import Labels
from opsroom.telemetry.promql.numbers import format_number
from opsroom.telemetry.promql.quantiles import quantile_of_sorted, sort_with_nan_last
from opsroom.telemetry.promql.source import Bools, Floats, Ints
from opsroom.telemetry.promql.sums import sum_rows
from opsroom.telemetry.promql.values import Vector, empty_vector, merged, only, without


@dataclass(frozen=True, slots=True)
class Grouping:
    """`by` these labels, or `without` them (and without the name)."""

    names: tuple[str, ...]
    without: bool

    def of(self, labels: Labels) -> Labels:
        return without(labels, (*self.names, "__name__")) if self.without else only(labels, self.names)


def aggregate(name: str, vector: Vector, grouping: Grouping, parameter: Floats | None) -> Vector:
    """One row per group. `parameter` (one number per step) is quantile's."""
    groups = _groups(vector, grouping)
    steps = vector.values.shape[1]
    if not groups:
        return empty_vector(steps)
    values, present = np.full((len(groups), steps), np.nan), np.zeros((len(groups), steps), bool)
    reduce = _quantile(parameter) if parameter is not None else _REDUCERS[name]
    for where, rows in _same_sized(groups):
        there = vector.present[rows]
        present[where] = there.any(axis=1)
        values[where] = reduce(vector.values[rows], there)
    return Vector(list(groups), np.where(present, values, np.nan), present)


def is_reducer(name: str) -> bool:
    return name in _REDUCERS or name == "quantile"


def pick(name: str, vector: Vector, grouping: Grouping, parameter: Floats) -> Vector:
    """topk, bottomk, limitk: the series themselves, at the steps where they are among the first `parameter` of their group."""
    if np.isnan(parameter).any():
        raise Invalid("Parameter value is NaN")
    wanted = np.clip(parameter, 0, 2.0**62).astype(np.int64)
    keep = np.zeros(vector.present.shape, bool)
    order: list[int] = []
    for members in _groups(vector, grouping).values():
        rows = np.array(members)
        values, there = vector.values[rows], vector.present[rows]
        sign = {"topk": -1.0, "bottomk": 1.0}.get(name)
        keys = (np.zeros_like(values), ~there) if sign is None else (sign * values, np.isnan(values), ~there)
        ranking = np.lexsort(keys, axis=0)
        rank = np.empty_like(ranking)
        np.put_along_axis(rank, ranking, np.arange(len(rows))[:, np.newaxis], axis=0)
        keep[rows] = there & (rank < wanted)
        order += [int(rows[i]) for i in ranking[:, 0]]
    chosen = vector.where(keep).take(np.array(order, np.int64), ordered=vector.values.shape[1] == 1)
    return chosen.nonempty()


def limit_ratio(vector: Vector, parameter: Floats) -> Vector:
    """A fixed share of the series, chosen by a hash of their labels; a negative ratio gives the complement."""
    if np.isnan(parameter).any():
        raise Invalid("Ratio value is NaN")
    ratio = np.clip(parameter, -1.0, 1.0)
    place = np.array([_place(labels) for labels in vector.labels]).reshape(-1, 1)
    return vector.where(np.where(ratio >= 0, place < ratio, place >= 1.0 + ratio)).nonempty()


def count_values(label: str, vector: Vector, grouping: Grouping) -> Vector:
    """How many series have each value, the value as label `label`."""
    steps = vector.values.shape[1]
    counts: dict[Labels, Floats] = {}
    bases = [without(grouping.of(labels), (label,)) for labels in vector.labels]
    for row, base in enumerate(bases):
        for step in np.flatnonzero(vector.present[row]):
            key = tuple(sorted((*base, (label, format_number(float(vector.values[row, step]))))))
            counts.setdefault(key, np.zeros(steps))[step] += 1
    if not counts:
        return empty_vector(steps)
    values = np.stack(list(counts.values()))
    return merged(Vector(list(counts), np.where(values > 0, values, np.nan), values > 0))


def _groups(vector: Vector, grouping: Grouping) -> dict[Labels, list[int]]:
    groups: dict[Labels, list[int]] = {}
    for row, labels in enumerate(vector.labels):
        groups.setdefault(grouping.of(labels), []).append(row)
    return groups


def _same_sized(groups: dict[Labels, list[int]]) -> Iterator[tuple[Ints, Ints]]:
    """Groups of equal size together: (their numbers, their rows as [groups, members])."""
    by_size: dict[int, list[int]] = {}
    members = list(groups.values())
    for number, rows in enumerate(members):
        by_size.setdefault(len(rows), []).append(number)
    for numbers in by_size.values():
        yield np.array(numbers), np.array([members[number] for number in numbers])


Reducer = Callable[[Floats, Bools], Floats]


def _sum(values: Floats, there: Bools) -> Floats:
    return sum_rows(np.where(there, values, 0.0))


def _mean(values: Floats, there: Bools) -> Floats:
    count = np.maximum(there.sum(axis=1), 1)
    with np.errstate(all="ignore"):
        result: Floats = _sum(values, there) / count
        if (overflow := np.isinf(result)).any():
            finite = (np.isfinite(values) | ~there).all(axis=1)
            scaled = sum_rows(np.where(there, values / count[:, np.newaxis], 0.0))
            result = np.where(overflow & finite, scaled, result)
    return result


def _variance(values: Floats, there: Bools) -> Floats:
    count = np.maximum(there.sum(axis=1), 1)
    with np.errstate(all="ignore"):
        distance = values - _mean(values, there)[:, np.newaxis]
        squares: Floats = sum_rows(np.where(there, distance**2, 0.0)) / count
    return squares


def _extreme(ufunc: np.ufunc) -> Reducer:
    def reduce(values: Floats, there: Bools) -> Floats:
        with np.errstate(all="ignore"):
            result: Floats = ufunc.reduce(np.where(there, values, np.nan), axis=1)
        return result

    return reduce


def _quantile(q: Floats) -> Reducer:
    def reduce(values: Floats, there: Bools) -> Floats:
        groups, members, steps = values.shape
        rows = np.where(there, values, np.nan).transpose(0, 2, 1).reshape(-1, members)
        counts = np.maximum(there.sum(axis=1), 1).ravel()
        return quantile_of_sorted(sort_with_nan_last(rows), counts, np.tile(q, groups)).reshape(groups, steps)

    return reduce


_REDUCERS: dict[str, Reducer] = {
    "sum": _sum,
    "avg": _mean,
    "count": lambda values, there: there.sum(axis=1).astype(np.float64),
    "group": lambda values, there: np.ones((len(values), values.shape[2])),
    "min": _extreme(np.fmin),
    "max": _extreme(np.fmax),
    "stdvar": _variance,
    "stddev": lambda values, there: np.sqrt(_variance(values, there)),
}


def _place(labels: Labels) -> float:
    text = "\xff".join(part for pair in labels for part in pair)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) / 2.0**64
