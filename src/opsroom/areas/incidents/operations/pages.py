"""Pages: whom an incident called by what, whether it arrived, and the receiver's own word that it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opsroom.areas.incidents import store as rows
from opsroom.areas.incidents.model import Page as Paged
from opsroom.areas.incidents.operations.incidents import find_incident, incident_resource, shows_incident
from opsroom.areas.incidents.operations.views import PageView, page_view
from opsroom.areas.incidents.paging import confirm
from opsroom.contracts.operations import Page, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import Seen
from opsroom.contracts.sight import Sight
from opsroom.kernel.actors import Resource
from opsroom.kernel.errors import Invalid, NotFound


def _scope(call: Call, given: Mapping[str, Any]) -> Resource:
    return incident_resource(find_incident(call.plane, _find(call, str(given["id"])).incident))


def _shows(sight: Sight, page: PageView) -> bool:
    return shows_incident(sight, page.incident)


@operation("pages.list", scope=Seen(_shows))
def list_pages(call: Call, *, incident: str = "", after: str = "", limit: int = 50) -> Page[PageView]:
    """Pages, newest first."""
    with call.plane.store.read() as tx:
        found = rows.pages(tx, incident=incident, after=after, limit=limit + 1)
    items = [page_view(page) for page in found[:limit]]
    return Page[PageView](items=items, next=items[-1].id if len(found) > limit else "")


@operation("pages.show", scope=_scope)
def show_page(call: Call, id: str) -> PageView:
    """One page. Error: not found."""
    return page_view(_find(call, id))


@operation("pages.confirm", needs="operate", scope=_scope)
def confirm_page(call: Call, id: str, *, receiver: str) -> PageView:
    """Say, as its receiver, that a page has arrived; saying it again changes nothing. Error: not found; never sent."""
    if not receiver.strip():
        raise Invalid("receiver is empty; name what received the page, such as webhook")
    return page_view(confirm(call.plane, id, receiver=receiver.strip()[:200], actor=call.actor.id))


def _find(call: Call, id: str) -> Paged:
    with call.plane.store.read() as tx:
        found = rows.page(tx, id)
    if found is None:
        raise NotFound(f"page {id!r} does not exist; `opsroom pages list` shows them")
    return found
