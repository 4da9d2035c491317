"""The declaration every area makes of itself; `tests/test_shape.py` holds each area to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opsroom.contracts.actions import Action
    from opsroom.contracts.events import EventType
    from opsroom.contracts.facts import Question
    from opsroom.contracts.operations import Operation
    from opsroom.contracts.pages import PageDeclaration, Part
    from opsroom.contracts.plane import Plane
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
class Area:
    """What an area is made of. `facts` maps a question type to the function that answers it."""

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
