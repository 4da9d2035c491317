"""A plane with the real kernel, a telemetry that computes its samples, and one made-up area, for tests of the frame."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import Answer, OwnerOf
from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.contracts.operations import Model, operation
from opsroom.contracts.pages import PageDeclaration, PageRequest, Part, View
from opsroom.contracts.plane import Call, Plane
from opsroom.contracts.scopes import WHOLE
from opsroom.kernel import actors, secrets, waivers
from opsroom.kernel.actors import Actors
from opsroom.kernel.blobs import Blobs
from opsroom.kernel.clock import Clock, SystemClock
from opsroom.kernel.errors import Conflict, Invalid
from opsroom.kernel.journal import Journal
from opsroom.kernel.ledger import Event, Ledger
from opsroom.kernel.migrations import KERNEL_MIGRATIONS, migrate
from opsroom.kernel.queue import Queue
from opsroom.kernel.redaction import Redactor
from opsroom.kernel.resources import Catalogs, load_catalog
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store
from opsroom.surfaces.web.logs import log_rows
from opsroom.telemetry.port import Points, QueryResult, labels
from opsroom.workflows.protocol import LogLine

ABSENT = cast(Any, None)
TEMPLATES = Path(__file__).parent / "templates"

COMPONENT = """apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: {name}
  description: {about}
spec:
  type: service
  lifecycle: production
  owner: group:shop
  dependsOn: [{needs}]
"""
GROUP = "apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata:\n  name: shop\nspec:\n  type: team\n  children: []\n"


class FakeTelemetry:
    """Answers every range query with two waves; a query that names `broken` is Invalid, one that names `nothing` is empty."""

    def query_range(self, promql: str, start: float, end: float, step: float, *, lane: str = "pages") -> QueryResult:
        if "broken" in promql:
            raise Invalid(f"1:1: {promql!r} is no PromQL; try `up`")
        if "nothing" in promql:
            return QueryResult(kind="matrix")
        times = tuple(start + step * index for index in range(int((end - start) / step) + 1))
        waves = {"storefront": (40.0, 9.0), "inventory": (24.0, 5.0)}
        scale = 0.02 if "5.." in promql else 1.0
        return QueryResult(
            kind="matrix",
            series=tuple(
                Points(
                    labels({"service": name}),
                    times,
                    tuple(scale * (base + high * math.sin(at / 400 / math.pi) + 2 * math.sin(at / 31)) for at in times),
                )
                for name, (base, high) in waves.items()
            ),
        )


class Cancelled(Model):
    """A run that was told to stop."""

    id: str
    state: str


@operation("runs.cancel", needs="operate", scope=WHOLE)
def cancel(call: Call, id: str, *, reason: str = "", hard: bool = False) -> Cancelled:
    """Cancel a run. Error: finished already."""
    if id == "r9":
        raise Conflict("run 'r9' has finished; nothing is left to cancel")
    with call.plane.store.begin() as tx:
        data = {"reason": reason}
        call.plane.ledger.record(tx, "run.finished", actor=call.actor.id, subjects=(f"run:{id}",), data=data)
    return Cancelled(id=id, state="cancelled")


@operation("runs.count", scope=WHOLE)
def count(call: Call) -> Cancelled:
    """Count what runs."""
    return Cancelled(id="all", state="running")


class Floor:
    """The made-up area. `rows` and `lines` are what its pages show; a test changes them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = [
            {"id": "r1", "name": "storefront", "state": "success", "reason": "", "seconds": 41.2},
            {"id": "r2", "name": "inventory", "state": "queued", "reason": "no slot is free", "seconds": None},
            {"id": "r3", "name": "ops", "state": "failed", "reason": "", "seconds": 3.5},
        ]
        self.lines = [
            LogLine(at="2026-01-05T09:00:00.000000Z", step=0, text=f"line {number}") for number in range(1, 4)
        ]
        self.done = False
        self.wrong = True

    def area(self) -> Area:
        return Area(
            name="floor",
            promise="A made-up area",
            nouns=("run",),
            events=EVENT_TYPES,
            operations=(cancel.operation, count.operation),  # type: ignore[attr-defined]
            pages=(
                PageDeclaration(path="/runs", title="Runs", render=self._runs, nav="Runs", key="r"),
                PageDeclaration(path="/runs/{id}", title="Run", render=self._run),
                PageDeclaration(path="/runs/{id}/log", title="Log", render=self._log),
                PageDeclaration(path="/bug", title="Bug", render=self._bug),
            ),
            parts=(
                Part(where="overview.wrong", title="Alerts", order=1, render=self._wrong),
                Part(where="overview.waiting", title="Broken part", order=1, render=self._bug),
                Part(where="services.column", title="Health", order=1, render=lambda asked: View(template="floor/cell.html", values={"state": "ok"})),
                Part(where="service", title="Traffic", order=1, render=self._service),
                Part(where="search", title="Runs", order=1, render=self._found),
                Part(where="run", title="Cost", order=1, render=lambda asked: View(template="floor/service.html", values={"service": asked.params["id"]})),
            ),
        )  # fmt: skip

    def _runs(self, asked: PageRequest) -> View:
        return View(template="floor/runs.html", values={"rows": self.rows}, live=("run.",), api="/api/v1/runs")

    def _run(self, asked: PageRequest) -> View:
        values = {"name": asked.params["id"], "rows": log_rows(self.lines)}
        return View(template="floor/run.html", values=values, title=asked.params["id"])

    def _log(self, asked: PageRequest) -> View:
        after = int(asked.query.get("after", "0"))
        rows = log_rows(self.lines)[after:]
        return View(template="floor/log.html", values={"rows": rows, "done": self.done})

    def _wrong(self, asked: PageRequest) -> View | None:
        return (
            View(template="floor/wrong.html", values={"moment": asked.call.plane.clock.now()}) if self.wrong else None
        )

    def _service(self, asked: PageRequest) -> View:
        return View(template="floor/service.html", values={"service": asked.params["service"]})

    def _found(self, asked: PageRequest) -> View | None:
        return View(template="floor/found.html", values={"q": asked.query.get("q", "")})

    def _bug(self, asked: PageRequest) -> View:
        raise RuntimeError("planted bug")


