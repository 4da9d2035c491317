"""Signing in with a browser: a link that works once, and a session behind an opaque cookie."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from opsroom.kernel.actors.model import Actor
from opsroom.kernel.actors.tables import LINKS, PEOPLE, SESSIONS
from opsroom.kernel.actors.tokens import hash_of, new_text
from opsroom.kernel.clock import Clock
from opsroom.kernel.errors import Forbidden, NotFound, Unauthenticated, UserError
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.store import Store

LINK_MINUTES = 15


class TooManyFailures(UserError):
    """Too many failed proofs of identity from one address (429)."""

    status = 429
    title = "Too many failures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A sign-in link as made: `text` is shown this once and goes behind `/sign-in?link=`."""

    text: str
    person: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser session as started: `text` is the cookie's value and is kept nowhere else."""

    text: str
    person: str
    expires: datetime

    @property
    def csrf(self) -> str:
        return csrf_token(self.text)


class SignIn:
    """Makes and redeems links, and keeps sessions. `hours` is the life of a session."""

    def __init__(self, store: Store, ledger: Ledger, clock: Clock, *, hours: int) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._hours = hours

    def make_link(self, person: str, actor: Actor, *, cause: str = "") -> Link:
        """A link that signs `person` in once within 15 minutes. Forbidden: the actor came with a limited token."""
        if actor.limit.any:
            raise Forbidden(f"{actor.via} is limited to {actor.limit}; a session would not be: use an unlimited token")
        text, now = new_text(), self._clock.now()
        link = Link(text=text, person=person, expires=now + timedelta(minutes=LINK_MINUTES))
        with self._store.begin() as tx:
            if tx.scalar(sa.select(PEOPLE.c.id).where(PEOPLE.c.id == person, PEOPLE.c.left_at.is_(None))) is None:
                raise NotFound(f"{person!r} is nobody Opsroom knows; `opsroom people list` shows everyone")
            tx.execute(sa.insert(LINKS).values(hash=hash_of(text), person=person, made=now, expires=link.expires))
            self._ledger.record(tx, "link.created", actor=actor.id, cause=cause, subjects=(person,))
        return link

    def redeem(self, text: str) -> Session:
        """Uses a link up and starts a session. Unauthenticated: unknown, used or expired."""
        now, started = self._clock.now(), new_text()
        with self._store.begin() as tx:
            used = tx.execute(
                sa.update(LINKS)
                .where(LINKS.c.hash == hash_of(text), LINKS.c.used.is_(None), LINKS.c.expires > now)
                .values(used=now)
            )
            if not used.rowcount:
                raise Unauthenticated("this sign-in link was used or has expired; `opsroom sign-in` makes a new one")
            person = str(tx.scalar(sa.select(LINKS.c.person).where(LINKS.c.hash == hash_of(text))))
            session = Session(text=started, person=person, expires=now + timedelta(hours=self._hours))
            values = {"hash": hash_of(started), "person": person, "started": now, "expires": session.expires}
            tx.execute(sa.insert(SESSIONS).values(values))
            self._ledger.record(tx, "session.started", actor=person, subjects=(person,))
        return session

    def authenticate(self, text: str) -> Actor:
        """Who this session's cookie stands for. Unauthenticated: unknown, ended or expired, or its person left."""
        now = self._clock.now()
        with self._store.read() as tx:
            row = tx.row(
                sa.select(SESSIONS, PEOPLE.c.name, PEOPLE.c.left_at)
                .select_from(SESSIONS.join(PEOPLE, PEOPLE.c.id == SESSIONS.c.person))
                .where(SESSIONS.c.hash == hash_of(text))
            )
        if row is None or row["ended"] is not None or row["expires"] <= now or row["left_at"] is not None:
            raise Unauthenticated("this session has ended; `opsroom sign-in` makes a sign-in link")
        return Actor(id=row["person"], name=row["name"], via="a browser session")

    def end(self, text: str) -> None:
        """Signs out; a session that is over already stays so."""
        self._end(SESSIONS.c.hash == hash_of(text), actor="")

    def end_all(self, person: str, actor: str, *, cause: str = "") -> int:
        """Ends every session of a person; returns how many there were."""
        return self._end(SESSIONS.c.person == person, actor=actor, cause=cause)

    def _end(self, which: sa.ColumnElement[bool], *, actor: str, cause: str = "") -> int:
        now = self._clock.now()
        with self._store.begin() as tx:
            open_ones = tx.rows(sa.select(SESSIONS).where(which, SESSIONS.c.ended.is_(None), SESSIONS.c.expires > now))
            for row in open_ones:
                tx.execute(sa.update(SESSIONS).where(SESSIONS.c.hash == row["hash"]).values(ended=now))
                who = row["person"]
                self._ledger.record(tx, "session.ended", actor=actor or who, cause=cause, subjects=(who,))
        return len(open_ones)


def csrf_token(session: str) -> str:
    """What a page that holds the session's cookie sends in `X-CSRF-Token` with every write; another site cannot know it."""
    return hash_of(f"csrf:{session}")


class FailureLimit:
    """Counts failed proofs by address in this process: `allowed` within `seconds`, then refused. A valid token always passes:
    with 256 random bits there is nothing to guess, so one broken script cannot lock its whole network out."""

    def __init__(self, clock: Clock, *, allowed: int = 20, seconds: float = 60.0, addresses: int = 10_000) -> None:
        self._clock = clock
        self._allowed = allowed
        self._seconds = seconds
        self._addresses = addresses
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def failed(self, address: str) -> None:
        """Notes a failure. TooManyFailures: this one is over the limit."""
        now = self._clock.monotonic()
        with self._lock:
            times = self._failures.setdefault(address, deque(maxlen=self._allowed + 1))
            self._failures.move_to_end(address)
            times.append(now)
            while len(self._failures) > self._addresses:
                self._failures.popitem(last=False)
            while times and times[0] <= now - self._seconds:
                times.popleft()
            over = len(times) > self._allowed
        if over:
            raise TooManyFailures(f"too many failed sign-ins from {address}; wait {self._seconds:.0f} seconds")
