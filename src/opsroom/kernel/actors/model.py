"""Who acts, what they may do, and why: actors, roles, grants, and the decision as a pure function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Needs = Literal["read", "operate", "approve", "admin"]
Role = Literal["viewer", "operator", "approver", "admin"]

VERBS: tuple[Needs, ...] = ("read", "operate", "approve", "admin")
ROLES: tuple[Role, ...] = ("viewer", "operator", "approver", "admin")
"""Each role may do what the one before it may, and one verb more: read, operate, approve, admin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a token is held to, whatever its owner may do. Empty: no limit in that respect."""

    role: str = ""
    team: str = ""
    environment: str = ""

    @property
    def any(self) -> bool:
        return bool(self.role or self.team or self.environment)

    def __str__(self) -> str:
        return f"{self.role or 'every role'} on {where_of(self.team, self.environment)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Someone or something that acts. `id` is "person:maria", "run:run_…", "runner:NAME" or "system:NAME".

    `roles` are held everywhere by construction (system parts, runs); those of people stand in grants. `limit` is that of the
    token they came with; `via` names the token or session ("" : neither)."""

    id: str
    name: str
    roles: tuple[str, ...] = ()
    limit: Limit = Limit()
    via: str = ""

    @property
    def kind(self) -> str:
        return self.id.partition(":")[0]

    @classmethod
    def system(cls, name: str) -> Actor:
        """A part of Opsroom itself, such as the scheduler: may do everything."""
        return cls(id=f"system:{name}", name=name, roles=("admin",))

    @classmethod
    def run(cls, run: str) -> Actor:
        """A workflow run: may operate; what it may touch is limited further by the workflow's `permissions:`."""
        return cls(id=f"run:{run}", name=run, roles=("operator",))

    @classmethod
    def runner(cls, name: str) -> Actor:
        """A machine that carries out jobs: may do nothing but report on them."""
        return cls(id=f"runner:{name}", name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What is acted upon. Empty `team` or `environment`: it belongs to none, or to several."""

    kind: str
    id: str = ""
    team: str = ""
    environment: str = ""

    def __str__(self) -> str:
        name = f"{self.kind} {self.id}".strip()
        inside = [f"{key} {value}" for key, value in (("team", self.team), ("environment", self.environment)) if value]
        return f"{name} ({', '.join(inside)})" if inside else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role held by "person:NAME" or "group:NAME", in one team and environment or (empty) in all."""

    id: str
    holder: str
    role: str
    team: str = ""
    environment: str = ""
    granted_by: str = ""
    granted_at: datetime | None = None
    expires: datetime | None = None

    def covers(self, resource: Resource) -> bool:
        """A grant for one team says nothing about what belongs to no team."""
        return self.team in ("", resource.team) and self.environment in ("", resource.environment)

    def __str__(self) -> str:
        return f"{self.role} to {self.holder} on {where_of(self.team, self.environment)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """May they, and why: `reason` names the grant, or what is missing and who can give it; `because` lists the grants considered."""

    allowed: bool
    reason: str
    because: tuple[Grant, ...] = ()


def gives(role: str, needs: str) -> bool:
    """Whether a role may do what needs this verb."""
    return role in ROLES and needs in VERBS and ROLES.index(role) >= VERBS.index(needs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One stretch of what an actor may do: in a team and an environment, or (empty) in all of them."""

    team: str = ""
    environment: str = ""

    def covers(self, team: str, environment: str) -> bool:
        """What is held for one team says nothing about what belongs to no team; so for environments."""
        return self.team in ("", team) and self.environment in ("", environment)


def reach(actor: Actor, needs: Needs, grants: Sequence[Grant]) -> tuple[Reach, ...]:
    """Where the actor may do what needs this verb, by the same rules as `decide`; empty: nowhere."""
    limit = actor.limit
    if limit.role and not gives(limit.role, needs):
        return ()
    held = [Reach() for role in actor.roles if gives(role, needs)]
    held += [Reach(team=one.team, environment=one.environment) for one in grants if gives(one.role, needs)]
    cut = (
        Reach(team=one.team or limit.team, environment=one.environment or limit.environment)
        for one in held
        if "" in (one.team, limit.team) or one.team == limit.team
        if "" in (one.environment, limit.environment) or one.environment == limit.environment
    )
    return tuple(dict.fromkeys(cut))


def decide(
    actor: Actor, needs: Needs, resource: Resource, grants: Sequence[Grant], admins: Sequence[Grant] = ()
) -> Decision:
    """`grants` are those of the actor and its groups that hold now; `admins` all admin grants, to name who can help."""
    because = tuple(grants)
    if refusal := _beyond_limit(actor, needs, resource):
        return Decision(allowed=False, reason=refusal, because=because)
    for role in actor.roles:
        if gives(role, needs):
            return Decision(allowed=True, reason=f"{actor.id} is {role} by what it is", because=because)
    for grant in grants:
        if gives(grant.role, needs) and grant.covers(resource):
            return Decision(allowed=True, reason=f"grant {grant.id}: {grant}", because=because)
    if _is_own(actor, needs, resource):
        return Decision(allowed=True, reason=f"{resource} is {actor.id}'s own", because=because)
    return Decision(allowed=False, reason=_missing(actor, needs, resource, grants, admins), because=because)


def _beyond_limit(actor: Actor, needs: Needs, resource: Resource) -> str:
    limit = actor.limit
    outside = (limit.role and not gives(limit.role, needs)) or not (
        limit.team in ("", resource.team) and limit.environment in ("", resource.environment)
    )
    return (
        f"{actor.via or 'this token'} is limited to {limit}; {needs} on {resource} needs another token"
        if outside
        else ""
    )


def _is_own(actor: Actor, needs: Needs, resource: Resource) -> bool:
    """Everyone may see and manage their own tokens and sign-ins, but not with a token that is limited."""
    return (
        actor.kind == "person"
        and not actor.limit.any
        and resource.kind == "person"
        and resource.id == actor.id
        and needs in ("read", "operate")
    )


def _missing(actor: Actor, needs: Needs, resource: Resource, grants: Sequence[Grant], admins: Sequence[Grant]) -> str:
    role = ROLES[VERBS.index(needs)]
    held = "; ".join(str(grant) for grant in grants) or "no role at all"
    helpers = sorted({grant.holder for grant in admins if grant.covers(resource)})
    who = " or ".join(helpers[:3]) or "an admin"
    return f"{needs} on {resource} needs {role} there; {actor.id} has {held}; {who} can grant it"


def where_of(team: str, environment: str) -> str:
    return f"{f'team {team}' if team else 'every team'}, {f'environment {environment}' if environment else 'every environment'}"