EVENT_TYPES = (
    EventType(name="change.pushed", sentence="{commit} pushed to {repository}", change=True),
    EventType(name="deployment.finished", sentence="{service} {version} to {environment}, {strategy}: {failed} of {requests} requests failed", change=True),
    EventType(name="configuration.applied", sentence="{count} settings applied on {host}", change=True),
    EventType(name="alert.fired", sentence="{alert} fires for {service} in {environment}"),
    EventType(name="run.finished", sentence="run {run} finished"),
)  # fmt: skip


def build_plane(folder: Path, clock: Clock | None = None, journal_out: io.StringIO | None = None) -> Plane:
    """The kernel over SQLite in `folder`, two services in the catalog, `person:admin` as admin."""
    time = clock or SystemClock()
    settings = Settings(state=folder / "state", keys=folder / "keys")
    store = Store(settings.database_url)
    migrate(store, (*KERNEL_MIGRATIONS, *actors.MIGRATIONS, *secrets.MIGRATIONS, *waivers.MIGRATIONS))
    redactor = Redactor()
    ledger = Ledger(store, time, redact=redactor.redact)
    catalogs = Catalogs()
    files = {
        "catalog/storefront.yaml": COMPONENT.format(name="storefront", about="The shop's pages", needs="inventory"),
        "catalog/inventory.yaml": COMPONENT.format(name="inventory", about="What is in stock", needs=""),
        "catalog/shop.yaml": GROUP,
    }
    catalog, problems = load_catalog(files, "3f2a1c9d4e5f60718293a4b5c6d7e8f901234567")
    assert catalogs.offer(catalog.commit, catalog, problems), problems
    plane = Plane(
        settings=settings, clock=time, store=store, ledger=ledger, queue=Queue(store, time),
        journal=Journal(time, redact=redactor.redact, out=journal_out or io.StringIO()), blobs=Blobs(settings.state / "blobs"),
        secrets=secrets.Secrets(store, ledger, time, redactor, keys=settings.keys, state=settings.state),
        actors=Actors(store, ledger, time, keys=settings.keys), waivers=waivers.Waivers(store, ledger, time),
        repos=ABSENT, catalogs=catalogs, outbound=ABSENT, telemetry=cast(Any, FakeTelemetry()), engine=ABSENT,
        answers={OwnerOf: _owner},
    )  # fmt: skip
    plane.actors.first_start()
    return plane


def _owner(plane: Plane, question: OwnerOf) -> Answer[str]:
    return Answer(value=plane.catalogs.current().owner_of(question.service), at=plane.clock.now())


def record(
    plane: Plane, type: str, *subjects: str, cause: str = "", actor: str = "person:maria", ago: float = 1, **data: Any
) -> Event:
    """Records and seals an event that happened `ago` seconds before now."""
    from datetime import timedelta

    with plane.store.begin() as tx:
        time = plane.clock.now() - timedelta(seconds=ago)
        event = plane.ledger.record(tx, type, actor=actor, cause=cause, subjects=subjects, data=data, time=time)
    plane.ledger.seal()
    return event


def some_history(plane: Plane) -> list[Event]:
    """A push, its deployment, and the alert after it, each the cause of the next."""
    commit = "3f2a1c9d4e5f60718293a4b5c6d7e8f901234567"
    pushed = record(plane, "change.pushed", "repository:storefront", "service:storefront", ago=1900, commit=commit)
    deployed = record(
        plane, "deployment.finished", "service:storefront", "environment:production", cause=pushed.id, ago=1500, version="3f2a1c9",
        strategy="blue-green", requests=48211, failed=0,
    )  # fmt: skip
    record(plane, "configuration.applied", "host:web-1", actor="person:jan", ago=1100, count=3, host="web-1")
    alert = record(
        plane, "alert.fired", "alert:SlowCheckout", "service:storefront", "environment:production", cause=deployed.id,
        actor="system:rules", ago=500,
    )  # fmt: skip
    return [pushed, deployed, alert]


def sign_in(plane: Plane, person: str = "person:admin") -> str:
    """A session's cookie value."""
    link = plane.actors.sign_in.make_link(person, plane.actors.people.actor(person))
    return plane.actors.redeem(link.text, "test").text


def kernel_operations() -> Sequence[Any]:
    return KERNEL_OPERATIONS
