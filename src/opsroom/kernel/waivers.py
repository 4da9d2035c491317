"""Waivers: the one register of every exception and window, each with an owner, a reason and an end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import sqlalchemy as sa

from opsroom.kernel.clock import Clock
from opsroom.kernel.errors import Conflict, Invalid, NotFound
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.matchers import Matcher, labels_of, parse_matcher
from opsroom.kernel.migrations import Migration, Retention
from opsroom.kernel.store import Store, Tx, table

WaiverKind = Literal["silence", "finding-ignored", "drift-accepted", "quarantine", "freeze", "maintenance"]
KINDS: tuple[WaiverKind, ...] = get_args(WaiverKind)

MAX_DAYS: Mapping[str, int] = {
    "silence": 30,
    "finding-ignored": 180,
    "drift-accepted": 90,
    "quarantine": 30,
    "freeze": 60,
    "maintenance": 7,
}
"""How long each kind may last; after that someone has to decide again."""

EVENTS: tuple[tuple[str, str], ...] = (
    ("waiver.granted", "{kind} for {scope} by {owner} until {expires}: {reason}"),
    ("waiver.ended", "{kind} for {scope} ended: {why}"),
)
"""Event types of this part: name and sentence."""

MIGRATIONS = (
    Migration(
        name="waivers-0001",
        statements=(
            """CREATE TABLE waivers (
                id TEXT PRIMARY KEY, kind TEXT NOT NULL, matchers TEXT NOT NULL, owner TEXT NOT NULL,
                reason TEXT NOT NULL, starts TEXT NOT NULL, expires TEXT NOT NULL, granted_at TEXT NOT NULL,
                granted_by TEXT NOT NULL, ended TEXT, event TEXT NOT NULL)""",
            "CREATE INDEX waivers_open ON waivers (ended, kind)",
        ),
        retention={"waivers": Retention(why="which exception held when is evidence")},
    ),
)

_WAIVERS = table(
    "waivers", "id", "kind", "owner", "reason", "granted_by", "event",
    json=("matchers",), times=("starts", "expires", "granted_at", "ended"),
)  # fmt: skip
_LABELS_AS_SUBJECTS = ("service", "environment", "team", "repository", "digest", "workflow", "alert")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """One exception. It holds from `starts` until `expires`, or until it was `ended`. `event` is its waiver.granted."""

    id: str
    kind: str
    matchers: tuple[Matcher, ...]
    owner: str
    reason: str
    starts: datetime
    expires: datetime
    granted_at: datetime
    granted_by: str
    ended: datetime | None
    event: str

    def holds(self, at: datetime) -> bool:
        return self.starts <= at < self.expires and (self.ended is None or at < self.ended)

    @property
    def scope(self) -> str:
        return ", ".join(map(str, self.matchers))


class Waivers:
    """Grants, finds and ends waivers."""

    def __init__(self, store: Store, ledger: Ledger, clock: Clock) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock

    def grant(
        self,
        kind: str,
        matchers: Sequence[str],
        *,
        owner: str,
        reason: str,
        expires: datetime,
        actor: str,
        starts: datetime | None = None,
        cause: str = "",
    ) -> Waiver:
        """Grants an exception for every subject that all matchers match. Invalid: no matcher, owner or reason, or an end that
        is past or further away than its kind allows (`MAX_DAYS`)."""
        now = self._clock.now()
        start = starts or now
        _check(kind, matchers, owner=owner, reason=reason, start=start, expires=expires, now=now)
        parsed = tuple(parse_matcher(text) for text in matchers)
        if not any(matcher.operator in ("=", "=~") and matcher.value not in ("", ".*") for matcher in parsed):
            raise Invalid("these matchers match everything; name at least one thing, such as service=storefront")
        scope = ", ".join(map(str, parsed))
        with self._store.begin() as tx:
            id = self._clock.new_id("wvr")
            event = self._ledger.record(
                tx, "waiver.granted", actor=actor, cause=cause, subjects=_subjects(id, parsed),
                data={
                    "kind": kind, "scope": scope, "owner": owner, "reason": reason, "starts": start.isoformat(),
                    "expires": expires.isoformat(),
                },
            )  # fmt: skip
            waiver = Waiver(
                id=id, kind=kind, matchers=parsed, owner=owner, reason=reason, starts=start, expires=expires,
                granted_at=now, granted_by=actor, ended=None, event=event.id,
            )  # fmt: skip
            values = {column: getattr(waiver, column) for column in _WAIVERS.c.keys()}  # noqa: SIM118
            tx.execute(sa.insert(_WAIVERS).values({**values, "matchers": [str(matcher) for matcher in parsed]}))
        return waiver

    def end(self, id: str, actor: str, *, why: str = "ended by hand", cause: str = "") -> Waiver:
        """Ends a waiver before its time. Error: not found; Conflict: it has ended already."""
        waiver = self.get(id)
        with self._store.begin() as tx:
            if not self._end(tx, waiver, self._clock.now(), actor, why, cause):
                raise Conflict(f"waiver {id} has ended already")
        return self.get(id)

    def get(self, id: str) -> Waiver:
        """The waiver with this id. Error: not found."""
        found = self._find(_WAIVERS.c.id == id)
        if not found:
            raise NotFound(f"waiver {id!r} does not exist; `opsroom waivers list` shows those there are")
        return found[0]

    def all(self, *, kind: str = "", ended: bool = False, after: str = "", limit: int = 1000) -> list[Waiver]:
        """Waivers that hold or will (with `ended`: all there ever were), newest first; `after` is the id to go on from."""
        where = [_WAIVERS.c.kind == kind] if kind else []
        where += [_WAIVERS.c.id < after] if after else []
        where += [] if ended else [_WAIVERS.c.ended.is_(None), _WAIVERS.c.expires > self._clock.now()]
        return self._find(*where, limit=limit)

    def active(
        self, kind: str, subject: str | Sequence[str] | Mapping[str, str], at: datetime | None = None
    ) -> Waiver | None:
        """The waiver of this kind that covers the subject at a moment (now), that which lasts longest first; None: there is none.

        `subject` is one ledger subject ("service:storefront"), several of them, or labels."""
        moment = at or self._clock.now()
        if isinstance(subject, str):
            subject = (subject,)
        labels = subject if isinstance(subject, Mapping) else labels_of(subject)
        in_time = (_WAIVERS.c.kind == kind, _WAIVERS.c.starts <= moment, _WAIVERS.c.expires > moment)
        holding = [waiver for waiver in self._find(*in_time) if waiver.holds(moment)]
        covering = [waiver for waiver in holding if all(matcher.matches(labels) for matcher in waiver.matchers)]
        return max(covering, key=lambda waiver: (waiver.expires, waiver.id), default=None)

    def sweep(self) -> int:
        """Records the end of every waiver whose time is over; returns how many. They stopped holding at their time, not now."""
        now = self._clock.now()
        over = self._find(_WAIVERS.c.ended.is_(None), _WAIVERS.c.expires <= now)
        ended = 0
        for waiver in over:
            with self._store.begin() as tx:
                ended += self._end(tx, waiver, waiver.expires, "system:waivers", "its time was over", "")
        return ended

    def _end(self, tx: Tx, waiver: Waiver, moment: datetime, actor: str, why: str, cause: str) -> bool:
        done = tx.execute(
            sa.update(_WAIVERS).where(_WAIVERS.c.id == waiver.id, _WAIVERS.c.ended.is_(None)).values(ended=moment)
        )
        if not done.rowcount:
            return False
        self._ledger.record(
            tx, "waiver.ended", actor=actor, cause=cause or waiver.event, key=f"waiver-ended:{waiver.id}", time=moment,
            subjects=_subjects(waiver.id, waiver.matchers), data={"kind": waiver.kind, "scope": waiver.scope, "why": why},
        )  # fmt: skip
        return True

    def _find(self, *where: Any, limit: int = 10_000) -> list[Waiver]:
        with self._store.read() as tx:
            rows = tx.rows(sa.select(_WAIVERS).where(*where).order_by(_WAIVERS.c.id.desc()).limit(limit))
        return [Waiver(**{**row, "matchers": tuple(map(parse_matcher, row["matchers"]))}) for row in rows]


def _check(
    kind: str, matchers: Sequence[str], *, owner: str, reason: str, start: datetime, expires: datetime, now: datetime
) -> None:
    if kind not in KINDS:
        raise Invalid(f"kind {kind!r} is none of {', '.join(KINDS)}")
    if not matchers:
        raise Invalid("no matcher was given; name what it is about, such as service=storefront")
    if not owner.strip() or not reason.strip():
        raise Invalid(f"a {kind} needs an owner and a reason that someone can read later")
    if expires <= now or expires <= start:
        raise Invalid(f"expires {expires.isoformat()} is not after its start and now; give a time to come")
    longest = timedelta(days=MAX_DAYS[kind])
    if expires - start > longest:
        raise Invalid(
            f"a {kind} may last {longest.days} days, until {(start + longest).isoformat()} at most; grant it anew then"
        )


def _subjects(id: str, matchers: Sequence[Matcher]) -> list[str]:
    named = [
        f"{matcher.label}:{matcher.value}"
        for matcher in matchers
        if matcher.operator == "=" and matcher.value and matcher.label in _LABELS_AS_SUBJECTS
    ]
    return [*named, f"waiver:{id}"]
