"""Workflows: those of the watched repositories, and starting one by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from opsroom.areas.delivery.places import place_of
from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.repositories import (
    head_of,
    read_workflow_of,
    repositories,
    repository_of,
    workflows_of,
)
from opsroom.contracts.scopes import SEEN
from opsroom.kernel.actors import Resource
from opsroom.kernel.errors import NotFound, Problems, UserError
from opsroom.workflows.expressions import to_text
from opsroom.workflows.model import Workflow
from opsroom.workflows.planning import dispatch_inputs


class InputView(Model):
    """One typed input of workflow_dispatch: string, boolean, choice, number or environment."""

    name: str
    type: str
    description: str
    required: bool
    default: str | int | float | bool | None
    options: list[str]


class WorkflowView(Model):
    """One workflow file at a commit. `problems` not empty: it cannot run. `dispatch`: it may be started by hand."""

    columns: ClassVar[tuple[str, ...]] = ("repository", "path", "name", "service", "events", "problems")
    repository: str
    path: str
    name: str
    ref: str
    commit: str
    service: str
    events: list[str]
    dispatch: bool
    problems: list[str]


class JobOutline(Model):
    """A job as written."""

    id: str
    name: str
    needs: list[str]
    steps: int


class WorkflowDetail(WorkflowView):
    """A workflow with its inputs, jobs and text."""

    inputs: list[InputView]
    jobs: list[JobOutline]
    source: str


class Dispatched(Model):
    """The run that was started."""

    run: str


def scope_of_workflow(call: Call, arguments: Mapping[str, Any]) -> Resource:
    """A workflow belongs to the team of its service. Error: no such repository."""
    name, path = str(arguments.get("repository") or ""), str(arguments.get("workflow") or "")
    return place_of(call, "workflow", repository_of(call.plane, name).service_of(path), id=f"{name}/{path}")


@operation("workflows.list", scope=SEEN)
def list_workflows(call: Call, *, repository: str = "") -> list[WorkflowView]:
    """The workflows at the head of every repository's default branch, or of one. A repository without a commit has none."""
    plane, found = call.plane, []
    for name in [repository] if repository else repositories(plane):
        try:
            ref, commit = head_of(plane, name)
            files = workflows_of(plane, name, commit)
        except UserError:
            if repository:
                raise
            continue  # repositories.list says why it cannot be read; the others are shown.
        found += [_view(call, name, path, text, ref, commit) for path, text in files]
    return found


@operation("workflows.show", scope=SEEN)
def show_workflow(call: Call, *, repository: str, workflow: str, ref: str = "") -> WorkflowDetail:
    """One workflow by its path, at the default branch or a ref. Error: not found."""
    full, commit, text = _read(call, repository, workflow, ref)
    view = _view(call, repository, workflow, text, full, commit)
    read, _ = read_workflow_of(call.plane, workflow, text)
    return WorkflowDetail(
        **view.model_dump(), source=text, inputs=_inputs(read) if read else [],
        jobs=[
            JobOutline(id=job.id, name=job.name or job.id, needs=list(job.needs), steps=len(job.steps))
            for job in (read.jobs.values() if read else ())
        ],
    )  # fmt: skip


@operation("workflows.dispatch", needs="operate", scope=scope_of_workflow)
def dispatch_workflow(
    call: Call, *, repository: str, workflow: str, inputs: dict[str, str] | None = None, ref: str = ""
) -> Dispatched:
    """Start a workflow by hand with its inputs, at the default branch or a ref. Error: not found; it has no workflow_dispatch;
    an input is unknown, missing or wrong; the file has problems."""
    plane = call.plane
    full, commit, text = _read(call, repository, workflow, ref)
    read, problems = read_workflow_of(plane, workflow, text)
    if read is None:
        raise Problems(problems)
    checked, source = dispatch_inputs(read, inputs or {}), repository_of(plane, repository)
    subjects = [f"workflow:{workflow}", f"repository:{repository}", f"commit:{commit}"]
    service = source.service_of(workflow)
    with plane.store.begin() as tx:
        asked = plane.ledger.record(
            tx, "workflow.dispatched", actor=call.actor.id, cause=call.cause or _push_of(call, repository, commit),
            subjects=[*subjects, f"service:{service}"] if service else subjects,
            data={"workflow": read.name, "ref": full, "inputs": {name: to_text(value) for name, value in checked.items()}},
        )  # fmt: skip
    run = plane.engine.dispatch(
        workflow, text, inputs or {}, repository=source, ref=full, commit=commit, actor=call.actor.id, cause=asked.id
    )
    return Dispatched(run=run)


def _read(call: Call, repository: str, path: str, ref: str) -> tuple[str, str, str]:
    """The full ref, the commit and the text of a workflow."""
    plane = call.plane
    full, commit = head_of(plane, repository)
    if ref:
        full, commit = _ref(call, repository, ref), plane.repos.resolve(repository, ref)
    files = dict(workflows_of(plane, repository, commit))
    if path not in files:
        known = ", ".join(files) or "none"
        raise NotFound(f"no workflow {path!r} in {repository} at {commit[:12]}; there are: {known}")
    return full, commit, files[path]


def _ref(call: Call, repository: str, ref: str) -> str:
    known = call.plane.repos.refs(repository)
    return next((full for full in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}") if full in known), ref)


def _push_of(call: Call, repository: str, commit: str) -> str:
    """The push that brought a commit; "" where the commit was never the head of one."""
    subjects = [f"commit:{commit}", f"repository:{repository}"]
    found = call.plane.ledger.find(types=["change.pushed"], subjects=subjects, limit=1)
    return found[0].id if found else ""


def _view(call: Call, repository: str, path: str, text: str, ref: str, commit: str) -> WorkflowView:
    read, problems = read_workflow_of(call.plane, path, text)
    events = [trigger.event for trigger in read.on] if read else []
    return WorkflowView(
        repository=repository, path=path, name=read.name if read else path, ref=ref, commit=commit,
        service=repository_of(call.plane, repository).service_of(path), events=events,
        dispatch="workflow_dispatch" in events, problems=[str(one) for one in problems],
    )  # fmt: skip


def _inputs(workflow: Workflow) -> list[InputView]:
    return [
        InputView(
            name=one.name, type=one.type, description=one.description, required=one.required, default=one.default,
            options=list(one.options),
        )
        for trigger in workflow.on
        if trigger.event == "workflow_dispatch"
        for one in trigger.inputs
    ]  # fmt: skip
