"""Targets: list."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from opsroom.areas.observability import store as rows
from opsroom.areas.observability.scraping import state_now
from opsroom.areas.observability.targets import place_of, wanted
from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call, Plane
from opsroom.contracts.scopes import SEEN
from opsroom.kernel.errors import Unavailable
from opsroom.telemetry.scrape import Target


class TargetView(Model):
    """Something that is scraped. `state` unknown: nobody has looked for a while; `since`: when it went up or down, told by `event`; of the
    last scrape when, how long it took in seconds, and how many samples it gave."""

    columns: ClassVar[tuple[str, ...]] = (
        "service", "environment", "instance", "state", "error", "samples", "seconds", "scraped",
    )  # fmt: skip
    service: str
    environment: str
    instance: str
    url: str
    state: Literal["up", "down", "unknown"]
    error: str
    since: datetime | None
    scraped: datetime | None
    seconds: float | None
    samples: int | None
    interval_seconds: float
    labels: dict[str, str]
    event: str


@operation("targets.list", scope=SEEN)
def list_targets(call: Call, *, service: str = "", environment: str = "") -> list[TargetView]:
    """What is scraped, and whether it answers."""
    views = target_views(call.plane)
    return [one for one in views if service in ("", one.service) and environment in ("", one.environment)]


def target_views(plane: Plane) -> list[TargetView]:
    """Every target that is wanted now, by service and environment; where what is wanted is unknown, those known before."""
    with plane.store.read() as tx:
        known = {row.key: row for row in rows.targets(tx)}
    try:
        targets = {place_of(target): target for target in wanted(plane)}
    except Unavailable:
        targets = {key: Target(url=row.url, labels=()) for key, row in known.items()}
    now, views = plane.clock.now(), []
    for key, target in sorted(targets.items()):
        row = known.get(key)
        state = state_now(row, target, now) if row else "unknown"
        error = row.error if row else "it was not scraped yet"
        if row is not None and state == "unknown":
            error = f"it was last scraped {row.scraped:%Y-%m-%d %H:%M:%S} UTC, and was {row.state} then"
        views.append(
            TargetView(
                service=key[0], environment=key[1], instance=key[2], url=target.url, state=state, error=error,
                since=row.since if row else None, scraped=row.scraped if row else None, seconds=row.seconds if row else None,
                samples=row.samples if row else None, interval_seconds=target.interval, labels=dict(target.labels),
                event=row.event if row else "",
            )
        )  # fmt: skip
    return views
