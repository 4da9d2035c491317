"""When load was sent: the windows of load tests, from their first request to their last, and those of steady traffic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from opsroom.areas.performance.kinds import LoadTestSpec
from opsroom.areas.performance.store import SESSIONS, TRAFFIC
from opsroom.contracts.actions import ActionCall
from opsroom.contracts.facts import Answer, Load, LoadDuring, Running
from opsroom.contracts.plane import Plane
from opsroom.kernel.store import Tx, table

WINDOWS = table(
    "load_windows", "key", "test", "service", "environment", "run", "mutes", "event", times=("started", "planned", "ended")
)  # fmt: skip
QUIET = timedelta(seconds=5)
"""Traffic of which nothing was heard for this long has ended."""


@contextmanager
def window(call: ActionCall, name: str, spec: LoadTestSpec, running: Running, *, times: int) -> Iterator[None]:
    """Keeps that a load test runs while the block does, and tells of its beginning. One whose server is killed is taken as over when `times`
    measurements of it would have been."""
    plane = call.call.plane
    now = plane.clock.now()
    longest = timedelta(seconds=times * (spec.warmup + spec.duration + spec.timeout))
    with plane.store.begin() as tx:
        event = plane.ledger.record(
            tx, "loadtest.started", actor=call.call.actor.id, cause=call.call.cause or running.event, time=now,
            subjects=[f"service:{spec.service}", f"environment:{running.environment}", f"digest:{running.digest}", f"run:{call.run}"],
            key=f"loadtest.started:{call.key}", data={"test": name, "rate": spec.rate, "seconds_planned": spec.warmup + spec.duration},
        )  # fmt: skip
        tx.execute(sa.delete(WINDOWS).where(WINDOWS.c.key == call.key))
        tx.execute(
            sa.insert(WINDOWS).values(
                key=call.key, test=name, service=spec.service, environment=running.environment, run=call.run,
                mutes=int(mutes(plane, spec, running.environment)), started=now, planned=now + longest, ended=None,
                event=event.id,
            )
        )  # fmt: skip
    try:
        yield
    finally:
        with plane.store.begin() as tx:
            tx.execute(sa.update(WINDOWS).where(WINDOWS.c.key == call.key).values(ended=plane.clock.now()))


def mutes(plane: Plane, spec: LoadTestSpec, environment: str) -> bool:
    """Whether alerts that the test causes there call nobody: as its file says, else everywhere but in production."""
    if spec.alerts is not None:
        return spec.alerts == "mute"
    found = plane.catalogs.current().find("Environment", environment)
    return found is not None and found.spec.tier != "production"


def load_during(plane: Plane, question: LoadDuring) -> Answer[tuple[Load, ...]]:
    """Load tests and steady traffic that overlap the time; never unknown, for what Opsroom did not send is not asked for."""
    now = plane.clock.now()
    with plane.store.read() as tx:
        found = [*_tests(tx, question, now), *_sessions(tx, question, now)]
    told = tuple(_with_event(plane, one) if not one.event else one for one in found)
    chosen = [one for one in told if question.environment in ("", one.environment)]
    chosen.sort(key=lambda one: (one.since, one.test))
    return Answer(value=tuple(chosen), at=now, events=tuple(one.event for one in chosen if one.event))


def _tests(tx: Tx, question: LoadDuring, now: datetime) -> Iterator[Load]:
    query = sa.select(WINDOWS).where(WINDOWS.c.planned >= question.since, WINDOWS.c.started <= question.until)
    for row in tx.rows(query):
        over = row["ended"] or min(row["planned"], now)
        if over < question.since:
            continue
        yield Load(
            kind="test", test=row["test"], service=row["service"], environment=row["environment"], since=row["started"],
            until=over, going_on=row["ended"] is None and row["planned"] > now, mutes=bool(row["mutes"]), event=row["event"],
        )  # fmt: skip


def _sessions(tx: Tx, question: LoadDuring, now: datetime) -> Iterator[Load]:
    last = sa.func.max(TRAFFIC.c.second).label("last")
    lately = (
        sa.select(TRAFFIC.c.session, last)
        .where(TRAFFIC.c.second >= int(question.since.timestamp()), TRAFFIC.c.second < question.until.timestamp())
        .group_by(TRAFFIC.c.session)
    )
    ends = {row["session"]: datetime.fromtimestamp(int(row["last"]) + 1, UTC) for row in tx.rows(lately)}
    for row in tx.rows(sa.select(SESSIONS).where(SESSIONS.c.id.in_(list(ends)))) if ends else ():
        yield Load(
            kind="traffic", test=row["test"], service=row["service"], environment=row["environment"],
            since=min(row["started"], ends[row["id"]]), until=ends[row["id"]], going_on=now - ends[row["id"]] <= QUIET,
            mutes=False, event="",
        )  # fmt: skip


def _with_event(plane: Plane, load: Load) -> Load:
    """Steady traffic with the last event that tells of it."""
    subjects = [f"service:{load.service}", f"environment:{load.environment}"]
    told = plane.ledger.find(
        types=["traffic.measured"], subjects=subjects, until=load.until + timedelta(minutes=1), limit=1
    )
    return replace(load, event=told[0].id) if told else load
