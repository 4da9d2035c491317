"""A plane with a real store, ledger, catalog and waivers, facts that a test sets, and actions called as the engine calls them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from opsroom.areas.security import AREA
from opsroom.areas.security.model import Found, Result, Scope, Unchecked
from opsroom.areas.security.recording import Recorded, record_scan
from opsroom.contracts.actions import ActionCall
from opsroom.contracts.facts import Answer, Question, Running, WhatRuns
from opsroom.contracts.plane import Call, Plane
from opsroom.kernel import actors, secrets, waivers
from opsroom.kernel.actors import Actor, Actors
from opsroom.kernel.blobs import Blobs
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import NotFound
from opsroom.kernel.journal import Journal
from opsroom.kernel.ledger import Event, Ledger
from opsroom.kernel.migrations import KERNEL_MIGRATIONS, migrate
from opsroom.kernel.queue import Queue
from opsroom.kernel.redaction import Redactor
from opsroom.kernel.resources import Catalogs, Kind, Spec, load_catalog
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store

ABSENT = cast(Any, None)

CATALOG = """
apiVersion: opsroom.dev/v1
kind: Environment
metadata: {name: production}
spec: {}
---
apiVersion: opsroom.dev/v1
kind: Gate
metadata: {name: production}
spec:
  environment: production
  rules:
    - {name: no new critical or high findings, require: findings.new.critical == 0 && findings.new.high == 0, unknown: allow}
    - {name: error budget left, require: slo.left > 0, unknown: allow}
    - {name: no freeze, require: "!freeze.active"}
---
apiVersion: opsroom.dev/v1
kind: Baseline
metadata: {name: shop}
spec:
  title: Change and recovery
  source: Team agreement
  controls:
    - id: CHG-1
      title: Every change into production passes the gate
      evidence: {event: gate.decided, subjects: ["environment:production"], where: event.data.verdict == 'pass', within: 30d}
    - id: REC-1
      title: Backups are proven twice
      evidence: {event: backup.verified, within: 2d, atLeast: 2}
"""


class EnvironmentSpec(Spec):
    """Any environment."""


ENVIRONMENT = Kind(name="Environment", api_version="opsroom.dev/v1", model=EnvironmentSpec)


@dataclass
class Answers:
    """What the fakes of other areas answer: a value, or a text that says why it is unknown."""

    plane: Plane
    values: dict[type[Question[Any]], Any] = field(default_factory=dict)

    def ask(self, kind: type[Question[Any]]) -> Callable[[Plane, Any], Answer[Any]]:
        def answer(plane: Plane, question: Any) -> Answer[Any]:
            value = self.values.get(kind, "nobody said")
            if callable(value):
                value = value(question)
            now = plane.clock.now()
            return Answer(value=None, unknown=value, at=now) if isinstance(value, str) else Answer(value=value, at=now)

        return answer


class NoHistory:
    """Repositories of which no history is known: no commit is older than another."""

    def log(self, name: str, after: str, before: str = "", limit: int = 100) -> list[Any]:
        raise NotFound("not watched")


class Port:
    """Keeps what a step says."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.summaries: list[str] = []
        self.stopped = False

    def log(self, text: str) -> None:
        self.lines.append(text)

    def summary(self, markdown: str) -> None:
        self.summaries.append(markdown)

    def cancelled(self) -> bool:
        return self.stopped


