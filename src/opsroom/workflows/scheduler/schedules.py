"""Cron triggers: what is due, what was missed while the server was down, and what still runs from last time.

Times follow the cron line in its time zone (cronsim: a skipped local hour fires at its end, a repeated one once).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from opsroom.kernel.clock import parse_stamp, stamp
from opsroom.kernel.errors import Invalid
from opsroom.kernel.journal import Journal
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.store import Store, Tx, table
from opsroom.workflows.model import Workflow
from opsroom.workflows.planning import TriggerEvent
from opsroom.workflows.scheduler.files import WorkflowFiles
from opsroom.workflows.starting import Policy, Repository, Starter
from opsroom.workflows.store import RUNS

SCHEDULES = table("schedules", "repository", "workflow", "cron", "seen")
LATE = timedelta(minutes=2)
"""A time that was due longer ago than this was missed: the server was down."""
MOST_MISSED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """A workflow file at the head of its default branch."""

    path: str
    text: str
    repository: Repository
    ref: str
    commit: str


class Schedules:
    """Keeps, for every cron line, the time up to which it was looked at."""

    def __init__(
        self, *, store: Store, ledger: Ledger, journal: Journal, files: WorkflowFiles, starter: Starter
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._journal = journal
        self._files = files
        self._starter = starter
        self._told: set[tuple[str, str, str]] = set()

    def due(self, now: datetime, scheduled: Iterable[Scheduled]) -> list[str]:
        """Starts what is due at `now` and returns the ids of the runs. One bad file or line stops no other; it is logged once
        for each text of the file."""
        started: list[str] = []
        for one in scheduled:
            try:
                workflow = self._files.read(one.text, one.path)
                for cron in [cron for trigger in workflow.on if trigger.event == "schedule" for cron in trigger.cron]:
                    started += self._line(now, one, workflow, cron)
            except Invalid as problem:
                known = (one.repository.name, one.path, one.text)
                if known not in self._told:
                    self._told.add(known)
                    self._journal.warning("a schedule cannot be followed", workflow=one.path, problem=str(problem))
        return started

    def _line(self, now: datetime, one: Scheduled, workflow: Workflow, cron: str) -> list[str]:
        policy = one.repository.policy_of(one.path)
        mine = (
            SCHEDULES.c.repository == one.repository.name,
            SCHEDULES.c.workflow == one.path,
            SCHEDULES.c.cron == cron,
        )
        with self._store.read() as tx:
            seen = tx.scalar(sa.select(SCHEDULES.c.seen).where(*mine))
        times = occurrences(cron, parse_stamp(seen), now, policy.time_zone) if seen else []
        if seen and not times:
            return []
        with self._store.begin() as tx:
            if seen is None:
                new = {"repository": one.repository.name, "workflow": one.path, "cron": cron, "seen": stamp(now)}
                tx.execute(sa.insert(SCHEDULES).values(**new))
                return []
            moved = tx.execute(sa.update(SCHEDULES).where(*mine, SCHEDULES.c.seen == seen).values(seen=stamp(now)))
            return self._start(tx, now, one, cron, policy, times) if moved.rowcount else []

    def _start(
        self, tx: Tx, now: datetime, one: Scheduled, cron: str, policy: Policy, times: list[datetime]
    ) -> list[str]:
        missed = [time for time in times if now - time > LATE]
        on_time = len(missed) < len(times)
        if missed:
            makes_up = policy.missed == "run_once" and not on_time
            self._missed(tx, one, cron, missed, "the server was down", makes_up=makes_up)
            if not on_time and not makes_up:
                return []
        if policy.overlap == "skip" and (earlier := self._still_running(tx, one)):
            self._missed(tx, one, cron, times[-1:], f"run {earlier} of the time before still goes on", makes_up=False)
            return []
        event = TriggerEvent(
            name="schedule", ref=one.ref, commit=one.commit, payload={"schedule": cron}, actor="system:schedule",
            repository=one.repository.name,
        )  # fmt: skip
        group = f"schedule {one.path}" if policy.overlap == "queue" else ""
        return [self._starter.start_in(tx, one.path, one.text, event, one.repository, group=group)]

    def _still_running(self, tx: Tx, one: Scheduled) -> str:
        same = (RUNS.c.repository == one.repository.name, RUNS.c.workflow == one.path, RUNS.c.event == "schedule")
        query = sa.select(RUNS.c.id, RUNS.c.status).where(*same).order_by(RUNS.c.id.desc()).limit(1)
        last = tx.row(query)
        return str(last["id"]) if last is not None and last["status"] != "finished" else ""

    def _missed(self, tx: Tx, one: Scheduled, cron: str, times: list[datetime], reason: str, *, makes_up: bool) -> None:
        subjects = [f"workflow:{one.path}", f"repository:{one.repository.name}"]
        service = one.repository.service_of(one.path)
        self._ledger.record(
            tx,
            "schedule.missed",
            actor="system:schedule",
            subjects=[*subjects, f"service:{service}"] if service else subjects,
            data={
                "cron": cron, "reason": reason, "times": len(times), "first": stamp(times[0]), "last": stamp(times[-1]),
                "run_once_instead": makes_up,
            },
        )  # fmt: skip


def occurrences(cron: str, after: datetime, until: datetime, time_zone: str) -> list[datetime]:
    """The times of a cron line in (after, until], at most the last 1,000. Invalid: the line or the zone is not one."""
    from cronsim import CronSim, CronSimError

    try:
        zone = ZoneInfo(time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise Invalid(f"time zone {time_zone!r} is unknown; write it as in Europe/Berlin") from None
    try:
        iterator = CronSim(cron, after.astimezone(zone))
    except CronSimError as error:
        raise Invalid(f"cron line {cron!r} is not one: {error}") from None
    found: list[datetime] = []
    for time in iterator:
        if time > until:
            break
        found.append(time)
        if len(found) > MOST_MISSED:
            del found[0]
    return found
