"""What observability adds to the pages of others: health, budgets, golden signals, and a deployment's before and after."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from opsroom.areas.observability import signals
from opsroom.areas.observability import store as rows
from opsroom.areas.observability.alerting import silence_of
from opsroom.areas.observability.model import AlertRow
from opsroom.areas.observability.operations.slos import SloView, slo_views
from opsroom.areas.observability.operations.targets import target_views
from opsroom.areas.observability.pages.seen import seen, telemetry_problem
from opsroom.areas.observability.recent import recent
from opsroom.contracts.facts import HealthOf, OpenIncidents
from opsroom.contracts.pages import PageRequest, View
from opsroom.contracts.plane import Plane
from opsroom.kernel.errors import UserError
from opsroom.telemetry.port import Points

BURNING = 0.1
"""A budget of which no more than this is left is wrong now."""
AROUND = timedelta(minutes=5)
SETTLING = timedelta(seconds=15)
"""A window that begins this long after the switch holds samples of the new version alone."""
STEP_SECONDS = 5.0
FRESH_SECONDS, KEPT_SECONDS = 5.0, 86_400.0


def wrong(asked: PageRequest) -> View | None:
    """Alerts that no incident holds, targets that do not answer, budgets that are spent, and telemetry itself."""
    plane = asked.call.plane
    with plane.store.read() as tx:
        firing = [one for one in rows.open_alerts(tx) if one.fired_at]
    held = {(one.service, one.environment) for one in plane.ask(OpenIncidents()).value or ()}
    alerts = [one for one in seen(asked, firing) if _is_loose(plane, one, held)]
    targets = [one for one in seen(asked, target_views(plane)) if one.state == "down"]
    budgets = [one for one in seen(asked, slo_views(plane)) if one.left is not None and one.left <= BURNING]
    problem = telemetry_problem(asked)
    if not (alerts or targets or budgets or problem):
        return None
    values = {"alerts": alerts, "targets": targets, "budgets": budgets, "problem": problem}
    return View(template="observability/wrong.html", values=values)


def signals_of_service(asked: PageRequest) -> View | None:
    """Requests, errors and p95 of a service, by environment, with the changes of the scope."""
    service, environment = asked.params["service"], asked.scope.environment
    shown = [
        {"title": one.title, "queries": [{"query": one.charted, "name": one.name}], "unit": one.unit}
        for one in (signals.rate(service, environment), signals.error_share(service, environment), signals.p95(service, environment))
    ]  # fmt: skip
    targets = [one for one in target_views(asked.call.plane) if one.service == service]
    values = {"charts": shown, "service": service, "targets": seen(asked, targets), "wide": True}
    return View(template="observability/signals.html", values=values) if targets else None


def objectives_of_service(asked: PageRequest) -> View | None:
    """The objectives of a service and what is left of their budgets."""
    found = seen(asked, [one for one in slo_views(asked.call.plane) if one.service == asked.params["service"]])
    return View(template="observability/budgets.html", values={"slos": found}) if found else None


def health_cell(asked: PageRequest) -> View | None:
    """Whether the service's targets answer, and its rate and errors where it runs."""
    plane, service = asked.call.plane, asked.params["service"]
    targets = seen(asked, [one for one in target_views(plane) if one.service == service])
    if not targets:
        return None
    order = {one.name: one.spec.order for one in plane.catalogs.current().all("Environment")}
    environment = max({one.environment for one in targets}, key=lambda name: (order.get(name, 0), name))
    here = [one.state for one in targets if one.environment == environment]
    state = next((word for word in ("down", "unknown") if word in here), "up")
    answer = plane.ask(HealthOf(service, environment))
    return View(
        template="observability/health.html", values={"state": state, "environment": environment, "answer": answer}
    )


