"""The people and groups of the ops repo, made known to identity whenever it changes."""

from __future__ import annotations

from opsroom.contracts.area import Subscription
from opsroom.contracts.plane import Plane
from opsroom.kernel.actors.entities import people_of
from opsroom.kernel.ledger import Event


def sync(plane: Plane, event: Event) -> None:
    """People and memberships become those of the catalog in force; grants stay what they are."""
    if event.data.get("in_force"):
        plane.actors.sync_people(people_of(plane.catalogs.current()), "system:collaboration", cause=event.id)


SUBSCRIPTIONS = (Subscription(name="people", types=("catalog.changed",), handle=sync),)
