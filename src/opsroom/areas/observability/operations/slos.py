"""SLOs: list."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from opsroom.areas.observability import slo_store as rows
from opsroom.areas.observability.facts import why_unknown
from opsroom.areas.observability.openslo import ENVIRONMENT
from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call, Plane
from opsroom.contracts.scopes import SEEN


class SloView(Model):
    """An objective and its budget. `left`: share of the error budget left over what was watched of the window (1 untouched, 0 spent, below
    overspent), None where `unknown` says why. `burn_rate`: how fast the last `burn_seconds` use it up, 1 being exactly as allowed.
    `covered_seconds` of the `window_seconds` were watched; `good` of `total` events (or time slices) were good."""

    columns: ClassVar[tuple[str, ...]] = (
        "name", "service", "environment", "objective", "left", "burn_rate", "good", "total", "unknown",
    )  # fmt: skip
    name: str
    title: str
    service: str
    environment: str
    objective: float
    budgeting: str
    left: float | None
    burn_rate: float | None
    burn_seconds: float
    good: float
    total: float
    window_seconds: float
    covered_seconds: float
    unknown: str
    evaluated: datetime | None
    event: str


@operation("slos.list", scope=SEEN)
def list_slos(call: Call, *, service: str = "", environment: str = "") -> list[SloView]:
    """Objectives and how much of each error budget is left."""
    views = slo_views(call.plane)
    return [one for one in views if service in ("", one.service) and environment in ("", one.environment)]


def slo_views(plane: Plane) -> list[SloView]:
    """Every SLO of the ops repo with its last figures, by name."""
    now = plane.clock.now()
    with plane.store.read() as tx:
        known = rows.slos(tx)
    views = []
    for resource in plane.catalogs.current().all("SLO"):
        row, spec = known.get(resource.name), resource.spec
        unknown = why_unknown(row, now)
        views.append(
            SloView(
                name=resource.name, title=resource.title, service=spec.service, environment=resource.annotation(ENVIRONMENT),
                objective=spec.objective.share, budgeting=spec.budgeting_method,
                left=row.left if row and not unknown else None, burn_rate=row.burn_rate if row and not unknown else None,
                burn_seconds=row.burn_seconds if row else 0.0, good=row.good if row else 0.0, total=row.total if row else 0.0,
                window_seconds=spec.window, covered_seconds=row.covered if row else 0.0, unknown=unknown,
                evaluated=row.evaluated if row else None, event=row.event if row else "",
            )
        )  # fmt: skip
    return views
