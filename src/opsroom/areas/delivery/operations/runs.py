"""Runs: list, show, log, cancel, run again, and why one waits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from opsroom.areas.delivery import artifact_store
from opsroom.areas.delivery.places import place_of
from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import SEEN
from opsroom.kernel.actors import Resource
from opsroom.workflows import views


class RunView(Model):
    """One run. `workflow` is its path; `conclusion` is "" while it goes on; `trigger` the ledger event that caused it, `queued` the
    one that says it was queued. `seconds` from the first job's start to the end."""

    columns: ClassVar[tuple[str, ...]] = (
        "id", "status", "conclusion", "repository", "name", "number", "commit", "event", "started", "seconds",
    )  # fmt: skip
    id: str
    number: int
    workflow: str
    name: str
    title: str
    repository: str
    commit: str
    ref: str
    event: str
    service: str
    status: str
    waiting: str
    conclusion: str
    attempt: int
    actor: str
    trigger: str
    queued: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    seconds: float | None
    cpu_seconds: float
    price_version: str


class StepView(Model):
    """One step that was reached, or is still to come (`status` waiting). `cuts` counts how often a crash cut it off."""

    position: int
    id: str
    name: str
    status: str
    conclusion: str
    exit_code: int | None
    error: str
    cuts: int
    started: datetime | None
    finished: datetime | None
    seconds: float | None


class JobView(Model):
    """One job of the run's present attempt. `id` names it in runs.log; `waiting` says what it waits for."""

    id: str
    node: str
    name: str
    needs: list[str]
    status: str
    waiting: str
    conclusion: str
    error: str
    attempt: int
    started: datetime | None
    finished: datetime | None
    seconds: float | None
    cpu_seconds: float
    steps: list[StepView]


class AnnotationView(Model):
    """A message for people: level is notice, warning or error; `step` -1: about the job."""

    job: str
    step: int
    level: str
    message: str
    title: str
    file: str
    line: int
    column: int


class RunFile(Model):
    """What the run left under a name."""

    name: str
    digest: str
    size: int


class TestView(Model):
    """What a job reported of its tests; each failure has suite, name, message, text, file and line."""

    job: str
    tests: int
    failed: int
    skipped: int
    seconds: float
    failures: list[dict[str, Any]]


class RunDetail(RunView):
    """A run with its jobs, annotations, summaries (Markdown), files and tests."""

    jobs: list[JobView]
    annotations: list[AnnotationView]
    summaries: list[str]
    files: list[RunFile]
    tests: list[TestView]


class LineView(Model):
    """One line: `stream` is out, err, group, endgroup, command, notice, warning, error or debug."""

    at: str
    step: int
    text: str
    stream: str


class LogView(Model):
    """Lines of a job's log. Give `next` as `after` to go on; `ended`: no more will come."""

    lines: list[LineView]
    next: int
    ended: bool


class WaitView(Model):
    """What a part of the run waits for; `job` "" is the run itself."""

    job: str
    reason: str


def scope_of_run(call: Call, arguments: Mapping[str, Any]) -> Resource:
    """A run belongs to the team of its service. Error: not found."""
    id = str(arguments["id"])
    return place_of(call, "run", call.plane.engine.get(id).run.service, id=id)


@operation("runs.list", scope=SEEN)
def list_runs(
    call: Call, *, repository: str = "", workflow: str = "", service: str = "", status: str = "", conclusion: str = "",
    event: str = "", commit: str = "", ref: str = "", trigger: str = "", since: datetime | None = None, after: str = "",
    limit: int = 50,
) -> Page[RunView]:  # fmt: skip
    """Runs, newest first."""
    wanted = views.RunFilter(
        repository=repository, workflow=workflow, service=service, status=status, conclusion=conclusion, event=event,
        commit=commit, ref=ref, trigger=trigger, since=since,
    )  # fmt: skip
    page = call.plane.engine.list(wanted, cursor=after, limit=limit)
    return Page[RunView](items=[RunView(**_fields(run)) for run in page.runs], next=page.next)


