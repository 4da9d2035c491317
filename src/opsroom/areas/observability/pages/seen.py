"""What a person may see: the places their roles cover, within the scope of the page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from opsroom.areas.observability.recent import recent
from opsroom.contracts.pages import PageRequest

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
    sight, scope = asked.call.sight, asked.scope
    return [
        one
        for one in found
        if scope.service in ("", one.service)
        and scope.environment in ("", one.environment)
        and scope.team in ("", sight.owner(one.service) if one.service else "")
        and sight.sees(service=one.service, environment=one.environment)
    ]


def telemetry_problem(asked: PageRequest) -> str:
    """Why what a page says of now may not be known; "" : telemetry answers."""
    plane = asked.call.plane
    health = recent(plane, "health", HEALTH_SECONDS, plane.telemetry.health)
    if health.state in ("up", "idle") and not health.reason:
        return ""
    return f"Telemetry is {health.state}{': ' + health.reason if health.reason else ''}."
