"""What a budget covers, and what is spent of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from opsroom.areas.cost import store as rows
from opsroom.areas.cost.pricing import period_end, period_start
from opsroom.contracts.plane import Plane
from opsroom.kernel.resources import Catalog, parse_ref
from opsroom.kernel.store import Tx


def members(plane: Plane, of: str) -> set[str]:
    """The services a budget covers: a component itself, those of a system, or those owned by a group or one below it."""
    kind, name = parse_ref(of, "Component")
    catalog = plane.catalogs.current()
    if kind.lower() == "component":
        return {name}
    if kind.lower() == "system":
        return {one.name for one in catalog.all("Component") if parse_ref(one.spec.system or "", "System")[1] == name}
    groups = _groups(catalog, name)
    return {one.name for one in catalog.all("Component") if catalog.owner_of(one.name) in groups}


def spent(plane: Plane, tx: Tx, spec: Any, *, at: datetime) -> int:
    """What the services of a budget cost in its period that holds a moment."""
    since = period_start(at, spec.period)
    found = rows.sums(tx, "service", currency=spec.currency, since=since, until=period_end(since, spec.period))
    return sum(found.get(service, 0) for service in members(plane, spec.of))


def _groups(catalog: Catalog, top: str) -> list[str]:
    found = [top]
    for name in found:
        group = catalog.find("Group", name)
        children = [parse_ref(child, "Group")[1] for child in group.spec.children] if group else []
        found += [child for child in children if child not in found]
    return found
