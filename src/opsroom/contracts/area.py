"""The declaration every area makes of itself; `tests/test_shape.py` holds each area to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsroom.contracts.actions import Action
    from opsroom.contracts.events import EventType
    from opsroom.contracts.facts import Question
    from opsroom.contracts.operations import Needs, Operation
    from opsroom.contracts.pages import PageDeclaration, Part
    from opsroom.contracts.plane import Call, Plane
    from opsroom.kernel.ledger import Event
    from opsroom.kernel.migrations import Migration
    from opsroom.kernel.resources import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A durable reader of the ledger: `handle(plane, event)` gets each sealed event of these types, in order, at least once.

    A handler that raises is tried again with growing pauses; it holds back only its own cursor. `types` empty: all events."""

    name: str
    types: tuple[str, ...]
    handle: Callable[[Plane, Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """Something done every `seconds` by one leader; `seconds` may read the settings. It must return within a few intervals."""

    name: str
    seconds: float | Callable[[Plane], float]
    run: Callable[[Plane], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRequest:
    """A request to a path whose shape is someone else's. `query` has every value of a name; `body` is at most `request_bytes` long."""

    call: Call
    method: str
    params: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramReply:
    """What such a path answers."""

    status: int
    body: bytes
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRoute:
    """A path beside /api/v1 that programs know from another product, such as "/prometheus/api/v1/query". `needs` as of operations;
    errors are its own to shape: a UserError that leaves `answer` becomes a problem document. `sifts` says how it leaves out what the
    actor may not read; "" : it is for who holds the role for every team and environment."""

    path: str
    methods: tuple[str, ...]
    answer: Callable[[ProgramRequest], ProgramReply]
    kind: str
    sifts: str = ""
    needs: Needs = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """What an area is made of. `facts` maps a question type to the function that answers it; `blobs` names every blob of the plane's
    store that is to be kept for this area's sake: the others are swept."""

    name: str
    promise: str
    nouns: tuple[str, ...]
    kinds: tuple[Kind, ...] = ()
    events: tuple[EventType, ...] = ()
    operations: tuple[Operation, ...] = ()
    migrations: tuple[Migration, ...] = ()
    facts: Mapping[type[Question[Any]], Callable[..., Any]] = field(default_factory=dict)
    actions: tuple[Action, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    duties: tuple[Duty, ...] = ()
    pages: tuple[PageDeclaration, ...] = ()
    parts: tuple[Part, ...] = ()
    routes: tuple[ProgramRoute, ...] = ()
    blobs: Callable[[Plane], set[str]] | None = None


def permission_scopes(areas: Iterable[Area]) -> frozenset[str]:
    """Permission scopes that actions of these areas ask for, beside GitHub's own."""
    return frozenset(action.permission[0] for area in areas for action in area.actions if action.permission)
