"""A plane with the real kernel, this area, a stand-in for delivery, and telemetry held in memory behind the real PromQL engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from opsroom.app.plane import build_plane
from opsroom.areas.observability import AREA
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import Answer, Running, WhatRuns
from opsroom.contracts.plane import Call, Plane
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import Unavailable
from opsroom.kernel.ledger import Event
from opsroom.kernel.resources import load_catalog
from opsroom.kernel.settings import Settings
from opsroom.telemetry.limits import Limits
from opsroom.telemetry.port import (
    Health,
    Labels,
    LogCount,
    LogPage,
    LogRecord,
    Metadata,
    QueryResult,
    Sample,
    Written,
    labels,
)
from opsroom.telemetry.promql import engine
from opsroom.telemetry.promql.parse import parse_selector
from opsroom.telemetry.promql.source import MemorySource

COMPONENTS = "".join(
    f"""---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: {name}
spec:
  type: service
  lifecycle: production
  owner: group:shop-team
"""
    for name in ("storefront", "inventory")
)
GROUP = "---\napiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {name: shop-team}\nspec: {type: team, children: []}\n"
RULES = """groups:
  - name: storefront
    interval: 1s
    rules:
      - record: service:latency
        expr: max by (service, environment) (latency)
      - alert: StorefrontSlow
        expr: latency > 0.15
        for: 5s
        labels: {severity: error}
        annotations:
          summary: '{{ $labels.service }} is slow: {{ $value | humanizeDuration }}'
