"""Schedules: list."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import ClassVar

from opsroom.areas.automation.jobs import scheduled
from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.repositories import read_workflow_of
from opsroom.contracts.scopes import SEEN
from opsroom.workflows.engine import Scheduled
from opsroom.workflows.scheduler.schedules import occurrences
from opsroom.workflows.views import RunFilter

AHEAD = timedelta(days=366)


class ScheduleView(Model):
    """One cron line of a workflow. `next` is None where it is paused or has no time within a year."""

    columns: ClassVar[tuple[str, ...]] = ("name", "cron", "timezone", "paused", "next", "last_conclusion", "workflow")
    repository: str
    workflow: str
    name: str
    service: str
    cron: str
    timezone: str
    overlap: str
    missed: str
    paused: bool
    next: datetime | None
    last_run: str
    last_conclusion: str


@operation("schedules.list", scope=SEEN)
def list_schedules(call: Call) -> list[ScheduleView]:
    """Every scheduled workflow, with its next time and its last run."""
    return [view for one, paused in scheduled(call.plane) for view in _views(call, one, paused)]


def _views(call: Call, one: Scheduled, paused: bool) -> Iterator[ScheduleView]:
    plane = call.plane
    read, _ = read_workflow_of(plane, one.path, one.text)
    if read is None:
        return
    policy, now = one.repository.policy_of(one.path), plane.clock.now()
    wanted = RunFilter(repository=one.repository.name, workflow=one.path, event="schedule")
    last = next(iter(plane.engine.list(wanted, limit=1).runs), None)
    for cron in [cron for trigger in read.on if trigger.event == "schedule" for cron in trigger.cron]:
        yield ScheduleView(
            repository=one.repository.name, workflow=one.path, name=read.name, service=one.repository.service_of(one.path),
            cron=cron, timezone=policy.time_zone,
            overlap=policy.overlap, missed=policy.missed.replace("_", "-"), paused=paused,
            next=None if paused else _next(cron, now, policy.time_zone),
            last_run=last.id if last else "", last_conclusion=last.conclusion if last else "",
        )  # fmt: skip


def _next(cron: str, now: datetime, timezone: str) -> datetime | None:
    """The first time after now; looked for in growing steps, since a line may fire every minute or once a year."""
    for step in (timedelta(hours=2), timedelta(days=8), AHEAD):
        if found := occurrences(cron, now, now + step, timezone):
            return found[0]
    return None
