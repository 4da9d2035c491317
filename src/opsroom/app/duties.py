"""What goes on beside requests: the sealer, every area's duties and subscriptions, each on its own thread under a lease."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from opsroom.app import retention
from opsroom.contracts.area import Area, Duty, Subscription
from opsroom.contracts.plane import Plane
from opsroom.kernel.errors import UserError
from opsroom.kernel.ledger import BATCH
from opsroom.kernel.verification import CheckpointKey, write_checkpoint

LEASE_SECONDS = 8.0
RENEW_SECONDS = 2.0
CHECKPOINT_SECONDS = 15.0
WAIVER_SECONDS = 5.0
LONGEST_PAUSE = 30.0
IDLE_SECONDS = 0.5


@dataclass(kw_only=True)
class Status:
    """How one duty or subscription fares: when it last ran, and the error that holds it back ("" : none)."""

    name: str
    kind: str
    last: datetime | None = None
    error: str = ""
    runs: int = 0


class Duties:
    """Starts and stops the threads. A duty runs where its lease is held; one process holds all leases it can get."""

    def __init__(self, plane: Plane, areas: Iterable[Area], *, own: Iterable[Subscription] = ()) -> None:
        self._plane = plane
        self._stop = threading.Event()
        self._held: frozenset[str] = frozenset()
        self._threads: list[threading.Thread] = []
        self._loops: list[tuple[Status, Callable[[Status], float]]] = []
        self.holder = f"{socket.gethostname()}:{os.getpid()}"
        self._add("sealer", "kernel", self._seal)
        self._add("checkpoints", "kernel", self._checkpoint)
        self._add("waivers", "kernel", self._sweep_waivers)
        self._add("retention", "kernel", self._expire)
        for subscription in own:
            self._add(f"kernel.{subscription.name}", "subscription", self._subscription("kernel", subscription))
        for area in areas:
            for duty in area.duties:
                self._add(f"{area.name}.{duty.name}", "duty", self._duty(duty))
            for subscription in area.subscriptions:
                self._add(
                    f"{area.name}.{subscription.name}", "subscription", self._subscription(area.name, subscription)
                )

    @property
    def status(self) -> list[Status]:
        return [status for status, _ in self._loops]

    def start(self) -> None:
        self._renew()
        self._spawn("leases", self._keep_leases)
        for status, once in self._loops:
            self._spawn(status.name, partial(self._loop, status, once))

    def stop(self) -> None:
        """Stops every thread and gives the leases back."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)
        for name in self._held:
            self._plane.queue.release(name, self.holder)

    def _add(self, name: str, kind: str, once: Callable[[Status], float]) -> None:
        self._loops.append((Status(name=name, kind=kind), once))

    def _spawn(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _loop(self, status: Status, once: Callable[[Status], float]) -> None:
        failures = 0
        while not self._stop.is_set():
            if status.name not in self._held:
                self._stop.wait(RENEW_SECONDS)
                continue
            try:
                pause = once(status)
                failures, status.error = 0, ""
            except UserError as error:
                failures += 1
                status.error = str(error)
                self._plane.journal.warning(f"{status.name}: {error}", attempt=failures)
                pause = min(LONGEST_PAUSE, 0.5 * 2**failures)
            except Exception as bug:  # A bug in one duty must not end the others; it is journaled with its traceback.
                failures += 1
                status.error = f"{type(bug).__name__}: {bug}"
                self._plane.journal.error(f"{status.name} failed", bug=bug, attempt=failures)
                pause = min(LONGEST_PAUSE, 0.5 * 2**failures)
            status.last, status.runs = self._plane.clock.now(), status.runs + 1
            if pause:
                self._stop.wait(pause)

    def _keep_leases(self) -> None:
        while not self._stop.wait(RENEW_SECONDS):
            try:
                self._renew()
            except Exception as bug:  # Without leases this process leads nothing until it can renew them again.
                self._held = frozenset()
                self._plane.journal.error("leases could not be renewed", bug=bug)

    def _renew(self) -> None:
        queue = self._plane.queue
        names = [status.name for status, _ in self._loops]
        self._held = frozenset(queue.lease_all(names, self.holder, LEASE_SECONDS))

    def _seal(self, status: Status) -> float:
        if self._plane.ledger.wait_recorded(IDLE_SECONDS):
            self._stop.wait(0.02)  # A little patience makes one batch of what comes together.
        self._plane.ledger.seal()
        return 0.0

    def _checkpoint(self, status: Status) -> float:
        write_checkpoint(self._plane.store, self._plane.clock, CheckpointKey(self._plane.settings.keys))
        return CHECKPOINT_SECONDS

    def _sweep_waivers(self, status: Status) -> float:
        self._plane.waivers.sweep()
        return WAIVER_SECONDS

    def _expire(self, status: Status) -> float:
        if not status.runs:
            return retention.FIRST_SECONDS  # A server that starts has better things to do.
        return retention.BUSY_SECONDS if retention.expire(self._plane) else retention.IDLE_SECONDS

    def _duty(self, duty: Duty) -> Callable[[Status], float]:
        def once(status: Status) -> float:
            duty.run(self._plane)
            return duty.seconds(self._plane) if callable(duty.seconds) else duty.seconds

        return once

    def _subscription(self, owner: str, subscription: Subscription) -> Callable[[Status], float]:
        name = f"{owner}.{subscription.name}"
        plane = self._plane

        def once(status: Status) -> float:
            cursor, last = plane.ledger.cursor(name), plane.ledger.last_seq()
            events = plane.ledger.read(cursor, subscription.types, limit=100) if last > cursor else []
            for event in events:
                subscription.handle(plane, event)
                with plane.store.begin() as tx:
                    plane.ledger.advance(tx, name, event.seq or 0)
                if self._stop.is_set():
                    return 0.0
            if not events:
                if last - cursor > BATCH:
                    with plane.store.begin() as tx:
                        plane.ledger.advance(tx, name, last)
                plane.ledger.wait_sealed(IDLE_SECONDS)
            return 0.0

        return once
