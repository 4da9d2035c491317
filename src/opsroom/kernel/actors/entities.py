"""The catalog's User and Group entities as people: who may be granted roles, and by which groups."""

from __future__ import annotations

from opsroom.kernel.actors.people import CatalogPerson
from opsroom.kernel.resources import Catalog


def people_of(catalog: Catalog) -> list[CatalogPerson]:
    """Every User, with the groups it is in directly or by a group below."""
    groups: dict[str, list[str]] = {}
    for group in catalog.all("Group"):
        for user in catalog.members_of(group.name):
            groups.setdefault(user, []).append(group.name)
    return [
        CatalogPerson(
            name=user.name.replace("/", "."),
            title=user.spec.profile.display_name or user.title,
            email=user.spec.profile.email,
            groups=tuple(groups.get(user.name, ())),
        )
        for user in catalog.all("User")
    ]
