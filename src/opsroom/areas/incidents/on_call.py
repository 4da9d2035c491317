"""Who is on call for a service, by the schedules of the ops repo that are in force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from opsroom.areas.incidents.kinds import EscalationPolicySpec, OnCallScheduleSpec
from opsroom.areas.incidents.rotations import Override, Rotation, Turn, turn
from opsroom.contracts.facts import OwnerOf
from opsroom.contracts.plane import Plane
from opsroom.kernel.errors import NotFound
from opsroom.kernel.resources import Catalog, Resource, parse_ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as written, ready to be asked. `team` and `services` are bare names."""

    name: str
    team: str
    services: tuple[str, ...]
    timezone: str
    escalation: str
    rotations: tuple[Rotation, ...]
    overrides: tuple[Override, ...]

    def turns_at(self, moment: datetime) -> list[Turn]:
        """Who has the duty, one turn a rotation, in the order written; a rotation that has not begun gives none."""
        found = (turn(rotation, self.overrides, self.timezone, moment) for rotation in self.rotations)
        return [one for one in found if one is not None]


def schedules(catalog: Catalog) -> list[Schedule]:
    """Every schedule, by name."""
    return [schedule_of(resource) for resource in catalog.all("OnCallSchedule")]


def schedule_of(resource: Resource) -> Schedule:
    spec: OnCallScheduleSpec = resource.spec
    first = spec.rotations[0].name
    return Schedule(
        name=resource.name, team=bare(spec.team), services=tuple(bare(one) for one in spec.services),
        timezone=spec.timezone, escalation=bare(spec.escalation),
        rotations=tuple(
            Rotation(name=one.name, start=one.start, days=one.every, people=tuple(bare(person) for person in one.people))
            for one in spec.rotations
        ),
        overrides=tuple(
            Override(person=bare(one.person), since=one.since, until=one.until, rotation=one.rotation or first)
            for one in spec.overrides
        ),
    )  # fmt: skip


def schedule_for(plane: Plane, service: str, owner: str = "") -> tuple[Schedule | None, str]:
    """The schedule that covers a service, or None and why: one of its owner that names it, else one for all the owner has.

    `owner` saves asking for it."""
    who = owner or owner_of(plane, service)
    if not who:
        return None, f"{service or 'this'} has no owner in the catalog, so no schedule covers it"
    mine = [one for one in schedules(plane.catalogs.current()) if one.team == who]
    for one in sorted(mine, key=lambda schedule: not schedule.services):
        if not one.services or service in one.services:
            return one, ""
    return None, f"no OnCallSchedule covers {service or 'everything'} of {who}; add one to the ops repo"


def owner_of(plane: Plane, service: str) -> str:
    """The owner's bare name, `user:NAME` for a person, "" where nobody is known to own it."""
    if not service:
        return ""
    known = plane.ask(OwnerOf(service)).value or ""
    return known.removeprefix("group:")


def policy_of(catalog: Catalog, name: str) -> EscalationPolicySpec | None:
    resource = catalog.find("EscalationPolicy", name)
    return None if resource is None else resource.spec


def people_of(plane: Plane, targets: tuple[str, ...], service: str, owner: str) -> list[str]:
    """The people that `notify` names, in its order, each once; a group that is no more gives nobody."""
    return list(dict.fromkeys(_people(plane, targets, service, owner)))


def email_of(catalog: Catalog, person: str) -> str:
    """The address in the person's profile; "" where there is none."""
    user = catalog.find("User", person)
    return "" if user is None else str(user.spec.profile.email)


def bare(reference: str) -> str:
    """The name in a reference such as `group:shop-team`."""
    return parse_ref(reference, "")[1]


def _people(plane: Plane, targets: tuple[str, ...], service: str, owner: str) -> Iterator[str]:
    catalog = plane.catalogs.current()
    for target in targets:
        kind, _, name = target.partition(":")
        if kind == "user":
            yield bare(target)
        elif kind == "group":
            try:
                yield from catalog.members_of(name)
            except NotFound:
                continue
        else:
            schedule, _why = schedule_for(plane, service, owner)
            if schedule is not None:
                yield from (one.person for one in schedule.turns_at(plane.clock.now()))
