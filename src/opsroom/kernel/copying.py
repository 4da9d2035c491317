"""A whole database copied into another: out of PostgreSQL into one SQLite file, and such a file into an empty PostgreSQL.

Both are made by the same migrations from the SQL that the two share, so a copy is the rows as they are, table by table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from opsroom.kernel.errors import Conflict, Invalid
from opsroom.kernel.migrations import SERIAL, Migration, migrate
from opsroom.kernel.retention import retention_of
from opsroom.kernel.store import Store, Tx

ROWS_AT_ONCE = 1000


def dump(source: Store, path: Path, migrations: Sequence[Migration]) -> None:
    """Writes the database of a plane in use, as it is at one moment, to a new SQLite file. `migrations` are those that made it."""
    target = Store(f"sqlite:///{path}")
    try:
        migrate(target, migrations)
        with source.snapshot() as taken, target.begin() as tx:
            for name in retention_of(migrations):
                _copy(taken, tx, name)
    finally:
        target.close()


def load(path: Path, target: Store) -> None:
    """Copies an SQLite file of Opsroom's into a database that has no table yet, whole or not at all. Conflict: it has tables; Invalid: it
    is no PostgreSQL."""
    if target.dialect != "postgresql":
        raise Invalid(f"a backup is loaded into PostgreSQL only, not into {target.dialect}; leave --database out")
    source = Store(f"sqlite:///{path}")
    try:
        with source.read() as taken, target.begin() as tx:
            if found := sa.inspect(tx.connection).get_table_names():
                raise Conflict(f"database {target.url.database} holds tables ({found[0]}, …); name one that is empty")
            for statement in _schema(taken):
                tx.execute(sa.text(statement))
            for name in sa.inspect(taken.connection).get_table_names():
                _copy(taken, tx, name)
                _count_on(tx, name)
    finally:
        source.close()


def _copy(source: Tx, target: Tx, name: str) -> None:
    columns: list[sa.ColumnClause[Any]] = [
        sa.column(str(column["name"])) for column in sa.inspect(target.connection).get_columns(name)
    ]
    found = source.connection.execution_options(yield_per=ROWS_AT_ONCE).execute(
        sa.select(*columns).select_from(sa.table(name))
    )
    for rows in found.mappings().partitions():
        target.execute(sa.insert(sa.table(name, *columns)), [dict(row) for row in rows])


def _schema(source: Tx) -> Iterable[str]:
    """The statements that made a file's tables and, after them, its indexes."""
    query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name"
    for row in source.rows(query):
        yield str(row["sql"]).replace(SERIAL["sqlite"], SERIAL["postgresql"])


def _count_on(tx: Tx, name: str) -> None:
    """Lets numbers that the database gives go on after those that were copied."""
    for column in sa.inspect(tx.connection).get_columns(name):
        if column.get("identity"):
            tx.execute(
                f"SELECT setval(pg_get_serial_sequence('{name}', '{column['name']}'), max({column['name']})) FROM {name}"  # noqa: S608
            )
