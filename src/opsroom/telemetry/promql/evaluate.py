"""Walks the syntax tree and computes every node for all steps at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import promql_parser as ast

from opsroom.kernel.errors import Invalid
from opsroom.telemetry.promql import aggregate, binary
from opsroom.telemetry.promql.calls import Calls
from opsroom.telemetry.promql.functions import check_label_name
from opsroom.telemetry.promql.parse import matchers, milliseconds
from opsroom.telemetry.promql.source import STALE_BITS, Floats, Ints, Samples, Source
from opsroom.telemetry.promql.values import Budget, Grid, Scalar, Text, Vector
from opsroom.telemetry.promql.windows import Windows, windows

Value = Scalar | Vector | Text

LOOKBACK = 300_000
SUBQUERY_STEP = 60_000


class Evaluator:
    """Evaluates trees on one grid. `outer` is the grid of the whole query: what start(), end() and @ refer to."""

    def __init__(self, source: Source, grid: Grid, budget: Budget, outer: Grid | None = None) -> None:
        self.source, self.grid, self.budget, self.outer = source, grid, budget, outer or grid

    def value(self, node: Any) -> Value:
        """The value of any node but a range vector."""
        self.budget.check()
        match node:
            case ast.NumberLiteral():
                return Scalar(np.full(len(self.grid), node.val))
            case ast.StringLiteral():
                return Text(node.val)
            case ast.ParenExpr():
                return self.value(node.expr)
            case ast.UnaryExpr():
                return self._negated(self.value(node.expr))
            case ast.VectorSelector():
                return self.instant(node)[0]
            case ast.Call():
                return Calls(self).call(node)
            case ast.AggregateExpr():
                return self._aggregate(node)
            case ast.BinaryExpr():
                return self._binary(node)
        raise Invalid(f"{type(node).__name__} cannot stand here; a range such as x[5m] needs a function such as rate()")

    def vector(self, node: Any) -> Vector:
        value = self.value(node)
        if not isinstance(value, Vector):
            raise Invalid(f"expected an instant vector, got {_kind(value)}: {node.prettify()}")
        return value

    def scalar(self, node: Any) -> Floats:
        value = self.value(node)
        if not isinstance(value, Scalar):
            raise Invalid(f"expected a number, got {_kind(value)}: {node.prettify()}")
        return value.values

    def text(self, node: Any) -> str:
        value = self.value(node)
        if not isinstance(value, Text):
            raise Invalid(f"expected a string, got {_kind(value)}: {node.prettify()}")
        return value.value

    def instant(self, node: Any) -> tuple[Vector, Floats]:
        """A selector's latest samples within the lookback, and their times in seconds."""
        ends = self._ends(node)
        found = self.source.select(matchers(node), int(ends[0]) - LOOKBACK, int(ends[-1]))
        at = self._windows(found, ends, LOOKBACK)
        index = np.clip(at.high - 1, 0, max(0, len(found.values) - 1))
        values = found.values[index] if len(found.values) else np.zeros(index.shape)
        present = (at.counts > 0) & (values.view(np.int64) != STALE_BITS)
        seconds = found.times[index] / 1000.0 if len(found.times) else np.zeros(index.shape)
        vector = Vector(found.labels, np.where(present, values, np.nan), present)
        kept = present.any(axis=1)
        return vector.nonempty(), seconds[kept]

    def range(self, node: Any) -> Windows:
        """The windows of a range selector or a subquery."""
        while isinstance(node, ast.ParenExpr):
            node = node.expr
        if isinstance(node, ast.SubqueryExpr):
            return self._subquery(node)
        if not isinstance(node, ast.MatrixSelector):
            raise Invalid(f"expected a range vector such as x[5m]: {node.prettify()}")
        selector, span = node.vector_selector, milliseconds(node.range)
        ends = self._ends(selector)
        found = self.source.select(matchers(selector), int(ends[0]) - span, int(ends[-1]))
        return self._windows(found.without_stale(), ends, span)

    def _subquery(self, node: Any) -> Windows:
        span, step = milliseconds(node.range), milliseconds(node.step) or SUBQUERY_STEP
        ends = self._ends(node)
        after = int(ends[0]) - span
        inner = Grid((after // step + 1) * step, int(ends[-1]), step)
        self.budget.reserve(1, len(inner))
        if not len(inner):
            found = Samples([], np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))
        else:
            value = Evaluator(self.source, inner, self.budget, self.outer).value(node.expr)
            found = _as_samples(value, inner.times)
        return self._windows(found, ends, span)

    def _windows(self, found: Samples, ends: Ints, span: int) -> Windows:
        self.budget.reserve(len(found.labels), len(self.grid))
        times, step = self.grid.times, self.grid.step
        found_windows = windows(found, ends=ends, evaluated=times, step=step, range_ms=span, check=self.budget.check)
        self.budget.reserve_work(int(found_windows.counts.sum()))
        return found_windows

    def _ends(self, node: Any) -> Ints:
        """The times a selector looks at: the grid's own, or the single time of @; less the offset."""
        offset = milliseconds(node.offset)
        if node.at is None:
            return self.grid.times - offset
        kind = node.at.type
        if kind == ast.AtModifierType.Start:
            return np.array([self.outer.start - offset])
        if kind == ast.AtModifierType.End:
            return np.array([self.outer.end - offset])
        return np.array([round(node.at.at.timestamp() * 1000) - offset])

    def _negated(self, value: Value) -> Value:
        if isinstance(value, Scalar):
            return Scalar(-value.values)
        if isinstance(value, Text):
            raise Invalid("a string cannot be negated")
        return value.with_values(-value.values).without_name()

    def _aggregate(self, node: Any) -> Vector:
        name = str(node.op)
        modifier = node.modifier
        grouping = aggregate.Grouping(
            tuple(modifier.labels) if modifier else (),
            bool(modifier) and modifier.type == ast.AggModifierType.Without,
        )
        if name == "count_values":
            label = self.text(node.param)
            check_label_name(label)
            return aggregate.count_values(label, self.vector(node.expr), grouping)
        parameter = self.scalar(node.param) if node.param is not None else None
        vector = self.vector(node.expr)
        if name == "quantile" and parameter is not None:
            for bad in np.unique(parameter[np.isnan(parameter) | (parameter < 0) | (parameter > 1)]):
                self.budget.warn(f"quantile value should be between 0 and 1, got {bad:g}")
        if aggregate.is_reducer(name):
            return aggregate.aggregate(name, vector, grouping, parameter)
        if parameter is None:
            raise Invalid(f"the aggregation {name} is not supported here")
        if name == "limit_ratio":
            return aggregate.limit_ratio(vector, parameter)
        return aggregate.pick(name, vector, grouping, parameter)

    def _binary(self, node: Any) -> Value:
        op = str(node.op)
        left, right = self.value(node.lhs), self.value(node.rhs)
        as_bool = bool(node.modifier and node.modifier.return_bool)
        match left, right:
            case Scalar(), Scalar():
                return binary.scalars(op, left, right)
            case Vector(), Scalar():
                return binary.vector_scalar(op, left, right, swapped=False, as_bool=as_bool)
            case Scalar(), Vector():
                return binary.vector_scalar(op, right, left, swapped=True, as_bool=as_bool)
            case Vector(), Vector():
                matching = _matching(node.modifier)
                if op in binary.SETS:
                    return binary.sets(op, left, right, matching)
                self.budget.reserve(max(len(left.labels), len(right.labels)), len(self.grid))
                return binary.vectors(op, left, right, matching, as_bool=as_bool)
        raise Invalid(f"the operator {op} does not take {_kind(left)} and {_kind(right)}")


def _as_samples(value: Value, times: Ints) -> Samples:
    if isinstance(value, Scalar):
        value = Vector([()], value.values[np.newaxis, :], np.ones((1, len(times)), bool))
    if isinstance(value, Text):
        raise Invalid("a subquery needs an instant vector, got a string")
    counts = value.present.sum(axis=1)
    rows, columns = np.nonzero(value.present)
    return Samples(value.labels, np.concatenate(([0], np.cumsum(counts))), times[columns], value.values[rows, columns])


def _matching(modifier: Any) -> binary.Matching:
    if modifier is None:
        return binary.Matching()
    many = "left" if modifier.card == ast.VectorMatchCardinality.ManyToOne else ""
    many = "right" if modifier.card == ast.VectorMatchCardinality.OneToMany else many
    labels = modifier.matching
    fill = modifier.fill_values
    return binary.Matching(
        names=tuple(labels.labels) if labels else (),
        on=bool(labels) and labels.type == ast.LabelModifierType.Include,
        many=many,
        include=tuple(modifier.group_labels or ()),
        fill_left=fill.lhs,
        fill_right=fill.rhs,
    )


def _kind(value: Value) -> str:
    return {Scalar: "a scalar", Vector: "an instant vector", Text: "a string"}[type(value)]