@operation("runs.show", scope=SEEN)
def show_run(call: Call, id: str) -> RunDetail:
    """One run with its jobs and steps. Error: not found."""
    found = call.plane.engine.get(id)
    with call.plane.store.read() as tx:
        reports = artifact_store.reports(tx, run=id)
    return RunDetail(
        **_fields(found.run),
        jobs=[_job(job) for job in found.jobs],
        annotations=[
            AnnotationView(
                job=one.job, step=one.step, level=one.level, message=one.message, title=one.title, file=one.file,
                line=one.line, column=one.column,
            )
            for one in found.annotations
            if one.attempt == found.run.attempt
        ],
        summaries=list(found.summaries),
        files=[RunFile(name=one.name, digest=one.digest, size=one.size) for one in found.artifacts],
        tests=[
            TestView(
                job=one.job, tests=one.tests, failed=one.failed, skipped=one.skipped, seconds=one.seconds,
                failures=[dict(failure) for failure in one.failures],
            )
            for one in reports
        ],
    )  # fmt: skip


@operation("runs.log", scope=scope_of_run)
def show_log(call: Call, id: str, *, job: str, after: int = 0, attempt: int | None = None) -> LogView:
    """A job's log from the byte offset `after` on, secrets masked. Error: no such run or job."""
    log = call.plane.engine.log(id, job, after=after, attempt=attempt)
    lines = [
        LineView(
            at=str(one.get("at", "")), step=int(one.get("step", -1)), text=str(one.get("text", "")),
            stream=str(one.get("stream", "out")),
        )
        for one in log.lines
    ]  # fmt: skip
    return LogView(lines=lines, next=log.next, ended=log.ended)


@operation("runs.cancel", needs="operate", scope=scope_of_run)
def cancel_run(call: Call, id: str, *, reason: str = "", force: bool = False) -> RunView:
    """Stop a run; jobs with `if: always()` still run unless `force`. Error: not found; it has finished."""
    return RunView(**_fields(call.plane.engine.cancel(id, actor=call.actor.id, reason=reason, force=force)))


@operation("runs.rerun", needs="operate", scope=scope_of_run)
def rerun_run(call: Call, id: str, *, job: str = "", failed_only: bool = False) -> RunView:
    """Run all of it again, or one job or the failed ones and what needs them, on the same commit. Error: it has not finished."""
    return RunView(**_fields(call.plane.engine.rerun(id, actor=call.actor.id, job=job, failed_only=failed_only)))


@operation("runs.waiting", scope=scope_of_run)
def show_waiting(call: Call, id: str) -> list[WaitView]:
    """Everything in the run that waits, and for what. Error: not found."""
    return [WaitView(job=one.job, reason=one.reason) for one in call.plane.engine.why_waiting(id)]


def _fields(run: views.Run) -> dict[str, Any]:
    names = (name for name in RunView.model_fields if name != "seconds")
    return {**{name: getattr(run, name) for name in names}, "seconds": run.seconds}


def _job(job: views.RunJob) -> JobView:
    reached = {step.position: step for step in job.steps}
    count = max([len(job.step_names), *(position + 1 for position in reached)], default=0)
    return JobView(
        id=job.key, node=job.node, name=job.name, needs=list(job.needs), status=job.status, waiting=job.waiting,
        conclusion=job.conclusion, error=job.error, attempt=job.attempt, started=job.started, finished=job.finished,
        seconds=_seconds(job.started, job.finished), cpu_seconds=job.cpu_seconds,
        steps=[
            _step(reached[position]) if position in reached else _to_come(position, job)
            for position in range(count)
        ],
    )  # fmt: skip


def _step(step: views.RunStep) -> StepView:
    return StepView(
        position=step.position, id=step.id, name=step.name, status=step.status, conclusion=step.conclusion,
        exit_code=step.exit_code, error=step.error, cuts=step.cuts, started=step.started, finished=step.finished,
        seconds=_seconds(step.started, step.finished),
    )  # fmt: skip


def _to_come(position: int, job: views.RunJob) -> StepView:
    name = job.step_names[position] if position < len(job.step_names) else ""
    return StepView(
        position=position, id="", name=name, status="waiting" if job.status != "finished" else "skipped", conclusion="",
        exit_code=None, error="", cuts=0, started=None, finished=None, seconds=None,
    )  # fmt: skip


def _seconds(started: datetime | None, finished: datetime | None) -> float | None:
    return (finished - started).total_seconds() if started and finished else None
