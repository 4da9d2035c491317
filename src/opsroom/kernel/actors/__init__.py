"""Identity: people, tokens, sessions, runs and runners as actors, and what each may do, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from opsroom.kernel.actors.model import (
    ROLES,
    VERBS,
    Actor,
    Decision,
    Grant,
    Limit,
    Needs,
    Reach,
    Resource,
    Role,
    decide,
    gives,
    reach,
)
from opsroom.kernel.actors.people import CatalogPerson, People, Person
from opsroom.kernel.actors.sign_in import FailureLimit, Link, Session, SignIn, TooManyFailures, csrf_token
from opsroom.kernel.actors.tables import EVENTS, MIGRATIONS
from opsroom.kernel.actors.tokens import Token, Tokens
from opsroom.kernel.clock import Clock
from opsroom.kernel.errors import Forbidden, Unauthenticated, UserError
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.master_key import write_private
from opsroom.kernel.store import Store

__all__ = [
    "ADMIN_TOKEN",
    "EVENTS",
    "MIGRATIONS",
    "ROLES",
    "VERBS",
    "Actor",
    "Actors",
    "CatalogPerson",
    "Decision",
    "FailureLimit",
    "Grant",
    "Limit",
    "Link",
    "Needs",
    "Person",
    "Reach",
    "Resource",
    "Role",
    "Session",
    "Token",
    "TooManyFailures",
    "csrf_token",
    "decide",
    "gives",
    "reach",
]

ADMIN_TOKEN = "admin-token"  # noqa: S105 - the name of a file
_FIRST = "admin"
_FIRST_TOKEN = "first start"  # noqa: S105 - its name


class Actors:
    """The door to identity: `people`, `tokens`, `sign_in`, and `may`. `keys` is the folder of the first admin's token."""

    def __init__(self, store: Store, ledger: Ledger, clock: Clock, *, keys: Path, session_hours: int = 12) -> None:
        self.people = People(store, ledger, clock)
        self.tokens = Tokens(store, ledger, clock)
        self.sign_in = SignIn(store, ledger, clock, hours=session_hours)
        self._failures = FailureLimit(clock)
        self._keys = keys

    def first_start(self) -> bool:
        """Where no role was ever granted: adds person:admin, writes their token to `keys/admin-token` (0600), and makes
        them admin of everything. Returns whether it did."""
        if self.people.grants(ended=True):
            return False
        creator, admin = Actor.system("first-start"), f"person:{_FIRST}"
        if admin not in {person.id for person in self.people.all()}:
            self.people.add(_FIRST, creator.id, title="First admin")
        for token in self.tokens.all(person=admin):
            if token.name == _FIRST_TOKEN and token.revoked is None:
                self.tokens.revoke(token.id, creator.id)
        _, text = self.tokens.create(admin, _FIRST_TOKEN, creator, days=None)
        write_private(self._keys / ADMIN_TOKEN, text + "\n")
        # Last, so that a first start cut off anywhere before is done again and nobody is locked out.
        self.people.grant(admin, "admin", creator.id)
        return True

    def sync_people(self, people: Sequence[CatalogPerson], actor: str, *, cause: str = "") -> None:
        """Makes people and their groups those of the ops repo's catalog."""
        self.people.sync(people, actor, cause=cause)

    def authenticate(self, *, token: str = "", session: str = "", address: str = "") -> Actor:
        """Who proves to be there, by a token or a session's cookie. Unauthenticated: neither holds; TooManyFailures: again
        and again from this address."""
        try:
            if token:
                return self.tokens.authenticate(token)
            if session:
                return self.sign_in.authenticate(session)
        except Unauthenticated:
            self._failures.failed(address)
            raise
        raise Unauthenticated(
            "nobody is signed in; send `Authorization: Bearer TOKEN`, or open a link from `opsroom sign-in`"
        )

    def redeem(self, link: str, address: str = "") -> Session:
        """Uses a sign-in link up and starts a session, counting failures by address."""
        try:
            return self.sign_in.redeem(link)
        except UserError:
            self._failures.failed(address)
            raise

    def may(self, actor: Actor, needs: Needs, resource: Resource) -> Decision:
        """Whether the actor may do what needs this verb to the resource, and why."""
        grants, admins = self.people.grants_of(actor)
        return decide(actor, needs, resource, grants, admins)

    def reach(self, actor: Actor, needs: Needs = "read") -> tuple[Reach, ...]:
        """Where the actor may do what needs this verb; empty: nowhere."""
        grants, _ = self.people.grants_of(actor)
        return reach(actor, needs, grants)

    def require_somewhere(self, actor: Actor, needs: Needs, resource: Resource) -> None:
        """Forbidden, with the reason, unless they may do what needs this verb to anything at all."""
        if not self.reach(actor, needs):
            self.require(actor, needs, resource)

    def require(self, actor: Actor, needs: Needs, resource: Resource) -> None:
        """Forbidden, with the reason, unless they may."""
        decision = self.may(actor, needs, resource)
        if not decision.allowed:
            raise Forbidden(decision.reason)
