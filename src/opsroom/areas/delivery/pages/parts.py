"""What delivery adds to other pages: the last deployment of each service, what runs where, what is broken, and what a search finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.areas.delivery import artifact_store
from opsroom.areas.delivery import deployment_store as rows
from opsroom.areas.delivery.model import Deployment
from opsroom.areas.delivery.operations.deployments import list_deployments
from opsroom.areas.delivery.operations.environments import list_environments
from opsroom.areas.delivery.operations.repositories import list_repositories
from opsroom.areas.delivery.operations.runs import list_runs
from opsroom.areas.delivery.pages.drawing import state_of
from opsroom.areas.delivery.watching import faults
from opsroom.contracts.pages import PageRequest, Part, View
from opsroom.workflows.views import Run, RunFilter

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane

LOOKED_AT = 100
FOUND = 6


def last_deployment(asked: PageRequest) -> View | None:
    found = list_deployments(
        asked.call, service=asked.params["service"], environment=asked.scope.environment, limit=LOOKED_AT
    ).items
    if not found:
        return None
    return View(template="delivery/part_last_deployment.html", values={"deployment": found[0]})


def what_runs_where(asked: PageRequest) -> View | None:
    name = asked.params["service"]
    here = [
        (environment, entry)
        for environment in list_environments(asked.call)
        for entry in environment.services
        if entry.service == name
    ]
    return View(template="delivery/part_what_runs.html", values={"here": here, "service": name, "wide": True})


def recent_runs(asked: PageRequest) -> View | None:
    name = asked.params["service"]
    runs = list_runs(asked.call, service=name, limit=8).items
    return View(template="delivery/part_runs.html", values={"runs": runs, "service": name, "state_of": state_of})


def wrong(asked: PageRequest) -> View | None:
    plane = asked.call.plane
    values = {
        "deployments": _failed_deployments(plane, asked), "runs": _failed_runs(plane, asked), "faults": sorted(_faults(asked).items()),
    }  # fmt: skip
    return View(template="delivery/part_wrong.html", values=values) if any(values.values()) else None


def search(asked: PageRequest) -> View | None:
    words = asked.query.get("q", "").casefold().split()
    if not words:
        return None
    plane = asked.call.plane
    with plane.store.read() as tx:
        artifacts = asked.call.sight.only(artifact_store.find(tx, limit=LOOKED_AT))
        deployments = asked.call.sight.only(rows.find(tx, limit=LOOKED_AT))
    runs = asked.call.sight.only(plane.engine.list(limit=LOOKED_AT).runs)
    values = {
        "runs": [one for one in runs if _has(f"{one.id} {one.title} {one.name} {one.workflow} {one.repository} {one.commit}", words)][:FOUND],
        "artifacts": [one for one in artifacts if _has(f"{one.digest} {one.name} {one.commit}", words)][:FOUND],
        "deployments": [
            one for one in deployments if _has(f"{one.id} {one.service} {one.environment} {one.digest} {one.commit}", words)
        ][:FOUND],
        "state_of": state_of,
    }  # fmt: skip
    found = any(values[name] for name in ("runs", "artifacts", "deployments"))
    return View(template="delivery/part_search.html", values=values) if found else None


PARTS = (
    Part(where="services.column", title="Last deployment", order=20, render=last_deployment),
    Part(where="service", title="What runs where", order=10, render=what_runs_where),
    Part(where="service", title="Recent runs", order=40, render=recent_runs),
    Part(where="overview.wrong", title="Deliveries", order=30, render=wrong),
    Part(where="search", title="Delivery", order=10, render=search),
)


def _failed_deployments(plane: Plane, asked: PageRequest) -> list[Deployment]:
    """Places whose newest deployment failed."""
    with plane.store.read() as tx:
        newest: dict[tuple[str, str], Deployment] = {}
        for one in rows.find(tx, service=asked.scope.service, environment=asked.scope.environment, limit=LOOKED_AT):
            newest.setdefault((one.environment, one.service), one)
    return asked.call.sight.only(one for one in newest.values() if one.state == "failed")


def _failed_runs(plane: Plane, asked: PageRequest) -> list[Run]:
    """Workflows whose newest finished run on a branch failed."""
    newest: dict[tuple[str, str, str], Run] = {}
    wanted = RunFilter(service=asked.scope.service, status="finished")
    for run in plane.engine.list(wanted, limit=LOOKED_AT).runs:
        newest.setdefault((run.repository, run.workflow, run.ref), run)
    return asked.call.sight.only(run for run in newest.values() if run.conclusion == "failure")


def _faults(asked: PageRequest) -> dict[str, str]:
    """Repositories that cannot be read, and why."""
    seen = {one.name for one in list_repositories(asked.call)}
    return {name: why for name, why in faults(asked.call.plane).items() if name in seen}


def _has(text: str, words: list[str]) -> bool:
    folded = text.casefold()
    return all(word in folded for word in words)
