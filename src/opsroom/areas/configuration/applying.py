"""Applying a plan: exactly as approved, each change told as it is done, cut off and taken up again at any point."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opsroom.areas.configuration import store as rows
from opsroom.areas.configuration.disk import Disk
from opsroom.areas.configuration.model import FileState, Known, StoredPlan, Target, Wanted
from opsroom.areas.configuration.planning import fields_of
from opsroom.areas.configuration.reading import Unreadable
from opsroom.areas.configuration.wanted import reader_of, target_of, wanted_of
from opsroom.areas.configuration.writing import FolderWriter
from opsroom.kernel.errors import Conflict, UserError
from opsroom.kernel.plan import Change, apply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opsroom.contracts.plane import Plane

LEASE_SECONDS = 20.0
RENEW_SECONDS = 5.0
_DONE = {"create": "created", "update": "changed", "delete": "deleted"}
_lock = threading.Lock()


def apply_plan(plane: Plane, id: str, digest: str, *, actor: str, disk: Disk | None = None) -> StoredPlan:
    """Carries out a stored plan and returns it as it then stands; an applied one is left as it is.

    Conflict: the digest is not the plan's, a freeze holds, a newer plan stands, the ops repo or a file has moved since. Unavailable:
    the machine refuses a write; the plan can be applied again and goes on where it stopped."""
    with plane.store.read() as tx:
        stored = rows.get_plan(tx, id)
    if stored.state in ("applied", "empty"):
        return stored
    target = target_of(plane, stored.plan.target)
    _may_begin(plane, stored, target, digest)
    with _alone(plane, stored):
        with plane.store.begin() as tx:
            rows.set_plan(tx, id, "applying", by=actor)
        work = _Work(plane, stored, target, actor, disk or Disk())
        try:
            apply(stored.plan, read=work.read, write=work.write, done=work.done)
        except UserError as error:
            with plane.store.begin() as tx:
                rows.set_plan(tx, id, "stopped", reason=str(error))
            raise
        with plane.store.begin() as tx:
            rows.set_plan(tx, id, "applied", finished=plane.clock.now())
            return rows.get_plan(tx, id)


def freeze_of(plane: Plane, target: Target) -> str:
    """Why nothing may be applied to the target now; "" : it may."""
    waiver = plane.waivers.active("freeze", target.labels)
    return "" if waiver is None else f"freeze {waiver.id} until {waiver.expires:%Y-%m-%d %H:%M} UTC: {waiver.reason}"


def _may_begin(plane: Plane, stored: StoredPlan, target: Target, digest: str) -> None:
    if digest != stored.digest:
        raise Conflict(f"plan {stored.id} has digest {stored.digest[:19]}, not {digest[:19]!r}; look at it again")
    if stored.state == "superseded":
        raise Conflict(f"plan {stored.id} is superseded: {stored.reason}; apply that one")
    if frozen := freeze_of(plane, target):
        raise Conflict(f"plan {stored.id} may not be applied during {frozen}")
    wanted = wanted_of(plane.catalogs.current(), target.name)
    for change in stored.plan.changes:
        if not _is_wanted(plane, change, wanted.get(change.name)):
            raise Conflict(f"the ops repo no longer wants {change.name} as plan {stored.id} has it; plan again")


def _is_wanted(plane: Plane, change: Change, wanted: Wanted | None) -> bool:
    """Whether the commit in force still wants what the plan says: the approved bytes are the applied bytes."""
    if wanted is None:
        return False
    if wanted.state is None or change.verb == "delete":
        return wanted.state is None and change.verb == "delete"
    fields = fields_of(plane, wanted.state)
    return all(fields.get(item.name) == item.after for item in change.fields)


@contextmanager
def _alone(plane: Plane, stored: StoredPlan) -> Iterator[None]:
    """One apply of a target at a time. The lease is held by the plan, so a plan that was cut off can be taken up at once."""
    name = _lease(stored)
    if not _lock.acquire(timeout=LEASE_SECONDS):
        raise Conflict(f"another plan of {stored.plan.target} is being applied; try again when it is done")
    try:
        if not plane.queue.lease(name, stored.id, LEASE_SECONDS):
            raise Conflict(f"another plan of {stored.plan.target} is being applied; try again when it is done")
        try:
            yield
        finally:
            plane.queue.release(name, stored.id)
    finally:
        _lock.release()


class _Work:
    """The three steps that the kernel's `apply` is made of, for one plan."""

    def __init__(self, plane: Plane, stored: StoredPlan, target: Target, actor: str, disk: Disk) -> None:
        self._plane = plane
        self._stored = stored
        self._target = target
        self._actor = actor
        self._disk = disk
        self._writer = FolderWriter(target.folder, disk=disk)
        self._now: Mapping[str, Any] = {}
        self._leased = plane.clock.monotonic()
        self._wanted = wanted_of(plane.catalogs.current(), target.name)

    def read(self, change: Change) -> Mapping[str, Any] | None:
        state = self._state(change.name)
        self._now = {} if state is None else fields_of(self._plane, state)
        return None if state is None else self._now

    def write(self, change: Change) -> None:
        wanted = self._wanted[change.name]
        approved = {**self._now, **{item.name: item.after for item in change.fields}}
        approved = {name: value for name, value in approved.items() if value is not None}
        if approved != (fields_of(self._plane, wanted.state) if wanted.state else {}):
            raise Conflict(f"the ops repo no longer wants {change.name} as plan {self._stored.id} has it; plan again")
        if wanted.state is None:
            self._writer.delete(change.name)
        else:
            self._writer.put(change.name, wanted.data, int(wanted.state.mode, 8))

    def done(self, change: Change) -> None:
        self._go_on()
        plane, stored, wanted = self._plane, self._stored, self._wanted[change.name]
        with plane.store.begin() as tx:
            event = plane.ledger.record(
                tx, "configuration.applied", actor=self._actor, cause=stored.event, key=f"applied:{stored.id}:{change.name}",
                subjects=[f"host:{self._target.name}", f"file:{change.name}", f"plan:{stored.id}", f"commit:{stored.plan.commit}"],
                data={"plan": stored.id, "target": self._target.name, "path": change.name, "verb": change.verb,
                      "done": _DONE[change.verb], "fields": [item.name for item in change.fields], "risk": change.risk,
                      "digest": wanted.state.digest if wanted.state else "", "mode": wanted.state.mode if wanted.state else ""},
            )  # fmt: skip
            known = Known(mark=wanted.mark, commit=stored.plan.commit, event=event.id, at=plane.clock.now())
            rows.keep_object(tx, self._target.name, change.name, known)

    def _go_on(self) -> None:
        """Keeps the target for this plan while it takes its time."""
        if self._plane.clock.monotonic() - self._leased > RENEW_SECONDS:
            if not self._plane.queue.lease(_lease(self._stored), self._stored.id, LEASE_SECONDS):
                raise Conflict(f"another plan of {self._target.name} took over; look at it, then plan again")
            self._leased = self._plane.clock.monotonic()

    def _state(self, path: str) -> FileState | None:
        try:
            with reader_of(self._plane, self._target, disk=self._disk) as reader:
                return reader.read(path)
        except Unreadable as error:
            raise Conflict(f"{path} on {self._target.name} is unknown now ({error}); nothing was done to it") from None


def _lease(stored: StoredPlan) -> str:
    return f"configuration.apply:{stored.plan.target}"
