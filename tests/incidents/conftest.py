"""A plane with a real store, ledger, queue and catalog, and small fakes for telemetry, notifiers and the engine."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from opsroom.areas.incidents import AREA
from opsroom.areas.incidents.jobs import on_alert
from opsroom.areas.incidents.paging import work
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import Answer, OwnerOf, Runbook, RunbookFor, Traffic, TrafficDuring
from opsroom.contracts.plane import Call, Plane
from opsroom.contracts.ports import Message, Receipt
from opsroom.kernel import actors, secrets, waivers
from opsroom.kernel.actors import Actor, Actors
from opsroom.kernel.blobs import Blobs
from opsroom.kernel.clock import FakeClock, stamp
from opsroom.kernel.errors import Unavailable
from opsroom.kernel.journal import Journal
from opsroom.kernel.ledger import Event, Ledger
from opsroom.kernel.migrations import KERNEL_MIGRATIONS, migrate
from opsroom.kernel.outbound import Outbound
from opsroom.kernel.queue import Queue
from opsroom.kernel.redaction import Redactor
from opsroom.kernel.resources import Address, Catalogs, Duration, Kind, SecretText, Spec, load_catalog
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store
from opsroom.telemetry.port import LogPage, LogRecord, Points, QueryResult

ABSENT = cast(Any, None)

CATALOG = """
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: storefront}
spec: {type: service, lifecycle: production, owner: shop-team, consumesApis: [inventory-api]}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: inventory}
spec: {type: service, lifecycle: production, owner: shop-team, providesApis: [inventory-api], dependsOn: [warehouse]}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: warehouse}
spec: {type: service, lifecycle: production, owner: shop-team}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: newsletter}
spec: {type: service, lifecycle: production, owner: lonely-team}
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: inventory-api}
spec: {type: openapi, lifecycle: production, owner: shop-team, definition: "{}"}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: shop-team}
spec: {type: team, children: []}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: lonely-team}
spec: {type: team, children: []}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: maria}
spec: {profile: {email: maria@example.com}, memberOf: [shop-team]}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: jonas}
spec: {profile: {email: jonas@example.com}, memberOf: [shop-team]}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: aylin}
spec: {profile: {email: aylin@example.com}, memberOf: [shop-team]}
"""
ON_CALL = """
apiVersion: opsroom.dev/v1
kind: OnCallSchedule
metadata: {name: shop}
spec:
  team: shop-team
  timezone: Europe/Berlin
  escalation: shop
  rotations:
    - {name: primary, start: 2026-01-05T09:00:00+01:00, every: 1w, people: [maria, jonas, aylin]}
---
apiVersion: opsroom.dev/v1
kind: EscalationPolicy
metadata: {name: shop}
spec:
  steps:
    - {after: 0s, notify: [on-call], channels: [pager, mail]}
    - {after: 5m, notify: ["group:shop-team"], channels: [mail]}
  repeat: 2
  repeatAfter: 5m
  severities: [SEV1, SEV2]
---
apiVersion: opsroom.dev/v1
kind: NotificationChannel
metadata: {name: pager}
spec: {type: webhook, url: "https://pager.example.com/hooks/${{ secrets.PAGER }}"}
---
apiVersion: opsroom.dev/v1
kind: NotificationChannel
metadata: {name: mail}
spec: {type: smtp, server: "mail.example.com:25", sender: opsroom@example.com}
"""
RUNBOOK = """---
title: The storefront is slow
workflow: .opsroom/workflows/rollback.yml
---
"""
ROLLBACK = """
on:
  workflow_dispatch:
    inputs:
      service: {type: string, required: true}
      environment: {type: string, default: production}
      incident: {type: string}
jobs:
  rollback:
    runs-on: ubuntu-latest
    steps:
      - run: echo "$SERVICE"
