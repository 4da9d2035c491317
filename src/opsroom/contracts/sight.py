"""Sight: which things an actor may read, for the time of one answer, by the team that owns each and its environment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from opsroom.contracts.facts import OwnerOf

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call
    from opsroom.kernel.actors import Resource

T = TypeVar("T")


class Sight:
    """One actor's sight. Grants are read once, and each owner is asked for once."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.plane = call.plane
        self._owners: dict[str, str] = {}
        self.reach = call.plane.actors.reach(call.actor)

    @property
    def everything(self) -> bool:
        """Whether they see all there is, what belongs to no team and no environment too."""
        return self.sees()

    def sees(self, *, service: str = "", team: str = "", environment: str = "") -> bool:
        """Whether what belongs there may be read. A service's team is its owner; without a team it belongs to none."""
        owner = self.owner(service) if service else team.removeprefix("group:")
        return any(one.covers(owner, environment) for one in self.reach)

    def shows(self, thing: Any) -> bool:
        """Whether a thing may be read, by its own `service`, `team` and `environment`; an event, by its subjects."""
        place = place_of(self, thing)
        return any(one.covers(place.team, place.environment) for one in self.reach)

    def only(self, things: Iterable[T], shows: Callable[[Sight, T], bool] | None = None) -> list[T]:
        """Those that may be read, in their order; `shows` decides where the things do not say where they belong."""
        if self.everything:
            return list(things)
        return [one for one in things if (shows(self, one) if shows else self.shows(one))]

    def require(self, thing: Any, shows: Callable[[Sight, Any], bool] | None = None) -> None:
        """Forbidden, with the role that is missing and who can give it, unless the thing may be read."""
        if not (shows(self, thing) if shows else self.shows(thing)):
            place = place_of(self, thing)
            self._call.plane.actors.require(self._call.actor, "read", place)
            from opsroom.kernel.errors import Forbidden

            raise Forbidden(
                f"{place} is of a team or an environment that the roles of {self._call.actor.id} do not cover"
            )

    def owner(self, service: str) -> str:
        """The team that owns a service; "" : nobody is known to."""
        if service not in self._owners:
            self._owners[service] = (self._call.ask(OwnerOf(service)).value or "").removeprefix("group:")
        return self._owners[service]

    def key(self) -> tuple[tuple[str, str], ...]:
        """Equal for actors who see the same: for what is kept a while and shown to several."""
        return tuple(sorted((one.team, one.environment) for one in self.reach))

    def places(self) -> list[tuple[frozenset[str] | None, str]]:
        """What the reach means for telemetry: pairs of services (None: all) and environment ("" : all)."""
        catalog = self._call.plane.catalogs.current()
        services = [component.name for component in catalog.all("Component")]
        return [
            (
                frozenset(name for name in services if self.owner(name) == one.team) if one.team else None,
                one.environment,
            )
            for one in self.reach
        ]


def place_of(sight: Sight, thing: Any) -> Resource:
    """Where a thing belongs: a value with `service`, `team` or `environment`, or an event by its subjects of those kinds."""
    from opsroom.kernel.actors import Resource

    subjects: Sequence[str] | None = getattr(thing, "subjects", None)
    if subjects is not None and not callable(subjects) and not hasattr(thing, "service"):
        said = {kind: value for kind, _, value in (one.partition(":") for one in reversed(subjects))}
    else:
        said = {name: getattr(thing, name, "") or "" for name in ("service", "team", "environment")}
    service = said.get("service", "")
    team = said.get("team", "").removeprefix("group:")
    return Resource(
        kind=type(thing).__name__.removesuffix("View").removesuffix("Detail").lower(),
        id=str(getattr(thing, "id", "") or getattr(thing, "name", "") or ""),
        team=(sight.owner(service) or team) if service else team,
        environment=said.get("environment", ""),
    )
