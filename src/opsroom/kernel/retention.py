"""Rows leave when the retention that their table declares is over; nothing else of the database is touched.

The ledger declares none: its rows are the chain that `opsroom ledger verify` reads, and stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from opsroom.kernel.clock import stamp
from opsroom.kernel.migrations import Migration, Retention
from opsroom.kernel.store import Store

ROWS_AT_ONCE = 1000
"""Rows of one table that leave in one pass, so that no writer waits long for its turn."""


def expire_rows(
    store: Store, migrations: Iterable[Migration], now: datetime, *, limit: int = ROWS_AT_ONCE
) -> dict[str, int]:
    """Deletes at most `limit` rows of each table whose time is over, each table in its own transaction; how many went, by table."""
    gone: dict[str, int] = {}
    for name, kept in retention_of(migrations).items():
        if kept.days is not None and (count := _expire(store, name, kept, now - timedelta(days=kept.days), limit)):
            gone[name] = count
    return gone


def retention_of(migrations: Iterable[Migration]) -> dict[str, Retention]:
    """What each table declares."""
    return {name: kept for migration in migrations for name, kept in migration.retention.items()}


def _expire(store: Store, name: str, kept: Retention, before: datetime, limit: int) -> int:
    # Both databases have a name for the place of a row, which every table has, whatever its primary key is.
    row = "ctid" if store.dialect == "postgresql" else "rowid"
    where = f"{kept.column} < :before" + (f" AND ({kept.only})" if kept.only else "")
    with store.begin() as tx:
        done = tx.execute(
            f"DELETE FROM {name} WHERE {row} IN (SELECT {row} FROM {name} WHERE {where} LIMIT :limit)",  # noqa: S608
            {"before": int(before.timestamp()) if kept.epoch else stamp(before), "limit": limit},
        )
    return int(done.rowcount)
