"""The tables of runs: one row a run, a job, a step, and what steps left; written from the difference of two states.

A run's state is one JSON value in its row. The rows of jobs and steps say the same for queries and pages; nothing is decided
from them. Every index serves a query by its prefix, so one more run costs what the first one cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.kernel.clock import stamp
from opsroom.kernel.errors import NotFound
from opsroom.kernel.migrations import Migration, Retention
from opsroom.kernel.store import Tx, table
from opsroom.workflows.run import JobState, RunState, StepState, decode_run, encode

MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        name="workflows-0001",
        statements=(
            """CREATE TABLE runs (
                id TEXT PRIMARY KEY, number BIGINT NOT NULL, repository TEXT NOT NULL, workflow TEXT NOT NULL,
                name TEXT NOT NULL, title TEXT NOT NULL, commit_id TEXT NOT NULL, ref TEXT NOT NULL, event TEXT NOT NULL,
                trigger_event TEXT NOT NULL, queued_event TEXT NOT NULL, actor TEXT NOT NULL, service TEXT NOT NULL,
                status TEXT NOT NULL, waiting TEXT NOT NULL, conclusion TEXT NOT NULL, attempt INTEGER NOT NULL,
                state TEXT NOT NULL, revision BIGINT NOT NULL, context TEXT NOT NULL, source TEXT NOT NULL,
                created TEXT NOT NULL, started TEXT, finished TEXT, cpu_seconds DOUBLE PRECISION NOT NULL,
                price_version TEXT NOT NULL)""",
            "CREATE UNIQUE INDEX runs_number ON runs (repository, workflow, number)",
            "CREATE INDEX runs_workflow ON runs (repository, workflow, id)",
            "CREATE INDEX runs_status ON runs (status, id)",
            "CREATE INDEX runs_service ON runs (service, id)",
            "CREATE INDEX runs_commit ON runs (commit_id, id)",
            "CREATE INDEX runs_trigger ON runs (trigger_event)",
            "CREATE INDEX runs_finished ON runs (finished)",
            """CREATE TABLE run_jobs (
                run TEXT NOT NULL, job TEXT NOT NULL, attempt INTEGER NOT NULL, node TEXT NOT NULL, name TEXT NOT NULL,
                position INTEGER NOT NULL, status TEXT NOT NULL, waiting TEXT NOT NULL, conclusion TEXT NOT NULL,
                error TEXT NOT NULL, launches INTEGER NOT NULL, started TEXT, finished TEXT,
                cpu_seconds DOUBLE PRECISION NOT NULL, PRIMARY KEY (run, job, attempt))""",
            "CREATE INDEX run_jobs_status ON run_jobs (status)",
            """CREATE TABLE run_steps (
                run TEXT NOT NULL, job TEXT NOT NULL, attempt INTEGER NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL,
                name TEXT NOT NULL, status TEXT NOT NULL, outcome TEXT NOT NULL, conclusion TEXT NOT NULL,
                cuts INTEGER NOT NULL, exit_code INTEGER, error TEXT NOT NULL, started TEXT, finished TEXT,
                cpu_seconds DOUBLE PRECISION NOT NULL, PRIMARY KEY (run, job, attempt, position))""",
            """CREATE TABLE run_annotations (
                id {serial}, run TEXT NOT NULL, job TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL,
                level TEXT NOT NULL, message TEXT NOT NULL, place TEXT NOT NULL, title TEXT NOT NULL)""",
            "CREATE INDEX run_annotations_run ON run_annotations (run, id)",
            """CREATE TABLE run_summaries (
                id {serial}, run TEXT NOT NULL, job TEXT NOT NULL, attempt INTEGER NOT NULL, step INTEGER NOT NULL,
                markdown TEXT NOT NULL)""",
            "CREATE INDEX run_summaries_run ON run_summaries (run, id)",
            """CREATE TABLE run_artifacts (
                run TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, size BIGINT NOT NULL, files BIGINT NOT NULL,
                job TEXT NOT NULL, attempt INTEGER NOT NULL, created TEXT NOT NULL, PRIMARY KEY (run, name))""",
            "CREATE INDEX run_artifacts_digest ON run_artifacts (digest)",
            """CREATE TABLE run_groups (
                name TEXT PRIMARY KEY, holder TEXT NOT NULL, pending TEXT NOT NULL)""",
            """CREATE TABLE schedules (
                repository TEXT NOT NULL, workflow TEXT NOT NULL, cron TEXT NOT NULL, seen TEXT NOT NULL,
                PRIMARY KEY (repository, workflow, cron))""",
        ),
        retention={
            "runs": Retention(why="DORA figures, costs and evidence are counted from runs"),
            "run_jobs": Retention(why="part of a run"),
            "run_steps": Retention(why="part of a run"),
            "run_annotations": Retention(why="part of a run"),
            "run_summaries": Retention(why="part of a run"),
            "run_artifacts": Retention(
                why="what a run left; rows leave with the files, as the setting artifact_days says"
            ),
            "run_groups": Retention(why="a row leaves when its group is free"),
            "schedules": Retention(why="one row a cron line"),
        },
    ),
)

RUNS = table(
    "runs", "id", "number", "repository", "workflow", "name", "title", "commit_id", "ref", "event", "trigger_event",
    "queued_event", "actor", "service", "status", "waiting", "conclusion", "attempt", "revision", "source", "created",
    "started", "finished", "cpu_seconds", "price_version", json=("state", "context"),
)  # fmt: skip
JOBS = table(
    "run_jobs", "run", "job", "attempt", "node", "name", "position", "status", "waiting", "conclusion", "error", "launches",
    "started", "finished", "cpu_seconds",
)  # fmt: skip
STEPS = table(
    "run_steps", "run", "job", "attempt", "position", "id", "name", "status", "outcome", "conclusion", "cuts", "exit_code",
    "error", "started", "finished", "cpu_seconds",
)  # fmt: skip
ANNOTATIONS = table(
    "run_annotations", "id", "run", "job", "attempt", "step", "level", "message", "title", json=("place",)
)
SUMMARIES = table("run_summaries", "id", "run", "job", "attempt", "step", "markdown")
ARTIFACTS = table("run_artifacts", "run", "name", "digest", "size", "files", "job", "attempt", "created")

LIGHT = [column for column in RUNS.columns if column.name not in ("state", "context", "source")]
"""The columns of a list: everything but the large ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What stays the same about a run: where it came from and what its jobs are told. `context` is the planner's own JSON."""

    id: str
    number: int = 0
    repository: str
    workflow: str
    name: str
    title: str
    commit: str
    ref: str
    event: str
    trigger_event: str = ""
    queued_event: str = ""
    actor: str
    service: str = ""
    price_version: str = ""
    source: str
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subjects of every ledger event of this run."""
        pairs = (
            ("run", self.id), ("repository", self.repository), ("workflow", self.workflow), ("commit", self.commit),
            ("service", self.service),
        )  # fmt: skip
        return tuple(f"{kind}:{value}" for kind, value in pairs if value)


def next_number(tx: Tx, repository: str, workflow: str) -> int:
    """The number the next run of this workflow gets."""
    same = (RUNS.c.repository == repository, RUNS.c.workflow == workflow)
    last = tx.scalar(sa.select(RUNS.c.number).where(*same).order_by(RUNS.c.number.desc()).limit(1))
    return int(last or 0) + 1


def insert(tx: Tx, record: RunRecord, state: RunState, now: datetime) -> None:
    """Adds a run; its number is `next_number` of the same transaction."""
    tx.execute(
        sa.insert(RUNS).values(
            id=record.id, number=record.number, repository=record.repository, workflow=record.workflow, name=record.name,
            title=record.title, commit_id=record.commit, ref=record.ref, event=record.event, actor=record.actor,
            trigger_event=record.trigger_event, queued_event=record.queued_event, service=record.service,
            status=state.status, waiting=state.waiting, conclusion="", attempt=1, state=encode(state), revision=1,
            context=dict(record.context), source=record.source, created=stamp(now), started=None, finished=None,
            cpu_seconds=0.0, price_version=record.price_version,
        )
    )  # fmt: skip


def load(tx: Tx, run: str, *, lock: bool = False) -> tuple[RunRecord, RunState]:
    """A run as it stands; NotFound otherwise. `lock` holds its row until the transaction ends (PostgreSQL)."""
    query = sa.select(RUNS).where(RUNS.c.id == run)
    row = tx.row(query.with_for_update() if lock and tx.connection.dialect.name == "postgresql" else query)
    if row is None:
        raise NotFound(f"run {run!r} does not exist; `opsroom runs list` shows the newest")
    return _record(row), decode_run(row["state"])


def save(tx: Tx, record: RunRecord, old: RunState, new: RunState) -> None:
    """Writes a state, and the rows of those jobs and steps that changed."""
    tx.execute(
        sa.update(RUNS)
        .where(RUNS.c.id == record.id)
        .values(
            state=encode(new), revision=RUNS.c.revision + 1, status=new.status, waiting=new.waiting, conclusion=new.conclusion,
            attempt=new.attempt, started=new.started or None, finished=new.finished or None, cpu_seconds=new.cpu_seconds,
            queued_event=record.queued_event,
        )
    )  # fmt: skip
    _write_jobs(tx, old, new)


def unfinished(tx: Tx) -> list[str]:
    """Ids of all runs that have not ended, oldest first."""
    rows = tx.rows(
        sa.select(RUNS.c.id).where(RUNS.c.status.in_(("requested", "waiting", "running"))).order_by(RUNS.c.id)
    )
    return [str(row["id"]) for row in rows]


def keep_annotation(tx: Tx, run: str, job: JobState, data: Mapping[str, Any]) -> None:
    place = {name: data[name] for name in ("file", "line", "column") if data.get(name)}
    tx.execute(
        sa.insert(ANNOTATIONS).values(
            run=run, job=job.key, attempt=job.attempt, step=int(data.get("step", -1)), level=str(data.get("level", "notice")),
            message=str(data.get("message", "")), place=place, title=str(data.get("title") or ""),
        )
    )  # fmt: skip


def keep_summary(tx: Tx, run: str, job: JobState, data: Mapping[str, Any]) -> None:
    tx.execute(
        sa.insert(SUMMARIES).values(
            run=run,
            job=job.key,
            attempt=job.attempt,
            step=int(data.get("step", -1)),
            markdown=str(data.get("markdown", "")),
        )
    )


def keep_artifact(tx: Tx, run: str, job: JobState, data: Mapping[str, Any], now: datetime) -> None:
    """Keeps an artefact; one of the same name in the same run takes the place of the older one."""
    tx.execute(
        """INSERT INTO run_artifacts (run, name, digest, size, files, job, attempt, created)
           VALUES (:run, :name, :digest, :size, :files, :job, :attempt, :created)
           ON CONFLICT (run, name) DO UPDATE SET digest = excluded.digest, size = excluded.size, files = excluded.files,
               job = excluded.job, attempt = excluded.attempt, created = excluded.created""",
        {
            "run": run, "name": str(data["name"]), "digest": str(data["digest"]), "size": int(data.get("size", 0)),
            "files": _count(data.get("files", 0)), "job": job.key, "attempt": job.attempt, "created": stamp(now),
        },
    )  # fmt: skip


def _count(files: Any) -> int:
    return len(files) if isinstance(files, list | tuple) else int(files)


_UPSERT_JOB = """INSERT INTO run_jobs (run, job, attempt, node, name, position, status, waiting, conclusion, error, launches,
        started, finished, cpu_seconds)
    VALUES (:run, :job, :attempt, :node, :name, :position, :status, :waiting, :conclusion, :error, :launches,
        :started, :finished, :cpu_seconds)
    ON CONFLICT (run, job, attempt) DO UPDATE SET name = excluded.name, status = excluded.status, waiting = excluded.waiting,
        conclusion = excluded.conclusion, error = excluded.error, launches = excluded.launches, started = excluded.started,
        finished = excluded.finished, cpu_seconds = excluded.cpu_seconds"""

_UPSERT_STEP = """INSERT INTO run_steps (run, job, attempt, position, id, name, status, outcome, conclusion, cuts, exit_code,
        error, started, finished, cpu_seconds)
    VALUES (:run, :job, :attempt, :position, :id, :name, :status, :outcome, :conclusion, :cuts, :exit_code,
        :error, :started, :finished, :cpu_seconds)
    ON CONFLICT (run, job, attempt, position) DO UPDATE SET name = excluded.name, status = excluded.status,
        outcome = excluded.outcome, conclusion = excluded.conclusion, cuts = excluded.cuts, exit_code = excluded.exit_code,
        error = excluded.error, started = excluded.started, finished = excluded.finished, cpu_seconds = excluded.cpu_seconds"""


def _write_jobs(tx: Tx, old: RunState | None, new: RunState) -> None:
    before = {(job.key, job.attempt): job for job in old.jobs()} if old else {}
    jobs, steps = [], []
    for position, job in enumerate(new.jobs()):
        known = before.get((job.key, job.attempt))
        if known is job:
            continue
        jobs.append(_job_row(new.id, position, job))
        steps += [_step_row(new.id, job, step) for step in _changed_steps(known, job)]
    if jobs:
        tx.execute(_UPSERT_JOB, jobs)
    if steps:
        tx.execute(_UPSERT_STEP, steps)


def _changed_steps(known: JobState | None, job: JobState) -> Iterator[StepState]:
    before = {step.index: step for step in known.steps} if known else {}
    return (step for step in job.steps if before.get(step.index) is not step)


def _job_row(run: str, position: int, job: JobState) -> dict[str, Any]:
    return {
        "run": run, "job": job.key, "attempt": job.attempt, "node": job.node, "name": job.name or job.key, "position": position,
        "status": job.status, "waiting": job.waiting, "conclusion": job.conclusion, "error": job.error, "launches": job.launch,
        "started": job.started or None, "finished": job.finished or None, "cpu_seconds": job.cpu_seconds,
    }  # fmt: skip


def _step_row(run: str, job: JobState, step: StepState) -> dict[str, Any]:
    result = step.result
    return {
        "run": run, "job": job.key, "attempt": job.attempt, "position": step.index, "id": step.id, "name": step.name,
        "status": step.status, "outcome": result.outcome if result else "", "conclusion": result.conclusion if result else "",
        "cuts": step.cuts, "exit_code": result.exit_code if result else None, "error": result.error if result else "",
        "started": step.started or None, "finished": (result.finished or None) if result else None,
        "cpu_seconds": result.cpu_seconds if result else 0.0,
    }  # fmt: skip


def _record(row: RowMapping | Mapping[str, Any]) -> RunRecord:
    names: Sequence[str] = [name for name in RunRecord.__dataclass_fields__ if name != "commit"]
    return RunRecord(commit=row["commit_id"], **{name: row[name] for name in names})
