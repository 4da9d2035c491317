"""Repositories: what is watched, where each stands, and why one cannot be read."""

from __future__ import annotations

from opsroom.areas.delivery.operations.repositories import list_repositories, show_repository
from opsroom.areas.delivery.operations.runs import list_runs
from opsroom.areas.delivery.operations.workflows import list_workflows
from opsroom.areas.delivery.pages.drawing import state_of
from opsroom.contracts.pages import PageRequest, View


def listing(asked: PageRequest) -> View:
    found = list_repositories(asked.call)
    service = asked.scope.service
    shown = [one for one in found if not service or service in one.services]
    return View(
        template="delivery/repositories.html", values={"repositories": shown}, title="Repositories",
        api="/api/v1/repositories", live=("change.pushed", "catalog."),
    )  # fmt: skip


def show(asked: PageRequest) -> View:
    call, id = asked.call, asked.params["id"]
    view = show_repository(call, id)
    return View(
        template="delivery/repository.html",
        values={
            "repository": view, "workflows": list_workflows(call, repository=id) if view.head else [],
            "runs": list_runs(call, repository=id, limit=10).items, "state_of": state_of,
        },
        title=view.name,
        api=f"/api/v1/repositories/{id}",
        live=("change.pushed", "run."),
    )  # fmt: skip
