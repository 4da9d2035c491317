"""The front door of PromQL: an expression, a source, a time or a range; a result or a UserError."""

from __future__ import annotations

from typing import Any

import numpy as np
import promql_parser as ast

from opsroom.kernel.errors import Invalid, TooLarge
from opsroom.telemetry.limits import Limits
from opsroom.telemetry.port import Points, QueryResult
from opsroom.telemetry.promql.evaluate import Evaluator, Value
from opsroom.telemetry.promql.parse import parse, shown
from opsroom.telemetry.promql.source import Source
from opsroom.telemetry.promql.values import Budget, Grid, Scalar, Text, Vector
from opsroom.telemetry.promql.windows import Windows


def query(source: Source, text: str, at: float, limits: Limits) -> QueryResult:
    """Evaluates at one time. A bare range selector gives its samples as a matrix."""
    tree, moment = parse(text), _milliseconds(at, "time")
    budget = Budget.of(seconds=limits.query_seconds, points=limits.query_points)
    evaluator = Evaluator(source, Grid(moment, moment, 1), budget)
    inner = _inside(tree)
    if isinstance(inner, ast.MatrixSelector | ast.SubqueryExpr):
        return _noted(QueryResult("matrix", _window_points(evaluator.range(inner))), budget)
    return _noted(_instant_result(evaluator.value(tree), at), budget)


def query_range(source: Source, text: str, start: float, end: float, step: float, limits: Limits) -> QueryResult:
    """Evaluates at start, start + step, … up to end. Invalid and TooLarge name the bound that does not hold."""
    tree = parse(text)
    grid = _grid(start, end, step, limits)
    budget = Budget.of(seconds=limits.query_seconds, points=limits.query_points)
    value = Evaluator(source, grid, budget).value(tree)
    if isinstance(value, Text):
        raise Invalid(f"PromQL {shown(text)}: a string has no range; ask for it at one time")
    if isinstance(value, Scalar):
        value = Vector([()], value.values[np.newaxis, :], np.ones((1, len(grid)), bool))
    return _noted(QueryResult("matrix", _range_points(value, grid)), budget)


def _grid(start: float, end: float, step: float, limits: Limits) -> Grid:
    first, last, every = _milliseconds(start, "start"), _milliseconds(end, "end"), _milliseconds(step, "step")
    if every <= 0:
        raise Invalid(f"step {step:g} is not a positive number of seconds")
    if last < first:
        raise Invalid(f"end {end:g} lies before start {start:g}")
    grid = Grid(first, last, every)
    if len(grid) > limits.steps:
        raise TooLarge(f"{len(grid):,} steps are over the limit of {limits.steps:,} per series; use a larger step")
    return grid


def _milliseconds(seconds: float, name: str) -> int:
    if not abs(seconds) < 2**43:
        raise Invalid(f"{name} {seconds} is not a time in seconds")
    return round(seconds * 1000)


def _inside(tree: Any) -> Any:
    while isinstance(tree, ast.ParenExpr):
        tree = tree.expr
    return tree


def _instant_result(value: Value, at: float) -> QueryResult:
    if isinstance(value, Text):
        return QueryResult("string", text=value.value)
    if isinstance(value, Scalar):
        return QueryResult("scalar", (Points((), (at,), (float(value.values[0]),)),))
    points = [
        Points(labels, (at,), (float(value.values[row, 0]),))
        for row, labels in enumerate(value.labels)
        if value.present[row, 0]
    ]
    return QueryResult("vector", tuple(points if value.ordered else sorted(points, key=lambda p: p.labels)))


def _range_points(vector: Vector, grid: Grid) -> tuple[Points, ...]:
    seconds = grid.times / 1000.0
    always = tuple(seconds.tolist())
    points = []
    for row in sorted(range(len(vector.labels)), key=lambda i: vector.labels[i]):
        there = vector.present[row]
        if there.all():
            points.append(Points(vector.labels[row], always, tuple(vector.values[row].tolist())))
        elif there.any():
            values = vector.values[row][there]
            points.append(Points(vector.labels[row], tuple(seconds[there].tolist()), tuple(values.tolist())))
    return tuple(points)


def _window_points(windows: Windows) -> tuple[Points, ...]:
    samples = windows.samples
    found = []
    for row, labels in sorted(enumerate(samples.labels), key=lambda pair: pair[1]):
        part = slice(int(windows.low[row, 0]), int(windows.high[row, 0]))
        if part.stop > part.start:
            times = tuple((samples.times[part] / 1000.0).tolist())
            found.append(Points(labels, times, tuple(samples.values[part].tolist())))
    return tuple(found)


def _noted(result: QueryResult, budget: Budget) -> QueryResult:
    return QueryResult(result.kind, result.series, result.text, tuple(budget.warnings), tuple(budget.infos))
