"""The kinds of incidents: OnCallSchedule and EscalationPolicy (docs/reference/ops-repo.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from opsroom.kernel.errors import Problem
from opsroom.kernel.resources import (
    Catalog,
    Count,
    Duration,
    Kind,
    Name,
    Reference,
    Resource,
    Spec,
    Text,
    Time,
    TimeZone,
)

_SHIFT = re.compile(r"([1-9][0-9]{0,2})([dw])")


def _shift_days(value: Any) -> Any:
    found = _SHIFT.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, str) and found is None:
        raise ValueError("not the length of a shift; write it as 1d, 1w, or a number of them such as 2w")
    return int(found[1]) * (7 if found[2] == "w" else 1) if found else value


Days = Annotated[
    int,
    BeforeValidator(_shift_days),
    Field(ge=1),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,2}[dw]$"}),
]
"""Whole days, written as `1d` or `2w`."""

Target = Annotated[str, Field(pattern=r"^(on-call|user:.+|group:.+)$")]


class RotationSpec(Spec):
    """People who take turns."""

    name: Name
    start: Time
    every: Days
    people: Annotated[tuple[Text, ...], Field(min_length=1)]


class OverrideSpec(Spec):
    """Someone who takes another's turn. `rotation` None: the first."""

    person: Text
    since: Time = Field(alias="from")
    until: Time
    rotation: Name | None = None


class OnCallScheduleSpec(Spec):
    """Who is on call for what a team owns."""

    team: Text
    services: tuple[Text, ...] = ()
    timezone: TimeZone = "UTC"
    escalation: Text
    rotations: Annotated[tuple[RotationSpec, ...], Field(min_length=1)]
    overrides: tuple[OverrideSpec, ...] = ()


class StepSpec(Spec):
    """Whom to call, by what, and when: seconds since the incident opened."""

    after: Duration
    notify: Annotated[tuple[Target, ...], Field(min_length=1)]
    channels: Annotated[tuple[Text, ...], Field(min_length=1)]


class EscalationPolicySpec(Spec):
    """In which order people are called until someone says that they are on it."""

    steps: Annotated[tuple[StepSpec, ...], Field(min_length=1)]
    repeat: Count = 0
    repeat_after: Duration = 300.0
    severities: tuple[Literal["SEV1", "SEV2", "SEV3"], ...] = ("SEV1", "SEV2", "SEV3")


def _check_schedule(resource: Resource, catalog: Catalog) -> Iterable[Problem]:
    spec: OnCallScheduleSpec = resource.spec
    names = [rotation.name for rotation in spec.rotations]
    for index, name in enumerate(names):
        if name in names[:index]:
            place = resource.place_of("rotations", index, "name")
            yield Problem(place, f"rotation {name!r} stands twice in {resource.name}", "give it another name")
    for index, override in enumerate(spec.overrides):
        if override.until <= override.since:
            place = resource.place_of("overrides", index, "until")
            yield Problem(place, f"the override of {override.person} ends before it begins", "swap from and until")
        if override.rotation is not None and override.rotation not in names:
            place = resource.place_of("overrides", index, "rotation")
            yield Problem(place, f"{resource.name} has no rotation {override.rotation!r}", f"it has {', '.join(names)}")


KINDS: tuple[Kind, ...] = (
    Kind(
        name="OnCallSchedule", api_version="opsroom.dev/v1", model=OnCallScheduleSpec, area="incidents",
        references=(
            Reference("team", "Group"), Reference("services[]", "Component"), Reference("escalation", "EscalationPolicy"),
            Reference("rotations[].people[]", "User"), Reference("overrides[].person", "User"),
        ),
        check=_check_schedule,
    ),
    Kind(
        name="EscalationPolicy", api_version="opsroom.dev/v1", model=EscalationPolicySpec, area="incidents",
        plural="EscalationPolicies",
        references=(
            Reference("steps[].notify[]", "User", "Group", also=("on-call",)),
            Reference("steps[].channels[]", "NotificationChannel"),
        ),
    ),
)  # fmt: skip
