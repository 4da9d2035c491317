"""A real plane over a temporary state with chosen areas, a real ops repo in Git, and subscribers run by hand; no thread, no network.

Tests load it by `from area_plane import …` after their conftest has put this folder on the path.
"""

from __future__ import annotations

import html
import io
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

from opsroom.app.application import Application
from opsroom.app.catalog import reload_on_push
from opsroom.app.plane import build_plane
from opsroom.contracts.area import Area, Subscription
from opsroom.contracts.facts import Answer, Running, WhatRuns
from opsroom.contracts.plane import Call, Plane
from opsroom.contracts.ports import Message, Receipt
from opsroom.kernel.actors import Actor
from opsroom.kernel.clock import Clock, stamp
from opsroom.kernel.errors import Unavailable
from opsroom.kernel.ledger import Event
from opsroom.kernel.settings import Settings
from opsroom.surfaces.api.guards import COOKIE
from opsroom.surfaces.web import assets
from opsroom.telemetry.port import Health, LogPage, QueryResult

HOST = "http://127.0.0.1:8600"
ADMIN = Actor(id="person:admin", name="admin", roles=("admin",))
CATALOG = """\
apiVersion: backstage.io/v1alpha1
kind: System
metadata: {name: shop}
spec: {owner: "group:shop-team"}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: storefront, title: Storefront, description: "What people see | and <b>buy</b>"}
spec: {type: service, lifecycle: production, owner: "group:shop-team", system: shop, dependsOn: ["component:inventory"]}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: inventory}
spec: {type: service, lifecycle: production, owner: "group:stock-team"}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: shop-team, title: Shop team}
spec: {type: team, children: [stock-team]}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: stock-team}
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
spec: {profile: {email: jonas@example.com}, memberOf: [stock-team]}
"""
ENVIRONMENTS = """\
apiVersion: opsroom.dev/v1
kind: Environment
metadata: {name: staging}
spec: {tier: staging, services: [{service: storefront, address: "127.0.0.1:8711", command: [python3]}]}
---
apiVersion: opsroom.dev/v1
kind: Environment
metadata: {name: production}
spec: {tier: production, services: [{service: storefront, address: "127.0.0.1:8721", command: [python3]}]}
"""
FILES = {"catalog-info.yaml": CATALOG, "opsroom/environments.yaml": ENVIRONMENTS}


class QuietTelemetry:
    """Holds nothing and says so: queries are empty, there are no logs, its health is good."""

    def query(self, promql: str, at: float, *, lane: str = "pages", within: Any = ()) -> QueryResult:
        return QueryResult(kind="vector")

    def query_range(self, promql: str, start: float, end: float, step: float, *, lane: str = "pages", within: Any = ()) -> QueryResult:  # fmt: skip
        return QueryResult(kind="matrix")

    def search_logs(self, query: str, start: float, end: float, *, limit: int = 100, before: str = "") -> LogPage:
        return LogPage(records=())

    def write_samples(self, batch: Sequence[Any]) -> None: ...
    def write_logs(self, records: Sequence[Any]) -> None: ...
    def write_metadata(self, items: Sequence[Any]) -> None: ...
    def series(self, *_: Any, **__: Any) -> tuple[()]:
        return ()

    def labels(self, *_: Any) -> tuple[()]:
        return ()

    def label_values(self, *_: Any) -> tuple[()]:
        return ()

    def metadata(self, metric: str = "") -> tuple[()]:
        return ()

    def log_histogram(self, *_: Any, **__: Any) -> tuple[()]:
        return ()

    def health(self) -> Health:
        return Health(state="down", reason="no telemetry in this test")

    def start(self) -> None: ...
    def close(self) -> None: ...


@dataclass
class RecordingNotifier:
    """Keeps what it is given; while `refuses` has words it takes nothing."""

    kind: str
    refuses: str = ""
    attempts: list[str] = field(default_factory=list)
    taken: list[tuple[Mapping[str, Any], Message, tuple[str, ...]]] = field(default_factory=list)

    def send(self, plane: Plane, channel: Mapping[str, Any], message: Message, recipients: tuple[str, ...]) -> Receipt:
        self.attempts.append(message.key)
        if self.refuses:
            raise Unavailable(self.refuses)
        self.taken.append((channel, message, recipients))
        return Receipt(detail="202 Accepted")


