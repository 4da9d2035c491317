"""Whose something is: the team of a service and the environment, for the decision who may act on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.kernel.actors import Resource

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call


def place_of(call: Call, kind: str, service: str, environment: str = "", *, id: str = "") -> Resource:
    """The resource with the team that owns the service ("" : nobody is known to)."""
    return Resource(kind=kind, id=id, team=call.sight.owner(service) if service else "", environment=environment)
