"""Tokens: 256 random bits of which only the SHA-256 is kept (no slow hash: there is nothing to guess), limited and expiring."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from opsroom.kernel.actors.model import ROLES, Actor, Limit
from opsroom.kernel.actors.tables import PEOPLE, TOKENS
from opsroom.kernel.clock import Clock
from opsroom.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.store import Store

PREFIX = "ops_"
MAX_DAYS = 366
_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What may be known of a token: all but itself. `last_used` is exact to a minute."""

    id: str
    person: str
    name: str
    limit: Limit
    created: datetime
    created_by: str
    expires: datetime | None
    last_used: datetime | None
    revoked: datetime | None


class Tokens:
    """Makes, checks and revokes tokens. A token acts as its person, held to its limit."""

    def __init__(self, store: Store, ledger: Ledger, clock: Clock) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock

    def create(
        self,
        person: str,
        name: str,
        actor: Actor,
        *,
        limit: Limit | None = None,
        days: int | None = 90,
        cause: str = "",
    ) -> tuple[Token, str]:
        """Returns the token and its text, which is shown this once. `days` None: it does not expire.

        Forbidden: the actor's own token is narrower than the one asked for."""
        wanted = limit or Limit()
        if days is not None and not 1 <= days <= MAX_DAYS:
            raise Invalid(f"a token of {days} days is not within 1 to {MAX_DAYS}; give fewer and renew it")
        if not name.strip() or len(name) > 100:
            raise Invalid(f"token name {name[:20]!r} is empty or longer than 100 characters; say what will use it")
        if wanted.role and wanted.role not in ROLES:
            raise Invalid(f"role {wanted.role!r} is none of {', '.join(ROLES)}")
        _refuse_wider(actor, wanted)
        now, text = self._clock.now(), new_text(PREFIX)
        token = Token(
            id=self._clock.new_id("tok"), person=person, name=name, limit=wanted, created=now, created_by=actor.id,
            expires=None if days is None else now + timedelta(days=days), last_used=None, revoked=None,
        )  # fmt: skip
        with self._store.begin() as tx:
            if tx.scalar(sa.select(PEOPLE.c.id).where(PEOPLE.c.id == person, PEOPLE.c.left_at.is_(None))) is None:
                raise NotFound(f"{person!r} is nobody Opsroom knows; `opsroom people list` shows everyone")
            twin = sa.select(TOKENS.c.id).where(
                TOKENS.c.person == person, TOKENS.c.name == name, TOKENS.c.revoked.is_(None)
            )
            if (other := tx.scalar(twin)) is not None:
                raise Conflict(f"{person} has a token named {name!r}; give another name, or revoke {other}")
            tx.execute(
                sa.insert(TOKENS).values(
                    id=token.id, hash=hash_of(text), person=person, name=name, role=wanted.role, team=wanted.team,
                    environment=wanted.environment, created=now, created_by=actor.id, expires=token.expires,
                )
            )  # fmt: skip
            self._ledger.record(
                tx, "token.created", actor=actor.id, cause=cause, subjects=(person, f"token:{token.id}"),
                data={"name": name, "limit": str(wanted), "expires": token.expires and token.expires.isoformat()},
            )  # fmt: skip
        return token, text

    def all(self, *, person: str = "") -> list[Token]:
        """Tokens of one person, or of all, newest first; revoked and expired ones too."""
        with self._store.read() as tx:
            where = [TOKENS.c.person == person] if person else []
            rows = tx.rows(sa.select(TOKENS).where(*where).order_by(TOKENS.c.id.desc()))
        return [_token(row) for row in rows]

    def get(self, id: str) -> Token:
        """The token with this id. Error: not found."""
        with self._store.read() as tx:
            row = tx.row(sa.select(TOKENS).where(TOKENS.c.id == id))
        if row is None:
            raise NotFound(f"token {id!r} does not exist; `opsroom tokens list` shows those there are")
        return _token(row)

    def revoke(self, id: str, actor: str, *, cause: str = "") -> Token:
        """Ends a token at once. Conflict: it is revoked already."""
        token = self.get(id)
        with self._store.begin() as tx:
            now = self._clock.now()
            done = tx.execute(
                sa.update(TOKENS).where(TOKENS.c.id == id, TOKENS.c.revoked.is_(None)).values(revoked=now)
            )
            if not done.rowcount:
                raise Conflict(f"token {id} is revoked already")
            self._ledger.record(
                tx, "token.revoked", actor=actor, cause=cause, subjects=(token.person, f"token:{id}"),
                data={"name": token.name},
            )  # fmt: skip
        return self.get(id)

    def authenticate(self, text: str) -> Actor:
        """Who this token speaks for. Unauthenticated: unknown, revoked or expired, or its person left."""
        hashed, now = hash_of(text), self._clock.now()
        with self._store.read() as tx:
            row = tx.row(
                sa.select(TOKENS, PEOPLE.c.name.label("person_name"), PEOPLE.c.left_at)
                .select_from(TOKENS.join(PEOPLE, PEOPLE.c.id == TOKENS.c.person))
                .where(TOKENS.c.hash == hashed)
            )
        if row is None or not hmac.compare_digest(row["hash"], hashed):
            raise Unauthenticated("this token is not known here; `opsroom tokens create` makes one")
        if row["revoked"] is not None or row["left_at"] is not None:
            raise Unauthenticated(f"token {row['name']!r} is revoked; `opsroom tokens create` makes another")
        if row["expires"] is not None and row["expires"] <= now:
            raise Unauthenticated(f"token {row['name']!r} expired on {row['expires']:%Y-%m-%d}; create another")
        if row["last_used"] is None or now - row["last_used"] >= _USED_EVERY:
            with self._store.begin() as tx:
                tx.execute(sa.update(TOKENS).where(TOKENS.c.id == row["id"]).values(last_used=now))
        return Actor(id=row["person"], name=row["person_name"], limit=_limit(row), via=f"token {row['name']!r}")


def new_text(prefix: str = "") -> str:
    """256 random bits, URL-safe."""
    return prefix + secrets.token_urlsafe(32)


def hash_of(text: str) -> str:
    """What is kept instead of a token, session or link."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _refuse_wider(actor: Actor, wanted: Limit) -> None:
    own = actor.limit
    wider = (
        (own.role and (not wanted.role or ROLES.index(wanted.role) > ROLES.index(own.role)))
        or own.team not in ("", wanted.team)
        or own.environment not in ("", wanted.environment)
    )
    if wider:
        raise Forbidden(
            f"{actor.via or 'this token'} is limited to {own} and cannot make one for {wanted}; narrow the new one"
        )


def _limit(row: sa.RowMapping) -> Limit:
    return Limit(role=row["role"], team=row["team"], environment=row["environment"])


def _token(row: sa.RowMapping) -> Token:
    return Token(
        id=row["id"], person=row["person"], name=row["name"], limit=_limit(row), created=row["created"],
        created_by=row["created_by"], expires=row["expires"], last_used=row["last_used"], revoked=row["revoked"],
    )  # fmt: skip
