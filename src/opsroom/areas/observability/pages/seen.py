"""What a person may see: the places their roles cover, within the scope of the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from opsroom.areas.observability.recent import recent
from opsroom.contracts.facts import OwnerOf
from opsroom.contracts.pages import PageRequest
from opsroom.kernel.actors import Resource

HEALTH_SECONDS = 1.0


class Placed(Protocol):
    """Something of a service in an environment; either may be ""."""

    @property
    def service(self) -> str: ...
    @property
    def environment(self) -> str: ...


P = TypeVar("P", bound=Placed)


def seen(asked: PageRequest, found: Iterable[P]) -> list[P]:
    """Those in the scope of the page that the person may read."""
    call, scope = asked.call, asked.scope
    owners: dict[str, str] = {}
    kept = []
    for one in found:
        if one.service and one.service not in owners:
            owners[one.service] = (call.ask(OwnerOf(one.service)).value or "").removeprefix("group:")
        owner = owners.get(one.service, "")
        inside = (
            scope.service in ("", one.service)
            and scope.environment in ("", one.environment)
            and scope.team in ("", owner)
        )
        resource = Resource(kind="telemetry", team=owner, environment=one.environment)
        if inside and call.plane.actors.may(call.actor, "read", resource).allowed:
            kept.append(one)
    return kept


def telemetry_problem(asked: PageRequest) -> str:
    """Why what a page says of now may not be known; "" : telemetry answers."""
    plane = asked.call.plane
    health = recent(plane, "health", HEALTH_SECONDS, plane.telemetry.health)
    if health.state in ("up", "idle") and not health.reason:
        return ""
    return f"Telemetry is {health.state}{': ' + health.reason if health.reason else ''}."
