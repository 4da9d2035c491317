"""Identity on every surface: people, grants, tokens, sign-in links, and why someone may or may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from opsroom.contracts.operations import Model, Needs, operation
from opsroom.contracts.scopes import NAMED, WHOLE
from opsroom.kernel.actors import Actor, Grant, Limit, Person, Resource, Token
from opsroom.kernel.errors import NotFound

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call

RoleName = Literal["viewer", "operator", "approver", "admin"]


class PersonView(Model):
    """A person, the groups they are in, and who vouches for them."""

    id: str
    name: str
    email: str
    groups: list[str]
    issuer: str
    left_at: datetime | None


class GrantView(Model):
    """A role held by a person or a group, in one team and environment, or ("") in all."""

    id: str
    holder: str
    role: str
    team: str
    environment: str
    granted_by: str
    granted_at: datetime | None
    expires: datetime | None


class TokenView(Model):
    """A token without itself; its limits are empty where it may do all that its person may."""

    id: str
    person: str
    name: str
    role: str
    team: str
    environment: str
    created: datetime
    expires: datetime | None
    last_used: datetime | None
    revoked: datetime | None


class NewToken(Model):
    """A token just made. `token` is shown this once and kept nowhere."""

    reveals: ClassVar[frozenset[str]] = frozenset({"token"})
    id: str
    name: str
    expires: datetime | None
    token: str


class SignInLink(Model):
    """A link that signs a person in once. `url` is shown this once."""

    reveals: ClassVar[frozenset[str]] = frozenset({"url"})
    person: str
    url: str
    expires: datetime


class SessionsEnded(Model):
    """How many browser sessions were open."""

    ended: int


class Explanation(Model):
    """May they, and why. `considered` are the grants that were looked at."""

    actor: str
    allowed: bool
    reason: str
    considered: list[GrantView]


def _own_person(call: Call, given: Mapping[str, Any]) -> Resource:
    return Resource(kind="person", id=given.get("person") or call.actor.id)


def _person_of_token(call: Call, given: Mapping[str, Any]) -> Resource:
    return Resource(kind="person", id=call.plane.actors.tokens.get(given["id"]).person)


def _person_by_id(_call: Call, given: Mapping[str, Any]) -> Resource:
    return Resource(kind="person", id=given["id"])


def _grant_by_id(call: Call, given: Mapping[str, Any]) -> Resource:
    grant = call.plane.actors.people.grant_by_id(given["id"])
    return Resource(kind="grant", id=grant.id, team=grant.team, environment=grant.environment)


@operation("people.list", scope=WHOLE)
def people_list(call: Call) -> list[PersonView]:
    """Everyone known here, with their groups; those who left too."""
    return [_person(person) for person in call.plane.actors.people.all()]


@operation("people.add", needs="admin", scope=WHOLE)
def people_add(call: Call, *, name: str, title: str = "", email: str = "") -> PersonView:
    """Add a person whom Opsroom itself vouches for; others come from the catalog. Error: the name is taken."""
    return _person(call.plane.actors.people.add(name, call.actor.id, title=title, email=email, cause=call.cause))


@operation("grants.list", scope=WHOLE)
def grants_list(call: Call, *, holder: str = "", ended: bool = False) -> list[GrantView]:
    """Roles that are held now, by whom and where; with `ended` all there ever were."""
    return [_grant(grant) for grant in call.plane.actors.people.grants(holder=holder, ended=ended)]


@operation("grants.create", needs="admin", scope=NAMED)
def grants_create(
    call: Call,
    *,
    holder: str,
    role: RoleName,
    team: str = "",
    environment: str = "",
    expires: datetime | None = None,
) -> GrantView:
    """Grant a role to person:NAME or group:NAME. Error: held already; nobody of that name."""
    people = call.plane.actors.people
    made = people.grant(
        holder, role, call.actor.id, team=team, environment=environment, expires=expires, cause=call.cause
    )
    return _grant(made)


@operation("grants.revoke", needs="admin", scope=_grant_by_id)
def grants_revoke(call: Call, id: str) -> GrantView:
    """End a grant at once. Error: not found; it is the last admin of everything."""
    return _grant(call.plane.actors.people.end_grant(id, call.actor.id, cause=call.cause))


@operation("tokens.list", scope=_own_person)
def tokens_list(call: Call, *, person: str = "") -> list[TokenView]:
    """Tokens of a person (yours), newest first; revoked and expired ones too."""
    return [_token(token) for token in call.plane.actors.tokens.all(person=person or call.actor.id)]


@operation("tokens.create", needs="operate", scope=_own_person)
def tokens_create(
    call: Call,
    *,
    name: str,
    person: str = "",
    role: RoleName | None = None,
    team: str = "",
    environment: str = "",
    days: int = 90,
) -> NewToken:
    """Make a token that acts as a person (you), at most as `role`, `team` and `environment` say. It is shown once."""
    owner = person or call.actor.id
    _require_own_or_admin(call, owner)
    limit = Limit(role=role or "", team=team, environment=environment)
    made, text = call.plane.actors.tokens.create(owner, name, call.actor, limit=limit, days=days, cause=call.cause)
    return NewToken(id=made.id, name=made.name, expires=made.expires, token=text)


@operation("tokens.revoke", needs="operate", scope=_person_of_token)
def tokens_revoke(call: Call, id: str) -> TokenView:
    """End a token at once. Error: not found; revoked already."""
    tokens = call.plane.actors.tokens
    _require_own_or_admin(call, tokens.get(id).person)
    return _token(tokens.revoke(id, call.actor.id, cause=call.cause))


@operation("sign-in-links.create", needs="operate", scope=_own_person)
def sign_in_links_create(call: Call, *, person: str = "") -> SignInLink:
    """Make a link that signs a person (you) in to the pages, once, within 15 minutes."""
    owner = person or call.actor.id
    _require_own_or_admin(call, owner)
    link = call.plane.actors.sign_in.make_link(owner, call.actor, cause=call.cause)
    url = f"{call.plane.settings.base_url}/sign-in?link={link.text}"
    return SignInLink(person=owner, url=url, expires=link.expires)


@operation("sessions.end", needs="operate", scope=_person_by_id)
def sessions_end(call: Call, id: str) -> SessionsEnded:
    """End every browser session of a person."""
    _require_own_or_admin(call, id)
    return SessionsEnded(ended=call.plane.actors.sign_in.end_all(id, call.actor.id, cause=call.cause))


@operation("access.explain", scope=NAMED)
def access_explain(
    call: Call,
    *,
    actor: str = "",
    needs: Needs = "read",
    kind: str = "anything",
    resource: str = "",
    team: str = "",
    environment: str = "",
) -> Explanation:
    """Say whether someone (you) may do something, and by which grant, or what is missing and who can give it."""
    actors = call.plane.actors
    who = Actor(id=actor, name=actors.people.get(actor).name) if actor else call.actor
    what = Resource(kind=kind, id=resource, team=team, environment=environment)
    decision = actors.may(who, needs, what)
    return Explanation(
        actor=who.id,
        allowed=decision.allowed,
        reason=decision.reason,
        considered=[_grant(grant) for grant in decision.because],
    )


def _require_own_or_admin(call: Call, person: str) -> None:
    """What acts as somebody else is for admins of everything, whatever the role on that person may be."""
    if person != call.actor.id:
        call.plane.actors.require(call.actor, "admin", Resource(kind="person", id=person))
    elif not person.startswith("person:"):
        raise NotFound(f"{person} is no person and has neither tokens nor sessions; name one")


def _person(person: Person) -> PersonView:
    return PersonView(
        id=person.id, name=person.name, email=person.email, groups=list(person.groups), issuer=person.issuer,
        left_at=person.left_at,
    )  # fmt: skip


def _grant(grant: Grant) -> GrantView:
    return GrantView(**asdict(grant))


def _token(token: Token) -> TokenView:
    return TokenView(
        id=token.id, person=token.person, name=token.name, role=token.limit.role, team=token.limit.team,
        environment=token.limit.environment, created=token.created, expires=token.expires, last_used=token.last_used,
        revoked=token.revoked,
    )  # fmt: skip