"""


class ChannelSpec(Spec):
    """As docs/reference/ops-repo.md has it; the real one belongs to another area."""

    type: Literal["webhook", "smtp"]
    url: SecretText | None = None
    signing_key: SecretText | None = None
    server: Address | None = None
    security: str = "starttls"
    username: SecretText | None = None
    password: SecretText | None = None
    sender: str | None = None
    to: tuple[str, ...] = ()
    timeout: Duration = 10.0
    events: tuple[str, ...] = ()


class RunbookSpec(Spec):
    title: str
    workflow: str = ""


FOREIGN = (
    Kind(
        name="NotificationChannel",
        api_version="opsroom.dev/v1",
        model=ChannelSpec,
        secrets=("url", "signingKey", "password"),
    ),
    Kind(name="Runbook", api_version="opsroom.dev/v1", model=RunbookSpec, where=("runbooks/*.md",)),
)
CHANGES = Area(
    name="delivery", promise="", nouns=(),
    events=(
        EventType(name="change.pushed", sentence="{repository} {after}: {message}", change=True),
        EventType(name="catalog.changed", sentence="ops repo at {commit}", change=True),
        EventType(name="deployment.started", sentence="{service} {version} to {environment}"),
        EventType(name="deployment.finished", sentence="{service} {version} to {environment}, {strategy}", change=True),
        EventType(name="deployment.failed", sentence="{service} {version} to {environment} failed"),
        EventType(name="run.queued", sentence="run {run}"),
        EventType(name="alert.fired", sentence="{alert} fires"),
        EventType(name="alert.unmuted", sentence="{alert} outlasts {muted_by}"),
        EventType(name="alert.resolved", sentence="{alert} is over"),
    ),
)  # fmt: skip


@dataclass
class FakeTelemetry:
    """Answers every range query with one series of these samples; `down` makes it refuse."""

    samples: Sequence[tuple[datetime, float]] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: {"service": "storefront", "environment": "production"})
    down: str = ""
    lines: Sequence[LogRecord] = ()
    asked: list[str] = field(default_factory=list)

    def search_logs(self, query: str, start: float, end: float, *, limit: int = 100, before: str = "") -> LogPage:
        if self.down:
            raise Unavailable(self.down)
        return LogPage(tuple(line for line in self.lines if start <= line.time < end))

    def query_range(self, promql: str, start: float, end: float, step: float, *, lane: str = "pages") -> QueryResult:
        self.asked.append(promql)
        if self.down:
            raise Unavailable(self.down)
        times = tuple(at.timestamp() for at, _ in self.samples)
        points = Points(tuple(sorted(self.labels.items())), times, tuple(value for _, value in self.samples))
        return QueryResult("matrix", (points,) if times else ())


@dataclass
class FakeNotifier:
    """Keeps what it is given; while `refuses` has words it takes nothing. `during` is called as a receiver would be."""

    kind: str
    refuses: str = ""
    attempts: list[str] = field(default_factory=list)
    taken: list[tuple[Mapping[str, Any], Message, tuple[str, ...]]] = field(default_factory=list)
    during: Any = None

    def send(self, plane: Plane, channel: Mapping[str, Any], message: Message, recipients: tuple[str, ...]) -> Receipt:
        self.attempts.append(message.key)
        if self.refuses:
            raise Unavailable(self.refuses)
        self.taken.append((channel, message, recipients))
        if self.during is not None:
            self.during(message)
        return Receipt(detail="202 Accepted")


@dataclass(frozen=True)
class FakeRun:
    id: str
    title: str = "roll back"
    name: str = "roll back"
    conclusion: str = ""
    status: str = "queued"
    waiting: str = ""
    created: datetime | None = None


@dataclass
class FakeEngine:
    started: list[dict[str, Any]] = field(default_factory=list)

    def dispatch(self, path: str, text: str, inputs: Mapping[str, Any], **given: Any) -> str:
        self.started.append({"path": path, "inputs": dict(inputs), **given})
        return f"run_{len(self.started)}"

    def list(self, wanted: Any) -> Any:
        runs = [FakeRun(f"run_{n}") for n, one in enumerate(self.started, 1) if one["cause"] == wanted.trigger]
        return type("RunPage", (), {"runs": tuple(runs)})()


@dataclass
class FakeRepos:
    def names(self) -> tuple[str, ...]:
        return ("ops",)

    def path(self, name: str) -> Path:
        return Path("/nowhere") / name

    def default_branch(self, name: str) -> str:
        return "main"

    def resolve(self, name: str, revision: str) -> str:
        return "c" * 40


class World:
    """What happens around the area, in the words of the tests. Moments are seconds after the start of the clock."""

    def __init__(self, plane: Plane, clock: FakeClock) -> None:
        self.plane = plane
        self.clock = clock
        self.start = clock.now()
        self.webhook = cast(FakeNotifier, plane.notifiers["webhook"])
        self.mail = cast(FakeNotifier, plane.notifiers["smtp"])
        self.telemetry = cast(FakeTelemetry, plane.telemetry)
        self.engine = cast(FakeEngine, plane.engine)

    def at(self, seconds: float) -> None:
        """Moves the clock there."""
        self.clock.advance(self.start + timedelta(seconds=seconds) - self.clock.now())

    def record(self, type: str, *subjects: str, cause: str = "", **data: Any) -> Event:
        with self.plane.store.begin() as tx:
            return self.plane.ledger.record(tx, type, actor="system:test", cause=cause, subjects=subjects, data=data)

    def push(self, service: str, message: str = "a change", author: str = "aylin") -> Event:
        commit = f"{abs(hash((service, message, self.clock.now()))):040x}"[:40]
        return self.record(
            "change.pushed", f"repository:{service}", f"commit:{commit}", f"service:{service}", repository=service,
            after=commit, message=message, author=author,
        )  # fmt: skip

    def deploy(
        self,
        service: str,
        environment: str = "production",
        *,
        cause: str = "",
        seconds: float = 2.0,
        end: str = "finished",
    ) -> Event:
        """A deployment that took `seconds` and ends now; its last event."""
        id = self.plane.clock.new_id("dep")
        subjects = (f"deployment:{id}", f"service:{service}", f"environment:{environment}")
        return self.record(
            f"deployment.{end}",
            *subjects,
            cause=cause,
            version="3f2a1c",
            strategy="blue-green",
            kind="deploy",
            seconds=seconds,
        )

    def fire(
        self, name: str = "StorefrontSlow", service: str = "storefront", environment: str = "production", *,
        severity: str = "error", since: float | None = None, fingerprint: str = "", cause: str = "",
        annotations: Mapping[str, str] | None = None, deliver: bool = True, silenced: bool = False,
        muted_by: str = "", type: str = "alert.fired",
    ) -> Event:  # fmt: skip
        """An alert that fires now; its symptom began at `since` seconds, or now."""
        onset = self.clock.now() if since is None else self.start + timedelta(seconds=since)
        subjects = [
            f"alert:{name}",
            *(f"{k}:{v}" for k, v in (("service", service), ("environment", environment)) if v),
        ]
        event = self.record(
            type, *subjects, cause=cause, name=name, value=0.3, expr="p95 > 0.15", active_at=stamp(onset),
            labels={"alertname": name, "service": service, "environment": environment, "severity": severity},
            annotations=annotations or {"summary": f"{service} is slow"}, silenced=silenced, muted_by=muted_by, fingerprint=fingerprint or f"{name}/{service}/{environment}",
        )  # fmt: skip
        if deliver:
            on_alert(self.plane, event)
        return event

    def end(
        self,
        name: str = "StorefrontSlow",
        service: str = "storefront",
        environment: str = "production",
        *,
        fingerprint: str = "",
    ) -> Event:
        event = self.record(
            "alert.resolved", f"alert:{name}", f"service:{service}", f"environment:{environment}", name=name,
            fingerprint=fingerprint or f"{name}/{service}/{environment}",
        )  # fmt: skip
        on_alert(self.plane, event)
        return event

    @property
    def on_call(self) -> str:
        """The file of schedules, policies and channels."""
        return ON_CALL

    def write(self, on_call: str) -> None:
        """Puts a catalog with this file in force."""
        offer(self.plane, {**FILES, "opsroom/on-call.yaml": on_call})

    def problems(self, on_call: str) -> list[str]:
        """What is wrong with a catalog that has this file."""
        files = {**FILES, "opsroom/on-call.yaml": on_call}
        return [str(problem) for problem in load_catalog(files, "bad", [*AREA.kinds, *FOREIGN])[1]]

    def work(self) -> None:
        """One turn of the paging duty."""
        work(self.plane)

    def events(self, type: str) -> list[Event]:
        """Oldest first."""
        return self.plane.ledger.find(types=[type], newest_first=False, limit=200)

    def call(self, actor: Actor | None = None, cause: str = "") -> Call:
        return Call(
            plane=self.plane, actor=actor or Actor(id="person:maria", name="maria", roles=("admin",)), cause=cause
        )


def offer(plane: Plane, files: Mapping[str, str]) -> None:
    catalog, problems = load_catalog(files, "abc", [*AREA.kinds, *FOREIGN])
    assert not problems, [str(problem) for problem in problems]
    assert plane.catalogs.offer("abc", catalog, [])


def owner_of(plane: Plane, question: OwnerOf) -> Answer[str]:
    return Answer(value=f"group:{plane.catalogs.current().owner_of(question.service)}", at=plane.clock.now())


def runbook_for(plane: Plane, question: RunbookFor) -> Answer[Runbook]:
    if question.service != "storefront":
        return Answer(value=None, unknown="no runbook names this alert", at=plane.clock.now())
    found = Runbook(title="The storefront is slow", path="runbooks/slow.md", workflow=".opsroom/workflows/rollback.yml")
    return Answer(value=found, at=plane.clock.now())


FILES = {
    "catalog-info.yaml": CATALOG, "opsroom/on-call.yaml": ON_CALL, "runbooks/slow.md": RUNBOOK,
    ".opsroom/workflows/rollback.yml": ROLLBACK,
}  # fmt: skip


@pytest.fixture
def plane(store: Store, clock: FakeClock, tmp_path: Path) -> Iterator[Plane]:
    migrate(store, (*KERNEL_MIGRATIONS, *actors.MIGRATIONS, *secrets.MIGRATIONS, *waivers.MIGRATIONS, *AREA.migrations))
    settings = Settings(state=tmp_path / "state", keys=tmp_path / "keys", repo=str(tmp_path / "ops"))
    redactor = Redactor()
    ledger = Ledger(store, clock, redact=redactor.redact)
    made = Plane(
        settings=settings, clock=clock, store=store, ledger=ledger, queue=Queue(store, clock),
        journal=Journal(clock, redact=redactor.redact, out=io.StringIO()), blobs=Blobs(settings.state / "blobs"),
        secrets=secrets.Secrets(store, ledger, clock, redactor, keys=settings.keys, state=settings.state),
        actors=Actors(store, ledger, clock, keys=settings.keys), waivers=waivers.Waivers(store, ledger, clock),
        repos=cast(Any, FakeRepos()), catalogs=Catalogs(), outbound=Outbound(allow="127.0.0.0/8"),
        telemetry=cast(Any, FakeTelemetry()), engine=cast(Any, FakeEngine()), areas=(CHANGES, AREA),
        notifiers={"webhook": FakeNotifier("webhook"), "smtp": FakeNotifier("smtp")},
        answers={
            OwnerOf: owner_of, RunbookFor: runbook_for, **AREA.facts,
            TrafficDuring: lambda plane, asked: Answer(value=Traffic(requests=48211, failed=17), at=plane.clock.now()),
        },
    )  # fmt: skip
    offer(made, FILES)
    yield made


@pytest.fixture
def world(plane: Plane, clock: FakeClock) -> World:
    return World(plane, clock)
