"""Functions of a range: rate and its kin, and everything that ends in _over_time, each over all windows at once.

Each takes windows and answers (values, present), both series x steps. Extrapolation as Prometheus's `extrapolatedRate`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from opsroom.telemetry.promql.quantiles import quantile_of_sorted, sort_with_nan_last
from opsroom.telemetry.promql.source import Bools, Floats, Ints
from opsroom.telemetry.promql.sums import finish, reduce_windows, sum_windows, two_sum
from opsroom.telemetry.promql.windows import Windows

Answer = tuple[Floats, Bools]
_GATHERED = 4_000_000


def extrapolated(windows: Windows, *, counter: bool, per_second: bool) -> Answer:
    """increase, delta and rate: the difference over the window, extended towards its bounds."""
    samples, counts = windows.samples, windows.counts
    present = counts >= 2
    first_value, last_value = windows.first(samples.values), windows.last(samples.values)
    first_time, last_time = windows.first(samples.times), windows.last(samples.times)
    with np.errstate(all="ignore"):
        result = last_value - first_value
        if counter:
            result = result + _resets_inside(windows)
        sampled = (last_time - first_time) / 1000.0
        between = sampled / (counts - 1)
        to_start = (first_time - windows.ends + windows.range) / 1000.0
        to_end = (windows.ends - last_time) / 1000.0
        to_start = np.where(to_start >= between * 1.1, between / 2, to_start)
        if counter:
            to_zero = np.where((result > 0) & (first_value >= 0), sampled * (first_value / result), to_start)
            to_start = np.fmin(to_zero, to_start)
        to_end = np.where(to_end >= between * 1.1, between / 2, to_end)
        factor = (sampled + to_start + to_end) / sampled
        if per_second:
            factor = factor / (windows.range / 1000.0)
        return result * factor, present


def instant_difference(windows: Windows, *, counter: bool) -> Answer:
    """irate and idelta: from the last two samples of the window."""
    samples = windows.samples
    present = windows.counts >= 2
    index = np.clip(windows.high - 1, 1, max(1, len(samples.values) - 1))
    if not len(samples.values):
        return np.zeros(present.shape), present
    values, times = samples.values, samples.times
    last = values[np.minimum(index, len(values) - 1)]
    before = values[index - 1]
    with np.errstate(all="ignore"):
        difference = np.where(last < before, last, last - before) if counter else last - before
        if counter:
            difference = difference / ((times[np.minimum(index, len(times) - 1)] - times[index - 1]) / 1000.0)
    return difference, present


def count(windows: Windows) -> Answer:
    return windows.counts.astype(np.float64), windows.counts > 0


def total(windows: Windows) -> Answer:
    return sum_windows(windows, windows.samples.values), windows.counts > 0


def mean(windows: Windows) -> Answer:
    """The mean; where the sum of finite values overflows, of the values divided first."""
    counts = np.maximum(windows.counts, 1)
    with np.errstate(all="ignore"):
        result = sum_windows(windows, windows.samples.values) / counts
        if (overflow := np.isinf(result)).any():
            finite = reduce_windows(np.fmax, windows, np.abs(windows.samples.values)) < np.inf
            scaled = np.zeros(counts.shape)
            for there, index in windows.fold():
                scaled += np.where(there, windows.samples.values[index] / counts, 0.0)
            result = np.where(overflow & finite, scaled, result)
    return result, windows.counts > 0


def highest(windows: Windows) -> Answer:
    return reduce_windows(np.fmax, windows, windows.samples.values), windows.counts > 0


def lowest(windows: Windows) -> Answer:
    return reduce_windows(np.fmin, windows, windows.samples.values), windows.counts > 0


def last(windows: Windows) -> Answer:
    return windows.last(windows.samples.values), windows.counts > 0


def first(windows: Windows) -> Answer:
    return windows.first(windows.samples.values), windows.counts > 0


def present(windows: Windows) -> Answer:
    return np.ones(windows.counts.shape), windows.counts > 0


def variance(windows: Windows) -> Answer:
    """The population variance, in two passes."""
    counts = np.maximum(windows.counts, 1)
    with np.errstate(all="ignore"):
        average = sum_windows(windows, windows.samples.values) / counts
        squares = np.zeros(counts.shape)
        error = np.zeros(counts.shape)
        for there, index in windows.fold():
            squares, lost = two_sum(squares, np.where(there, (windows.samples.values[index] - average) ** 2, 0.0))
            error += lost
        return finish(squares, error) / counts, windows.counts > 0


def deviation(windows: Windows) -> Answer:
    values, there = variance(windows)
    return np.sqrt(values), there


def changes(windows: Windows) -> Answer:
    """How often the value changed; NaN after NaN is no change."""
    values = windows.samples.values
    differs = (values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1]))
    return _flags_inside(windows, differs), windows.counts > 0


def resets(windows: Windows) -> Answer:
    """How often the value fell."""
    values = windows.samples.values
    return _flags_inside(windows, values[1:] < values[:-1]), windows.counts > 0


def slope(windows: Windows) -> Answer:
    """deriv: the slope per second of the least-squares line."""
    found, _ = _regression(windows, windows.first(windows.samples.times))
    return found, windows.counts >= 2


def predicted(windows: Windows, ahead: Floats) -> Answer:
    """predict_linear: the least-squares line at the step's time plus `ahead` seconds."""
    found, intercept = _regression(windows, np.broadcast_to(windows.evaluated, windows.counts.shape))
    with np.errstate(all="ignore"):
        return found * ahead + intercept, windows.counts >= 2


