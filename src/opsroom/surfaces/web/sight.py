"""Which events a person may see: those of the teams and environments their roles cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.contracts.facts import OwnerOf
from opsroom.kernel.actors import Resource

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call
    from opsroom.kernel.ledger import Event


class Sight:
    """One person's sight for the time of one answer; each owner and each pair of team and environment is asked for once."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._owners: dict[str, str] = {}
        self._decided: dict[tuple[str, str], bool] = {}

    def sees(self, event: Event) -> bool:
        place = self._team(event), event.subject("environment")
        if place not in self._decided:
            resource = Resource(kind="event", team=place[0], environment=place[1])
            self._decided[place] = self._call.plane.actors.may(self._call.actor, "read", resource).allowed
        return self._decided[place]

    def _team(self, event: Event) -> str:
        if team := event.subject("team"):
            return team
        service = event.subject("service")
        if service and service not in self._owners:
            self._owners[service] = (self._call.ask(OwnerOf(service)).value or "").removeprefix("group:")
        return self._owners.get(service, "")
