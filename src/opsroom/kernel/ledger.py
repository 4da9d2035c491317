"""The ledger: append-only events in the CloudEvents 1.0 envelope, recorded in the transaction of the state they tell of.

Recording takes no lock: a leased sealer gives sequence numbers and hashes in batches (`seal`). The hash of an event covers
the one before it, its envelope and the *digest* of its payload, so a payload can be erased and leaves a tombstone.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.kernel.clock import Clock, stamp
from opsroom.kernel.errors import Invalid, NotFound
from opsroom.kernel.store import Store, Tx, dumps, table

GENESIS = "0" * 64
BATCH = 500
CHAIN_LIMIT = 200

EVENTS = table(
    "events",
    "id",
    "type",
    "version",
    "actor",
    "cause",
    "dedup",
    "payload_digest",
    "erased",
    json=("data",),
    times=("time", "recorded"),
)
SUBJECTS = table("event_subjects", "subject", "event")
UNSEALED = table("unsealed", "event")
SEALS = table("seals", "seq", "event", "hash")
CURSORS = table("cursors", "name", "seq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. `cause` is the event before it ("" : none); `seq` and `hash` are set once it is sealed."""

    id: str
    type: str
    version: int
    time: datetime
    recorded: datetime
    actor: str
    cause: str
    subjects: tuple[str, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    payload_digest: str = ""
    erased: str = ""
    seq: int | None = None
    hash: str = ""

    def subject(self, kind: str) -> str:
        """The value of the first subject of this kind, or ""."""
        return next((s.partition(":")[2] for s in self.subjects if s.startswith(f"{kind}:")), "")

    def cloudevent(self) -> dict[str, Any]:
        """The CloudEvents 1.0 JSON envelope; actor, cause and subjects are extension attributes."""
        return {
            "specversion": "1.0", "id": self.id, "source": "/opsroom", "type": f"dev.opsroom.{self.type}.v{self.version}",
            "time": stamp(self.time), "datacontenttype": "application/json", "subject": self.subjects[0] if self.subjects else "",
            "actor": self.actor, "cause": self.cause, "recordedtime": stamp(self.recorded), "sequence": str(self.seq or ""),
            "subjects": ",".join(self.subjects), "data": dict(self.data),
        }  # fmt: skip


class Ledger:
    """Records, reads and seals events. `redact` is applied to every text of a payload before it is kept."""

    def __init__(self, store: Store, clock: Clock, *, redact: Callable[[str], str] = lambda text: text) -> None:
        self._store = store
        self._clock = clock
        self._redact = redact
        self._recorded = threading.Event()
        self._sealed = threading.Condition()

    def record(
        self,
        tx: Tx,
        type: str,
        *,
        actor: str,
        cause: str = "",
        subjects: Sequence[str] = (),
        data: Mapping[str, Any] | None = None,
        key: str = "",
        time: datetime | None = None,
        version: int = 1,
    ) -> Event:
        """Records an event in `tx`. The same `key` again records nothing and returns the first event with that key."""
        if key and (first := self._by_key(tx, key)):
            return first
        now = self._clock.now()
        payload = _redacted(dict(data or {}), self._redact)
        event = Event(
            id=self._clock.new_id("evt"), type=type, version=version, time=time or now, recorded=now, actor=actor,
            cause=cause, subjects=tuple(dict.fromkeys(subjects)), data=payload, key=key, payload_digest=digest_of(payload),
        )  # fmt: skip
        for subject in event.subjects:
            if not all(subject.partition(":")[::2]):
                raise ValueError(f"subject {subject!r} of {type} is not kind:value")
        tx.execute(
            sa.insert(EVENTS).values(
                id=event.id, type=type, version=version, time=event.time, recorded=now, actor=actor, cause=cause,
                dedup=key or None, data=payload, payload_digest=event.payload_digest, erased=None,
            )
        )  # fmt: skip
        if event.subjects:
            tx.execute(sa.insert(SUBJECTS), [{"subject": s, "event": event.id} for s in event.subjects])
        tx.execute(sa.insert(UNSEALED).values(event=event.id))
        tx.after_commit(self._recorded.set)
        return event

    def get(self, id: str) -> Event:
        """The event, sealed or not; NotFound otherwise."""
        with self._store.read() as tx:
            found = self._select(tx, EVENTS.c.id == id)
        if not found:
            raise NotFound(f"event {id!r} is not in the ledger; `opsroom events list` shows the newest")
        return found[0]

    def find(
        self,
        *,
        ids: Sequence[str] = (),
        types: Sequence[str] = (),
        subjects: Sequence[str] = (),
        actor: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        after: str = "",
        limit: int = 100,
        newest_first: bool = True,
    ) -> list[Event]:
        """Events that match all given (`ids`, `types`: any of them; a type ending in "." is a prefix; `subjects`: all of them),
        ordered by id, which is the order of recording; `after` is the id to go on from."""
        where = [_any_type(types)] if types else []
        if ids:
            where.append(EVENTS.c.id.in_(ids))
        where += [
            EVENTS.c.id.in_(sa.select(SUBJECTS.c.event).where(SUBJECTS.c.subject == subject)) for subject in subjects
        ]
        if actor:
            where.append(EVENTS.c.actor == actor)
        if since:
            where.append(EVENTS.c.time >= since)
        if until:
            where.append(EVENTS.c.time < until)
        if after:
            where.append(EVENTS.c.id < after if newest_first else EVENTS.c.id > after)
        with self._store.read() as tx:
            return self._select(tx, *where, limit=limit, newest_first=newest_first)

    def chain(self, id: str) -> list[Event]:
        """The event, its cause, the cause of that, … to the root, at most 200 deep."""
        events = [self.get(id)]
        seen = {id}
        while (cause := events[-1].cause) and cause not in seen and len(events) < CHAIN_LIMIT:
            seen.add(cause)
            events.append(self.get(cause))
        return events

    def effects(self, id: str, limit: int = 100) -> list[Event]:
        """The events this one caused directly, oldest first."""
        with self._store.read() as tx:
            return self._select(tx, EVENTS.c.cause == id, limit=limit, newest_first=False)

    def read(self, after_seq: int, types: Sequence[str] = (), limit: int = BATCH) -> list[Event]:
        """Sealed events after a sequence number, in order: what subscribers read."""
        where = [SEALS.c.seq > after_seq]
        if types:
            where.append(_any_type(types))
        with self._store.read() as tx:
            return self._select(tx, *where, limit=limit, newest_first=False, by_seq=True)

    def last_seq(self) -> int:
        with self._store.read() as tx:
            return int(tx.scalar(sa.select(sa.func.max(SEALS.c.seq))) or 0)

    def cursor(self, name: str) -> int:
        """The sequence number a subscriber has handled; a new one starts at 0, the beginning."""
        with self._store.read() as tx:
            return int(tx.scalar(sa.select(CURSORS.c.seq).where(CURSORS.c.name == name)) or 0)

    def advance(self, tx: Tx, name: str, seq: int) -> None:
        """Moves a subscriber's cursor forward, in the transaction of what it did."""
        done = tx.execute(sa.update(CURSORS).where(CURSORS.c.name == name, CURSORS.c.seq < seq).values(seq=seq))
        if not done.rowcount and tx.scalar(sa.select(CURSORS.c.seq).where(CURSORS.c.name == name)) is None:
            tx.execute(sa.insert(CURSORS).values(name=name, seq=seq))

    def seal(self) -> int:
        """Gives sequence numbers and hashes to the events recorded so far; returns how many. One caller at a time (a leased duty)."""
        sealed = 0
        while True:
            batch = self._seal_batch()
            sealed += batch
            if batch < BATCH:
                break
        if sealed:
            with self._sealed:
                self._sealed.notify_all()
        return sealed

    def wait_recorded(self, timeout: float) -> bool:
        """Waits until this process has committed an event since the last call."""
        happened = self._recorded.wait(timeout)
        self._recorded.clear()
        return happened

    def wait_sealed(self, timeout: float) -> None:
        """Waits until this process has sealed something, or the time is over."""
        with self._sealed:
            self._sealed.wait(timeout)

    def erase(self, tx: Tx, id: str, *, actor: str, reason: str) -> Event:
        """Erases an event's payload and leaves a tombstone: the chain still verifies. The erasure is an event itself."""
        if not tx.scalar(sa.select(EVENTS.c.id).where(EVENTS.c.id == id)):
            raise NotFound(f"event {id!r} is not in the ledger")
        tx.execute(sa.update(EVENTS).where(EVENTS.c.id == id).values(data=None, erased=reason))
        return self.record(tx, "event.erased", actor=actor, cause=id, data={"event": id, "reason": reason})

    def _seal_batch(self) -> int:
        with self._store.begin() as tx:
            if self._store.dialect == "postgresql":
                tx.execute("LOCK TABLE seals IN EXCLUSIVE MODE")
            waiting = self._select(tx, EVENTS.c.id.in_(sa.select(UNSEALED.c.event)), limit=BATCH, newest_first=False)
            if not waiting:
                return 0
            last = tx.row(sa.select(SEALS.c.seq, SEALS.c.hash).order_by(SEALS.c.seq.desc()).limit(1))
            seq, previous = (last["seq"], last["hash"]) if last else (0, GENESIS)
            seals = []
            for event in waiting:
                seq, previous = seq + 1, event_hash(previous, seq + 1, event)
                seals.append({"seq": seq, "event": event.id, "hash": previous})
            tx.execute(sa.insert(SEALS), seals)
            tx.execute(sa.delete(UNSEALED).where(UNSEALED.c.event.in_([event.id for event in waiting])))
        return len(waiting)

    def _by_key(self, tx: Tx, key: str) -> Event | None:
        found = self._select(tx, EVENTS.c.dedup == key)
        return found[0] if found else None

    def _select(
        self, tx: Tx, *where: Any, limit: int = 1, newest_first: bool = True, by_seq: bool = False
    ) -> list[Event]:
        if limit < 1:
            raise Invalid(f"limit {limit} is not at least 1")
        column = SEALS.c.seq if by_seq else EVENTS.c.id
        rows = tx.rows(
            sa.select(EVENTS, SEALS.c.seq, SEALS.c.hash)
            .select_from(EVENTS.outerjoin(SEALS, SEALS.c.event == EVENTS.c.id))
            .where(*where)
            .order_by(column.desc() if newest_first else column.asc())
            .limit(limit)
        )
        subjects: dict[str, list[str]] = {}
        if rows:
            ids = [row["id"] for row in rows]
            for row in tx.rows(sa.select(SUBJECTS).where(SUBJECTS.c.event.in_(ids)).order_by(SUBJECTS.c.subject)):
                subjects.setdefault(row["event"], []).append(row["subject"])
        return [_event(row, tuple(subjects.get(row["id"], ()))) for row in rows]


def event_hash(previous: str, seq: int, event: Event) -> str:
    """SHA-256 over the hash before, the sequence number, the envelope, and the payload's digest (not the payload)."""
    envelope = dumps([
        previous, seq, event.id, event.type, event.version, stamp(event.time), stamp(event.recorded), event.actor,
        event.cause, event.key, sorted(event.subjects), event.payload_digest,
    ])  # fmt: skip
    return hashlib.sha256(envelope.encode()).hexdigest()


def digest_of(payload: Mapping[str, Any]) -> str:
    return hashlib.sha256(dumps(payload).encode()).hexdigest()


def _event(row: RowMapping, subjects: tuple[str, ...]) -> Event:
    return Event(
        id=row["id"], type=row["type"], version=row["version"], time=row["time"], recorded=row["recorded"],
        actor=row["actor"], cause=row["cause"], subjects=subjects, data=row["data"] or {}, key=row["dedup"] or "",
        payload_digest=row["payload_digest"], erased=row["erased"] or "", seq=row["seq"], hash=row["hash"] or "",
    )  # fmt: skip


def _any_type(types: Sequence[str]) -> sa.ColumnElement[bool]:
    exact = [name for name in types if not name.endswith(".")]
    prefixes = [EVENTS.c.type.startswith(name, autoescape=True) for name in types if name.endswith(".")]
    return sa.or_(EVENTS.c.type.in_(exact), *prefixes)


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): _redacted(item, redact) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(item, redact) for item in value]
    return value
