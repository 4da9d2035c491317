"""The duty of objectives: counts what was good, keeps the sums of each window, and tells of the budget when there is news.

Counters are read as they are and their growth is added up here, so a figure needs neither all samples of 28 days nor their retention.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from opsroom.areas.observability import slo_store as rows
from opsroom.areas.observability.budgets import (
    Counters,
    Figures,
    Sums,
    bucket_width,
    figures,
    level_of,
    meets,
    total_of,
)
from opsroom.areas.observability.causes import cause_of
from opsroom.areas.observability.model import SloRow
from opsroom.contracts.area import Duty
from opsroom.kernel.errors import UserError

if TYPE_CHECKING:
    from opsroom.areas.observability.openslo import SLO
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.ledger import Event
    from opsroom.kernel.resources import Resource
    from opsroom.kernel.store import Tx
    from opsroom.telemetry.port import QueryResult

ACTOR = "system:observability"
EVERY_SECONDS = 5.0
AGAIN = timedelta(hours=1)
BURN_SECONDS = 3600.0
"""The time over which the burn rate is taken."""
ENVIRONMENT = "opsroom.dev/environment"


def evaluate_all(plane: Plane) -> None:
    """Evaluates every objective of the ops repo; one that cannot be read now says why, and the others go on."""
    resources = plane.catalogs.current().all("SLO")
    for resource in resources:
        try:
            evaluate_slo(plane, resource)
        except UserError as error:
            _say_why(plane, resource.name, str(error))
    if plane.catalogs.current().commit:
        _drop_removed(plane, {resource.name for resource in resources})


def evaluate_slo(plane: Plane, resource: Resource) -> None:
    """Evaluates one objective, now. Unavailable: telemetry does not answer, and nothing is counted."""
    slo: SLO = resource.spec
    now, definition = plane.clock.now(), definition_of(slo)
    with plane.store.read() as tx:
        known = rows.slo(tx, resource.name)
    fresh = known is None or known.definition != definition
    before = _begin(resource.name, definition, now) if known is None or fresh else known
    counted, counters = _count(plane, slo, before, now, first=fresh)
    environment = resource.annotation(ENVIRONMENT)
    cause = cause_of(plane, slo.service, environment)
    with plane.store.begin() as tx:
        here = rows.slo(tx, resource.name)
        if (here.evaluated if here else None) != (known.evaluated if known else None):
            return  # another server counted this time already
        if fresh:
            rows.drop_slo(tx, resource.name)
        after = _add_up(tx, slo, replace(before, counters=counters, evaluated=now), counted)
        event = _tell(plane, tx, resource, after, cause)
        if event is not None and after.left is not None:
            after = replace(after, told=now, event=event.id, level=level_of(after.left, after.level))
        rows.put_slo(tx, after)


def definition_of(slo: SLO) -> str:
    """What a count belongs to: with another definition it begins anew. The target and the window are not part of it."""
    parts = (slo.budgeting_method, slo.queries, slo.objective.op, slo.objective.value, slo.objective.time_slice_window)
    ratio = slo.indicator.spec.ratio_metric
    return hashlib.sha256(repr((parts, ratio.counter if ratio else None)).encode()).hexdigest()[:16]


def _begin(name: str, definition: str, now: datetime) -> SloRow:
    return SloRow(
        name=name, definition=definition, counters={}, began=now, evaluated=now, reason="nothing was counted yet"
    )


def _count(plane: Plane, slo: SLO, before: SloRow, now: datetime, *, first: bool) -> tuple[Sums, dict[str, Any]]:
    """What happened since the last evaluation, and where the counters are now."""
    passed = (now - before.evaluated).total_seconds()

    def ask(query: str) -> QueryResult:
        return plane.telemetry.query(query, now.timestamp(), lane="rules")

    ratio, threshold = slo.indicator.spec.ratio_metric, slo.indicator.spec.threshold_metric
    if ratio is None:
        assert threshold is not None and slo.objective.op is not None and slo.objective.value is not None
        values = [one.latest for one in ask(threshold.query).series if one.latest == one.latest]
        good = sum(meets(value, slo.objective.op, slo.objective.value) for value in values)
        return Sums(float(good), float(len(values)), _watched(passed) if values else 0.0), {}
    part = ratio.good or ratio.bad
    assert part is not None
    parts, totals = ask(part.query), ask(ratio.total.query)
    if ratio.counter:
        kept = {name: Counters.of(before.counters.get(name, {})) for name in ("part", "total")}
        counted = kept["part"].increase(parts, now.timestamp())
        total = kept["total"].increase(totals, now.timestamp())
        seconds = passed if totals.series else 0.0
        counters = {name: one.plain() for name, one in kept.items()}
    else:
        seconds = _watched(passed) if totals.series and not first else 0.0
        counted, total, counters = total_of([parts]) * seconds, total_of([totals]) * seconds, {}
    good_events = counted if ratio.good else total - counted
    return Sums(min(max(0.0, good_events), total), total, seconds), counters


def _watched(passed: float) -> float:
    """Rates and thresholds speak for a moment: what passed unseen, as while the server was down, is not theirs."""
    return min(passed, 3 * EVERY_SECONDS)


def _add_up(tx: Tx, slo: SLO, row: SloRow, counted: Sums) -> SloRow:
    """The row with what was counted added, and the figures that follow."""
    objective, now = slo.objective, row.evaluated.timestamp()
    sliced = objective.time_slice_target if slo.budgeting_method == "Timeslices" else None
    width = bucket_width(slo.window, objective.time_slice_window if sliced is not None else None)
    rows.add(tx, row.name, int(now // width) * width, counted)
    rows.forget_before(tx, row.name, now - slo.window - width)
    window, recent = (
        rows.sums(tx, row.name, now - back)
        if sliced is None
        else rows.slices(tx, row.name, now - back, now - width, sliced)  # whole slices only
        for back in (slo.window, min(BURN_SECONDS, slo.window))
    )
    found: Figures = figures(window, recent, objective.share, noun="events" if sliced is None else "time slices")
    return replace(
        row, left=found.left, burn_rate=found.burn_rate, burn_seconds=recent.seconds, good=window.good, total=window.total,
        covered=min(window.seconds, slo.window), reason=found.reason,
    )  # fmt: skip


def _tell(plane: Plane, tx: Tx, resource: Resource, row: SloRow, cause: str) -> Event | None:
    """`slo.evaluated`: the first figure, one an hour, and when the budget falls to a level or recovers from it."""
    if row.left is None or row.burn_rate is None:
        return None
    level, slo = level_of(row.left, row.level), resource.spec
    if row.told is not None and level == row.level and row.evaluated - row.told < AGAIN:
        return None
    subjects = [f"service:{slo.service}", f"slo:{resource.name}"]
    if environment := resource.annotation(ENVIRONMENT):
        subjects.append(f"environment:{environment}")
    return plane.ledger.record(
        tx, "slo.evaluated", actor=ACTOR, cause=cause, subjects=subjects,
        key=f"slo.evaluated:{resource.name}:{row.definition}:{row.evaluated.isoformat()}",
        data={"title": resource.title, "objective": slo.objective.share, "left": row.left, "burn_rate": row.burn_rate,
              "good": row.good, "total": row.total, "covered_seconds": row.covered, "window_seconds": slo.window,
              "burn_seconds": row.burn_seconds, "level": level, "level_before": row.level if row.told else None,
              "budgeting": slo.budgeting_method},
    )  # fmt: skip


def _say_why(plane: Plane, name: str, reason: str) -> None:
    """The figures stay those of the last evaluation; who reads them is told why they are not newer."""
    with plane.store.begin() as tx:
        row = rows.slo(tx, name)
        if row is not None and row.reason != reason:
            rows.put_slo(tx, replace(row, reason=reason))


def _drop_removed(plane: Plane, names: set[str]) -> None:
    with plane.store.read() as tx:
        gone = set(rows.slos(tx)) - names
    for name in gone:
        with plane.store.begin() as tx:
            rows.drop_slo(tx, name)


OBJECTIVES = Duty(name="slos", seconds=EVERY_SECONDS, run=evaluate_all)