@dataclass
class AreaPlane:
    """A plane and what happens to it. `running` is what the fact WhatRuns answers where delivery is asked of nothing."""

    plane: Plane
    folder: Path
    areas: tuple[Area, ...]
    webhook: RecordingNotifier
    mail: RecordingNotifier
    journal: io.StringIO
    running: list[Running] = field(default_factory=list)
    _application: Application | None = None

    @property
    def call(self) -> Call:
        return self.call_as(ADMIN)

    def call_as(self, actor: Actor, cause: str = "") -> Call:
        return Call(plane=self.plane, actor=actor, cause=cause)

    def decide(self, files: Mapping[str, str] | None = None, *, drop: Sequence[str] = ()) -> str:
        """Pushes these files to the ops repo (the first time with the usual ones) and puts them in force; the commit."""
        work = self.folder / "ops-work"
        given = {**(FILES if not (work / "catalog-info.yaml").exists() else {}), **(files or {})}
        before = self.plane.catalogs.offered
        for path, text in given.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        for path in drop:
            (work / path).unlink()
        _git(work, "add", "--all")
        _git(work, "commit", "--quiet", "--allow-empty", "-m", "decisions")
        _git(work, "push", "--quiet", "origin", "HEAD:main")
        commit = _git(work, "rev-parse", "HEAD").strip()
        self.plane.repos.watch("ops", str(self.folder / "ops.git"))
        for change in self.plane.repos.poll():
            self.plane.repos.accept(change)
        self.record(
            "change.pushed",
            "repository:ops",
            f"commit:{commit}",
            ref="refs/heads/main",
            before=before,
            after=commit,
            commits=[],
        )
        self.settle()
        assert self.plane.catalogs.current().commit == commit, [str(one) for one in self.plane.catalogs.problems()]
        return commit

    def problems(self, files: Mapping[str, str]) -> list[str]:
        """What is wrong with the usual catalog and these files."""
        from opsroom.kernel.resources import load_catalog

        kinds = [kind for area in self.areas for kind in area.kinds]
        return [str(one) for one in load_catalog({**FILES, **files}, "bad", kinds)[1]]

    def record(self, type: str, *subjects: str, cause: str = "", at: datetime | None = None, actor: str = "system:test", **data: Any) -> Event:  # fmt: skip
        with self.plane.store.begin() as tx:
            return self.plane.ledger.record(tx, type, actor=actor, cause=cause, subjects=subjects, data=data, time=at)

    def settle(self) -> None:
        """Seals, and lets every subscriber read what is sealed, until nothing new happens."""
        own = [("kernel", reload_on_push(self.plane.areas))]
        # Delivery would look for repositories and start runs, which are not what these tests are of.
        readers = own + [
            (area.name, one) for area in self.areas if area.name != "delivery" for one in area.subscriptions
        ]
        while self.plane.ledger.seal():
            for owner, subscription in readers:
                self._read(f"{owner}.{subscription.name}", subscription)

    def events(self, *types: str) -> list[Event]:
        """Oldest first."""
        return self.plane.ledger.find(types=types, limit=500, newest_first=False)

    def deployed(self, service: str = "storefront", environment: str = "production", *, commit: str = "c" * 40, cause: str = "", kind: str = "deploy", at: datetime | None = None, url: str = "http://127.0.0.1:1") -> Event:  # fmt: skip
        """A finished deployment, which runs from now on."""
        id = self.plane.clock.new_id("dep")
        event = self.record(
            "deployment.finished", f"deployment:{id}", f"service:{service}", f"environment:{environment}", f"commit:{commit}",
            f"digest:sha256:{'d' * 64}", cause=cause, at=at, version=commit[:12], strategy="blue-green", kind=kind, seconds=2.0, url=url,
        )  # fmt: skip
        here = (service, environment)
        self.running[:] = [one for one in self.running if (one.service, one.environment) != here]
        self.running.append(
            Running(
                service=service,
                environment=environment,
                version=commit[:12],
                digest=f"sha256:{'d' * 64}",
                commit=commit,
                deployment=id,
                url=url,
                since=event.time,
                event=event.id,
            )
        )
        return event

    def push(self, repository: str, commit: str, *, before: str = "b" * 40, commits: Sequence[tuple[str, datetime]] = (), at: datetime | None = None) -> Event:  # fmt: skip
        told = [{"commit": id, "time": stamp(time), "author": "maria", "message": "x"} for id, time in commits]
        return self.record(
            "change.pushed", f"repository:{repository}", f"commit:{commit}", f"service:{repository}", at=at, before=before,
            after=commit, ref="refs/heads/main", commits=told, message="x",
        )  # fmt: skip

    def web(self) -> TestClient:
        """A signed-in admin's browser over the whole application of this plane."""
        if missing := assets.missing_assets():
            pytest.skip(f"front-end files are missing ({', '.join(missing)}); `python hatch_build.py` fetches them")
        if self._application is None:
            self._application = Application(self.plane)
        link = self.plane.actors.sign_in.make_link("person:admin", self.plane.actors.people.actor("person:admin"))
        session = self.plane.actors.redeem(link.text, "test").text
        return TestClient(self._application, base_url=HOST, cookies={COOKIE: session}, raise_server_exceptions=True)

    def page(self, path: str, *, raw: bool = False) -> str:
        """The text of a page that must answer 200 with every part whole: tags away, white space as one blank."""
        answer = self.web().get(path)
        assert answer.status_code == 200, (
            f"{path}: {answer.status_code} {answer.text[:2000]}\n{self.journal.getvalue()[-3000:]}"
        )
        assert "this part failed" not in answer.text, self.journal.getvalue()[-3000:]
        return answer.text if raw else " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())

    def api(self) -> TestClient:
        """An admin's program."""
        token = (self.plane.settings.keys / "admin-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return TestClient(Application(self.plane), base_url=HOST, headers=headers, raise_server_exceptions=False)

    def _read(self, name: str, subscription: Subscription) -> None:
        while events := self.plane.ledger.read(self.plane.ledger.cursor(name), subscription.types, limit=100):
            for event in events:
                subscription.handle(self.plane, event)
                with self.plane.store.begin() as tx:
                    self.plane.ledger.advance(tx, name, event.seq or 0)


def build_area_plane(folder: Path, names: Sequence[str], clock: Clock, *, database: str = "") -> AreaPlane:
    """`names` are areas to build with; delivery is always there for its kinds, and what runs is what the test says."""
    areas = tuple(import_module(f"opsroom.areas.{name}").AREA for name in dict.fromkeys(("delivery", *names)))
    bare, work = folder / "ops.git", folder / "ops-work"
    for place, bare_option in ((bare, ["--bare"]), (work, [])):
        place.mkdir(parents=True)
        _git(place, "init", "--quiet", "--initial-branch=main", *bare_option)
    _git(work, "remote", "add", "origin", str(bare))
    settings = Settings(state=folder / "state", keys=folder / "keys", repo=str(bare), database=database)
    plane = build_plane(settings, areas, clock=clock, telemetry=lambda *_: cast(Any, QuietTelemetry()))
    journal = io.StringIO()
    plane.journal._out = journal
    webhook, mail = RecordingNotifier("webhook"), RecordingNotifier("smtp")
    plane.notifiers = {"webhook": webhook, "smtp": mail}
    made = AreaPlane(plane=plane, folder=folder, areas=areas, webhook=webhook, mail=mail, journal=journal)
    plane.answers = {**plane.answers, WhatRuns: _what_runs(made)}
    return made


def _what_runs(made: AreaPlane) -> Callable[[Plane, WhatRuns], Answer[tuple[Running, ...]]]:
    def answer(plane: Plane, asked: WhatRuns) -> Answer[tuple[Running, ...]]:
        found = tuple(
            one for one in made.running if asked.service in ("", one.service) and asked.environment in ("", one.environment)
        )  # fmt: skip
        return Answer(value=found, at=plane.clock.now(), events=tuple(one.event for one in found))

    return answer


def _git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Maria Keller", "-c", "user.email=maria@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
