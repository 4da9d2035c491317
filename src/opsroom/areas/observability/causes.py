"""The event behind what is observed: the deployment that runs there now, else the ops repo that asked for the look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.areas.observability import store as rows
from opsroom.contracts.facts import WhatRuns

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane


def cause_of(plane: Plane, service: str = "", environment: str = "") -> str:
    """The event of what runs there now, the newest where several versions run; else the rules in force, else the catalog in force; ""
    where there is none of them."""
    if service or environment:
        running = plane.ask(WhatRuns(service, environment)).value or ()
        newest = max((one for one in running if one.event), key=lambda one: one.since, default=None)
        if newest is not None:
            return newest.event
    with plane.store.read() as tx:
        loaded = rows.loaded(tx)
    if loaded is not None:
        return str(loaded["event"])
    changed = plane.ledger.find(types=["catalog.changed"], limit=1)
    return changed[0].id if changed else ""
