"""The plane as areas see it: every service of the kernel and the engine, and `Call`, one use of it by one actor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from opsroom.contracts.facts import Answer, Question
from opsroom.contracts.sight import Sight

if TYPE_CHECKING:
    from opsroom.contracts.area import Area
    from opsroom.contracts.ports import Notifier
    from opsroom.kernel.actors import Actor, Actors
    from opsroom.kernel.blobs import Blobs
    from opsroom.kernel.clock import Clock
    from opsroom.kernel.journal import Journal
    from opsroom.kernel.ledger import Ledger
    from opsroom.kernel.migrations import Migration
    from opsroom.kernel.outbound import Outbound
    from opsroom.kernel.queue import Queue
    from opsroom.kernel.repos import Repos
    from opsroom.kernel.resources import Catalogs
    from opsroom.kernel.secrets import Secrets
    from opsroom.kernel.settings import Settings
    from opsroom.kernel.store import Store
    from opsroom.kernel.waivers import Waivers
    from opsroom.telemetry.port import Telemetry
    from opsroom.workflows.engine import Engine

T = TypeVar("T")


@dataclass(kw_only=True, eq=False)
class Plane:
    """Built once by `app.py`. `catalogs.current()` is the ops repo as it is in force; `migrations` made all tables of the store."""

    settings: Settings
    clock: Clock
    journal: Journal
    store: Store
    ledger: Ledger
    queue: Queue
    blobs: Blobs
    secrets: Secrets
    actors: Actors
    waivers: Waivers
    repos: Repos
    catalogs: Catalogs
    outbound: Outbound
    telemetry: Telemetry
    engine: Engine
    areas: tuple[Area, ...] = ()
    migrations: tuple[Migration, ...] = ()
    notifiers: Mapping[str, Notifier] = field(default_factory=dict)
    answers: Mapping[type[Question[Any]], Any] = field(default_factory=dict)

    def ask(self, question: Question[T]) -> Answer[T]:
        """Ask the one area that answers; where none does, or it may not know, the answer says *unknown* and why."""
        answer = self.answers.get(type(question))
        if answer is None:
            reason = f"no area answers {type(question).__name__}"
            return Answer(value=None, unknown=reason, at=self.clock.now())
        result: Answer[T] = answer(self, question)
        return result


@dataclass(frozen=True, kw_only=True)
class Call:
    """One use of the plane: who acts, and the event that made them ("" : a person's own will)."""

    plane: Plane
    actor: Actor
    cause: str = ""

    def ask(self, question: Question[T]) -> Answer[T]:
        return self.plane.ask(question)

    @cached_property
    def sight(self) -> Sight:
        """What the actor may read: roles are looked up once for one use of the plane."""
        return Sight(self)

    @property
    def telemetry(self) -> Telemetry:
        """Metrics and logs as the actor may read them: those of the services and environments that their roles cover."""
        if self.sight.everything:
            return self.plane.telemetry
        from opsroom.telemetry.within import Within

        return Within(self.plane.telemetry, self.sight.places())
