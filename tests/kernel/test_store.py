"""Store, migrations, queue and leases: the same behaviour on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import Invalid
from opsroom.kernel.migrations import KERNEL_MIGRATIONS, Migration, MigrationChanged, Retention, migrate
from opsroom.kernel.queue import Queue
from opsroom.kernel.store import Store, called, table

THINGS = Migration(
    name="test-0001",
    statements=("CREATE TABLE things (id TEXT PRIMARY KEY, body TEXT, made TEXT)",),
    retention={"things": Retention(why="a test")},
)
TABLE = table("things", "id", json=("body",), times=("made",))


def test_values_come_back_as_they_went_in(store: Store) -> None:
    migrate(store, (THINGS,))
    made = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    with store.begin() as tx:
        tx.execute(sa.insert(TABLE).values(id="a", body={"n": [1, None, "ü"]}, made=made))
    with store.read() as tx:
        row = tx.row(sa.select(TABLE))
    assert row is not None and row["body"] == {"n": [1, None, "ü"]} and row["made"] == made


def test_a_digest_or_commit_is_found_by_its_first_twelve_digits(store: Store) -> None:
    migrate(store, (THINGS,))
    names = ("sha256:" + "ab" * 32, "sha256:" + "ab" * 6 + "cd" * 26, "ab" * 20)
    with store.begin() as tx:
        for name in names:
            tx.execute(sa.insert(TABLE).values(id=name, body={}, made=datetime(2026, 1, 1, tzinfo=UTC)))

    def found(name: str) -> list[str]:
        with store.read() as tx:
            query = sa.select(TABLE.c.id).where(called(TABLE.c.id, name)).order_by(TABLE.c.id)
            return [row["id"] for row in tx.rows(query)]

    assert found("ab" * 6) == [names[2]]
    assert found("sha256:" + "ab" * 6) == sorted(names[:2])
    assert found(names[0]) == [names[0]]
    assert found("ab" * 5) == found("sha256:%") == found("") == []


def test_a_migration_runs_once_and_may_not_change(store: Store) -> None:
    assert migrate(store, (THINGS,)) == ["test-0001"]
    assert migrate(store, (THINGS,)) == []
    with pytest.raises(MigrationChanged, match="test-0001"):
        migrate(store, (Migration(name="test-0001", statements=("CREATE TABLE other (id TEXT)",)),))


def test_every_kernel_table_declares_its_retention(store: Store) -> None:
    declared = {name for migration in KERNEL_MIGRATIONS for name in migration.retention}
    assert set(sa.inspect(store.engine).get_table_names()) - {"migrations"} == declared


def test_after_commit_runs_only_after_a_commit(store: Store) -> None:
    ran: list[str] = []
    with store.begin() as tx:
        tx.after_commit(lambda: ran.append("committed"))
        assert ran == []
    with pytest.raises(RuntimeError), store.begin() as tx:
        tx.after_commit(lambda: ran.append("rolled back"))
        raise RuntimeError
    assert ran == ["committed"]


def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    migrate(store, (THINGS,))
    with store.begin() as tx:
        tx.execute(sa.insert(TABLE).values(id="a", body=None, made=None))
        with store.read() as other:
            assert other.rows(sa.select(TABLE)) == []


def test_an_unknown_database_is_named() -> None:
    with pytest.raises(Invalid, match="mysql"):
        Store("mysql://somewhere")


def test_a_backup_is_a_whole_database(store: Store, tmp_path: Path) -> None:
    if store.dialect != "sqlite":
        with pytest.raises(Invalid, match="dump it instead"):
            store.backup_to(tmp_path / "copy")
        return
    store.backup_to(tmp_path / "copy.sqlite")
    copy = Store(f"sqlite:///{tmp_path / 'copy.sqlite'}")
    assert migrate(copy, KERNEL_MIGRATIONS) == []
    copy.close()


def test_an_item_is_claimed_by_one_and_comes_back_when_its_lease_ends(store: Store, clock: FakeClock) -> None:
    queue = Queue(store, clock)
    with store.begin() as tx:
        queue.put(tx, "work", {"n": 1})
    first = queue.claim(["work"], "a", 10)
    assert first is not None and first.payload == {"n": 1} and queue.claim(["work"], "b", 10) is None
    clock.advance(11)
    second = queue.claim(["work"], "b", 10)
    assert second is not None and second.attempts == 2
    with store.begin() as tx:
        assert not queue.done(tx, first)
        assert queue.done(tx, second)
    assert queue.waiting() == []


def test_a_timer_is_due_at_its_time_and_a_key_stands_once(store: Store, clock: FakeClock) -> None:
    queue = Queue(store, clock)
    with store.begin() as tx:
        one = queue.put(tx, "timer", {}, at=datetime(2026, 1, 5, 9, 1, tzinfo=UTC), key="t")
        assert queue.put(tx, "timer", {}, key="t") == one
    assert queue.claim(["timer"], "a", 10) is None
    clock.advance(61)
    item = queue.claim(["timer"], "a", 10)
    assert item is not None
    with store.begin() as tx:
        queue.retry(tx, item, delay=5, error="not yet")
    assert queue.claim(["timer"], "a", 10) is None
    clock.advance(6)
    again = queue.claim(["timer"], "a", 10)
    assert again is not None and again.error == "not yet"


def test_many_claimers_never_share_an_item(store: Store, clock: FakeClock) -> None:
    queue = Queue(store, clock)
    with store.begin() as tx:
        for n in range(30):
            queue.put(tx, "work", {"n": n})
    claimed: list[int] = []

    def claim(holder: str) -> None:
        while item := queue.claim(["work"], holder, 60):
            claimed.append(item.payload["n"])

    threads = [threading.Thread(target=claim, args=(f"h{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(30))


def test_a_duty_has_one_leader_until_it_lapses_or_is_released(store: Store, clock: FakeClock) -> None:
    queue = Queue(store, clock)
    assert queue.lease("sealer", "a", 5) and queue.lease("sealer", "a", 5)
    assert not queue.lease("sealer", "b", 5)
    clock.advance(6)
    assert queue.lease("sealer", "b", 5)
    queue.release("sealer", "b")
    assert queue.lease("sealer", "a", 5)
