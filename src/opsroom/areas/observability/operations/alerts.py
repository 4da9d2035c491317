"""Alerts: list, show."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from opsroom.areas.observability import store as rows
from opsroom.areas.observability.alerting import silence_of
from opsroom.areas.observability.model import AlertRow
from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.plane import Call, Plane
from opsroom.contracts.scopes import SEEN
from opsroom.kernel.errors import NotFound

StateFilter = Literal["", "open", "pending", "firing", "resolved", "unknown"]


class AlertView(Model):
    """An alert from its onset (`active_at`) to its end. `state` unknown: its rule could not be evaluated, and it stays as it was. `value`
    None: what the expression gave is no number that JSON has. `silenced` says which silence covers it now, or when it fired;
    `muted_by` which load test causes it, so that it calls nobody."""

    columns: ClassVar[tuple[str, ...]] = (
        "id", "name", "state", "severity", "service", "environment", "value", "fired_at", "resolved_at",
    )  # fmt: skip
    id: str
    name: str
    state: Literal["pending", "firing", "resolved", "unknown"]
    severity: str
    service: str
    environment: str
    labels: dict[str, str]
    annotations: dict[str, str]
    value: float | None
    expr: str
    active_at: datetime
    fired_at: datetime | None
    resolved_at: datetime | None
    silenced: str
    muted_by: str
    fingerprint: str
    file: str
    group: str
    fired_event: str
    resolved_event: str


@operation("alerts.list", scope=SEEN)
def list_alerts(
    call: Call, *, state: StateFilter = "", name: str = "", service: str = "", environment: str = "", after: str = "",
    limit: int = 50,
) -> Page[AlertView]:  # fmt: skip
    """Alerts that are on and that were, newest first; `state` open: those that are not resolved."""
    states = ("pending", "firing", "unknown") if state == "open" else (state,) if state else ()
    with call.plane.store.read() as tx:
        found = rows.alerts(
            tx, states=states, name=name, service=service, environment=environment, after=after, limit=limit + 1
        )
    items = [alert_view(call.plane, one) for one in found[:limit]]
    return Page[AlertView](items=items, next=items[-1].id if len(found) > limit else "")


@operation("alerts.show", scope=SEEN)
def show_alert(call: Call, id: str) -> AlertView:
    """One alert, by its id, or the newest of a name. Error: not found."""
    return alert_view(call.plane, find_alert(call.plane, id))


def find_alert(plane: Plane, id: str) -> AlertRow:
    """Error: not found."""
    with plane.store.read() as tx:
        found = rows.alert(tx, id)
    if found is None:
        raise NotFound(f"alert {id!r} does not exist; `opsroom alerts list` shows those there are")
    return found


def alert_view(plane: Plane, alert: AlertRow) -> AlertView:
    open_now = alert.resolved_at is None
    silence = silence_of(plane, alert.labels) if open_now else None
    return AlertView(
        id=alert.id, name=alert.name, state=alert.state, severity=alert.severity, service=alert.service,
        environment=alert.environment, labels=dict(alert.labels), annotations=dict(alert.annotations),
        value=alert.value if alert.value - alert.value == 0 else None, expr=alert.expr, active_at=alert.active_at,
        fired_at=alert.fired_at, resolved_at=alert.resolved_at, silenced=silence.id if silence else alert.silence, muted_by=alert.muted_by,
        fingerprint=alert.fingerprint, file=alert.file, group=alert.group, fired_event=alert.fired_event,
        resolved_event=alert.resolved_event,
    )  # fmt: skip
