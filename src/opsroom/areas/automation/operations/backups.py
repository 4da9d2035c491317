"""Backups: list, show, create, verify."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from opsroom.areas.automation import backups
from opsroom.areas.automation import store as rows
from opsroom.areas.automation.operations.tasks import in_force
from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import WHOLE
from opsroom.kernel.errors import NotFound


class BackupView(Model):
    """One backup. `verified`: a restore has proven it, at `verified_at`; `fault`: why the last restore of it failed."""

    columns: ClassVar[tuple[str, ...]] = ("id", "name", "bytes", "made", "verified", "verified_at", "fault")
    id: str
    name: str
    store: str
    digest: str
    bytes: int
    made: datetime
    verified: bool
    verified_at: datetime | None
    fault: str
    events: list[str]


@operation("backups.list", scope=WHOLE)
def list_backups(call: Call, *, name: str = "", after: str = "", limit: int = 50) -> Page[BackupView]:
    """Backups that are kept, newest first."""
    with call.plane.store.read() as tx:
        found = rows.find(tx, name=name, after=after, limit=limit + 1)
    items = [_view(backup) for backup in found[:limit]]
    return Page[BackupView](items=items, next=items[-1].id if len(found) > limit else "")


@operation("backups.show", scope=WHOLE)
def show_backup(call: Call, id: str) -> BackupView:
    """One backup."""
    return _view(_get(call, id))


@operation("backups.create", needs="operate", scope=WHOLE)
def create_backup(call: Call, *, name: str) -> BackupView:
    """Make a backup now, as its workflow would."""
    return _view(backups.make(call, name, key=call.plane.clock.new_id("ask"), cause=in_force(call)))


@operation("backups.verify", needs="operate", scope=WHOLE)
def verify_backup(call: Call, id: str) -> BackupView:
    """Restore a backup into a folder of its own and prove that it holds."""
    verified, _ = backups.restore_test(call, _get(call, id), key=call.plane.clock.new_id("ask"))
    return _view(verified)


def _get(call: Call, id: str) -> rows.Backup:
    with call.plane.store.read() as tx:
        found = rows.get(tx, id)
    if found is None or found.deleted:
        raise NotFound(f"backup {id!r} is not kept; `opsroom backups list` shows those that are")
    return found


def _view(backup: rows.Backup) -> BackupView:
    return BackupView(
        id=backup.id, name=backup.name, store=backup.store, digest=backup.digest, bytes=backup.bytes, made=backup.made,
        verified=backup.verified is not None, verified_at=backup.verified, fault=backup.fault,
        events=[event for event in (backup.event, backup.verified_event) if event],
    )  # fmt: skip
