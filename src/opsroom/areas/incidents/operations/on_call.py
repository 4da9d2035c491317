"""On call: who has the duty, and who follows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from opsroom.areas.incidents.on_call import Schedule, schedule_for, schedules
from opsroom.areas.incidents.rotations import Turn, turns
from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import Shared

AHEAD = timedelta(days=28)


class TurnView(Model):
    """Someone's turn, from when until when; `instead_of` is whose turn it would be without the override ("" : their own)."""

    person: str
    since: datetime
    until: datetime
    instead_of: str


class RotationView(Model):
    """A rotation: who has the duty (None: it has not begun), and who follows within four weeks."""

    name: str
    now: TurnView | None
    following: list[TurnView]


class OnCallView(Model):
    """A schedule at a moment; its first rotation is paged first. `on_call` are the people who are called, in that order, and `until` when
    the first of them hands over (None: nobody is on call)."""

    columns: ClassVar[tuple[str, ...]] = ("schedule", "team", "on_call", "until", "escalation", "timezone")
    schedule: str
    team: str
    services: list[str]
    timezone: str
    escalation: str
    at: datetime
    on_call: list[str]
    until: datetime | None
    rotations: list[RotationView]


@operation("oncall.show", scope=Shared("whom to call is for everyone to know"))
def show_on_call(call: Call, *, service: str = "", team: str = "", at: datetime | None = None) -> list[OnCallView]:
    """Who is on call, now or at a moment, by schedule; for one service, for one team, or for all. Error: unknown service."""
    plane, moment = call.plane, at or call.plane.clock.now()
    found = schedules(plane.catalogs.current())
    if service:
        plane.catalogs.current().get("Component", service)
        covering, _ = schedule_for(plane, service)
        found = [one for one in found if covering is not None and one.name == covering.name]
    return [_view(one, moment) for one in found if not team or one.team == team]


def _view(schedule: Schedule, moment: datetime) -> OnCallView:
    rotations = []
    for rotation in schedule.rotations:
        ahead = turns(rotation, schedule.overrides, schedule.timezone, moment, moment + AHEAD, limit=50)
        here = ahead[0] if ahead and ahead[0].since <= moment else None
        following = ahead[1:] if here else ahead
        rotations.append(
            RotationView(
                name=rotation.name, now=_turn(here) if here else None, following=[_turn(one) for one in following]
            )
        )
    now = [rotation.now for rotation in rotations if rotation.now]
    return OnCallView(
        schedule=schedule.name, team=schedule.team, services=list(schedule.services), timezone=schedule.timezone,
        escalation=schedule.escalation, at=moment, on_call=list(dict.fromkeys(turn.person for turn in now)),
        until=min((turn.until for turn in now), default=None), rotations=rotations,
    )  # fmt: skip


def _turn(turn: Turn) -> TurnView:
    return TurnView(person=turn.person, since=turn.since, until=turn.until, instead_of=turn.instead_of)
