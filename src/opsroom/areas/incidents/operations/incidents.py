"""Incidents: list, show, open by hand, acknowledge, resolve, start the runbook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from opsroom.areas.incidents import runbook
from opsroom.areas.incidents import store as rows
from opsroom.areas.incidents.escalation import give_up_timers
from opsroom.areas.incidents.model import Incident, Severity, after
from opsroom.areas.incidents.opening import Trouble, open_incident
from opsroom.areas.incidents.operations.views import (
    IncidentDetail,
    IncidentView,
    MomentView,
    alert_views,
    incident_values,
    incident_view,
    item_view,
    page_view,
)
from opsroom.areas.incidents.resolving import not_found, resolve
from opsroom.areas.incidents.timeline import timeline
from opsroom.contracts.operations import Page, Started, operation
from opsroom.contracts.plane import Call, Plane
from opsroom.contracts.scopes import NAMED, SEEN
from opsroom.contracts.sentences import Sentences
from opsroom.contracts.sight import Sight
from opsroom.kernel.actors import Resource
from opsroom.kernel.errors import Conflict, Invalid

StateFilter = Literal["", "open", "acknowledged", "resolved", "unresolved"]


def incident_resource(incident: Incident) -> Resource:
    """What acting on an incident acts upon."""
    return Resource(kind="incident", id=incident.id, team=incident.team, environment=incident.environment)


def find_incident(plane: Plane, id: str) -> Incident:
    """Error: not found."""
    with plane.store.read() as tx:
        found = rows.get(tx, id)
    if found is None:
        raise not_found(id)
    return found


def shows_incident(sight: Sight, id: str) -> bool:
    """Whether what belongs to the incident with this id may be read."""
    with sight.plane.store.read() as tx:
        found = rows.get(tx, id)
    return found is not None and sight.shows(found)


def _scope(call: Call, given: Mapping[str, Any]) -> Resource:
    return incident_resource(find_incident(call.plane, str(given["id"])))


@operation("incidents.list", scope=SEEN)
def list_incidents(
    call: Call, *, state: StateFilter = "", service: str = "", environment: str = "", after: str = "", limit: int = 50
) -> Page[IncidentView]:
    """Incidents, newest first; `state` unresolved: those that are open or acknowledged."""
    states = rows.UNRESOLVED if state == "unresolved" else (state,) if state else ()
    with call.plane.store.read() as tx:
        found = rows.find(tx, states=states, service=service, environment=environment, after=after, limit=limit + 1)
    items = [incident_view(incident) for incident in found[:limit]]
    return Page[IncidentView](items=items, next=items[-1].id if len(found) > limit else "")


@operation("incidents.show", scope=SEEN)
def show_incident(call: Call, id: str) -> IncidentDetail:
    """One incident: its suspects, alerts, pages, timeline, the runs of its runbook, its action items. Error: not found."""
    plane, incident = call.plane, find_incident(call.plane, id)
    with plane.store.read() as tx:
        alerts, pages, items = rows.alerts(tx, id), rows.pages(tx, incident=id), rows.items(tx, incident=id)
    sentences = Sentences(declared for area in plane.areas for declared in area.events)
    return IncidentDetail.model_validate(
        {
            **incident_values(incident), "alerts": alert_views(alerts),
            "pages": [page_view(page) for page in reversed(pages)], "action_items": [item_view(item) for item in items],
            "timeline": [
                MomentView(at=event.time, what=sentences.tell(event), event=event.id)
                for event in timeline(plane, incident, alerts)
            ],
            "runs": [run.id for run in runbook.runs_of(plane, incident)],
        }
    )  # fmt: skip


@operation("incidents.create", needs="operate", scope=NAMED)
def create_incident(
    call: Call, *, title: str, service: str, environment: str = "", severity: Severity = "SEV3", key: str = ""
) -> IncidentView:
    """Open an incident by hand, and call who is on call. The same `key` again gives the first one. Error: no title; unknown service."""
    plane, told = call.plane, " ".join(title.split())
    if not told:
        raise Invalid("an incident needs a title that says what is wrong")
    plane.catalogs.current().get("Component", service)
    if environment:
        plane.catalogs.current().get("Environment", environment)
    now = plane.clock.now()
    trouble = Trouble(
        key=f"person:{key or plane.clock.new_id('ask')}", title=told, severity=severity, service=service,
        environment=environment, onset=now, actor=call.actor.id, cause=call.cause,
    )  # fmt: skip
    return incident_view(open_incident(plane, trouble))


@operation("incidents.acknowledge", needs="operate", scope=_scope)
def acknowledge_incident(call: Call, id: str, *, note: str = "") -> IncidentView:
    """Say that you are on it: nobody else is called any more. Error: not found; resolved; someone else is on it already."""
    plane, who = call.plane, call.actor.id
    with plane.store.begin() as tx:
        incident = rows.get(tx, id)
        if incident is None:
            raise not_found(id)
        if incident.state == "acknowledged":
            if incident.acknowledged_by == who:
                return incident_view(incident)
            raise Conflict(f"{incident.acknowledged_by.removeprefix('person:')} is on incident {id} already")
        state = after(incident.state, "acknowledge", id)
        now = plane.clock.now()
        plane.ledger.record(
            tx, "incident.acknowledged", actor=who, cause=call.cause or incident.opened_event, subjects=incident.subjects,
            data={"title": incident.title, "severity": incident.severity, "owner": incident.owner, "note": note,
                  "seconds": round((now - incident.opened).total_seconds(), 3)},
        )  # fmt: skip
        rows.change(tx, id, state=state, acknowledged=now, acknowledged_by=who, note=note or incident.note)
        give_up_timers(tx, plane, incident)
    changed = replace(incident, state=state, acknowledged=now, acknowledged_by=who, note=note or incident.note)
    return incident_view(changed)


@operation("incidents.resolve", needs="operate", scope=_scope)
def resolve_incident(call: Call, id: str, *, note: str = "") -> IncidentView:
    """Say that it is over: its postmortem is drafted and an action item opened. Error: not found; resolved already."""
    plane = call.plane
    resolve(plane, id, at=plane.clock.now(), actor=call.actor.id, cause=call.cause, automatic=False, note=note)
    return incident_view(find_incident(plane, id))


@operation("incidents.runbook", needs="operate", scope=_scope)
def start_runbook(call: Call, id: str) -> Started:
    """Start the workflow of its runbook, with the service, the environment and the incident as inputs. Error: it has none; resolved."""
    incident = find_incident(call.plane, id)
    if incident.state == "resolved":
        raise Conflict(f"incident {id} is resolved already; start the workflow itself if it is still needed")
    return Started(noun="runs", id=runbook.start(call, incident))
