"""Workflows: what each repository has, and the form that starts one, made from its typed inputs."""

from __future__ import annotations

from opsroom.areas.delivery.operations.runs import list_runs
from opsroom.areas.delivery.operations.workflows import list_workflows, show_workflow
from opsroom.areas.delivery.pages.drawing import Node, state_of
from opsroom.contracts.pages import PageRequest, View
from opsroom.kernel.errors import Invalid, Place


def listing(asked: PageRequest) -> View:
    scope = asked.scope
    found = list_workflows(asked.call, repository=asked.query.get("repository", ""))
    shown = [one for one in found if scope.service in ("", one.service)]
    last = {}
    for one in shown:
        newest = list_runs(asked.call, repository=one.repository, workflow=one.path, limit=1).items
        last[one.repository, one.path] = newest[0] if newest else None
    return View(
        template="delivery/workflows.html", values={"workflows": shown, "last": last, "state_of": state_of}, title="Workflows",
        api="/api/v1/workflows", live=("run.", "catalog.", "change.pushed"),
    )  # fmt: skip


def start(asked: PageRequest) -> View:
    query = asked.query
    if not query.get("repository") or not query.get("workflow"):
        raise Invalid("repository and workflow are missing; choose one on the page of workflows")
    workflow = show_workflow(
        asked.call, repository=query["repository"], workflow=query["workflow"], ref=query.get("ref", "")
    )
    environments = [one.name for one in asked.call.plane.catalogs.current().all("Environment")]
    return View(
        template="delivery/workflow.html",
        values={
            "workflow": workflow, "environments": environments, "state_of": state_of,
            "nodes": [Node(id=job.id, name=job.name, needs=tuple(job.needs), state="none") for job in workflow.jobs],
            "runs": list_runs(asked.call, repository=workflow.repository, workflow=workflow.path, limit=10).items,
        },
        title=workflow.name,
        code=Place(workflow.path),
        api=f"/api/v1/workflows/show?repository={workflow.repository}&workflow={workflow.path}",
        live=("run.",),
    )  # fmt: skip
