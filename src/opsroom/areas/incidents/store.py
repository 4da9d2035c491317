"""The SQL of incidents: their rows, alerts, pages, action items and postmortems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.areas.incidents.model import ActionItem, Incident, IncidentAlert, Page, Postmortem
from opsroom.kernel.store import Tx, table

INCIDENTS = table(
    "incidents", "id", "key", "title", "state", "severity", "service", "environment", "alert", "owner", "acknowledged_by",
    "resolved_by", "automatic", "note", "unpaged", "previous", "opened_event", "resolved_event",
    json=("runbook", "suspects", "timers"), times=("onset", "opened", "acknowledged", "resolved"),
)  # fmt: skip
ALERTS = table(
    "incident_alerts", "incident", "fingerprint", "name", "service", "environment", "severity", "summary", "value", "expr",
    "fired_event", "resolved_event", times=("fired", "resolved"),
)  # fmt: skip
PAGES = table(
    "incident_pages", "id", "incident", "step", "channel", "provider", "address", "state", "attempts", "error", "receiver",
    "sent_event", json=("people",), times=("created", "sent", "delivered", "next_try"),
)  # fmt: skip
ITEMS = table(
    "action_items", "id", "incident", "title", "state", "owner", "closed_by", "note", "opened_event",
    times=("opened", "closed"),
)  # fmt: skip
POSTMORTEMS = table("postmortems", "incident", "markdown", "event", times=("drafted",))
UNRESOLVED = ("open", "acknowledged")


def add(tx: Tx, incident: Incident) -> None:
    tx.execute(sa.insert(INCIDENTS).values({**asdict(incident), "automatic": int(incident.automatic)}))


def change(tx: Tx, id: str, **values: Any) -> None:
    tx.execute(sa.update(INCIDENTS).where(INCIDENTS.c.id == id).values(**values))


def get(tx: Tx, id: str) -> Incident | None:
    return _one(tx, INCIDENTS.c.id == id)


def by_key(tx: Tx, key: str) -> Incident | None:
    return _one(tx, INCIDENTS.c.key == key)


def find(
    tx: Tx, *, states: Sequence[str] = (), service: str = "", environment: str = "", alert: str = "", owner: str = "",
    since: datetime | None = None, after: str = "", limit: int = 100,
) -> list[Incident]:  # fmt: skip
    """Incidents that match all given, newest first; `after` is the id to go on from. `since`: opened then or later."""
    query = sa.select(INCIDENTS).order_by(INCIDENTS.c.id.desc()).limit(limit)
    for column, value in (("service", service), ("environment", environment), ("alert", alert), ("owner", owner)):
        if value:
            query = query.where(INCIDENTS.c[column] == value)
    if states:
        query = query.where(INCIDENTS.c.state.in_(states))
    if since:
        query = query.where(INCIDENTS.c.opened >= since)
    if after:
        query = query.where(INCIDENTS.c.id < after)
    return [_incident(row) for row in tx.rows(query)]


def previous(tx: Tx, *, alert: str, service: str, environment: str) -> str:
    """The id of the last incident of the same alert in the same place; "" where there is none."""
    same = (INCIDENTS.c.alert == alert, INCIDENTS.c.service == service, INCIDENTS.c.environment == environment)
    return str(tx.scalar(sa.select(INCIDENTS.c.id).where(*same).order_by(INCIDENTS.c.id.desc()).limit(1)) or "")


def put_alert(tx: Tx, alert: IncidentAlert) -> None:
    """Adds the alert, or lets one with the same fingerprint fire again."""
    same = sa.and_(ALERTS.c.incident == alert.incident, ALERTS.c.fingerprint == alert.fingerprint)
    if not tx.execute(sa.update(ALERTS).where(same).values(asdict(alert))).rowcount:
        tx.execute(sa.insert(ALERTS).values(asdict(alert)))


def end_alert(tx: Tx, incident: str, fingerprint: str, *, resolved: datetime, event: str) -> None:
    same = sa.and_(ALERTS.c.incident == incident, ALERTS.c.fingerprint == fingerprint)
    tx.execute(sa.update(ALERTS).where(same).values(resolved=resolved, resolved_event=event))


def alerts(tx: Tx, incident: str) -> list[IncidentAlert]:
    """The alerts of an incident, the first fired first."""
    rows = tx.rows(sa.select(ALERTS).where(ALERTS.c.incident == incident).order_by(ALERTS.c.fired))
    return [IncidentAlert(**row) for row in rows]


def unresolved_with(tx: Tx, fingerprint: str) -> Incident | None:
    """The unresolved incident that holds this alert."""
    holds = sa.select(ALERTS.c.incident).where(ALERTS.c.fingerprint == fingerprint)
    return _one(tx, INCIDENTS.c.id.in_(holds), INCIDENTS.c.state.in_(UNRESOLVED))


def knows_firing(tx: Tx, event: str) -> bool:
    """Whether this alert.fired was taken in already."""
    return tx.scalar(sa.select(ALERTS.c.incident).where(ALERTS.c.fired_event == event).limit(1)) is not None


def add_page(tx: Tx, page: Page) -> None:
    tx.execute(sa.insert(PAGES).values(asdict(page)))


def change_page(tx: Tx, id: str, **values: Any) -> None:
    tx.execute(sa.update(PAGES).where(PAGES.c.id == id).values(**values))


def page(tx: Tx, id: str) -> Page | None:
    row = tx.row(sa.select(PAGES).where(PAGES.c.id == id))
    return _page(row) if row else None


def pages(tx: Tx, *, incident: str = "", after: str = "", limit: int = 200) -> list[Page]:
    """Pages, newest first."""
    query = sa.select(PAGES).order_by(PAGES.c.id.desc()).limit(limit)
    if incident:
        query = query.where(PAGES.c.incident == incident)
    if after:
        query = query.where(PAGES.c.id < after)
    return [_page(row) for row in tx.rows(query)]


def add_item(tx: Tx, item: ActionItem) -> None:
    tx.execute(sa.insert(ITEMS).values(asdict(item)))


def change_item(tx: Tx, id: str, **values: Any) -> None:
    tx.execute(sa.update(ITEMS).where(ITEMS.c.id == id).values(**values))


def item(tx: Tx, id: str) -> ActionItem | None:
    row = tx.row(sa.select(ITEMS).where(ITEMS.c.id == id))
    return ActionItem(**row) if row else None


def items(tx: Tx, *, incident: str = "", state: str = "", after: str = "", limit: int = 200) -> list[ActionItem]:
    """Action items, newest first."""
    query = sa.select(ITEMS).order_by(ITEMS.c.id.desc()).limit(limit)
    for column, value in (("incident", incident), ("state", state)):
        if value:
            query = query.where(ITEMS.c[column] == value)
    if after:
        query = query.where(ITEMS.c.id < after)
    return [ActionItem(**row) for row in tx.rows(query)]


def add_postmortem(tx: Tx, postmortem: Postmortem) -> None:
    tx.execute(sa.insert(POSTMORTEMS).values(asdict(postmortem)))


def postmortem(tx: Tx, incident: str) -> Postmortem | None:
    row = tx.row(sa.select(POSTMORTEMS).where(POSTMORTEMS.c.incident == incident))
    return Postmortem(**row) if row else None


def _one(tx: Tx, *where: Any) -> Incident | None:
    row = tx.row(sa.select(INCIDENTS).where(*where).order_by(INCIDENTS.c.id.desc()).limit(1))
    return _incident(row) if row else None


def _incident(row: RowMapping) -> Incident:
    values = dict(row)
    for name in ("suspects", "timers"):
        values[name] = tuple(values[name])
    return Incident(**{**values, "automatic": bool(values["automatic"])})


def _page(row: RowMapping) -> Page:
    return Page(**{**row, "people": tuple(row["people"])})
