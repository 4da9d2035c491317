"""Runs as the rest of the house sees them: typed, frozen, read from the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.kernel.clock import parse_stamp, stamp
from opsroom.kernel.errors import Invalid, NotFound
from opsroom.kernel.store import Tx, called
from opsroom.workflows.store import ANNOTATIONS, ARTIFACTS, JOBS, LIGHT, RUNS, STEPS, SUMMARIES

PAGE_LIMIT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. `trigger` is the ledger event that caused it, `queued` the event that says it was queued; `waiting` says what the
    run itself waits for; `conclusion` is "" until it has finished."""

    id: str
    number: int
    repository: str
    workflow: str
    name: str
    title: str
    commit: str
    ref: str
    event: str
    trigger: str
    queued: str
    actor: str
    service: str
    status: str
    waiting: str
    conclusion: str
    attempt: int
    created: datetime
    started: datetime | None
    finished: datetime | None
    cpu_seconds: float
    price_version: str

    @property
    def seconds(self) -> float | None:
        """From the first job's start to the end; None while either is missing."""
        return None if self.started is None or self.finished is None else (self.finished - self.started).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep:
    """One step that was reached. `cuts` counts how often a crash cut it off; `position` counts from 0."""

    position: int
    id: str
    name: str
    status: str
    outcome: str
    conclusion: str
    cuts: int
    exit_code: int | None
    error: str
    started: datetime | None
    finished: datetime | None
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """One job. `key` names it within the run; `waiting` is what it waits for; `node` is the job as written."""

    key: str
    node: str
    attempt: int
    name: str
    status: str
    waiting: str
    conclusion: str
    error: str
    started: datetime | None
    finished: datetime | None
    cpu_seconds: float
    step_names: tuple[str, ...] = ()
    steps: tuple[RunStep, ...] = ()
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A message for people. `step` -1: about the job; `place` "file:line:column" or ""."""

    job: str
    attempt: int
    step: int
    level: str
    message: str
    title: str
    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What a run left under a name; `size` in bytes."""

    run: str
    name: str
    digest: str
    size: int
    files: int
    job: str
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """A run with all that belongs to it; `summaries` are Markdown, in the order written."""

    run: Run
    jobs: tuple[RunJob, ...]
    annotations: tuple[Annotation, ...]
    summaries: tuple[str, ...]
    artifacts: tuple[Artifact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """What to list; "" matches all. `workflow` is a path."""

    repository: str = ""
    workflow: str = ""
    service: str = ""
    status: str = ""
    conclusion: str = ""
    event: str = ""
    commit: str = ""
    ref: str = ""
    trigger: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """`next` is the cursor for the next page, "" at the end."""

    runs: tuple[Run, ...]
    next: str


def read_run(tx: Tx, id: str) -> Run:
    """NotFound: there is no such run."""
    row = tx.row(sa.select(*LIGHT).where(RUNS.c.id == id))
    if row is None:
        raise NotFound(f"run {id!r} does not exist; `opsroom runs list` shows the newest")
    return _run(row)


def read_runs(tx: Tx, wanted: RunFilter, *, cursor: str, limit: int) -> RunPage:
    """Newest first. Invalid: a limit that is not within 1 to 200."""
    if not 1 <= limit <= PAGE_LIMIT:
        raise Invalid(f"limit {limit} is not within 1 to {PAGE_LIMIT}")
    columns = {"trigger": "trigger_event"}
    names = ("repository", "workflow", "service", "status", "conclusion", "event", "ref", "trigger")
    where: list[Any] = [
        RUNS.c[columns.get(name, name)] == getattr(wanted, name) for name in names if getattr(wanted, name)
    ]
    if wanted.commit:
        where.append(called(RUNS.c.commit_id, wanted.commit))
    if cursor:
        where.append(RUNS.c.id < cursor)
    if wanted.since is not None:
        where.append(RUNS.c.created >= stamp(wanted.since))
    rows = tx.rows(sa.select(*LIGHT).where(*where).order_by(RUNS.c.id.desc()).limit(limit + 1))
    runs = tuple(_run(row) for row in rows[:limit])
    return RunPage(runs=runs, next=runs[-1].id if len(rows) > limit else "")


def read_annotations(tx: Tx, run: str) -> tuple[Annotation, ...]:
    rows = tx.rows(sa.select(ANNOTATIONS).where(ANNOTATIONS.c.run == run).order_by(ANNOTATIONS.c.id))
    return tuple(_annotation(row) for row in rows)


def read_summaries(tx: Tx, run: str) -> tuple[str, ...]:
    rows = tx.rows(sa.select(SUMMARIES.c.markdown).where(SUMMARIES.c.run == run).order_by(SUMMARIES.c.id))
    return tuple(str(row["markdown"]) for row in rows)


def read_artifacts(tx: Tx, run: str) -> tuple[Artifact, ...]:
    rows = tx.rows(sa.select(ARTIFACTS).where(ARTIFACTS.c.run == run).order_by(ARTIFACTS.c.name))
    return tuple(_artifact(row) for row in rows)


def read_jobs(tx: Tx, run: str, attempt: int | None = None) -> tuple[RunJob, ...]:
    """The jobs of all attempts, or of one, in the order written."""
    mine = JOBS.c.run == run if attempt is None else sa.and_(JOBS.c.run == run, JOBS.c.attempt == attempt)
    jobs = tx.rows(sa.select(JOBS).where(mine).order_by(JOBS.c.attempt, JOBS.c.position))
    steps = tx.rows(sa.select(STEPS).where(STEPS.c.run == run).order_by(STEPS.c.position))
    return tuple(
        _job(row, [one for one in steps if (one["job"], one["attempt"]) == (row["job"], row["attempt"])])
        for row in jobs
    )


def _run(row: RowMapping) -> Run:
    return Run(
        id=row["id"], number=row["number"], repository=row["repository"], workflow=row["workflow"], name=row["name"],
        title=row["title"], commit=row["commit_id"], ref=row["ref"], event=row["event"], trigger=row["trigger_event"],
        queued=row["queued_event"], actor=row["actor"], service=row["service"], status=row["status"], waiting=row["waiting"],
        conclusion=row["conclusion"], attempt=row["attempt"], created=parse_stamp(row["created"]),
        started=_time(row["started"]), finished=_time(row["finished"]), cpu_seconds=row["cpu_seconds"],
        price_version=row["price_version"],
    )  # fmt: skip


def _job(row: RowMapping, steps: Sequence[RowMapping]) -> RunJob:
    return RunJob(
        key=row["job"], node=row["node"], attempt=row["attempt"], name=row["name"], status=row["status"], waiting=row["waiting"],
        conclusion=row["conclusion"], error=row["error"], started=_time(row["started"]), finished=_time(row["finished"]),
        cpu_seconds=row["cpu_seconds"], steps=tuple(_step(step) for step in steps),
    )  # fmt: skip


def _step(row: RowMapping) -> RunStep:
    return RunStep(
        position=row["position"], id=row["id"], name=row["name"], status=row["status"], outcome=row["outcome"],
        conclusion=row["conclusion"], cuts=row["cuts"], exit_code=row["exit_code"], error=row["error"],
        started=_time(row["started"]), finished=_time(row["finished"]), cpu_seconds=row["cpu_seconds"],
    )  # fmt: skip


def _annotation(row: RowMapping) -> Annotation:
    place = row["place"] or {}
    return Annotation(
        job=row["job"], attempt=row["attempt"], step=row["step"], level=row["level"], message=row["message"], title=row["title"],
        file=str(place.get("file", "")), line=int(place.get("line", 0) or 0), column=int(place.get("column", 0) or 0),
    )  # fmt: skip


def _artifact(row: RowMapping) -> Artifact:
    return Artifact(
        run=row["run"], name=row["name"], digest=row["digest"], size=row["size"], files=row["files"], job=row["job"],
        created=parse_stamp(row["created"]),
    )  # fmt: skip


def _time(text: str | None) -> datetime | None:
    return parse_stamp(text) if text else None