def budget_cell(asked: PageRequest) -> View | None:
    """The lowest budget of the service's objectives."""
    found = seen(asked, [one for one in slo_views(asked.call.plane) if one.service == asked.params["service"]])
    if not found:
        return None
    known = [one for one in found if one.left is not None]
    lowest: SloView = min(known, key=lambda one: one.left or 0.0) if known else found[0]
    return View(template="observability/budget.html", values={"slo": lowest})


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One figure before a deployment and after it; None: no samples."""

    title: str
    unit: str
    before: float | None
    after: float | None

    @property
    def change(self) -> float | None:
        if self.before is None or self.after is None or not self.before:
            return None
        return self.after / self.before - 1


def around_deployment(asked: PageRequest) -> View | None:
    """Rate, error share and p95 in the minutes before a deployment and those after it, and p95 of each version as a chart."""
    plane = asked.call.plane
    told = plane.ledger.find(
        types=["deployment.finished"], subjects=[f"deployment:{asked.params['id']}"], newest_first=False, limit=1
    )
    if not told:
        return None
    asked.call.sight.require(told[0])
    ended, place = told[0].time, (told[0].subject("service"), told[0].subject("environment"))
    now = plane.clock.now()
    until = min(now, ended + AROUND, _next(plane, *place, ended) or now)
    # What is past does not change any more.
    good_for = FRESH_SECONDS if until == now else KEPT_SECONDS
    try:
        compared, chart = recent(
            plane, ("around", asked.params["id"], good_for), good_for,
            lambda: (_compared(plane, place, ended, until), _p95_chart(plane, place, ended, until)),
        )  # fmt: skip
    except UserError as error:
        return View(template="observability/around.html", values={"compared": [], "chart": None, "unknown": str(error)})
    known = any(one.before is not None or one.after is not None for one in compared)
    values = {
        "compared": compared, "chart": chart, "unknown": "" if known else "no HTTP metrics around it",
        "seconds": (until - ended).total_seconds(),
    }  # fmt: skip
    return View(template="observability/around.html", values=values)


def _compared(plane: Plane, place: tuple[str, str], at: datetime, until: datetime) -> list[Compared]:
    seconds = (until - at - SETTLING).total_seconds()
    before = _figures(plane, place, at, AROUND.total_seconds())
    after = _figures(plane, place, until, seconds) if seconds >= STEP_SECONDS else (None, None, None)
    kinds = (signals.rate(*place), signals.error_share(*place), signals.p95(*place))
    return [
        Compared(title=kind.title, unit=kind.unit, before=one, after=two)
        for kind, one, two in zip(kinds, before, after, strict=True)
    ]


def _figures(
    plane: Plane, place: tuple[str, str], at: datetime, seconds: float
) -> tuple[float | None, float | None, float | None]:
    """Rate, error share and p95 over the seconds before a moment."""
    window, when = f"{round(seconds)}s", at.timestamp()
    rate, errors = signals.rate_and_errors(
        plane.telemetry.query(signals.requests_by_code(*place, window=window), when).series
    )
    p95 = plane.telemetry.query(signals.p95(*place, window=window, by="service").query, when).value
    return rate, errors, p95 if p95 is not None and math.isfinite(p95) else None


def _p95_chart(plane: Plane, place: tuple[str, str], at: datetime, until: datetime) -> dict[str, Any] | None:
    start, end = (at - AROUND).timestamp(), until.timestamp()
    query = signals.p95(*place, window="15s", by="version").query
    count = int((end - start) / STEP_SECONDS) + 1
    result = plane.telemetry.query_range(query, start, end, STEP_SECONDS)
    if not result.series:
        return None
    times = [start + index * STEP_SECONDS for index in range(count)]
    return {
        "times": times,
        "series": [
            {"name": dict(one.labels).get("version", ""), "values": _grid(one, start, count)} for one in result.series
        ],
    }


def _grid(points: Points, start: float, count: int) -> list[float | None]:
    values: list[float | None] = [None] * count
    for time, value in zip(points.times, points.values, strict=True):
        index = round((time - start) / STEP_SECONDS)
        if 0 <= index < count and math.isfinite(value):
            values[index] = value
    return values


def _next(plane: Plane, service: str, environment: str, at: datetime) -> datetime | None:
    """When the next deployment there finished: what came then is not of this one."""
    later = plane.ledger.find(
        types=["deployment.finished"], subjects=[f"service:{service}", f"environment:{environment}"],
        since=at + timedelta(microseconds=1), newest_first=False, limit=1,
    )  # fmt: skip
    return later[0].time if later else None


def _is_loose(plane: Plane, alert: AlertRow, held: set[tuple[str, str]]) -> bool:
    quiet = bool(alert.muted_by) or silence_of(plane, alert.labels) is not None
    return (alert.service, alert.environment) not in held and not quiet
