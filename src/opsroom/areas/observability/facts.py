"""The questions observability answers: error budgets left, and the golden signals of a service."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

from opsroom.areas.observability import signals
from opsroom.areas.observability import slo_store as rows
from opsroom.areas.observability.model import SloRow
from opsroom.areas.observability.recent import recent
from opsroom.contracts.facts import Answer, Budget, BudgetLeft, Figures, FiguresDuring, HealthOf, Signals
from opsroom.kernel.errors import UserError

if TYPE_CHECKING:
    from datetime import datetime

    from opsroom.contracts.plane import Plane
    from opsroom.telemetry.port import Points

OLD = timedelta(minutes=2)
"""A figure that was not made again for this long is unknown."""
RECENT_SECONDS = 2.0
READ_EVERY_SECONDS = 2.0
FIGURES_WINDOW = "30s"


def budget_left(plane: Plane, question: BudgetLeft) -> Answer[tuple[Budget, ...]]:
    """The budgets of a service that are known now; unknown where it has no objective, or none of them has a figure."""
    now = plane.clock.now()
    resources = [one for one in plane.catalogs.current().all("SLO") if one.spec.service == question.service]
    if not resources:
        return Answer(value=None, unknown=f"{question.service} has no SLO in the ops repo", at=now)
    with plane.store.read() as tx:
        known = rows.slos(tx)
    found, reasons, events, at = [], [], [], now
    for resource in resources:
        row = known.get(resource.name)
        reason = why_unknown(row, now)
        if row is None or row.left is None or reason:
            reasons.append(f"{resource.name}: {reason}")
            continue
        at = min(at, row.evaluated)
        events += [row.event] if row.event else []
        objective = resource.spec.objective.share
        found.append(Budget(slo=resource.name, objective=objective, left=row.left, burn_rate=row.burn_rate or 0.0))
    if not found:
        return Answer(value=None, unknown="; ".join(reasons), at=now)
    return Answer(value=tuple(found), at=at, events=tuple(events))


def why_unknown(row: SloRow | None, now: datetime) -> str:
    """Why an objective has no figure now; "" : it has one."""
    if row is None:
        return "it was not evaluated yet"
    if row.left is None:
        return row.reason or "nothing was counted yet"
    if now - row.evaluated > OLD:
        return row.reason or f"it was last evaluated {row.evaluated:%Y-%m-%d %H:%M:%S} UTC"
    return ""


def health_of(plane: Plane, question: HealthOf) -> Answer[Signals]:
    """Rate, error share and p95 over the last minute, from http_requests_total and http_request_duration_seconds."""
    now = plane.clock.now()
    place = (question.service, question.environment)
    try:
        found = _signals_of(plane, *place) if not question.environment else _signals_everywhere(plane).get(place)
    except UserError as error:
        return Answer(value=None, unknown=str(error), at=now)
    if found is None or (found.rate is None and found.p95_seconds is None):
        where = f" in {question.environment}" if question.environment else ""
        return Answer(value=None, unknown=f"no HTTP metrics of {question.service}{where} in the last minute", at=now)
    return Answer(value=found, at=now)


def figures_during(plane: Plane, question: FiguresDuring) -> Answer[tuple[Figures, ...]]:
    """p95 and error share, read every two seconds over windows of half a minute; unknown where telemetry cannot answer."""
    now, place = plane.clock.now(), (question.service, question.environment)
    asked = {
        "p95": signals.p95(*place, window=FIGURES_WINDOW, by="service"),
        "errors": signals.error_share(*place, window=FIGURES_WINDOW, by="service"),
    }
    start, end = question.since.timestamp(), question.until.timestamp()
    try:
        answers = {
            name: plane.telemetry.query_range(one.query, start, end, READ_EVERY_SECONDS) for name, one in asked.items()
        }
    except UserError as error:
        return Answer(value=None, unknown=str(error), at=now)
    found = [
        Figures(name=name, times=series.times, values=series.values)
        for name, answer in answers.items()
        for series in answer.series[:1]
    ]
    return Answer(value=tuple(found), at=now)


def _signals_everywhere(plane: Plane) -> dict[tuple[str, str], Signals]:
    """The signals of every place, in two questions however many services a page shows."""

    def look() -> dict[tuple[str, str], Signals]:
        at = plane.clock.now().timestamp()
        by_place: dict[tuple[str, str], list[Points]] = {}
        for one in plane.telemetry.query(signals.requests_by_code(), at).series:
            named = dict(one.labels)
            by_place.setdefault((named.get("service", ""), named.get("environment", "")), []).append(one)
        p95 = plane.telemetry.query(signals.p95("", by="service, environment").query, at).by("service", "environment")
        found = {}
        for place in {*by_place, *p95}:
            rate, errors = signals.rate_and_errors(by_place.get((place[0], place[1]), ()))
            found[place[0], place[1]] = Signals(rate=rate, error_share=errors, p95_seconds=_finite(p95.get(place)))
        return found

    return recent(plane, "signals", RECENT_SECONDS, look)


def _signals_of(plane: Plane, service: str, environment: str) -> Signals:
    at = plane.clock.now().timestamp()
    rate, errors = signals.rate_and_errors(
        plane.telemetry.query(f"sum by (code) ({signals.requests_by_code(service, environment)})", at).series
    )
    p95 = plane.telemetry.query(signals.p95(service, environment, by="service").query, at).value
    return Signals(rate=rate, error_share=errors, p95_seconds=_finite(p95))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
