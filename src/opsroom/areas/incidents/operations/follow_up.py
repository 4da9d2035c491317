"""What an incident leaves: its postmortem and its action items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from opsroom.areas.incidents import postmortem
from opsroom.areas.incidents import store as rows
from opsroom.areas.incidents.model import ActionItem
from opsroom.areas.incidents.operations.incidents import find_incident, incident_resource, shows_incident
from opsroom.areas.incidents.operations.views import ActionItemView, item_view
from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import Seen
from opsroom.contracts.sight import Sight
from opsroom.kernel.actors import Resource
from opsroom.kernel.errors import Conflict, NotFound


class PostmortemView(Model):
    """A postmortem by its incident. `state` growing: the incident goes on, and this is what is known by now; drafted: as it was written
    when the incident was resolved. `markdown` is CommonMark."""

    incident: str
    title: str
    state: Literal["growing", "drafted"]
    drafted: datetime | None
    event: str
    markdown: str


def _of_incident(call: Call, given: Mapping[str, Any]) -> Resource:
    return incident_resource(find_incident(call.plane, str(given["id"])))


def _of_item(call: Call, given: Mapping[str, Any]) -> Resource:
    return incident_resource(find_incident(call.plane, _find(call, str(given["id"])).incident))


@operation("postmortems.show", scope=_of_incident)
def show_postmortem(call: Call, id: str) -> PostmortemView:
    """The postmortem of an incident, by the incident's id. Error: not found."""
    plane, incident = call.plane, find_incident(call.plane, id)
    with plane.store.read() as tx:
        stored, alerts, items = rows.postmortem(tx, id), rows.alerts(tx, id), rows.items(tx, incident=id)
    if stored is not None:
        return PostmortemView(
            incident=id, title=incident.title, state="drafted", drafted=stored.drafted, event=stored.event,
            markdown=stored.markdown,
        )  # fmt: skip
    material = postmortem.gather(plane, incident, alerts, until=plane.clock.now())
    return PostmortemView(
        incident=id, title=incident.title, state="growing", drafted=None, event="",
        markdown=postmortem.write(incident, material, items),
    )  # fmt: skip


def shows_item(sight: Sight, item: ActionItem | ActionItemView) -> bool:
    """An action item belongs where its incident does."""
    return shows_incident(sight, item.incident)


@operation("action-items.list", scope=Seen(shows_item))
def list_action_items(
    call: Call, *, incident: str = "", state: Literal["", "open", "closed"] = "", after: str = "", limit: int = 50
) -> Page[ActionItemView]:
    """Action items of incidents, newest first."""
    with call.plane.store.read() as tx:
        found = rows.items(tx, incident=incident, state=state, after=after, limit=limit + 1)
    items = [item_view(item) for item in found[:limit]]
    return Page[ActionItemView](items=items, next=items[-1].id if len(found) > limit else "")


@operation("action-items.close", needs="operate", scope=_of_item)
def close_action_item(call: Call, id: str, *, note: str = "") -> ActionItemView:
    """Say that an action item is done. Error: not found; closed already."""
    plane, incident = call.plane, find_incident(call.plane, _find(call, id).incident)
    with plane.store.begin() as tx:
        item = rows.item(tx, id)
        if item is None or item.state == "closed":
            raise Conflict(f"action item {id} is closed already")
        now = plane.clock.now()
        plane.ledger.record(
            tx, "action.closed", actor=call.actor.id, cause=call.cause or item.opened_event,
            subjects=(*incident.subjects, f"action:{id}"), data={"title": item.title, "owner": item.owner, "note": note},
        )  # fmt: skip
        rows.change_item(tx, id, state="closed", closed=now, closed_by=call.actor.id, note=note)
    return item_view(replace(item, state="closed", closed=now, closed_by=call.actor.id, note=note))


def _find(call: Call, id: str) -> ActionItem:
    with call.plane.store.read() as tx:
        found = rows.item(tx, id)
    if found is None:
        raise NotFound(f"action item {id!r} does not exist; `opsroom action-items list` shows them")
    return found