"""


class FakeTelemetry:
    """Keeps what is written, and answers PromQL from it. `down` makes every question Unavailable; `lag` is what health says."""

    def __init__(self) -> None:
        self.source = MemorySource()
        self.samples: list[Sample] = []
        self.lines: list[LogRecord] = []
        self.down = False
        self.lag = ""
        self.asked: list[str] = []

    def write_samples(self, batch: Sequence[Sample]) -> Written:
        self.samples += batch
        for one in batch:
            self.source.add(one.labels, [(round(one.time * 1000), one.value)])
        return Written(len(batch))

    def write_logs(self, records: Sequence[LogRecord]) -> Written:
        if self.down:
            raise Unavailable("telemetry is down")
        self.lines += records
        return Written(len(records))

    def write_metadata(self, items: Sequence[Metadata]) -> None:
        """Nobody asks for it here."""

    def query(self, promql: str, at: float, *, lane: str = "pages") -> QueryResult:
        self.asked.append(promql)
        if self.down:
            raise Unavailable("telemetry is down")
        return engine.query(self.source, promql, at, Limits())

    def query_range(self, promql: str, start: float, end: float, step: float, *, lane: str = "pages") -> QueryResult:
        if self.down:
            raise Unavailable("telemetry is down")
        return engine.query_range(self.source, promql, start, end, step, Limits())

    def series(self, matchers: Sequence[str], start: float, end: float) -> tuple[Labels, ...]:
        found: dict[Labels, None] = {}
        for text in matchers or ['{__name__!=""}']:
            picked = self.source.select(parse_selector(text), round(start * 1000), round(end * 1000))
            found.update(dict.fromkeys(picked.labels))
        return tuple(found)

    def labels(self, matchers: Sequence[str], start: float, end: float) -> tuple[str, ...]:
        return tuple(sorted({name for one in self.series(matchers, start, end) for name, _ in one}))

    def label_values(self, name: str, matchers: Sequence[str], start: float, end: float) -> tuple[str, ...]:
        return tuple(sorted({dict(one)[name] for one in self.series(matchers, start, end) if name in dict(one)}))

    def metadata(self, metric: str = "") -> tuple[Metadata, ...]:
        return (Metadata("up", "gauge", "Is up."),)

    def search_logs(self, query: str, start: float, end: float, *, limit: int = 100, before: str = "") -> LogPage:
        if self.down:
            raise Unavailable("telemetry is down")
        self.asked.append(query)
        inside = [line for line in self.lines if start <= line.time < end]
        return LogPage(tuple(reversed(inside))[:limit])

    def log_histogram(
        self, query: str, start: float, end: float, *, buckets: int = 60, by: str = "level"
    ) -> tuple[LogCount, ...]:
        if self.down:
            raise Unavailable("telemetry is down")
        width = (end - start) / buckets
        counts: dict[tuple[float, str], int] = {}
        for line in self.lines:
            if start <= line.time < end:
                key = (start + int((line.time - start) / width) * width, line.level)
                counts[key] = counts.get(key, 0) + 1
        return tuple(LogCount(time, level, count) for (time, level), count in sorted(counts.items()))

    def health(self) -> Health:
        return Health(state="down" if self.down else "up", reason="it does not answer" if self.down else self.lag)

    def start(self) -> None:
        """It needs no process."""

    def close(self) -> None:
        """It holds nothing."""


@dataclass
class Scene:
    """The plane and what a test moves: the clock, telemetry, what runs."""

    folder: Path
    clock: FakeClock
    telemetry: FakeTelemetry
    running: list[Running] = field(default_factory=list)
    unknown: str = ""
    planes: list[Plane] = field(default_factory=list)

    @property
    def plane(self) -> Plane:
        return self.planes[-1]

    @property
    def call(self) -> Call:
        return Call(plane=self.plane, actor=self.plane.actors.people.actor("person:admin"))

    def start(self) -> Plane:
        """A new server over the same state, as after a restart."""
        if self.planes:
            self.plane.store.close()
        settings = Settings(state=self.folder / "state", keys=self.folder / "keys", repo=str(self.folder / "ops"))
        plane = build_plane(
            settings, [AREA, self._delivery()], clock=self.clock,
            telemetry=lambda settings, clock, journal: cast(Any, self.telemetry),
        )  # fmt: skip
        if self.planes:
            plane.catalogs.offer("restored", self.plane.catalogs.current(), ())
        self.planes.append(plane)
        return plane

    def offer(self, files: dict[str, str], *, commit: str = "c1") -> Event:
        """Puts an ops repo in force and tells of it, as a push of it does."""
        whole = {"catalog-info.yaml": COMPONENTS + GROUP, **files}
        catalog, problems = load_catalog(whole, commit, AREA.kinds)
        assert [str(one) for one in problems] == []
        self.plane.catalogs.offer(commit, catalog, ())
        pushed = self.record("change.pushed", "repository:ops", commit=commit)
        return self.record("catalog.changed", "repository:ops", f"commit:{commit}", cause=pushed.id, commit=commit)

    def record(self, type: str, *subjects: str, cause: str = "", **data: Any) -> Event:
        with self.plane.store.begin() as tx:
            return self.plane.ledger.record(tx, type, actor="person:maria", cause=cause, subjects=subjects, data=data)

    def deploy(
        self, service: str, *, environment: str = "production", version: str = "v1", url: str = "http://127.0.0.1:9"
    ) -> Event:
        """Says that a version runs now, instead of what ran there."""
        deployment = f"dep_{version}"
        subjects = (f"service:{service}", f"environment:{environment}", f"deployment:{deployment}")
        event = self.record("deployment.finished", *subjects, version=version)
        kept = [one for one in self.running if (one.service, one.environment) != (service, environment)]
        one = Running(
            service=service, environment=environment, version=version, digest=f"sha256:{version}", commit=version,
            deployment=deployment, url=url, since=self.clock.now(), event=event.id,
        )  # fmt: skip
        self.running[:] = [*kept, one]
        return event

    def sample(self, name: str, value: float, **of: str) -> None:
        """A sample of now."""
        series = labels({"__name__": name, **of})
        self.telemetry.write_samples([Sample(series, self.clock.now().timestamp(), value)])

    def events(self, *types: str) -> list[Event]:
        """Oldest first."""
        return self.plane.ledger.find(types=types, newest_first=False, limit=1000)

    def _delivery(self) -> Area:
        def what_runs(plane: Plane, question: WhatRuns) -> Answer[tuple[Running, ...]]:
            if self.unknown:
                return Answer(value=None, unknown=self.unknown, at=plane.clock.now())
            found = [
                one
                for one in self.running
                if question.service in ("", one.service) and question.environment in ("", one.environment)
            ]
            return Answer(value=tuple(found), at=plane.clock.now())

        return Area(
            name="delivery", promise="stands in", nouns=("deployments",), facts={WhatRuns: what_runs},
            events=(
                EventType(name="change.pushed", sentence="{commit} pushed", change=True),
                EventType(name="catalog.changed", sentence="catalog changed", change=True),
                EventType(name="deployment.finished", sentence="{service} {version} to {environment}", change=True),
            ),
        )  # fmt: skip
