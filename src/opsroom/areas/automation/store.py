"""The SQL of automation: backups and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from opsroom.kernel.store import Tx, table

BACKUPS = table(
    "backups", "id", "key", "name", "store", "digest", "bytes", "event", "verified_event", "fault",
    json=("manifest",), times=("made", "verified", "deleted"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """One backup. `verified` is when a restore proved it (None: not yet); `fault` why a restore failed; `verified_event` tells of the last
    restore test, whatever it found; `deleted`: kept no longer."""

    id: str
    key: str
    name: str
    store: str
    digest: str
    bytes: int
    manifest: dict[str, Any]
    made: datetime
    event: str
    verified: datetime | None
    verified_event: str
    fault: str
    deleted: datetime | None


def add(tx: Tx, backup: Backup) -> None:
    tx.execute(sa.insert(BACKUPS).values({name: getattr(backup, name) for name in Backup.__dataclass_fields__}))


def change(tx: Tx, id: str, **values: Any) -> None:
    tx.execute(sa.update(BACKUPS).where(BACKUPS.c.id == id).values(**values))


def by_key(tx: Tx, key: str) -> Backup | None:
    row = tx.row(sa.select(BACKUPS).where(BACKUPS.c.key == key))
    return Backup(**row) if row else None


def get(tx: Tx, id: str) -> Backup | None:
    row = tx.row(sa.select(BACKUPS).where(BACKUPS.c.id == id))
    return Backup(**row) if row else None


def find(tx: Tx, *, name: str = "", deleted: bool = False, after: str = "", limit: int = 100) -> list[Backup]:
    """Backups, newest first; `deleted`: those kept no longer too."""
    query = sa.select(BACKUPS).order_by(BACKUPS.c.id.desc()).limit(limit)
    if name:
        query = query.where(BACKUPS.c.name == name)
    if not deleted:
        query = query.where(BACKUPS.c.deleted.is_(None))
    if after:
        query = query.where(BACKUPS.c.id < after)
    return [Backup(**row) for row in tx.rows(query)]
