"""Reads a workflow file: all its problems at once, or the workflow as a value."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from opsroom.kernel.documents import load_document
from opsroom.kernel.errors import Place, Problem
from opsroom.workflows.model import Job, Workflow
from opsroom.workflows.syntax.grammar import SCOPES, workflow_shape
from opsroom.workflows.syntax.jobs import JobReader
from opsroom.workflows.syntax.parts import read_concurrency, read_defaults, read_permissions
from opsroom.workflows.syntax.shapes import EnoughProblems, Reading
from opsroom.workflows.syntax.steps import BUILT_IN_ACTIONS
from opsroom.workflows.syntax.triggers import read_triggers

MAX_JOBS = 256
REPLACED = "\ufffd"
"""What bytes that are not UTF-8 are read as; nobody writes it."""


def read_workflow(
    text: str | bytes,
    path: str,
    *,
    extra_scopes: Iterable[str] = (),
    built_in_actions: Collection[str] = BUILT_IN_ACTIONS,
    plane_actions: Collection[str] | None = None,
    all_told: bool = False,
) -> tuple[Workflow | None, list[Problem]]:
    """The workflow in `text`, or None and every problem in the order of the file; never raises on bad input.

    What GitHub accepts and Opsroom does not run is no problem here: it stands in `Workflow.unsupported`, and whoever wants to run
    the workflow refuses with that; `all_told`: where there are problems, they are told with it. `extra_scopes` are permission scopes beside GitHub's; `plane_actions` the names that may
    follow `uses: opsroom/` (None: any).
    """
    node, problems = load_document(text, path)
    if node is None:
        if not problems:
            problems.append(Problem(Place(path, 1, 1), "the file is empty", "write 'on:' and 'jobs:'"))
        return None, problems
    reading = Reading(node, problems)
    scopes = tuple(extra_scopes)
    workflow, unsupported = None, list[Problem]()
    if isinstance(text, str) and REPLACED in text:
        problems.append(_not_text(text, path))
    try:
        value = reading.read(workflow_shape(scopes), node.value)
        if isinstance(value, dict):
            builder = _WorkflowBuilder(reading, value, scopes, built_in_actions, plane_actions)
            unsupported = builder.unsupported
            workflow = builder.build(path)
    except EnoughProblems:
        workflow = None
    if problems:
        return None, sorted({*problems, *(unsupported if all_told else ())})
    return workflow, []


def _not_text(text: str, path: str) -> Problem:
    start = text.index(REPLACED)
    place = Place(path, text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
    return Problem(place, "the file is not UTF-8 text", "save it as UTF-8")


class _WorkflowBuilder:
    """Turns the shaped value of a file into a Workflow; rules that span several keys are checked here."""

    def __init__(
        self,
        reading: Reading,
        value: dict[str, Any],
        scopes: tuple[str, ...],
        built_in_actions: Collection[str],
        plane_actions: Collection[str] | None,
    ) -> None:
        self.reading = reading
        self.value = value
        self.scopes = (*SCOPES, *scopes)
        self.unsupported: list[Problem] = []
        self.jobs = JobReader(reading, self.scopes, self.unsupported, built_in_actions, plane_actions)

    def build(self, path: str) -> Workflow:
        value = self.value
        triggers = read_triggers(self.reading, value.get("on"), self.unsupported)
        jobs = self._jobs(value.get("jobs"))
        return Workflow(
            path=path,
            name=value.get("name") or path,
            run_name=value.get("run-name") or "",
            on=triggers,
            env=value.get("env") or {},
            defaults=read_defaults(value.get("defaults")),
            permissions=read_permissions(value.get("permissions"), self.scopes) if "permissions" in value else None,
            concurrency=read_concurrency(
                self.reading.node, value.get("concurrency"), ("concurrency",), self.unsupported
            ),
            jobs=jobs,
            unsupported=tuple(sorted(self.unsupported)),
        )

    def _jobs(self, value: Any) -> dict[str, Job]:
        if not isinstance(value, dict):
            return {}
        if not value:
            self.reading.problem(("jobs",), "'jobs' is empty", "write at least one job")
        if len(value) > MAX_JOBS:
            self.reading.problem(("jobs",), f"{len(value)} jobs; the limit is {MAX_JOBS}", "split the workflow")
        return self.jobs.read_all(value)
