"""The questions incidents answer: who is on call for a service, and which incidents are open."""

from __future__ import annotations

from opsroom.areas.incidents import store as rows
from opsroom.areas.incidents.on_call import schedule_for
from opsroom.contracts.facts import Answer, OnCall, OpenIncident, OpenIncidents, Shift
from opsroom.contracts.plane import Plane


def on_call(plane: Plane, question: OnCall) -> Answer[Shift]:
    """Unknown where no schedule covers the service, or none of its rotations has begun."""
    now = plane.clock.now()
    schedule, why = schedule_for(plane, question.service)
    if schedule is None:
        return Answer(value=None, unknown=why, at=now)
    turns = schedule.turns_at(now)
    if not turns:
        return Answer(value=None, unknown=f"no rotation of {schedule.name} has begun", at=now)
    people = tuple(dict.fromkeys(turn.person for turn in turns))
    return Answer(value=Shift(schedule=schedule.name, people=people, until=min(turn.until for turn in turns)), at=now)


def open_incidents(plane: Plane, question: OpenIncidents) -> Answer[tuple[OpenIncident, ...]]:
    """Every incident that is not resolved, newest first."""
    with plane.store.read() as tx:
        found = rows.find(tx, states=rows.UNRESOLVED, service=question.service, limit=500)
    value = tuple(
        OpenIncident(
            id=incident.id, title=incident.title, severity=incident.severity, service=incident.service,
            environment=incident.environment, since=incident.opened,
        )
        for incident in found
    )  # fmt: skip
    return Answer(value=value, at=plane.clock.now(), events=tuple(incident.opened_event for incident in found))
