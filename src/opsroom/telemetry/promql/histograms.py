"""Classic histograms: quantiles and fractions from cumulative buckets labelled `le`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from opsroom.telemetry.port import Labels
from opsroom.telemetry.promql.source import Bools, Floats, Ints
from opsroom.telemetry.promql.values import Budget, Vector, empty_vector, without

_NEGLIGIBLE = 1e-12


@dataclass(frozen=True, slots=True)
class Buckets:
    """One histogram at some steps: upper bounds rising, cumulative counts [bounds, steps]."""

    bounds: Floats
    counts: Floats


def histogram_quantile(vector: Vector, q: Floats, budget: Budget) -> Vector:
    """For every histogram its q-quantile, linear within the bucket (Prometheus's bucketQuantile)."""
    for bad in np.unique(q[np.isnan(q) | (q < 0) | (q > 1)]):
        budget.warn(f"quantile value should be between 0 and 1, got {bad:g}")
    forced: list[bool] = []
    result = _each(vector, lambda buckets, steps: _quantile(buckets, q[steps], forced), budget)
    if forced:
        budget.info(
            "input to histogram_quantile needed to be fixed for monotonicity"
            " (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)"
        )
    return result


def histogram_fraction(vector: Vector, lower: Floats, upper: Floats, budget: Budget) -> Vector:
    """For every histogram the share of observations between two values, linear within the bucket."""
    return _each(vector, lambda buckets, steps: _fraction(buckets, lower[steps], upper[steps]), budget)


def _each(vector: Vector, function: Callable[[Buckets, Ints], Floats], budget: Budget) -> Vector:
    groups: dict[Labels, list[tuple[float, int]]] = {}
    for row, labels in enumerate(vector.labels):
        bound = _bound(dict(labels).get("le"))
        if bound is None:
            budget.warn(f'bucket label "le" is missing or has a malformed value of "{dict(labels).get("le", "")}"')
        else:
            groups.setdefault(without(labels, ("le", "__name__")), []).append((bound, row))
    steps = vector.values.shape[1]
    if not groups:
        return empty_vector(steps)
    values = np.full((len(groups), steps), np.nan)
    present = np.zeros(values.shape, bool)
    for number, members in enumerate(groups.values()):
        members.sort()
        bounds, rows = np.array([m[0] for m in members]), [m[1] for m in members]
        there = vector.present[rows]
        present[number] = there.any(axis=0)
        for chosen, columns in _patterns(there):
            buckets = _coalesced(bounds[chosen], vector.values[rows][chosen][:, columns])
            values[number, columns] = function(buckets, columns)
    return Vector(list(groups), np.where(present, values, np.nan), present)


def _patterns(there: Bools) -> Iterator[tuple[Bools, Ints]]:
    """Steps at which the same buckets are present: (mask of buckets, step numbers)."""
    patterns, inverse = np.unique(there, axis=1, return_inverse=True)
    for number in range(patterns.shape[1]):
        if patterns[:, number].any():
            yield patterns[:, number], np.flatnonzero(inverse.ravel() == number)


def _coalesced(bounds: Floats, counts: Floats) -> Buckets:
    """Buckets that say the same bound in two ways (1, 1.0) are added up."""
    unique, first = np.unique(bounds, return_index=True)
    return Buckets(unique, counts if len(unique) == len(bounds) else np.add.reduceat(counts, first, axis=0))


def _quantile(buckets: Buckets, q: Floats, forced: list[bool]) -> Floats:
    bounds = buckets.bounds
    if len(bounds) < 2 or not np.isposinf(bounds[-1]):
        return _outside(q, np.full(q.shape, np.nan))
    counts = _monotonic(buckets.counts, forced)
    steps = np.arange(len(q))
    with np.errstate(all="ignore"):
        observations = counts[-1]
        rank = q * observations
        bucket = np.minimum((counts[:-1] < rank).sum(axis=0), len(bounds) - 1)
        before = np.where(bucket > 0, counts[bucket - 1, steps], 0.0)
        start = np.where(bucket > 0, bounds[bucket - 1], 0.0)
        value = start + (bounds[bucket] - start) * ((rank - before) / (counts[bucket, steps] - before))
        value = np.where((bucket == 0) & (bounds[0] <= 0), bounds[0], value)
        value = np.where(bucket == len(bounds) - 1, bounds[-2], value)
        value = np.where(observations == 0, np.nan, value)
    return _outside(q, value)


def _outside(q: Floats, value: Floats) -> Floats:
    return np.select([np.isnan(q), q < 0, q > 1], [np.nan, -np.inf, np.inf], value)


def _monotonic(counts: Floats, forced: list[bool]) -> Floats:
    """Cumulative counts never fall; where they do, the earlier one stands. Tiny differences are rounding, and not told."""
    fixed = counts.copy()
    with np.errstate(all="ignore"):
        for row in range(1, len(fixed)):
            before, now = fixed[row - 1], fixed[row]
            close = np.abs(now - before) <= _NEGLIGIBLE * np.maximum(np.abs(now), np.abs(before))
            fell = now < before
            if (fell & ~close).any():
                forced.append(True)
            fixed[row] = np.where(fell | close, before, now)
    return fixed


def _fraction(buckets: Buckets, lower: Floats, upper: Floats) -> Floats:
    bounds, counts = buckets.bounds, _monotonic(buckets.counts, [])
    if len(bounds) < 2 or not np.isposinf(bounds[-1]):
        return np.full(lower.shape, np.nan)
    observations = counts[-1]
    with np.errstate(all="ignore"):
        share = (_rank(bounds, counts, upper) - _rank(bounds, counts, lower)) / observations
        share = np.where(lower >= upper, 0.0, share)
        return np.where((observations == 0) | np.isnan(lower) | np.isnan(upper), np.nan, share)


def _rank(bounds: Floats, counts: Floats, value: Floats) -> Floats:
    """How many observations lie below `value`, one value per step."""
    steps = np.arange(len(value))
    bucket = np.minimum(np.searchsorted(bounds, np.nan_to_num(value), side="left"), len(bounds) - 1)
    first_start = 0.0 if bounds[0] > 0 else -np.inf
    start = np.where(bucket > 0, bounds[bucket - 1], first_start)
    before = np.where(bucket > 0, counts[bucket - 1, steps], 0.0)
    after = counts[bucket, steps]
    with np.errstate(all="ignore"):
        inside = before + (after - before) * ((value - start) / (bounds[bucket] - start))
        inside = np.where(np.isneginf(start), np.where(value >= bounds[bucket], after, before), inside)
        inside = np.where(value <= start, before, inside)
        inside = np.where((bucket == len(bounds) - 1) & (value < np.inf), before, inside)
    return np.where(np.isposinf(value), counts[-1], inside)


def _bound(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
