"""Starting the runbook of an incident: its workflow, with the inputs it declares, caused by the incident."""

from __future__ import annotations

from opsroom.areas.incidents.model import Incident
from opsroom.contracts.plane import Call, Plane
from opsroom.contracts.repositories import head_of, ops_repository, read_workflow_of, repository_of
from opsroom.kernel.errors import Conflict, NotFound, Problems
from opsroom.workflows.views import Run, RunFilter

STARTED = "runbook.started"


def start(call: Call, incident: Incident) -> str:
    """Starts the workflow at the ops repo's commit in force and returns the run's id. Its run's cause is runbook.started, whose cause
    is incident.opened. Error: no runbook; a runbook without a workflow; a workflow with problems; inputs that do not fit."""
    plane, path = call.plane, incident.runbook.get("workflow", "")
    if not incident.runbook.get("path"):
        raise Conflict(f"incident {incident.id} has no runbook: {incident.runbook.get('unknown') or 'none is for it'}")
    if not path:
        raise Conflict(f"runbook {incident.runbook['path']} names no workflow; follow it by hand")
    text, inputs = _prepared(plane, incident, path)
    name = ops_repository(plane)
    repository, (ref, _) = repository_of(plane, name), head_of(plane, name)
    with plane.store.begin() as tx:
        event = plane.ledger.record(
            tx, STARTED, actor=call.actor.id, cause=incident.opened_event,
            subjects=(*incident.subjects, f"workflow:{path}"),
            data={"runbook": incident.runbook["path"], "title": incident.runbook["title"], "inputs": inputs},
        )  # fmt: skip
    return plane.engine.dispatch(
        path, text, inputs, repository=repository, ref=ref, commit=plane.catalogs.current().commit, actor=call.actor.id,
        cause=event.id,
    )  # fmt: skip


def runs_of(plane: Plane, incident: Incident) -> list[Run]:
    """The runs that its runbook was started as, newest first."""
    if not incident.runbook.get("workflow"):
        return []
    started = plane.ledger.find(types=[STARTED], subjects=[f"incident:{incident.id}"], limit=20)
    return [run for event in started for run in plane.engine.list(RunFilter(trigger=event.id)).runs]


def _prepared(plane: Plane, incident: Incident, path: str) -> tuple[str, dict[str, str]]:
    """The workflow's text and its inputs, checked before anything is recorded."""
    from opsroom.workflows.planning import dispatch_inputs

    try:
        text = plane.catalogs.current().read(path).decode("utf-8", "replace")
    except NotFound:
        raise NotFound(
            f"workflow {path} of runbook {incident.runbook['path']} is not in the ops repo any more"
        ) from None
    workflow, problems = read_workflow_of(plane, path, text)
    if workflow is None:
        raise Problems(problems)
    declared = {
        entry.name for trigger in workflow.on if trigger.event == "workflow_dispatch" for entry in trigger.inputs
    }
    known = {"service": incident.service, "environment": incident.environment, "incident": incident.id}
    inputs = {name: value for name, value in known.items() if name in declared}
    dispatch_inputs(workflow, inputs)
    return text, inputs