@dataclass
class Room:
    """The plane and what a test does to it."""

    plane: Plane
    clock: FakeClock
    answers: Answers
    folder: Path
    port: Port = field(default_factory=Port)
    count: int = 0

    def use(
        self, action_name: str, /, *, commit: str = "c1", key: str = "", ref: str = "refs/heads/main", recover: bool = False,
        workspace: Path | None = None, **given: str,
    ) -> Mapping[str, str] | None:  # fmt: skip
        """Calls an action as the engine does; each call has a key of its own unless one is given."""
        action = next(one for one in AREA.actions if one.name == f"opsroom/{action_name}")
        self.count += 1
        self.port = Port()
        inputs = {one.name: given.get(one.name.replace("-", "_"), one.default) for one in action.inputs}
        call = ActionCall(
            call=Call(plane=self.plane, actor=Actor.run("run_1"), cause=""), inputs=inputs, key=key or f"key-{self.count}",
            run="run_1", job="scan", step=0, repository="storefront", commit=commit, ref=ref,
            workspace=workspace or self.folder, port=self.port,
        )  # fmt: skip
        if recover:
            assert action.recover is not None
            return action.recover(call)
        return action.run(call)

    def scan(
        self, names: str = "", *, unchecked: tuple[str, ...] = (), commit: str = "c1", ref: str = "refs/heads/main",
        fail_on: str = "new", key: str = "", severity: str = "high",
    ) -> Recorded:  # fmt: skip
        """Records a scan for secrets that saw these, one letter each, as its action would."""
        self.count += 1
        call = ActionCall(
            call=Call(plane=self.plane, actor=Actor.run("run_1")), inputs={}, key=key or f"scan-{self.count}", run="run_1",
            job="j", step=0, repository="storefront", commit=commit, ref=ref, workspace=self.folder, port=self.port,
        )  # fmt: skip
        result = Result(
            found=tuple(found(name, severity) for name in names), looked_at=3,
            unchecked=tuple(Unchecked(what=one, why="too large") for one in unchecked),
        )  # fmt: skip
        scope = Scope(scanner="secrets", repository="storefront", ref=ref, target=".")
        return record_scan(call, scope, result, fail_on=fail_on, started=self.clock.now())

    def write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def record(self, type: str, *subjects: str, cause: str = "", **data: Any) -> Event:
        with self.plane.store.begin() as tx:
            return self.plane.ledger.record(tx, type, actor="run:run_1", cause=cause, subjects=subjects, data=data)

    def publish(self, digest: str, commit: str) -> Event:
        event = self.record(
            "artifact.published", f"digest:{digest}", f"commit:{commit}", "service:storefront", "repository:storefront"
        )
        self.deliver(event)
        return event

    def runs(self, digest: str) -> None:
        """This digest serves in production."""
        running = Running(
            service="storefront", environment="production", version="v", digest=digest, commit="c", deployment="d", url="",
            since=self.clock.now(), event="",
        )  # fmt: skip
        self.answers.values[WhatRuns] = (running,) if digest else ()

    def deliver(self, event: Event) -> None:
        """What the subscriptions of the area do on an event."""
        for subscription in AREA.subscriptions:
            if event.type in subscription.types:
                subscription.handle(self.plane, event)

    def events(self, type: str) -> list[Event]:
        return self.plane.ledger.find(types=[type], newest_first=False)

    def advisories(self, ecosystem: str, *records: Mapping[str, Any]) -> Path:
        """Hand-written OSV records where the scanner looks for them."""
        path = self.plane.settings.state / "advisories" / "osv-scanner" / ecosystem / "all.zip"
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for record in records:
                archive.writestr(f"{record['id']}.json", json.dumps(record))
        return path


def build_room(tmp_path: Path, store: Store) -> Room:
    clock = FakeClock()
    settings = Settings(state=tmp_path / "state", keys=tmp_path / "keys")
    migrate(store, (*KERNEL_MIGRATIONS, *actors.MIGRATIONS, *secrets.MIGRATIONS, *waivers.MIGRATIONS, *AREA.migrations))
    redactor = Redactor()
    ledger = Ledger(store, clock, redact=redactor.redact)
    catalogs = Catalogs()
    catalog, problems = load_catalog({"opsroom/all.yaml": CATALOG}, "c0ffee", (*AREA.kinds, ENVIRONMENT))
    assert not problems, problems
    catalogs.offer("c0ffee", catalog, ())
    engine = SimpleNamespace(get=lambda run: SimpleNamespace(run=SimpleNamespace(id=run, service="storefront")))
    plane = Plane(
        settings=settings, clock=clock, store=store, ledger=ledger, queue=Queue(store, clock),
        journal=Journal(clock, redact=redactor.redact, out=io.StringIO()), blobs=Blobs(tmp_path / "blobs"),
        secrets=secrets.Secrets(store, ledger, clock, redactor, keys=settings.keys, state=settings.state),
        actors=Actors(store, ledger, clock, keys=settings.keys), waivers=waivers.Waivers(store, ledger, clock),
        repos=cast(Any, NoHistory()), catalogs=catalogs, outbound=ABSENT, telemetry=ABSENT, engine=cast(Any, engine),
        areas=(AREA,),
    )  # fmt: skip
    answers = Answers(plane)
    from opsroom.contracts import facts

    kinds = [facts.WhatRuns, facts.BudgetLeft, facts.OpenIncidents, facts.DriftOf, facts.OwnerOf]
    plane.answers = {**{kind: answers.ask(kind) for kind in kinds}, **AREA.facts}
    folder = tmp_path / "workspace"
    folder.mkdir()
    room = Room(plane=plane, clock=clock, answers=answers, folder=folder)
    room.runs("")
    return room


def found(name: str, severity: str = "high") -> Found:
    """Something found in a file of its own."""
    return Found(
        fingerprint=name, rule=f"rule-{name}", severity=severity, title=f"finding {name}", places=(f"file-{name}:1",),
        covers=(f"file-{name}",),
    )  # fmt: skip
