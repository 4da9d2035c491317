"""The end of an incident: its resolution, the draft of its postmortem and its action item, in one transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from opsroom.areas.incidents import store as rows
from opsroom.areas.incidents.escalation import give_up_timers
from opsroom.areas.incidents.model import ActionItem, Incident, Postmortem, after, seconds_between
from opsroom.areas.incidents.postmortem import Material, action_title, gather, write
from opsroom.contracts.plane import Plane
from opsroom.kernel.errors import NotFound
from opsroom.kernel.ledger import Event
from opsroom.kernel.store import Tx


def resolve(plane: Plane, id: str, *, at: datetime, actor: str, cause: str, automatic: bool, note: str = "") -> None:
    """Ends an incident and its escalation. Error: not found; resolved already. An automatic end gives way to an alert that fires."""
    with plane.store.read() as tx:
        incident = rows.get(tx, id)
        if incident is None:
            raise not_found(id)
        after(incident.state, "resolve", id)
        alerts = rows.alerts(tx, id)
    material = gather(plane, incident, alerts, until=at)
    with plane.store.begin() as tx:
        now = rows.get(tx, id) or incident
        if automatic and (now.state == "resolved" or any(alert.resolved is None for alert in rows.alerts(tx, id))):
            return
        resolved, event = _end(tx, plane, now, at=at, actor=actor, cause=cause, automatic=automatic, note=note)
        _draft(tx, plane, resolved, replace(material, events=(*material.events, event)))


def not_found(id: str) -> NotFound:
    return NotFound(f"incident {id!r} does not exist; `opsroom incidents list` shows them")


def _end(
    tx: Tx, plane: Plane, incident: Incident, *, at: datetime, actor: str, cause: str, automatic: bool, note: str
) -> tuple[Incident, Event]:
    state, at = after(incident.state, "resolve", incident.id), max(at, incident.onset)
    event = plane.ledger.record(
        tx, "incident.resolved", actor=actor, cause=cause or incident.opened_event, subjects=incident.subjects, time=at,
        key=f"incident.resolved:{incident.id}",
        data={"title": incident.title, "severity": incident.severity, "owner": incident.owner, "automatic": automatic,
              "note": note, "seconds_to_detect": incident.seconds_to_detect,
              "seconds_to_recover": seconds_between(incident.onset, at)},
    )  # fmt: skip
    told = note or incident.note
    rows.change(
        tx, incident.id, state=state, resolved=at, resolved_by=actor, automatic=int(automatic), resolved_event=event.id,
        note=told,
    )  # fmt: skip
    give_up_timers(tx, plane, incident)
    return replace(
        incident, state=state, resolved=at, resolved_by=actor, automatic=automatic, resolved_event=event.id, note=told
    ), event


def _draft(tx: Tx, plane: Plane, incident: Incident, material: Material) -> None:
    """Writes the draft and opens the action item that every incident leaves."""
    drafted = plane.ledger.record(
        tx, "postmortem.drafted", actor="system:incidents", cause=incident.resolved_event, subjects=incident.subjects,
        key=f"postmortem.drafted:{incident.id}", data={"title": incident.title, "events": len(material.events)},
    )  # fmt: skip
    item = ActionItem(
        id=plane.clock.new_id("act"), incident=incident.id, title=action_title(incident), state="open",
        owner=incident.owner, opened=plane.clock.now(), closed=None, closed_by="", note="", opened_event="",
    )  # fmt: skip
    opened = plane.ledger.record(
        tx, "action.opened", actor="system:incidents", cause=drafted.id, subjects=(*incident.subjects, f"action:{item.id}"),
        key=f"action.opened:{incident.id}", data={"title": item.title, "owner": item.owner},
    )  # fmt: skip
    item = replace(item, opened_event=opened.id)
    rows.add_item(tx, item)
    markdown = write(incident, material, [item])
    rows.add_postmortem(
        tx, Postmortem(incident=incident.id, markdown=markdown, drafted=plane.clock.now(), event=drafted.id)
    )
