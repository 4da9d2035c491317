"""State: SQLAlchemy Core over SQLite (WAL) or PostgreSQL, one write transaction at a time on SQLite."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event as sa_event
from sqlalchemy.engine import CursorResult, RowMapping
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.expression import TableClause

from opsroom.kernel.clock import parse_stamp, stamp
from opsroom.kernel.errors import Invalid

BUSY_SECONDS = 30


class Json(sa.types.TypeDecorator[Any]):
    """A JSON value kept as compact text with sorted keys, so equal values are equal texts."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        return None if value is None else dumps(value)

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        return None if value is None else json.loads(value)


class Time(sa.types.TypeDecorator[datetime]):
    """An aware time kept as fixed-width RFC 3339 text in UTC, so text order is time order."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:
        return None if value is None else stamp(value)

    def process_result_value(self, value: Any, dialect: Any) -> datetime | None:
        return None if value is None else parse_stamp(value)


def dumps(value: Any) -> str:
    """JSON as the store keeps it: compact, keys sorted, text as UTF-8; what JSON cannot hold is a TypeError."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False)


def table(name: str, *columns: str, json: Sequence[str] = (), times: Sequence[str] = ()) -> TableClause:
    """A table for queries. Columns in `json` go in and out as Python values, those in `times` as aware datetimes."""

    def typed(column: str) -> sa.ColumnClause[Any]:
        if column in json:
            return sa.column(column, Json())
        if column in times:
            return sa.column(column, Time())
        return sa.column(column)

    return sa.table(name, *(typed(column) for column in (*columns, *json, *times)))


_SHORTENED = re.compile(r"(sha256:)?[0-9a-f]{12,63}")


def called(column: sa.ColumnClause[Any], name: str) -> sa.ColumnElement[bool]:
    """Whether a column of digests or commits holds `name`: whole, or its first twelve or more hexadecimal digits, as tables show it."""
    whole = len(name.removeprefix("sha256:")) == (64 if name.startswith("sha256:") else 40)
    return column.startswith(name) if _SHORTENED.fullmatch(name) and not whole else column == name


class Tx:
    """One transaction. What `after_commit` is given runs once it is durable, in the same thread, and never on a rollback."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self._after: list[Callable[[], None]] = []

    def execute(self, statement: sa.Executable | str, params: Any = None) -> CursorResult[Any]:
        """Runs a statement; a plain string is SQL with `:name` parameters."""
        runnable = sa.text(statement) if isinstance(statement, str) else statement
        return self.connection.execute(runnable, params)

    def rows(self, statement: sa.Executable | str, params: Any = None) -> list[RowMapping]:
        return list(self.execute(statement, params).mappings())

    def row(self, statement: sa.Executable | str, params: Any = None) -> RowMapping | None:
        """The first row, or None."""
        return self.execute(statement, params).mappings().first()

    def scalar(self, statement: sa.Executable | str, params: Any = None) -> Any:
        return self.execute(statement, params).scalar()

    def after_commit(self, action: Callable[[], None]) -> None:
        self._after.append(action)

    def committed(self) -> None:
        for action in self._after:
            action()


class Store:
    """The one database. `durable`: a commit also survives the loss of power, not only the death of the process."""

    def __init__(self, url: str, *, durable: bool = False) -> None:
        self.url = sa.make_url(_driver(url))
        self.dialect = self.url.get_backend_name()
        self._durable = durable
        self._writing = threading.Lock()
        self._writer = 0
        options: dict[str, Any] = {"pool_size": 16, "max_overflow": 32, "poolclass": QueuePool}
        if self.dialect == "sqlite":
            _folder_of(self.url)
            options["connect_args"] = {"check_same_thread": False, "timeout": BUSY_SECONDS}
        self.engine = sa.create_engine(self.url, **options)
        if self.dialect == "sqlite":
            sa_event.listen(self.engine, "connect", self._prepare)

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        """A write transaction: committed at the end, rolled back by any exception. On SQLite writers wait their turn."""
        with self._turn(), self.engine.connect() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            tx = Tx(connection)
            try:
                yield tx
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
        tx.committed()

    @contextmanager
    def read(self) -> Iterator[Tx]:
        """A read; on SQLite it sees one snapshot and never waits for a writer."""
        with self.engine.connect() as connection:
            if self.dialect == "sqlite":
                connection.exec_driver_sql("BEGIN")
            try:
                yield Tx(connection)
            finally:
                connection.rollback()

    @contextmanager
    def snapshot(self) -> Iterator[Tx]:
        """A read of many statements that all see one moment, on PostgreSQL too."""
        if self.dialect == "sqlite":
            with self.read() as tx:
                yield tx
            return
        with self.engine.connect().execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        ) as connection:
            yield Tx(connection)

    def close(self) -> None:
        self.engine.dispose()

    def backup_to(self, path: Path) -> None:
        """A consistent copy of an SQLite database while it is in use (SQLite online backup). Other databases are dumped: Invalid."""
        if self.dialect != "sqlite":
            raise Invalid(f"{self.dialect} has no online copy; dump it instead")
        import sqlite3

        with self.engine.connect() as connection, sqlite3.connect(path) as target:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.backup(target)
        target.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self.dialect != "sqlite":
            yield
            return
        if self._writer == threading.get_ident():
            raise RuntimeError(
                "this thread already has a write transaction open; pass its tx on instead of beginning another"
            )
        with self._writing:
            self._writer = threading.get_ident()
            try:
                yield
            finally:
                self._writer = 0

    def _prepare(self, connection: Any, _record: Any) -> None:
        # The driver's own implicit BEGIN would be deferred and could fail at its first write; we say BEGIN ourselves.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={'FULL' if self._durable else 'NORMAL'}",
            "foreign_keys=ON",
            "cache_size=-8000",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")


def _driver(url: str) -> str:
    if url.startswith(("postgres://", "postgresql://")):
        return "postgresql+psycopg://" + url.split("://", 1)[1]
    if url.startswith(("sqlite:", "postgresql+psycopg:")):
        return url
    raise Invalid(f"database {url.split('://')[0]!r} is not supported; give sqlite:///PATH or postgresql://…")


def _folder_of(url: sa.URL) -> None:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
