"""Function calls: which function takes what, and what becomes of the labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import promql_parser as ast

from opsroom.kernel.errors import Invalid
from opsroom.telemetry.promql import functions, overtime
from opsroom.telemetry.promql.histograms import histogram_fraction, histogram_quantile
from opsroom.telemetry.promql.parse import absent_labels
from opsroom.telemetry.promql.source import Floats
from opsroom.telemetry.promql.values import Scalar, Vector, empty_vector, vector_of
from opsroom.telemetry.promql.windows import Windows

if TYPE_CHECKING:
    from opsroom.telemetry.promql.evaluate import Evaluator

OverRange = Callable[[Windows], overtime.Answer]

RANGE: dict[str, OverRange] = {
    "rate": lambda w: overtime.extrapolated(w, counter=True, per_second=True),
    "increase": lambda w: overtime.extrapolated(w, counter=True, per_second=False),
    "delta": lambda w: overtime.extrapolated(w, counter=False, per_second=False),
    "irate": lambda w: overtime.instant_difference(w, counter=True),
    "idelta": lambda w: overtime.instant_difference(w, counter=False),
    "count_over_time": overtime.count,
    "sum_over_time": overtime.total,
    "avg_over_time": overtime.mean,
    "min_over_time": overtime.lowest,
    "max_over_time": overtime.highest,
    "last_over_time": overtime.last,
    "first_over_time": overtime.first,
    "present_over_time": overtime.present,
    "stddev_over_time": overtime.deviation,
    "stdvar_over_time": overtime.variance,
    "mad_over_time": overtime.median_deviation,
    "changes": overtime.changes,
    "resets": overtime.resets,
    "deriv": overtime.slope,
    "ts_of_first_over_time": lambda w: overtime.time_of(w, None, latest=False),
    "ts_of_last_over_time": lambda w: overtime.time_of(w, None, latest=True),
    "ts_of_max_over_time": lambda w: overtime.time_of(w, np.greater_equal, latest=True),
    "ts_of_min_over_time": lambda w: overtime.time_of(w, np.less_equal, latest=True),
}
KEEPS_NAME = frozenset({"last_over_time", "first_over_time"})


class Calls:
    """One use of a function by an evaluator."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._in = evaluator

    def call(self, node: Any) -> Scalar | Vector:
        """The value of a call; a function that is not there is Invalid and named."""
        name, args = node.func.name, node.args
        if name in RANGE:
            windows = self._in.range(args[0])
            return _over_range(windows, RANGE[name](windows), keep_name=name in KEEPS_NAME)
        if name in functions.MATH:
            return functions.mathematics(name, self._in.vector(args[0]))
        if name in functions.CALENDAR:
            of = self._in.vector(args[0]) if args else vector_of((), self._seconds)
            return functions.calendar(name, of)
        method = getattr(self, f"_{name}", None)
        if method is None:
            raise Invalid(f"PromQL: the function {name}() is not supported here")
        result: Scalar | Vector = method(*args)
        return result

    @property
    def _seconds(self) -> Floats:
        return self._in.grid.times / 1000.0

    def _everywhere(self, value: float) -> Scalar:
        return Scalar(np.full(len(self._in.grid), value))

    def _time(self) -> Scalar:
        return Scalar(self._seconds)

    def _pi(self) -> Scalar:
        return self._everywhere(np.pi)

    def _start(self) -> Scalar:
        return self._everywhere(self._in.outer.start / 1000.0)

    def _end(self) -> Scalar:
        return self._everywhere(self._in.outer.end / 1000.0)

    def _range(self) -> Scalar:
        return self._everywhere((self._in.outer.end - self._in.outer.start) / 1000.0)

    def _step(self) -> Scalar:
        outer = self._in.outer
        return self._everywhere(outer.step / 1000.0 if outer.end > outer.start else 0.0)

    def _vector(self, of: Any) -> Vector:
        return vector_of((), self._in.scalar(of))

    def _scalar(self, of: Any) -> Scalar:
        vector = self._in.vector(of)
        alone = vector.present.sum(axis=0) == 1
        return Scalar(np.where(alone, np.where(vector.present, vector.values, 0.0).sum(axis=0), np.nan))

    def _max_of(self, *of: Any) -> Scalar:
        return Scalar(np.maximum.reduce([self._in.scalar(one) for one in of]))

    def _min_of(self, *of: Any) -> Scalar:
        return Scalar(np.minimum.reduce([self._in.scalar(one) for one in of]))

    def _timestamp(self, of: Any) -> Vector:
        while isinstance(of, ast.ParenExpr):
            of = of.expr
        if isinstance(of, ast.VectorSelector):
            vector, seconds = self._in.instant(of)
            return vector.with_values(seconds).without_name()
        vector = self._in.vector(of)
        return vector.with_values(np.broadcast_to(self._seconds, vector.values.shape)).without_name()

    def _absent(self, of: Any) -> Vector:
        return self._where_missing(self._in.vector(of).present.any(axis=0), of)

    def _absent_over_time(self, of: Any) -> Vector:
        return self._where_missing((self._in.range(of).counts > 0).any(axis=0), of)

    def _where_missing(self, there: Any, of: Any) -> Vector:
        return vector_of(absent_labels(of), np.ones(len(there))).where(~there[np.newaxis, :]).nonempty()

    def _clamp(self, of: Any, low: Any, high: Any) -> Vector:
        return functions.clamp(self._in.vector(of), self._in.scalar(low), self._in.scalar(high))

    def _clamp_min(self, of: Any, low: Any) -> Vector:
        return functions.clamp(self._in.vector(of), self._in.scalar(low), np.inf)

    def _clamp_max(self, of: Any, high: Any) -> Vector:
        return functions.clamp(self._in.vector(of), -np.inf, self._in.scalar(high))

    def _round(self, of: Any, to: Any = None) -> Vector:
        return functions.rounded(self._in.vector(of), 1.0 if to is None else self._in.scalar(to))

    def _label_replace(self, of: Any, target: Any, template: Any, source: Any, pattern: Any) -> Vector:
        into, form, name, expression = (self._in.text(one) for one in (target, template, source, pattern))
        return functions.label_replace(self._in.vector(of), into, form, name, expression, self._in.source.groups)

    def _label_join(self, of: Any, target: Any, separator: Any, *sources: Any) -> Vector:
        names = [self._in.text(one) for one in sources]
        return functions.label_join(self._in.vector(of), self._in.text(target), self._in.text(separator), names)

    def _sort(self, of: Any) -> Vector:
        return functions.sorted_by_value(self._in.vector(of), descending=False)

    def _sort_desc(self, of: Any) -> Vector:
        return functions.sorted_by_value(self._in.vector(of), descending=True)

    def _sort_by_label(self, of: Any, *names: Any) -> Vector:
        return functions.sorted_by_label(self._in.vector(of), [self._in.text(n) for n in names], descending=False)

    def _sort_by_label_desc(self, of: Any, *names: Any) -> Vector:
        return functions.sorted_by_label(self._in.vector(of), [self._in.text(n) for n in names], descending=True)

    def _histogram_quantile(self, q: Any, of: Any) -> Vector:
        return histogram_quantile(self._in.vector(of), self._in.scalar(q), self._in.budget)

    def _histogram_quantiles(self, of: Any, label: Any, *qs: Any) -> Vector:
        name = self._in.text(label)
        functions.check_label_name(name)
        vector, parts = self._in.vector(of), []
        for one in qs:
            q = self._in.scalar(one)
            part = histogram_quantile(vector, q, self._in.budget)
            text = f"{q[0]:g}"
            parts.append(
                part.relabelled([tuple(sorted({**dict(labels), name: text}.items())) for labels in part.labels])
            )
        if not parts:
            return empty_vector(len(self._in.grid))
        return Vector(
            [labels for part in parts for labels in part.labels],
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.present for part in parts]),
        )

    def _histogram_fraction(self, low: Any, high: Any, of: Any) -> Vector:
        vector = self._in.vector(of)
        return histogram_fraction(vector, self._in.scalar(low), self._in.scalar(high), self._in.budget)

    def _quantile_over_time(self, q: Any, of: Any) -> Vector:
        windows, wanted = self._in.range(of), self._in.scalar(q)
        for bad in np.unique(wanted[np.isnan(wanted) | (wanted < 0) | (wanted > 1)]):
            self._in.budget.warn(f"quantile value should be between 0 and 1, got {bad:g}")
        return _over_range(windows, overtime.quantile(windows, wanted))

    def _predict_linear(self, of: Any, ahead: Any) -> Vector:
        windows = self._in.range(of)
        return _over_range(windows, overtime.predicted(windows, self._in.scalar(ahead)))

    def _double_exponential_smoothing(self, of: Any, smoothing: Any, trend: Any) -> Vector:
        windows = self._in.range(of)
        factors = [self._in.scalar(smoothing), self._in.scalar(trend)]
        for name, factor in zip(("smoothing", "trend"), factors, strict=True):
            if ((factor < 0) | (factor > 1)).any():
                raise Invalid(f"invalid {name} factor. Expected: 0 <= {name[0]}f <= 1, got: {factor[0]:g}")
        return _over_range(windows, overtime.smoothed(windows, *factors))


def _over_range(windows: Windows, answer: overtime.Answer, *, keep_name: bool = False) -> Vector:
    values, present = answer
    vector = Vector(windows.samples.labels, np.where(present, values, np.nan), present).nonempty()
    return vector if keep_name else vector.without_name()
