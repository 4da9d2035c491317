"""DORA: show. Notifications: list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

import sqlalchemy as sa

from opsroom.areas.collaboration.dora import DEFINITIONS
from opsroom.areas.collaboration.measuring import measure
from opsroom.areas.collaboration.notifying import NOTIFICATIONS
from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import Seen
from opsroom.contracts.sight import Sight
from opsroom.kernel.actors import Resource
from opsroom.kernel.errors import NotFound

DAYS = 30


class DoraView(Model):
    """DORA's four keys of a service, each with its definition and the events behind it. None: nothing to compute it from."""

    service: str
    since: datetime
    until: datetime
    deployments: int
    lead_time_seconds: float | None
    change_failure_share: float | None
    recovery_seconds: float | None
    definitions: dict[str, str]
    events: dict[str, list[str]]


class NotificationView(Model):
    """Something a channel was told. `detail`: what the receiver answered, or why it could not be sent."""

    columns: ClassVar[tuple[str, ...]] = ("id", "channel", "title", "state", "attempts", "detail", "made", "sent")
    id: str
    channel: str
    event: str
    title: str
    state: str
    attempts: int
    detail: str
    made: datetime
    sent: datetime | None


def _of_service(call: Call, given: Mapping[str, Any]) -> Resource:
    service = str(given["id"])
    return Resource(kind="dora", id=service, team="" if service == "all" else call.sight.owner(service))


def _shows(sight: Sight, told: NotificationView) -> bool:
    """A notification belongs where its event does."""
    try:
        return sight.shows(sight.plane.ledger.get(told.event))
    except NotFound:
        return False


@operation("dora.show", scope=_of_service)
def show_dora(call: Call, id: str, *, since: datetime | None = None, until: datetime | None = None) -> DoraView:
    """The four keys of a service, by default over the last 30 days; `all` for every service."""
    if id != "all" and call.plane.catalogs.current().find("Component", id) is None:
        raise NotFound(f"service {id!r} is not in the catalog; `opsroom services list` shows those that are")
    end = until or call.plane.clock.now()
    begin = since or end - timedelta(days=DAYS)
    keys = measure(call.plane, "" if id == "all" else id, begin, end)
    return DoraView(
        service=id, since=begin, until=end, deployments=keys.deployments, lead_time_seconds=keys.lead_time_seconds,
        change_failure_share=keys.change_failure_share, recovery_seconds=keys.recovery_seconds,
        definitions=dict(DEFINITIONS), events={name: list(events) for name, events in keys.events.items()},
    )  # fmt: skip


@operation("notifications.list", scope=Seen(_shows))
def list_notifications(call: Call, *, channel: str = "", after: str = "", limit: int = 50) -> Page[NotificationView]:
    """What channels were told, newest first."""
    query = sa.select(NOTIFICATIONS).order_by(NOTIFICATIONS.c.id.desc()).limit(limit + 1)
    if channel:
        query = query.where(NOTIFICATIONS.c.channel == channel)
    if after:
        query = query.where(NOTIFICATIONS.c.id < after)
    with call.plane.store.read() as tx:
        found = tx.rows(query)
    items = [NotificationView(**{name: row[name] for name in NotificationView.model_fields}) for row in found[:limit]]
    return Page[NotificationView](items=items, next=items[-1].id if len(found) > limit else "")
