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

    def drop(self, tx: Tx, key: str) -> bool:
        """Takes back an item that nobody needs any more, such as a timer; False when there is none with this key."""
        return bool(tx.execute(sa.delete(QUEUE).where(QUEUE.c.dedup == key)).rowcount)

    def reclaim(self, holder: str) -> int:
        """Frees what a holder of this name left held when its process died, at once instead of when the leases end."""
        mine = sa.and_(QUEUE.c.state == "held", QUEUE.c.holder == holder)
        with self._store.begin() as tx:
            return tx.execute(sa.update(QUEUE).where(mine).values(state="ready", holder="")).rowcount

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
        return name in self.lease_all([name], holder, seconds)

    def lease_all(self, names: Sequence[str], holder: str, seconds: float) -> list[str]:
        """Takes or renews the lead of several duties in one transaction; returns those now held."""
        now = self._clock.now()
        expires = now + timedelta(seconds=seconds)
        with self._store.begin() as tx:
            return [name for name in names if self._take(tx, name, holder, now, expires)]

    def _take(self, tx: Tx, name: str, holder: str, now: datetime, expires: datetime) -> bool:
        mine = sa.or_(LEASES.c.holder == holder, LEASES.c.expires < now)
        renew = sa.update(LEASES).where(LEASES.c.name == name, mine).values(holder=holder, expires=expires)
        if tx.execute(renew).rowcount:
            return True
        # The first holder of a name wins by the primary key; both databases know this form.
        first = "INSERT INTO leases (name, holder, expires) VALUES (:name, :holder, :expires) ON CONFLICT DO NOTHING"
        return bool(tx.execute(first, {"name": name, "holder": holder, "expires": stamp(expires)}).rowcount)

    def release(self, name: str, holder: str) -> None:
        """Gives up a lead, so that another need not wait for its end."""
        with self._store.begin() as tx:
            tx.execute(sa.delete(LEASES).where(LEASES.c.name == name, LEASES.c.holder == holder))

    def _mine(self, tx: Tx, item: Item, **values: Any) -> bool:
        mine = sa.and_(QUEUE.c.id == item.id, QUEUE.c.holder == item.holder)
        return bool(tx.execute(sa.update(QUEUE).where(mine).values(**values)).rowcount)
