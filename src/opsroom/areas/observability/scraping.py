"""The duty of scraping: one scraper per plane, told what to scrape, that tells when a target goes up or down."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, proxy

from opsroom.areas.observability import store as rows
from opsroom.areas.observability.causes import cause_of
from opsroom.areas.observability.model import TargetHealth, TargetRow
from opsroom.areas.observability.targets import place_of, wanted
from opsroom.contracts.area import Duty
from opsroom.telemetry.fetch import Fetched, fetch
from opsroom.telemetry.scrape import BODY_BYTES, Scraper, Target, TargetState

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.store import Store

ACTOR = "system:observability"
KNOWN_SECONDS = 0.5
"""How long an answer to "what is to be scraped" is good for."""
NOTE_SECONDS = 5.0
"""How often the times of the last scrapes are written down."""
UNSEEN_SECONDS = 30.0
"""A target that was not scraped for this long, and for three intervals, is in an unknown state."""


class Watch:
    """The scraper of a plane, and what it wrote down of its targets."""

    def __init__(self, plane: Plane) -> None:
        self._plane: Plane = proxy(plane)  # the watch must not keep alive what it is found by
        self._known: tuple[float, list[Target]] = (-1e9, [])
        self._noted = 0.0
        self._telling = threading.Lock()
        self.pause = KNOWN_SECONDS
        self.scraper = Scraper(
            plane.telemetry, self._wanted, plane.clock, plane.journal, changed=self.changed, get=self._get
        )

    def work(self) -> None:
        """Begins what is due; writes down, now and then, when each target was last scraped, and drops those that are gone."""
        self.pause = self.scraper.tick()
        now = time.monotonic()
        if now - self._noted >= NOTE_SECONDS:
            self._noted = now
            self.note()

    def note(self) -> None:
        """Writes the last scrapes down, so that another process, or this one after a restart, knows them."""
        states = {place_of(state.target): state for state in self.scraper.states() if state.scraped}
        listed = {place_of(target) for target in self._known[1]}
        missed = set(states)
        with self._telling, self._plane.store.begin() as tx:
            for row in rows.targets(tx):
                state = states.get(row.key)
                if row.key not in listed:
                    rows.drop_target(tx, row.key)
                elif state is not None and state.health == row.state:
                    rows.put_target(tx, _row(state, since=row.since, event=row.event))
                    missed.discard(row.key)
        for key in missed & listed:  # a change that could not be recorded when it happened
            self.changed(states[key])

    def _get(self, target: Target) -> Fetched:
        """Where an address that a person wrote may lead is guarded, at every scrape anew."""
        guard = self._plane.outbound.address if target.supplied else None
        return fetch(target.url, timeout=target.timeout, limit=BODY_BYTES, address=guard)

    def changed(self, state: TargetState) -> None:
        """Records that a target went up or down, once for each change however often versions and servers come and go."""
        plane, key = self._plane, place_of(state.target)
        service, environment, instance = key
        cause = cause_of(plane, service, environment)
        with self._telling, plane.store.begin() as tx:
            before = rows.target(tx, key)
            if before is not None and before.state == state.health:
                rows.put_target(tx, _row(state, since=before.since, event=before.event))
                return
            row = _row(state, since=_moment(state.scraped), event="")
            event = plane.ledger.record(
                tx, f"target.{row.state}", actor=ACTOR, cause=cause, time=row.since,
                subjects=[f"{kind}:{value}" for kind, value in (("service", service), ("environment", environment)) if value],
                data={"instance": instance, "url": row.url, "error": row.error, "before": before.state if before else "unknown",
                      "seconds_before": (row.since - before.since).total_seconds() if before else None},
            )  # fmt: skip
            rows.put_target(tx, _row(state, since=row.since, event=event.id))

    def _wanted(self) -> Sequence[Target]:
        now = time.monotonic()
        if now - self._known[0] >= KNOWN_SECONDS:
            self._known = (now, wanted(self._plane))
        return self._known[1]


_watches: WeakKeyDictionary[Store, Watch] = WeakKeyDictionary()


def watch(plane: Plane) -> Watch:
    """The one watch of this plane."""
    if plane.store not in _watches:
        _watches[plane.store] = Watch(plane)
    return _watches[plane.store]


def scrape(plane: Plane) -> None:
    watch(plane).work()


def pause(plane: Plane) -> float:
    return watch(plane).pause


def state_now(row: TargetRow, target: Target | None, now: datetime) -> TargetHealth:
    """The state as it is known now: unknown where nobody has looked for a while."""
    longest = max(UNSEEN_SECONDS, 3 * target.interval if target else 0.0)
    return row.state if (now - row.scraped).total_seconds() <= longest else "unknown"


def _row(state: TargetState, *, since: datetime, event: str) -> TargetRow:
    service, environment, instance = place_of(state.target)
    return TargetRow(
        service=service, environment=environment, instance=instance, url=state.target.url,
        state="up" if state.health == "up" else "down", error=state.error, since=since, scraped=_moment(state.scraped),
        seconds=state.seconds, samples=state.samples, event=event,
    )  # fmt: skip


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


SCRAPING = Duty(name="scraping", seconds=pause, run=scrape)