def smoothed(windows: Windows, smoothing: Floats, trend: Floats) -> Answer:
    """double_exponential_smoothing (Holt's): level and trend, one position of all windows at a time."""
    values = windows.samples.values
    shape = windows.counts.shape
    level, before, slope_ = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    with np.errstate(all="ignore"):
        for position, (there, index) in enumerate(windows.fold()):
            now = values[index]
            if position == 0:
                level = now
                continue
            if position == 1:
                slope_ = now - level
            else:
                slope_ = np.where(there, trend * (level - before) + (1 - trend) * slope_, slope_)
            before, level = (
                np.where(there, level, before),
                np.where(there, smoothing * now + (1 - smoothing) * (level + slope_), level),
            )
    return level, windows.counts >= 2


def quantile(windows: Windows, q: Floats) -> Answer:
    """The q-quantile of every window, interpolated; NaN counts as the smallest."""
    return _of_sorted(windows, lambda rows, counts, columns: quantile_of_sorted(rows, counts, q[columns])), (
        windows.counts > 0
    )


def median_deviation(windows: Windows) -> Answer:
    """mad_over_time: the median distance from the median; NaN where the window holds one."""

    def of(rows: Floats, counts: Ints, columns: Ints) -> Floats:
        half = np.full(len(counts), 0.5)
        centre = quantile_of_sorted(rows, counts, half)
        with np.errstate(all="ignore"):
            distances = sort_with_nan_last(np.abs(rows - centre[:, np.newaxis]))
        with_nan = (~np.isnan(rows)).sum(axis=1) < counts
        return np.where(with_nan, np.nan, quantile_of_sorted(distances, counts, half))

    return _of_sorted(windows, of), windows.counts > 0


def time_of(windows: Windows, better: Callable[[Floats, Floats], Bools] | None, *, latest: bool) -> Answer:
    """ts_of_…: the time (s) of the sample that no later one is `better` than; None: of the first or the `latest`."""
    seconds = windows.samples.times / 1000.0
    if better is None:
        return (windows.last if latest else windows.first)(seconds), windows.counts > 0
    best = np.full(windows.counts.shape, np.nan)
    when = np.zeros(windows.counts.shape)
    with np.errstate(all="ignore"):
        for position, (there, index) in enumerate(windows.fold()):
            now = windows.samples.values[index]
            wins = there & (np.isnan(best) | better(now, best)) if position else there
            best, when = np.where(wins, now, best), np.where(wins, seconds[index], when)
    return when, windows.counts > 0


def _resets_inside(windows: Windows) -> Floats | float:
    """What counter resets lost within each window: the value before every fall."""
    values = windows.samples.values
    fell = values[1:] < values[:-1]
    if len(values) < 2 or not fell.any():
        return 0.0
    lost = np.concatenate(([0.0], np.where(fell, values[:-1], 0.0)))
    inner = replace(windows, low=np.minimum(windows.low + 1, windows.high))
    return reduce_windows(np.add, inner, lost)


def _flags_inside(windows: Windows, between: Bools) -> Floats:
    """For flags between neighbouring samples: how many lie within each window."""
    if not len(between):
        return np.zeros(windows.counts.shape)
    until: Ints = np.concatenate(([0], np.cumsum(between)))
    crossed: Ints = windows.last(until) - windows.first(until)
    return crossed.astype(np.float64)


def _regression(windows: Windows, origin: Ints | Floats) -> tuple[Floats, Floats]:
    """Least squares over every window, with x in seconds from `origin` (ms): (slope, value at the origin)."""
    samples, n = windows.samples, np.maximum(windows.counts, 1)
    shape = windows.counts.shape
    sums = {name: (np.zeros(shape), np.zeros(shape)) for name in ("x", "y", "xy", "xx")}
    with np.errstate(all="ignore"):
        for there, index in windows.fold():
            x = np.where(there, (samples.times[index] - origin) / 1000.0, 0.0)
            y = np.where(there, samples.values[index], 0.0)
            for name, term in (("x", x), ("y", y), ("xy", x * y), ("xx", x * x)):
                value, lost = two_sum(sums[name][0], term)
                sums[name] = (value, sums[name][1] + lost)
        x, y, xy, xx = (finish(*sums[name]) for name in ("x", "y", "xy", "xx"))
        found = (xy - x * y / n) / (xx - x * x / n)
        intercept = y / n - found * x / n
        start = windows.first(samples.values)
        constant = (highest(windows)[0] == start) & (lowest(windows)[0] == start)
        bad = constant & np.isinf(start)
        found = np.where(constant, np.where(bad, np.nan, 0.0), found)
        intercept = np.where(constant, np.where(bad, np.nan, start), intercept)
    return found, intercept


def _of_sorted(windows: Windows, function: Callable[[Floats, Ints, Ints], Floats]) -> Floats:
    """Applies `function(sorted rows, counts, step numbers)` to all filled windows, in pieces of bounded size."""
    out = np.full(windows.counts.shape, np.nan)
    rows, columns = np.nonzero(windows.counts)
    counts = windows.counts[rows, columns]
    piece = max(1, _GATHERED // max(1, int(counts.max(initial=1))))
    for start in range(0, len(rows), piece):
        windows.check()
        part = slice(start, start + piece)
        low, size = windows.low[rows[part], columns[part]], counts[part]
        position = np.arange(int(size.max()))
        index = np.minimum(low[:, np.newaxis] + position, len(windows.samples.values) - 1)
        gathered = np.where(position < size[:, np.newaxis], windows.samples.values[index], np.nan)
        out[rows[part], columns[part]] = function(sort_with_nan_last(gathered), size, columns[part])
    return out
