"""Deployments: the list, and one with its strategy as a picture, its traffic, and what is new in it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from opsroom.areas.delivery import artifact_store
from opsroom.areas.delivery import deployment_store as rows
from opsroom.areas.delivery.environments import service_spec
from opsroom.areas.delivery.operations.deployments import (
    DeploymentView,
    list_deployments,
    rollback_target,
    show_deployment,
)
from opsroom.areas.delivery.pages.drawing import Node
from opsroom.contracts.pages import PageRequest, View
from opsroom.kernel.clock import stamp
from opsroom.kernel.errors import Conflict, NotFound, Place

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call, Plane
    from opsroom.kernel.commits import Commit

COMMITS_SHOWN = 50
AROUND = timedelta(minutes=5)


def listing(asked: PageRequest) -> View:
    scope = asked.scope
    page = list_deployments(
        asked.call, service=scope.service, environment=scope.environment, after=asked.query.get("after", ""),
        since=scope.since if "since" in asked.query else None,
    )  # fmt: skip
    filtered = bool(scope.service or scope.environment or "since" in asked.query)
    return View(
        template="delivery/deployments.html",
        values={"deployments": page.items, "next": page.next, "filtered": filtered},
        title="Deployments",
        api="/api/v1/deployments",
        live=() if asked.query.get("after") else ("deployment.", "traffic."),
    )


def show(asked: PageRequest) -> View:
    call, id = asked.call, asked.params["id"]
    view = show_deployment(call, id)
    news, way = _news(call, view)
    return View(
        template="delivery/deployment.html",
        values={
            "deployment": view, "news": news, "way": way, "steps": _steps(view), "map": _map(call.plane, view),
            "back": _back(call.plane, view), "around": _around(call.plane, view), "events": call.sight.only(call.plane.ledger.find(subjects=[f"deployment:{id}"], limit=30)),
        },
        title=f"{view.service} {view.version} to {view.environment}",
        code=_place(call.plane, view),
        api=f"/api/v1/deployments/{id}",
        live=("deployment.", "traffic.", "service.", "alert.", "incident."),
    )  # fmt: skip


def _steps(view: DeploymentView) -> list[Node]:
    """The strategy as the steps it takes, and where this deployment stands among them."""
    start = ("start", "Start beside the old") if view.strategy == "blue-green" else ("start", "Start one by one")
    steps = [("unpack", "Unpack"), start, ("switch", "Switch the traffic"), ("drain", "Drain the old")]
    if view.strategy == "recreate":
        steps = [
            ("unpack", "Unpack"),
            ("drain", "Stop the old"),
            ("start", "Start the new"),
            ("switch", "Switch the traffic"),
        ]
    reached = {"starting": 1, "switched": 3, "finished": len(steps)}.get(view.state, 1)
    return [
        Node(
            id=key, name=words, needs=(steps[index - 1][0],) if index else (),
            state="ok" if index < reached else _unreached(view, index == reached),
        )
        for index, (key, words) in enumerate(steps)
    ]  # fmt: skip


def _unreached(view: DeploymentView, first: bool) -> str:
    if view.state == "failed":
        return "failed" if first else "skipped"
    return "running" if first else "waiting"


def _map(plane: Plane, view: DeploymentView) -> list[Node]:
    """Where the traffic of the place goes now: the proxy's address, and every process that runs there."""
    with plane.store.read() as tx:
        live = rows.live(tx, view.service, view.environment)
        here = [one for one in rows.instances(tx) if (one.service, one.environment) == (view.service, view.environment)]
        versions = {one.deployment: found.version for one in here if (found := rows.get(tx, one.deployment))}
    proxy = Node(id="proxy", name=view.url.removeprefix("http://"), state="ok" if live else "unknown", note="the proxy")
    return [
        proxy,
        *(
            Node(
                id=one.id, name=f"{versions.get(one.deployment, '')} :{one.port}", needs=("proxy",),
                state={"serving": "ok", "starting": "running", "draining": "waiting"}.get(one.state, "unknown"),
                note=one.state, href=f"/deployments/{one.deployment}",
            )
            for one in here
        ),
    ]  # fmt: skip


def _around(plane: Plane, view: DeploymentView) -> dict[str, str]:
    """The time its charts are about: from some minutes before it to some after it."""
    until = min(plane.clock.now(), (view.finished or plane.clock.now()) + AROUND)
    return {"since": stamp(view.created - AROUND), "until": stamp(until)}


def _back(plane: Plane, view: DeploymentView) -> tuple[str, str]:
    """What a roll-back from here would bring: version and digest; or why there is none, and ""."""
    if not view.live:
        return "", ""
    try:
        digest = rollback_target(plane, view.service, view.environment)
    except Conflict as none:
        return str(none), ""
    with plane.store.read() as tx:
        artifact = artifact_store.newest(tx, digest)
    return (artifact.version if artifact else digest[:19]), digest


def _news(call: Call, view: DeploymentView) -> tuple[list[Commit], str]:
    """The commits that this deployment brought, or that a roll-back took away; and which of the two, or why they are not known."""
    plane = call.plane
    with plane.store.read() as tx:
        before = rows.get(tx, view.previous) if view.previous else None
        artifact = artifact_store.newest(tx, view.digest, run=view.run)
    if artifact is None or not artifact.repository:
        return [], "the repository of this artefact is not known"
    newer, older = view.commit, before.commit if before else ""
    if view.kind == "rollback":
        newer, older = older, view.commit
    try:
        commits = plane.repos.log(artifact.repository, newer, older, COMMITS_SHOWN) if newer else []
    except NotFound as gone:
        return [], str(gone)
    return commits, "taken away" if view.kind == "rollback" else "new"


def _place(plane: Plane, view: DeploymentView) -> Place | None:
    try:
        service_spec(plane, view.environment, view.service)
    except NotFound:
        return None
    resource = plane.catalogs.current().get("Environment", view.environment)
    names = [entry.service for entry in resource.spec.services]
    return resource.place_of("services", names.index(view.service))
