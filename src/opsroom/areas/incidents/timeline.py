"""The timeline of an incident: every event of the ledger that belongs to it, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opsroom.areas.incidents.changes import change_types
from opsroom.areas.incidents.model import Incident, IncidentAlert
from opsroom.contracts.plane import Plane
from opsroom.kernel.errors import NotFound
from opsroom.kernel.ledger import Event

MOST = 200
DEPTH = 8
_RUNBOOK = "runbook.started"
_INNER = frozenset({"secret.read", "run.priced", "job.finished"})
"""What belongs to a run or a page and tells nobody what happened."""


def timeline(plane: Plane, incident: Incident, alerts: Iterable[IncidentAlert]) -> list[Event]:
    """Oldest first: the likeliest suspect, the alerts, what is recorded of the incident, all that its runbook did, and the changes to
    its service while it lasted."""
    found = {event.id: event for event in _events(plane, incident, alerts) if event.type not in _INNER}
    return sorted(found.values(), key=lambda event: (event.time, event.id))


def helped(plane: Plane, incident: Incident, events: Iterable[Event]) -> list[Event]:
    """The changes to the service that took effect between its opening and its end: what brought it back is among them, if anything is."""
    changes = change_types(plane)
    return [
        event
        for event in events
        if event.type in changes
        and not event.type.endswith((".started", ".failed"))
        and event.subject("service") == incident.service
        and event.subject("environment") in ("", incident.environment)
        and event.time >= incident.opened
        and (incident.resolved is None or event.time <= incident.resolved)
    ]


def _events(plane: Plane, incident: Incident, alerts: Iterable[IncidentAlert]) -> Iterator[Event]:
    ledger = plane.ledger
    first = [str(one["event"]) for one in incident.suspects[:1] if one["score"] > 0]
    named = [event for alert in alerts for event in (alert.fired_event, alert.resolved_event)]
    for id in (*first, *named):
        if id:
            try:
                yield ledger.get(id)
            except NotFound:
                continue
    own = ledger.find(subjects=[f"incident:{incident.id}"], newest_first=False, limit=MOST)
    yield from own
    for event in own:
        if event.type == _RUNBOOK:
            yield from _effects(plane, event)
    if incident.service:
        subjects = [f"service:{incident.service}"]
        types = change_types(plane)
        if types:
            yield from (
                event
                for event in ledger.find(
                    types=types, subjects=subjects, since=incident.opened, until=incident.resolved, limit=MOST
                )
                if event.subject("environment") in ("", incident.environment)
            )


def _effects(plane: Plane, root: Event) -> Iterator[Event]:
    """All that an event caused, level by level."""
    level, seen = [root], 0
    for _ in range(DEPTH):
        level = [effect for event in level for effect in plane.ledger.effects(event.id)]
        yield from level
        seen += len(level)
        if not level or seen > MOST:
            return
