"""Quantiles of sorted rows, interpolated as Prometheus does, with NaN as the smallest value."""

from __future__ import annotations

import numpy as np

from opsroom.telemetry.promql.source import Floats, Ints


def sort_with_nan_last(rows: Floats) -> Floats:
    """Each row sorted; NaN, the padding among it, at the end."""
    return np.sort(rows, axis=1)


def quantile_of_sorted(rows: Floats, counts: Ints, q: Floats) -> Floats:
    """For each row of `rows` (sorted, NaN last) the q-quantile of its `counts` values, of which NaN ones are the smallest.

    q below 0 gives -Inf, above 1 +Inf, NaN gives NaN.
    """
    numbers = (~np.isnan(rows)).sum(axis=1)
    nans = counts - numbers
    with np.errstate(all="ignore"):
        rank = np.clip(np.nan_to_num(q), 0, 1) * (counts - 1)
        low = np.floor(rank).astype(np.int64)
        high = np.minimum(low + 1, counts - 1)
        weight = rank - low
        below, above = _at(rows, low - nans), _at(rows, high - nans)
        value = np.where(weight == 0, below, below * (1 - weight) + above * weight)
    return np.select([np.isnan(q), q < 0, q > 1], [np.nan, -np.inf, np.inf], value)


def _at(rows: Floats, rank: Ints) -> Floats:
    found = np.take_along_axis(rows, np.clip(rank, 0, rows.shape[1] - 1)[:, np.newaxis], axis=1)[:, 0]
    return np.where(rank < 0, np.nan, found)
