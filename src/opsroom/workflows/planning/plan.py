"""A run planned: its jobs in order, what is fixed before the first of them starts, and what is left to their start."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from opsroom.kernel.errors import Invalid, Problems
from opsroom.workflows.expressions import ExpressionError, interpolate, resolve
from opsroom.workflows.model import Job, Workflow
from opsroom.workflows.planning.coerce import as_boolean
from opsroom.workflows.planning.contexts import run_contexts
from opsroom.workflows.planning.events import TriggerEvent
from opsroom.workflows.syntax.shapes import suggestion


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedJob:
    """A job of the run. `name` may still hold `${{ }}`; `needs` are ids of this plan."""

    id: str
    name: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A run before its first job. `jobs` stand in an order in which each comes after what it needs, else as written.

    `group` is the run's concurrency group ("" : none). `contexts` are `github`, `inputs` and `vars`.
    """

    workflow: Workflow
    event: TriggerEvent
    name: str
    group: str
    group_cancels: bool
    contexts: Mapping[str, Any]
    jobs: tuple[PlannedJob, ...]

    @property
    def waves(self) -> tuple[tuple[str, ...], ...]:
        """Job ids by the earliest turn they can have: the first wave needs nothing, the next only the first, and so on."""
        turn: dict[str, int] = {}
        for job in self.jobs:
            turn[job.id] = max((turn[need] + 1 for need in job.needs), default=0)
        count = max(turn.values(), default=-1) + 1
        return tuple(tuple(id for id in turn if turn[id] == wave) for wave in range(count))

    def job(self, id: str) -> Job:
        """The job as written."""
        return self.workflow.jobs[id]

    def ancestors(self, id: str) -> tuple[str, ...]:
        """All that this job needs, directly or not."""
        found: dict[str, None] = {}
        waiting = list(self.job(id).needs)
        while waiting:
            need = waiting.pop()
            if need not in found:
                found[need] = None
                waiting += self.job(need).needs
        return tuple(found)


def plan_run(
    workflow: Workflow,
    event: TriggerEvent,
    *,
    run_id: str,
    number: int = 1,
    attempt: int = 1,
    variables: Mapping[str, str] | None = None,
    only: Collection[str] = (),
    server_url: str = "",
) -> RunPlan:
    """The plan of one run. `only`: these jobs and all they need (empty: every job); `variables` are the `vars` context.

    Problems: the workflow uses what is not run here, each with its place. Invalid: an unknown job in `only`, or `run-name` or
    `concurrency` cannot be evaluated.
    """
    if workflow.unsupported:
        raise Problems(workflow.unsupported)
    contexts = run_contexts(
        workflow,
        event,
        run_id=run_id,
        number=number,
        attempt=attempt,
        variables=variables or {},
        server_url=server_url,
    )
    group, cancels = _concurrency(workflow, contexts)
    return RunPlan(
        workflow=workflow,
        event=event,
        name=_run_name(workflow, event, contexts),
        group=group,
        group_cancels=cancels,
        contexts=contexts,
        jobs=_ordered(workflow, _chosen(workflow, only)),
    )


def _concurrency(workflow: Workflow, contexts: Mapping[str, Any]) -> tuple[str, bool]:
    wanted = workflow.concurrency
    if wanted is None:
        return "", False
    try:
        return interpolate(wanted.group, contexts), as_boolean(
            resolve(wanted.cancel_in_progress, contexts), "cancel-in-progress"
        )
    except ExpressionError as error:
        raise Invalid(f"{wanted.place}: concurrency: {error}") from error


def _run_name(workflow: Workflow, event: TriggerEvent, contexts: Mapping[str, Any]) -> str:
    try:
        name = " ".join(interpolate(workflow.run_name, contexts).split())
    except ExpressionError as error:
        raise Invalid(f"{workflow.path}: run-name: {error}") from error
    return name or _commit_subject(event) or workflow.name


def _commit_subject(event: TriggerEvent) -> str:
    commit = event.payload.get("head_commit")
    message = commit.get("message") if isinstance(commit, Mapping) else None
    lines = str(message or "").strip().splitlines()
    return lines[0] if lines else ""


def _chosen(workflow: Workflow, only: Collection[str]) -> set[str]:
    if not only:
        return set(workflow.jobs)
    chosen: set[str] = set()
    waiting = list(only)
    while waiting:
        id = waiting.pop()
        if id not in workflow.jobs:
            raise Invalid(f"{workflow.path} has no job {id!r}; {suggestion(id, workflow.jobs)}")
        if id not in chosen:
            chosen.add(id)
            waiting += workflow.jobs[id].needs
    return chosen


def _ordered(workflow: Workflow, chosen: set[str]) -> tuple[PlannedJob, ...]:
    order: list[PlannedJob] = []
    done: set[str] = set()
    waiting = [job for job in workflow.jobs.values() if job.id in chosen]
    while waiting:
        ready = [job for job in waiting if done.issuperset(job.needs)]
        order += [PlannedJob(id=job.id, name=job.name or job.id, needs=job.needs) for job in ready]
        done.update(job.id for job in ready)
        waiting = [job for job in waiting if job.id not in done]
    return tuple(order)
