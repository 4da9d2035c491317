"""Sums that lose nothing: compensated addition (two-sum), as Prometheus's Kahan-Neumaier summation promises."""

from __future__ import annotations

import numpy as np

from opsroom.telemetry.promql.source import Floats
from opsroom.telemetry.promql.windows import Windows


def sum_rows(values: Floats) -> Floats:
    """Sums a stack [groups, members, steps] over its members, by halves, carrying the rounding errors along."""
    errors = np.zeros_like(values)
    while values.shape[1] > 1:
        half = values.shape[1] // 2
        odd_values, odd_errors = values[:, 2 * half :], errors[:, 2 * half :]
        left, right = values[:, :half], values[:, half : 2 * half]
        total, lost = two_sum(left, right)
        errors = np.concatenate((errors[:, :half] + errors[:, half : 2 * half] + lost, odd_errors), axis=1)
        values = np.concatenate((total, odd_values), axis=1)
    return finish(values[:, 0], errors[:, 0])


def sum_windows(windows: Windows, values: Floats) -> Floats:
    """Sums `values` over every window; compensated only where plain addition could have lost something."""
    plain = reduce_windows(np.add, windows, values)
    with np.errstate(all="ignore"):
        size = reduce_windows(np.add, windows, np.abs(values))
        whole = bool(np.all(np.trunc(values) == values))
        doubtful = np.isfinite(size) & (size > np.abs(plain) * 4) & ~(whole & (size < 2.0**53))
    if not doubtful.any():
        return plain
    return np.where(doubtful, fold_sum(windows, values), plain)


def fold_sum(windows: Windows, values: Floats) -> Floats:
    """The compensated sum over every window, one position of all windows at a time."""
    total = np.zeros(windows.low.shape)
    error = np.zeros(windows.low.shape)
    for there, index in windows.fold():
        total, lost = two_sum(total, np.where(there, values[index], 0.0))
        error += lost
    return finish(total, error)


def reduce_windows(ufunc: np.ufunc, windows: Windows, values: Floats) -> Floats:
    """ufunc over every window in C; 0 where a window is empty."""
    counts = windows.counts
    filled = counts > 0
    out = np.zeros(counts.shape)
    if filled.any():
        bounds = np.empty(2 * int(filled.sum()), np.intp)
        bounds[0::2], bounds[1::2] = windows.low[filled], windows.high[filled]
        with np.errstate(all="ignore"):
            out[filled] = ufunc.reduceat(np.append(values, 0.0), bounds)[0::2]
    return out


def two_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """a + b and what the addition lost (Knuth's two-sum); the loss is 0 where the sum is not finite."""
    with np.errstate(all="ignore"):
        total = a + b
        bb = total - a
        lost = (a - (total - bb)) + (b - bb)
    return total, np.where(np.isfinite(total), lost, 0.0)


def finish(total: Floats, error: Floats) -> Floats:
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(total), total + error, total)
