"""Rotations: who has the duty at a moment, and until when; pure.

A shift is a number of local days, so a hand-over keeps its wall-clock time when the clocks change: that shift is an hour
longer or shorter. A hand-over at a time the clocks skip comes as long after the change as it would have without it; one at a
time they show twice comes at the first (PEP 495, fold=0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """People who take turns of `days` days from `start` (aware) on."""

    name: str
    start: datetime
    days: int
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """`person` has the duty of `rotation` from `since` until before `until` (both aware)."""

    person: str
    since: datetime
    until: datetime
    rotation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Who has the duty, from when until before when (UTC). `instead_of` is whose turn it would be ("" : their own)."""

    rotation: str
    person: str
    since: datetime
    until: datetime
    instead_of: str = ""


def turn(rotation: Rotation, overrides: Sequence[Override], zone: str, moment: datetime) -> Turn | None:
    """The one who has the duty of a rotation at a moment; None before its first shift, unless an override covers that.

    Of overrides that overlap, the one written last holds."""
    regular = _regular(rotation, ZoneInfo(zone), moment)
    mine = [one for one in overrides if one.rotation == rotation.name]
    edges = [edge for one in mine for edge in (one.since, one.until)]
    covering = [one for one in mine if one.since <= moment < one.until]
    if not covering:
        if regular is None:
            return None
        since, until = _narrowed(edges, moment, regular.since, regular.until)
        return Turn(rotation=rotation.name, person=regular.person, since=since, until=until)
    chosen = covering[-1]
    since, until = _narrowed(edges, moment, chosen.since, chosen.until)
    if regular is not None:
        since, until = max(since, regular.since), min(until, regular.until)
    instead_of = regular.person if regular is not None and regular.person != chosen.person else ""
    return Turn(rotation=rotation.name, person=chosen.person, since=since, until=until, instead_of=instead_of)


def turns(
    rotation: Rotation, overrides: Sequence[Override], zone: str, start: datetime, end: datetime, limit: int = 100
) -> list[Turn]:
    """The turns from `start` until before `end`, in order, at most `limit`; times without anybody are left out."""
    found: list[Turn] = []
    moment = start
    while moment < end and len(found) < limit:
        here = turn(rotation, overrides, zone, moment)
        if here is not None:
            found.append(here)
            moment = here.until
            continue
        begins = [one.since for one in overrides if one.rotation == rotation.name and one.since > moment]
        moment = min([*begins, rotation.start.astimezone(UTC)]) if rotation.start > moment else end
    return found


def hand_over(rotation: Rotation, zone: ZoneInfo, number: int) -> datetime:
    """When shift `number` (from 0) begins, in UTC."""
    wall = rotation.start.astimezone(zone).replace(tzinfo=None, fold=0) + number * rotation.days * _DAY
    if number == 0:
        return rotation.start.astimezone(UTC)
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _regular(rotation: Rotation, zone: ZoneInfo, moment: datetime) -> Turn | None:
    if moment < rotation.start:
        return None
    number = (moment - rotation.start) // (rotation.days * _DAY)
    # A change of the clocks moves a hand-over by an hour or so against a plain division.
    while hand_over(rotation, zone, number) > moment:
        number -= 1
    while hand_over(rotation, zone, number + 1) <= moment:
        number += 1
    return Turn(
        rotation=rotation.name, person=rotation.people[number % len(rotation.people)],
        since=hand_over(rotation, zone, number), until=hand_over(rotation, zone, number + 1),
    )  # fmt: skip


def _narrowed(
    edges: Sequence[datetime], moment: datetime, since: datetime, until: datetime
) -> tuple[datetime, datetime]:
    """The stretch around a moment within which no override begins or ends."""
    before = [edge for edge in edges if since < edge <= moment]
    following = [edge for edge in edges if moment < edge < until]
    return max([since, *before]).astimezone(UTC), min([until, *following]).astimezone(UTC)
