"""Drift: what was changed outside, found by looking, told once for each object and content, and told again when it is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from opsroom.areas.configuration import store as rows
from opsroom.areas.configuration.model import ABSENT, FileState, Known, ObjectState, Target, Wanted, differences, judge
from opsroom.areas.configuration.planning import catalog_event
from opsroom.areas.configuration.reading import FolderReader
from opsroom.areas.configuration.store import DriftRow
from opsroom.areas.configuration.wanted import reader_of, targets, wanted_of
from opsroom.kernel.clock import stamp

if TYPE_CHECKING:
    from opsroom.areas.configuration.disk import Disk
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.store import Tx

ACTOR = "system:configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One object as it is now beside how it should be. `wanted` None: a file that nobody manages."""

    path: str
    state: ObjectState
    wanted: Wanted | None
    actual: FileState | None
    known: Known | None
    reason: str = ""

    @property
    def mark(self) -> str:
        return self.actual.mark if self.actual else ABSENT


def statuses(plane: Plane, target: Target, *, disk: Disk | None = None) -> list[Status]:
    """Every managed object of a target, by path; then, where the host asks for it, files that nobody manages."""
    wanted = wanted_of(plane.catalogs.current(), target.name)
    with plane.store.read() as tx:
        known = rows.known_objects(tx, target.name)
    with reader_of(plane, target, disk=disk) as reader:
        actual, unknown = reader.read_all(sorted(wanted))
        strange = _unmanaged(reader, wanted) if target.unmanaged else []
    found = []
    for path in sorted(wanted):
        state: ObjectState = "unknown" if path in unknown else judge(wanted[path], actual.get(path), known.get(path))
        found.append(
            Status(
                path=path, state=state, wanted=wanted[path], actual=actual.get(path), known=known.get(path),
                reason=unknown.get(path, ""),
            )
        )  # fmt: skip
    return found + strange


def sweep(plane: Plane) -> None:
    """Looks at every host once. Cheap where nothing changed: a file whose inode is as it was is not read again."""
    present = targets(plane)
    for target in present:
        look(plane, target)
    with plane.store.read() as tx:
        gone = set(rows.targets_with_drift(tx)) - {target.name for target in present}
    for name in sorted(gone):
        _end_unmanaged(plane, name, {})


def look(plane: Plane, target: Target, *, disk: Disk | None = None) -> None:
    """Compares a target's files with the ops repo and keeps what changed: what is as it should be, drift found, drift ended."""
    wanted = wanted_of(plane.catalogs.current(), target.name)
    commit = plane.catalogs.current().commit
    found = [one for one in statuses(plane, target, disk=disk) if one.wanted is not None and one.state != "unknown"]
    with plane.store.read() as tx:
        open_now = rows.open_drift(tx, target.name)
    changed = [one for one in found if _moves(one, open_now.get((target.name, one.path)))]
    if changed:
        brought = catalog_event(plane, commit)
        with plane.store.begin() as tx:
            known, drifting = rows.known_objects(tx, target.name), rows.open_drift(tx, target.name)
            for status in changed:
                # A plan was applied, or another look ended, while this one looked: the next look sees both sides anew.
                if known.get(status.path) == status.known:
                    _keep(plane, tx, target, status, drifting.get((target.name, status.path)), commit, brought)
    if any(path not in wanted for _, path in open_now):
        _end_unmanaged(plane, target.name, wanted)


def accepted(plane: Plane, target: Target, path: str) -> tuple[str, datetime] | None:
    """The waiver that accepts drift of this object, and until when."""
    waiver = plane.waivers.active("drift-accepted", {**target.labels, "file": path, "object": path})
    return None if waiver is None else (waiver.id, waiver.expires)


def _moves(status: Status, drifting: DriftRow | None) -> bool:
    if status.state == "in sync":
        return drifting is not None or status.known is None or status.known.mark != status.mark
    if status.state == "drifted":
        return drifting is None or drifting.mark != status.mark
    return drifting is not None


def _keep(
    plane: Plane, tx: Tx, target: Target, status: Status, drifting: DriftRow | None, commit: str, brought: str
) -> None:
    now = plane.clock.now()
    if status.state == "drifted":
        if drifting is None or drifting.mark != status.mark:
            _found(plane, tx, target, status, drifting, now)
        return
    if status.state == "in sync":
        rows.keep_object(tx, target.name, status.path, _seen(status, commit, brought, now))
    if drifting is not None:
        how = _how(status)
        _ended(plane, tx, drifting, how, now)


def _seen(status: Status, commit: str, brought: str, now: datetime) -> Known:
    """An object found as it should be; where it was so before, the event that made it so still says why."""
    if status.known is not None and status.known.mark == status.mark:
        return replace(status.known, at=now)
    return Known(mark=status.mark, commit=commit, event=brought, at=now)


def _how(status: Status) -> str:
    if status.state != "in sync":
        return "it is as it last was; the ops repo wants another now"
    decided = status.known is not None and status.known.mark == status.mark
    return "it is again as the ops repo has it" if decided else "the ops repo has it so now"


def _found(plane: Plane, tx: Tx, target: Target, status: Status, before: DriftRow | None, now: datetime) -> None:
    assert status.wanted is not None
    actual, differs = status.actual, differences(status.wanted.state, status.actual)
    row = DriftRow(
        id=plane.clock.new_id("drf"), target=target.name, path=status.path, mark=status.mark, differs=differs,
        owner=actual.owner if actual else "", modified=actual.modified if actual else None, found=now, event="",
    )  # fmt: skip
    event = plane.ledger.record(
        tx, "drift.found", actor=ACTOR, cause=status.known.event if status.known else "",
        subjects=[f"host:{target.name}", f"file:{status.path}", f"drift:{row.id}"],
        data={"target": target.name, "path": status.path, "differs": " and ".join(differs), "wanted": status.wanted.mark,
              "actual": status.mark, "owner": row.owner or "nobody: the file is gone", "modified": stamp(row.modified) if row.modified else "",
              "commit": plane.catalogs.current().commit},
    )  # fmt: skip
    if before is not None:
        rows.end_drift(tx, before.id, now)
    rows.add_drift(tx, replace(row, event=event.id))


def _ended(plane: Plane, tx: Tx, row: DriftRow, how: str, now: datetime) -> None:
    rows.end_drift(tx, row.id, now)
    plane.ledger.record(
        tx, "drift.ended", actor=ACTOR, cause=row.event, key=f"drift-ended:{row.id}",
        subjects=[f"host:{row.target}", f"file:{row.path}", f"drift:{row.id}"],
        data={"target": row.target, "path": row.path, "how": how, "seconds": round((now - row.found).total_seconds(), 3)},
    )  # fmt: skip


def _end_unmanaged(plane: Plane, target: str, wanted: Mapping[str, Wanted]) -> None:
    """A file that the ops repo no longer names cannot differ from it."""
    with plane.store.begin() as tx:
        for (_, path), row in rows.open_drift(tx, target).items():
            if path not in wanted:
                _ended(plane, tx, row, "the ops repo no longer manages it", plane.clock.now())
                rows.forget_object(tx, target, path)


def _unmanaged(reader: FolderReader, wanted: Mapping[str, Wanted]) -> list[Status]:
    strange: Sequence[str] = [path for path in reader.files() if path not in wanted]
    return [Status(path=path, state="unmanaged", wanted=None, actual=None, known=None) for path in strange]
