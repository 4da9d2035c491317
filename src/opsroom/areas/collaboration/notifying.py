"""Telling channels what they asked to be told: queued with the event's own key, sent with retries, recorded when it was taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from opsroom.areas.collaboration.kinds import TOLD
from opsroom.contracts.area import Duty, Subscription
from opsroom.contracts.facts import OwnerOf
from opsroom.contracts.plane import Plane
from opsroom.contracts.ports import Message
from opsroom.contracts.sentences import Sentences
from opsroom.kernel.errors import NotFound, UserError
from opsroom.kernel.ledger import Event
from opsroom.kernel.queue import Item
from opsroom.kernel.resources import Resource, parse_ref
from opsroom.kernel.store import table

NOTIFICATIONS = table(
    "notifications",
    "id",
    "channel",
    "event",
    "title",
    "state",
    "attempts",
    "detail",
    "sent_event",
    times=("made", "sent"),
)
KIND = "collaboration.notify"
ATTEMPTS = 8
LEASE_SECONDS = 60.0
FIRST_PAUSE = 2.0


def queue_for_channels(plane: Plane, event: Event) -> None:
    """Queues the event for every channel that lists its type, and for those the event itself names (a budget's)."""
    if event.type == TOLD:
        return
    named = [str(name) for name in event.data.get("channels", [])] if event.type == "budget.exceeded" else []
    for resource in plane.catalogs.current().all("NotificationChannel"):
        if event.type in resource.spec.events or resource.name in named:
            _queue(plane, resource, event)


def send_due(plane: Plane) -> None:
    """Sends what is due, one after the other; each failure is tried again later with a growing pause."""
    while item := plane.queue.claim([KIND], "collaboration", LEASE_SECONDS):
        _send(plane, item)


def _queue(plane: Plane, resource: Resource, event: Event) -> None:
    title = Sentences([one for area in plane.areas for one in area.events]).tell(event)
    with plane.store.begin() as tx:
        same = sa.and_(NOTIFICATIONS.c.channel == resource.name, NOTIFICATIONS.c.event == event.id)
        if tx.row(sa.select(NOTIFICATIONS.c.id).where(same)) is not None:
            return
        id = plane.clock.new_id("ntf")
        tx.execute(
            sa.insert(NOTIFICATIONS).values(
                id=id, channel=resource.name, event=event.id, title=title, state="waiting", attempts=0, detail="",
                made=plane.clock.now(), sent=None, sent_event="",
            )
        )  # fmt: skip
        plane.queue.put(tx, KIND, {"notification": id}, key=f"notify:{id}", cause=event.id)


def _send(plane: Plane, item: Item) -> None:
    id = str(item.payload["notification"])
    with plane.store.read() as tx:
        row = tx.row(sa.select(NOTIFICATIONS).where(NOTIFICATIONS.c.id == id))
    if row is None or row["state"] == "sent":
        with plane.store.begin() as tx:
            plane.queue.done(tx, item)
        return
    try:
        detail = _deliver(plane, row["channel"], row)
    except UserError as error:
        _failed(plane, item, id, str(error))
        return
    with plane.store.begin() as tx:
        event = plane.ledger.record(
            tx, "notification.sent", actor="system:collaboration", cause=row["event"], key=f"notified:{id}",
            subjects=[f"channel:{row['channel']}"], data={"channel": row["channel"], "title": row["title"], "detail": detail},
        )  # fmt: skip
        values: dict[str, Any] = {
            "state": "sent",
            "sent": plane.clock.now(),
            "detail": detail,
            "attempts": item.attempts,
        }
        tx.execute(sa.update(NOTIFICATIONS).where(NOTIFICATIONS.c.id == id).values(**values, sent_event=event.id))
        plane.queue.done(tx, item)


def _deliver(plane: Plane, name: str, row: Any) -> str:
    resource = plane.catalogs.current().find("NotificationChannel", name)
    if resource is None:
        raise NotFound(f"NotificationChannel {name!r} is not in the ops repo any more")
    notifier = plane.notifiers.get(resource.spec.type)
    if notifier is None:
        raise NotFound(f"nothing here delivers by {resource.spec.type}; there are: {', '.join(plane.notifiers)}")
    message = Message(
        title=row["title"], body=row["title"], url=f"{plane.settings.base_url}/changes/{row['event']}", key=row["id"],
        fields={"event": row["event"]}, cause=row["event"],
    )  # fmt: skip
    channel = {**resource.spec.model_dump(), "name": name}
    return notifier.send(plane, channel, message, _recipients(plane, str(row["event"]))).detail


def _recipients(plane: Plane, event: str) -> tuple[str, ...]:
    """What a channel without `to` means: the owner of the service that the event is of, or all people where it is of none."""
    service, catalog = plane.ledger.get(event).subject("service"), plane.catalogs.current()
    owner = plane.ask(OwnerOf(service)).value if service else ""
    people = _addresses(catalog.all("User"))
    if not owner:
        return people
    kind, name = parse_ref(owner, "Group")
    names = (name,) if kind.lower() == "user" else catalog.members_of(name)
    return _addresses([one for one in catalog.all("User") if one.name in names]) or people


def _addresses(people: Iterable[Resource]) -> tuple[str, ...]:
    profiles = [one.spec.profile for one in people if one.spec.profile]
    return tuple(profile.email for profile in profiles if profile.email)


def _failed(plane: Plane, item: Item, id: str, reason: str) -> None:
    with plane.store.begin() as tx:
        last = item.attempts >= ATTEMPTS
        state = "failed" if last else "waiting"
        tx.execute(
            sa.update(NOTIFICATIONS)
            .where(NOTIFICATIONS.c.id == id)
            .values(state=state, attempts=item.attempts, detail=reason)
        )
        if last:
            plane.queue.fail(tx, item, reason)
        else:
            plane.queue.retry(tx, item, delay=FIRST_PAUSE * 2.0 ** (item.attempts - 1), error=reason)


DUTIES = (Duty(name="notify", seconds=1.0, run=send_due),)
SUBSCRIPTIONS = (Subscription(name="channels", types=(), handle=queue_for_channels),)
