"""Self-service tasks: list, show, start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.repositories import head_of, ops_repository, read_workflow_of, repository_of
from opsroom.contracts.scopes import SEEN
from opsroom.kernel.actors import Resource as Acted
from opsroom.kernel.errors import Forbidden, Invalid, NotFound
from opsroom.kernel.resources import Resource, parse_ref
from opsroom.workflows.model import Input
from opsroom.workflows.planning import dispatch_inputs
from opsroom.workflows.views import RunFilter


class TaskInput(Model):
    """One typed input: string, number, boolean, choice or environment."""

    name: str
    type: str
    description: str
    required: bool
    default: str
    options: list[str]


class TaskView(Model):
    """A task people start by a form. `may` says whether who asks may start it, and if not, why."""

    columns: ClassVar[tuple[str, ...]] = (
        "name", "title", "workflow", "service", "allowed", "why_not", "last_conclusion",
    )  # fmt: skip
    name: str
    title: str
    workflow: str
    service: str
    confirm: str
    allowed: list[str]
    may: bool
    why_not: str
    inputs: list[TaskInput]
    problems: list[str]
    last_run: str
    last_conclusion: str


class TaskStarted(Model):
    """The run that a task became, and the event that says who asked for it."""

    run: str
    event: str


def scope_of_task(call: Call, given: Mapping[str, Any]) -> Acted:
    """A task belongs to the team of its service; one without a service to no team. Error: not found."""
    service = _find(call, str(given["id"])).spec.service
    return Acted(kind="task", id=str(given["id"]), team=call.sight.owner(service) if service else "")


@operation("tasks.list", scope=SEEN)
def list_tasks(call: Call) -> list[TaskView]:
    """Every task of the ops repo."""
    return [_view(call, resource) for resource in call.plane.catalogs.current().all("Task")]


@operation("tasks.show", scope=SEEN)
def show_task(call: Call, id: str) -> TaskView:
    """One task with its inputs."""
    return _view(call, _find(call, id))


@operation("tasks.start", needs="operate", scope=scope_of_task)
def start_task(call: Call, id: str, *, inputs: dict[str, str | bool | int | float] | None = None) -> TaskStarted:
    """Start a task with its inputs, as the ops repo in force has it; text that spells a number or a boolean is taken for one where the
    workflow declares it so. Error: not among those allowed; an input is missing, unknown or of another type."""
    plane, resource = call.plane, _find(call, id)
    if reason := _why_not(call, resource):
        raise Forbidden(reason)
    path, name, given = resource.spec.workflow, ops_repository(plane), dict(inputs or {})
    catalog = plane.catalogs.current()
    text = catalog.read(path).decode()
    workflow, problems = read_workflow_of(plane, path, text)
    if workflow is None:
        raise Invalid(f"task {id} cannot start: {problems[0]}")
    typed = dispatch_inputs(workflow, given)  # What does not fit is refused before anything is told.
    asked = {name.lower() for name in given}
    ref, _ = head_of(plane, name)
    with plane.store.begin() as tx:
        event = plane.ledger.record(
            tx, "task.requested", actor=call.actor.id, cause=call.cause or in_force(call),
            subjects=[f"task:{id}", f"workflow:{path}", *([f"service:{resource.spec.service}"] if resource.spec.service else [])],
            data={"title": resource.spec.title, "inputs": {name: value for name, value in typed.items() if name.lower() in asked}},
        )  # fmt: skip
    run = plane.engine.dispatch(
        path,
        text,
        given,
        repository=repository_of(plane, name),
        ref=ref,
        commit=catalog.commit,
        actor=call.actor.id,
        cause=event.id,
    )
    return TaskStarted(run=run, event=event.id)


def task_inputs(call: Call, resource: Resource) -> tuple[tuple[Input, ...], list[str]]:
    """The inputs of a task's workflow at the catalog in force, and what is wrong with it."""
    path = resource.spec.workflow
    text = call.plane.catalogs.current().read(path).decode()
    read, problems = read_workflow_of(call.plane, path, text)
    if read is None:
        return (), [str(problem) for problem in problems]
    for trigger in read.on:
        if trigger.event == "workflow_dispatch":
            return trigger.inputs, []
    return (), [f"{path} has no workflow_dispatch; add it under `on:`"]


def in_force(call: Call) -> str:
    """The event by which the ops repo in force came into force: what a person starts stands on it."""
    commit = call.plane.catalogs.current().commit
    found = call.plane.ledger.find(types=["catalog.changed"], subjects=[f"commit:{commit}"], limit=1) if commit else []
    return found[0].id if found else ""


def _find(call: Call, id: str) -> Resource:
    found = call.plane.catalogs.current().find("Task", id)
    if found is None:
        known = ", ".join(one.name for one in call.plane.catalogs.current().all("Task")) or "none"
        raise NotFound(f"task {id!r} is not in the ops repo; there are: {known}")
    return found


def _why_not(call: Call, resource: Resource) -> str:
    """Why the actor may not start it; "" when they may. Admins may always."""
    allowed = resource.spec.allowed
    if not allowed or "admin" in call.actor.roles:
        return ""
    if call.plane.actors.may(call.actor, "admin", Acted(kind="tasks", id=resource.name)).allowed:
        return ""
    catalog, person = call.plane.catalogs.current(), call.actor.id.removeprefix("person:")
    for reference in allowed:
        kind, name = parse_ref(reference, "Group")
        is_user = kind.lower() == "user"
        if (is_user and name == person) or (not is_user and person in catalog.members_of(name)):
            return ""
    return f"task {resource.name} may be started by {', '.join(allowed)}; {call.actor.id} is none of them"


def _view(call: Call, resource: Resource) -> TaskView:
    spec, (inputs, problems) = resource.spec, task_inputs(call, resource)
    wanted = RunFilter(repository=ops_repository(call.plane), workflow=spec.workflow, event="workflow_dispatch")
    runs = call.plane.engine.list(wanted, limit=1).runs
    reason = _why_not(call, resource)
    return TaskView(
        name=resource.name, title=spec.title, workflow=spec.workflow, service=spec.service, confirm=spec.confirm,
        allowed=list(spec.allowed), may=not reason, why_not=reason, problems=problems,
        inputs=[
            TaskInput(name=one.name, type=one.type, description=one.description, required=one.required,
                      default="" if one.default is None else str(one.default), options=list(one.options))
            for one in inputs
        ],
        last_run=runs[0].id if runs else "", last_conclusion=runs[0].conclusion if runs else "",
    )  # fmt: skip
