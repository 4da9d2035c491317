"""People, the groups they are in, and the roles granted to either."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from opsroom.kernel.actors.model import ROLES, Actor, Grant, where_of
from opsroom.kernel.actors.tables import GRANTS, MEMBERSHIPS, PEOPLE
from opsroom.kernel.clock import Clock
from opsroom.kernel.errors import Conflict, Invalid, NotFound, Unauthenticated
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.store import Store, Tx

LOCAL = "opsroom"
CATALOG = "catalog"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person. `issuer` and `subject` say who vouches for them: `opsroom` (local), `catalog` (the ops repo's User entities)."""

    id: str
    issuer: str
    subject: str
    name: str
    email: str = ""
    groups: tuple[str, ...] = ()
    added: datetime | None = None
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPerson:
    """A User entity of the catalog: its name, what it is called, and the names of its groups."""

    name: str
    title: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()


class People:
    """Reads and changes people, memberships and grants; every change is an event in the same transaction."""

    def __init__(self, store: Store, ledger: Ledger, clock: Clock) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock

    def all(self) -> list[Person]:
        """Everyone, by id; those who left too."""
        with self._store.read() as tx:
            groups: dict[str, list[str]] = {}
            for row in tx.rows(sa.select(MEMBERSHIPS).order_by(MEMBERSHIPS.c.team)):
                groups.setdefault(row["person"], []).append(row["team"])
            rows = tx.rows(sa.select(PEOPLE).order_by(PEOPLE.c.id))
        return [Person(**row, groups=tuple(groups.get(row["id"], ()))) for row in rows]

    def get(self, id: str) -> Person:
        """The person with this id ("person:maria"). Error: not found."""
        with self._store.read() as tx:
            return self._get(tx, id)

    def actor(self, id: str) -> Actor:
        """The person as an actor. Unauthenticated: they left."""
        person = self.get(id)
        if person.left_at is not None:
            raise Unauthenticated(f"{id} left on {person.left_at:%Y-%m-%d}; an admin can add them to the catalog again")
        return Actor(id=person.id, name=person.name)

    def add(self, name: str, actor: str, *, title: str = "", email: str = "", cause: str = "") -> Person:
        """Adds a person whom Opsroom itself vouches for. Error: the name is taken, or is not a name."""
        with self._store.begin() as tx:
            if tx.scalar(sa.select(PEOPLE.c.id).where(PEOPLE.c.id == f"person:{name}")):
                raise Conflict(f"person:{name} exists already; give another name")
            return self._add(tx, LOCAL, name, title, email, actor, cause)

    def sync(self, people: Sequence[CatalogPerson], actor: str, *, cause: str = "") -> None:
        """Makes people and memberships those of the catalog. Who is no longer in it leaves; local people stay."""
        now = self._clock.now()
        with self._store.begin() as tx:
            known = {row["id"]: row for row in tx.rows(sa.select(PEOPLE))}
            wanted = {f"person:{person.name}": person for person in people}
            for id, person in wanted.items():
                if id not in known:
                    self._add(tx, CATALOG, person.name, person.title, person.email, actor, cause)
                    continue
                back = known[id]["left_at"] is not None
                values = {"name": person.title or person.name, "email": person.email, "left_at": None}
                if any(known[id][column] != value for column, value in values.items()):
                    tx.execute(sa.update(PEOPLE).where(PEOPLE.c.id == id).values(**values))
                if back:
                    self._ledger.record(tx, "person.added", actor=actor, cause=cause, subjects=(id,))
            for id, row in known.items():
                if row["issuer"] == CATALOG and row["left_at"] is None and id not in wanted:
                    tx.execute(sa.update(PEOPLE).where(PEOPLE.c.id == id).values(left_at=now))
                    self._ledger.record(tx, "person.left", actor=actor, cause=cause, subjects=(id,))
            self._sync_groups(tx, wanted, actor, cause)

    def grants(self, *, holder: str = "", ended: bool = False) -> list[Grant]:
        """Grants that hold now (with `ended`: all there ever were), oldest first."""
        with self._store.read() as tx:
            where = [GRANTS.c.holder == holder] if holder else []
            return self._grants(tx, *where, ended=ended)

    def grants_of(self, actor: Actor) -> tuple[list[Grant], list[Grant]]:
        """What the actor and its groups hold now, and every admin grant."""
        with self._store.read() as tx:
            teams = tx.execute(sa.select(MEMBERSHIPS.c.team).where(MEMBERSHIPS.c.person == actor.id)).scalars()
            holders = [actor.id, *(f"group:{team}" for team in teams)]
            found = self._grants(tx, sa.or_(GRANTS.c.holder.in_(holders), GRANTS.c.role == "admin"))
        held = [grant for grant in found if grant.holder in holders]
        return held, [grant for grant in found if grant.role == "admin"]

    def grant_by_id(self, id: str) -> Grant:
        """The grant, if it holds now. Error: not found."""
        with self._store.read() as tx:
            found = self._grants(tx, GRANTS.c.id == id)
        if not found:
            raise NotFound(f"grant {id!r} does not exist or has ended; `opsroom grants list` shows those there are")
        return found[0]

    def grant(
        self,
        holder: str,
        role: str,
        actor: str,
        *,
        team: str = "",
        environment: str = "",
        expires: datetime | None = None,
        cause: str = "",
    ) -> Grant:
        """Grants a role to "person:NAME" or "group:NAME". The same grant again is Conflict; a person unknown is NotFound."""
        kind, _, name = holder.partition(":")
        if kind not in ("person", "group") or not name:
            raise Invalid(f"holder {holder!r} is neither person:NAME nor group:NAME")
        if role not in ROLES:
            raise Invalid(f"role {role!r} is none of {', '.join(ROLES)}")
        now = self._clock.now()
        if expires is not None and expires <= now:
            raise Invalid(f"expires {expires.isoformat()} is in the past; give a time to come")
        made = Grant(
            id=self._clock.new_id("grt"), holder=holder, role=role, team=team, environment=environment,
            granted_by=actor, granted_at=now, expires=expires,
        )  # fmt: skip
        with self._store.begin() as tx:
            if kind == "person":
                self._get(tx, holder)
            for other in self._grants(tx, GRANTS.c.holder == holder):
                if (other.role, other.team, other.environment) == (role, team, environment):
                    raise Conflict(
                        f"{holder} holds {role} on {where_of(team, environment)} already, by grant {other.id}"
                    )
            tx.execute(sa.insert(GRANTS).values({name: getattr(made, name) for name in _GRANT_COLUMNS}))
            self._record(tx, "role.granted", made, actor, cause)
        return made

    def end_grant(self, id: str, actor: str, *, cause: str = "") -> Grant:
        """Ends a grant at once. Conflict: it is the last that makes anyone admin of everything."""
        with self._store.begin() as tx:
            found = self._grants(tx, GRANTS.c.id == id)
            if not found:
                raise NotFound(f"grant {id!r} does not exist or has ended; `opsroom grants list` shows those there are")
            if _is_full_admin(found[0]):
                others = [grant for grant in self._grants(tx, GRANTS.c.role == "admin") if grant.id != id]
                if not any(_is_full_admin(grant) for grant in others):
                    raise Conflict(f"grant {id} is the last admin of everything; grant admin to someone else first")
            tx.execute(sa.update(GRANTS).where(GRANTS.c.id == id).values(ended=self._clock.now()))
            self._record(tx, "role.ended", found[0], actor, cause)
        return found[0]

    def _add(self, tx: Tx, issuer: str, name: str, title: str, email: str, actor: str, cause: str) -> Person:
        if not _NAME.fullmatch(name):
            raise Invalid(f"person name {name!r} is not letters, digits, '.', '_' and '-', at most 63")
        person = Person(
            id=f"person:{name}", issuer=issuer, subject=name, name=title or name, email=email, added=self._clock.now()
        )
        columns = ("id", "issuer", "subject", "name", "email", "added")
        tx.execute(sa.insert(PEOPLE).values({column: getattr(person, column) for column in columns}))
        self._ledger.record(
            tx, "person.added", actor=actor, cause=cause, subjects=(person.id,), data={"issuer": issuer}
        )
        return person

    def _get(self, tx: Tx, id: str) -> Person:
        row = tx.row(sa.select(PEOPLE).where(PEOPLE.c.id == id))
        if row is None:
            raise NotFound(f"{id!r} is nobody Opsroom knows; `opsroom people list` shows everyone")
        teams = tx.execute(sa.select(MEMBERSHIPS.c.team).where(MEMBERSHIPS.c.person == id).order_by(MEMBERSHIPS.c.team))
        return replace(Person(**row), groups=tuple(teams.scalars()))

    def _sync_groups(self, tx: Tx, wanted: dict[str, CatalogPerson], actor: str, cause: str) -> None:
        before = {(row["team"], row["person"]) for row in tx.rows(sa.select(MEMBERSHIPS))}
        after = {(team, id) for id, person in wanted.items() for team in person.groups}
        for team, person in before - after:
            tx.execute(sa.delete(MEMBERSHIPS).where(MEMBERSHIPS.c.person == person, MEMBERSHIPS.c.team == team))
        for team, person in after - before:
            tx.execute(sa.insert(MEMBERSHIPS).values(person=person, team=team))
        for team in sorted({team for team, _ in before ^ after}):
            members = sorted(person for other, person in after if other == team)
            self._ledger.record(
                tx, "group.changed", actor=actor, cause=cause, subjects=(f"group:{team}",),
                data={"members": ", ".join(members) or "nobody"},
            )  # fmt: skip

    def _grants(self, tx: Tx, *where: Any, ended: bool = False) -> list[Grant]:
        now = self._clock.now()
        holds = () if ended else (GRANTS.c.ended.is_(None), sa.or_(GRANTS.c.expires.is_(None), GRANTS.c.expires > now))
        rows = tx.rows(sa.select(GRANTS).where(*where, *holds).order_by(GRANTS.c.id))
        return [Grant(**{name: row[name] for name in _GRANT_COLUMNS}) for row in rows]

    def _record(self, tx: Tx, type: str, grant: Grant, actor: str, cause: str) -> None:
        subjects = [grant.holder, f"grant:{grant.id}"]
        subjects += [f"team:{grant.team}"] if grant.team else []
        subjects += [f"environment:{grant.environment}"] if grant.environment else []
        where = where_of(grant.team, grant.environment)
        data = {"role": grant.role, "holder": grant.holder, "where": where}
        self._ledger.record(tx, type, actor=actor, cause=cause, subjects=subjects, data=data)


_GRANT_COLUMNS = ("id", "holder", "role", "team", "environment", "granted_by", "granted_at", "expires")


def _is_full_admin(grant: Grant) -> bool:
    return grant.role == "admin" and not grant.team and not grant.environment and grant.expires is None
