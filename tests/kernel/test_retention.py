"""Rows leave when the retention that their table declares is over, some at a time, and the ledger never; on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from opsroom.kernel.clock import FakeClock
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.migrations import KERNEL_MIGRATIONS, Migration, Retention, migrate
from opsroom.kernel.queue import Queue
from opsroom.kernel.retention import expire_rows, retention_of
from opsroom.kernel.store import Store, table

NOTES = Migration(
    name="test-0001",
    statements=(
        "CREATE TABLE notes (owner TEXT NOT NULL, name TEXT NOT NULL, made TEXT, PRIMARY KEY (owner, name))",
        "CREATE TABLE seconds (second BIGINT PRIMARY KEY)",
    ),
    retention={
        "notes": Retention(why="a test", days=30, column="made", only="owner <> 'admin'"),
        "seconds": Retention(why="a test", days=30, column="second", epoch=True),
    },
)
ALL = (*KERNEL_MIGRATIONS, NOTES)
TABLE = table("notes", "owner", "name", times=("made",))
LEDGER = ("events", "event_subjects", "unsealed", "seals", "checkpoints")


def notes(store: Store) -> list[str]:
    with store.read() as tx:
        return [row["name"] for row in tx.rows(sa.select(TABLE.c.name).order_by(TABLE.c.name))]


def test_rows_leave_when_their_time_is_over_and_not_before(store: Store, clock: FakeClock) -> None:
    migrate(store, ALL)
    now = clock.now()
    with store.begin() as tx:
        for name, owner, days in (("a", "maria", 31), ("b", "admin", 31), ("c", "maria", 29)):
            tx.execute(sa.insert(TABLE).values(owner=owner, name=name, made=now - timedelta(days=days)))
        tx.execute(sa.insert(TABLE).values(owner="maria", name="d", made=None))
        for days in (31, 29):
            tx.execute(f"INSERT INTO seconds VALUES ({int((now - timedelta(days=days)).timestamp())})")
    assert expire_rows(store, ALL, now) == {"notes": 1, "seconds": 1}
    assert notes(store) == ["b", "c", "d"]
    assert expire_rows(store, ALL, now) == {}
    clock.advance(timedelta(days=2))
    assert expire_rows(store, ALL, clock.now()) == {"notes": 1, "seconds": 1}
    assert notes(store) == ["b", "d"]


def test_no_pass_removes_more_than_its_limit(store: Store, clock: FakeClock) -> None:
    migrate(store, ALL)
    with store.begin() as tx:
        for number in range(25):
            tx.execute(sa.insert(TABLE).values(owner="maria", name=f"{number:02}", made=clock.now()))
    clock.advance(timedelta(days=40))
    assert [expire_rows(store, ALL, clock.now(), limit=10).get("notes", 0) for _ in range(4)] == [10, 10, 5, 0]


def test_work_that_is_due_stays_and_failed_work_leaves(store: Store, clock: FakeClock) -> None:
    """A server that was away for a year still does what was asked of it."""
    queue = Queue(store, clock)
    with store.begin() as tx:
        queue.put(tx, "mail", {"to": "maria"})
        queue.put(tx, "page", {"to": "jonas"})
    page = queue.claim(["page"], "me", 60)
    assert page is not None
    with store.begin() as tx:
        queue.fail(tx, page, "no such number")
    clock.advance(timedelta(days=365))
    assert expire_rows(store, KERNEL_MIGRATIONS, clock.now()) == {"queue": 1}
    assert [item.kind for item in queue.waiting()] == ["mail"]


def test_the_ledger_declares_that_it_stays_and_does(store: Store, clock: FakeClock, ledger: Ledger) -> None:
    with store.begin() as tx:
        for number in range(5):
            ledger.record(tx, "run.finished", actor="system:test", subjects=[f"run:{number}"])
    ledger.seal()
    clock.advance(timedelta(days=100_000))
    declared = retention_of(KERNEL_MIGRATIONS)
    assert [declared[name].days for name in LEDGER] == [None] * len(LEDGER)
    assert expire_rows(store, KERNEL_MIGRATIONS, clock.now()) == {}
    assert len(ledger.find(types=["run.finished"])) == 5


def test_days_need_the_column_they_count_from() -> None:
    with pytest.raises(ValueError, match="needs the column"):
        Retention(why="a test", days=30)
