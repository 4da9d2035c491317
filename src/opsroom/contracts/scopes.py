"""Scopes: what each operation says of who may use it on what. Every operation declares one; surfaces and `Operation` hold it.

A scope is one of
- a function `(call, arguments) -> Resource`: what is acted upon, asked before anything is done; an id that does not exist is NotFound;
- `NAMED`: the team, environment or service that its parameters of these names say;
- `SEEN`, or `Seen(shows)`: for reads; a list leaves out what the actor may not read, a single thing that they may not read is Forbidden;
- `Sifted(how)`: for reads that leave out by themselves, by `call.sight`, what the actor may not read;
- `Shared(why)`: about nothing that belongs to one team; whoever holds the role anywhere may;
- `WHOLE`: about the installation as a whole; only who holds the role for every team and every environment may.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsroom.contracts.operations import Operation
    from opsroom.contracts.plane import Call
    from opsroom.contracts.sight import Sight
    from opsroom.kernel.actors import Resource

Acted = Callable[["Call", Mapping[str, Any]], "Resource"]
"""What an operation acts upon, from its arguments by name."""


@dataclass(frozen=True, slots=True)
class Named:
    """By the parameters `team`, `environment` and `service`; the team of a service is its owner."""


@dataclass(frozen=True, slots=True)
class Seen:
    """By what the operation gives. `shows` says whether an item may be read where it has no service, team or environment of its own."""

    shows: Callable[[Sight, Any], bool] | None = None


@dataclass(frozen=True, slots=True)
class Sifted:
    """The operation leaves out what may not be read; `how` says what."""

    how: str


@dataclass(frozen=True, slots=True)
class Shared:
    """For whoever holds the role anywhere; `why` says what makes it nobody's own."""

    why: str


@dataclass(frozen=True, slots=True)
class Whole:
    """For who holds the role for every team and every environment."""


Scope = Acted | Named | Seen | Sifted | Shared | Whole
NAMED, SEEN, WHOLE = Named(), Seen(), Whole()


def resource_of(call: Call, operation: Operation, arguments: Mapping[str, Any]) -> Resource | None:
    """What the operation acts upon; None: that is not one thing, and holding the role anywhere is enough to ask."""
    from opsroom.kernel.actors import Resource

    scope = operation.scope
    if isinstance(scope, Seen | Sifted | Shared):
        return None
    if isinstance(scope, Whole):
        return Resource(kind=operation.noun, id=str(arguments.get("id") or ""))
    if callable(scope):
        return scope(call, arguments)
    service = str(arguments.get("service") or "")
    team = call.sight.owner(service) if service else str(arguments.get("team") or "").removeprefix("group:")
    return Resource(
        kind=operation.noun,
        id=str(arguments.get("id") or service),
        team=team,
        environment=str(arguments.get("environment") or ""),
    )


def require(call: Call, operation: Operation, arguments: Mapping[str, Any]) -> None:
    """Forbidden, with the role that is missing and who can give it, unless the actor may use the operation so."""
    from opsroom.kernel.actors import Resource

    actors = call.plane.actors
    resource = resource_of(call, operation, arguments)
    if resource is None:
        actors.require_somewhere(call.actor, operation.needs, Resource(kind=operation.noun))
    else:
        actors.require(call.actor, operation.needs, resource)


def sift(call: Call, operation: Operation, result: Any) -> Any:
    """The result without what the actor may not read. Forbidden: it is one thing, and that may not be read."""
    if not isinstance(operation.scope, Seen) or result is None or call.sight.everything:
        return result
    shows = operation.scope.shows
    if isinstance(result, list):
        return call.sight.only(result, shows)
    items = getattr(result, "items", None)
    if isinstance(items, list):
        return result.model_copy(update={"items": call.sight.only(items, shows)})
    call.sight.require(result, shows)
    return result
