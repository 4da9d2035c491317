"""Durable work: items with a due time and a lease, and one leader per duty; the same code on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from opsroom.kernel.clock import Clock, stamp
from opsroom.kernel.store import Store, Tx, table

QUEUE = table(
    "queue",
    "id",
    "kind",
    "dedup",
    "state",
    "holder",
    "attempts",
    "error",
    "cause",
    json=("payload",),
    times=("due", "lease"),
)
LEASES = table("leases", "name", "holder", times=("expires",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One piece of work as claimed. `attempts` counts this one too; `error` is that of the attempt before."""

    id: str
    kind: str
    payload: dict[str, Any]
    attempts: int
    due: datetime
    cause: str
    error: str
    holder: str


class Queue:
    """Items are claimed under a lease; a holder that dies loses its items when the lease ends, and another claims them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def put(
        self, tx: Tx, kind: str, payload: dict[str, Any], *, at: datetime | None = None, key: str = "", cause: str = ""
    ) -> str:
        """Adds an item, due now or at a time (a timer). The same `key` while one is there adds nothing; returns the item's id."""
        if key and (known := tx.scalar(sa.select(QUEUE.c.id).where(QUEUE.c.dedup == key))):
            return str(known)
        id, now = self._clock.new_id("job"), self._clock.now()
        tx.execute(
            sa.insert(QUEUE).values(
                id=id, kind=kind, dedup=key or None, payload=payload, due=at or now, state="ready", holder="",
                lease=now, attempts=0, error="", cause=cause,
            )
        )  # fmt: skip
        return id

    def claim(self, kinds: Sequence[str], holder: str, lease_seconds: float) -> Item | None:
        """The oldest due item of these kinds that nobody holds, now held by `holder`; None when there is none."""
        now = self._clock.now()
        free = sa.or_(QUEUE.c.state == "ready", sa.and_(QUEUE.c.state == "held", QUEUE.c.lease < now))
        choice = (
            sa.select(QUEUE).where(free, QUEUE.c.kind.in_(kinds), QUEUE.c.due <= now).order_by(QUEUE.c.due).limit(1)
        )
        if self._store.dialect == "postgresql":
            choice = choice.with_for_update(skip_locked=True)
        else:
            with self._store.read() as tx:  # Looking costs no turn at writing.
                if tx.row(choice) is None:
                    return None
        with self._store.begin() as tx:
            row = tx.row(choice)
            if row is None:
                return None
            tx.execute(
                sa.update(QUEUE)
                .where(QUEUE.c.id == row["id"])
                .values(
                    state="held",
                    holder=holder,
                    lease=now + timedelta(seconds=lease_seconds),
                    attempts=row["attempts"] + 1,
                )
            )
        return Item(
            id=row["id"], kind=row["kind"], payload=row["payload"], attempts=row["attempts"] + 1, due=row["due"],
            cause=row["cause"], error=row["error"], holder=holder,
        )  # fmt: skip

    def extend(self, item: Item, lease_seconds: float) -> bool:
        """Holds the item for longer; False when the lease was lost."""
        until = self._clock.now() + timedelta(seconds=lease_seconds)
        with self._store.begin() as tx:
            return self._mine(tx, item, lease=until)

    def done(self, tx: Tx, item: Item) -> bool:
        """Removes a finished item, in the transaction of what it did; False when another holds it by now."""
        return bool(tx.execute(sa.delete(QUEUE).where(QUEUE.c.id == item.id, QUEUE.c.holder == item.holder)).rowcount)

    def retry(self, tx: Tx, item: Item, *, delay: float, error: str) -> bool:
        """Gives the item back, due again after `delay` seconds."""
        due = self._clock.now() + timedelta(seconds=delay)
        return self._mine(tx, item, state="ready", holder="", due=due, error=error)

    def fail(self, tx: Tx, item: Item, error: str) -> bool:
        """Leaves the item as failed: nobody claims it again, and it can be seen."""
        return self._mine(tx, item, state="failed", error=error)

    def waiting(self, kinds: Sequence[str] = ()) -> list[Item]:
        """What is ready, held or failed, oldest first, at most 200."""
        query = sa.select(QUEUE).order_by(QUEUE.c.due).limit(200)
        if kinds:
            query = query.where(QUEUE.c.kind.in_(kinds))
        with self._store.read() as tx:
            rows = tx.rows(query)
        return [Item(**{name: row[name] for name in Item.__dataclass_fields__}) for row in rows]

    def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Takes or renews the lead of a duty; False while another holds it."""
        now = self._clock.now()
        expires = now + timedelta(seconds=seconds)
        with self._store.begin() as tx:
            taken = tx.execute(
                sa.update(LEASES)
                .where(LEASES.c.name == name, sa.or_(LEASES.c.holder == holder, LEASES.c.expires < now))
                .values(holder=holder, expires=expires)
            )
            if taken.rowcount:
                return True
            if tx.scalar(sa.select(LEASES.c.name).where(LEASES.c.name == name)) is not None:
                return False
            if self._store.dialect == "postgresql":
                return bool(
                    tx.execute(
                        "INSERT INTO leases (name, holder, expires) VALUES (:name, :holder, :expires) ON CONFLICT DO NOTHING",
                        {"name": name, "holder": holder, "expires": stamp(expires)},
                    ).rowcount
                )
            tx.execute(sa.insert(LEASES).values(name=name, holder=holder, expires=expires))
            return True

    def release(self, name: str, holder: str) -> None:
        """Gives up a lead, so that another need not wait for its end."""
        with self._store.begin() as tx:
            tx.execute(sa.delete(LEASES).where(LEASES.c.name == name, LEASES.c.holder == holder))

    def _mine(self, tx: Tx, item: Item, **values: Any) -> bool:
        mine = sa.and_(QUEUE.c.id == item.id, QUEUE.c.holder == item.holder)
        return bool(tx.execute(sa.update(QUEUE).where(mine).values(**values)).rowcount)
