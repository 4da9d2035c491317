"""Metrics: query, range."""

from __future__ import annotations

from datetime import datetime, timedelta

from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import Sifted
from opsroom.kernel.errors import Invalid
from opsroom.telemetry.port import QueryResult
from opsroom.telemetry.promql.numbers import format_number

DEFAULT_RANGE = timedelta(hours=1)
AIM_POINTS = 240


class MetricSeries(Model):
    """One series: its labels, Unix times in seconds, and as many values, written as Prometheus does ("0.25", "NaN", "+Inf")."""

    labels: dict[str, str]
    times: list[float]
    values: list[str]


class MetricResult(Model):
    """What an expression gives: scalar, string, vector or matrix. `text` is that of a string; warnings doubt the answer."""

    kind: str
    series: list[MetricSeries]
    text: str
    warnings: list[str]
    infos: list[str]


@operation(
    "metrics.query", scope=Sifted("series of the services and environments that the actor may read, by their labels")
)
def query_metrics(call: Call, *, query: str, time: datetime | None = None) -> MetricResult:
    """Evaluate PromQL at one time, by default now. Error: invalid expression; over a limit; telemetry unavailable."""
    at = (time or call.plane.clock.now()).timestamp()
    return _answer(call.telemetry.query(query, at))


@operation(
    "metrics.range", scope=Sifted("series of the services and environments that the actor may read, by their labels")
)
def range_metrics(
    call: Call, *, query: str, since: datetime | None = None, until: datetime | None = None, step: float = 0.0
) -> MetricResult:
    """Evaluate PromQL over a range, by default the last hour; `step` in seconds, 0: one that gives about 240 points."""
    end = until or call.plane.clock.now()
    start = since or end - DEFAULT_RANGE
    if start >= end:
        raise Invalid(f"since {start.isoformat()} is not before until {end.isoformat()}; swap them")
    every = step or max(1.0, round((end - start).total_seconds() / AIM_POINTS))
    return _answer(call.telemetry.query_range(query, start.timestamp(), end.timestamp(), every))


def _answer(result: QueryResult) -> MetricResult:
    series = [
        MetricSeries(
            labels=dict(one.labels), times=list(one.times), values=[format_number(value) for value in one.values]
        )
        for one in result.series
    ]
    return MetricResult(
        kind=result.kind, series=series, text=result.text, warnings=list(result.warnings), infos=list(result.infos)
    )
