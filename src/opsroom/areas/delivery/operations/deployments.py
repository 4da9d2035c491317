"""Deployments: list, show, deploy, roll back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar, Literal

from opsroom.areas.delivery import artifact_store
from opsroom.areas.delivery import deployment_store as rows
from opsroom.areas.delivery.environments import service_spec
from opsroom.areas.delivery.model import Deployment, Strategy, Wish
from opsroom.areas.delivery.running import deployer
from opsroom.contracts.facts import TrafficDuring
from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.plane import Call, Plane
from opsroom.contracts.scopes import NAMED, SEEN
from opsroom.kernel.errors import Conflict, Invalid, NotFound

SETTLE = timedelta(seconds=2)
STRATEGIES = ("recreate", "rolling", "blue-green")


class DeploymentView(Model):
    """One deployment. `requests` and `failed` are what a load generator counted while it went on; None: none ran, and why."""

    columns: ClassVar[tuple[str, ...]] = (
        "id", "service", "environment", "version", "kind", "state", "live", "requests", "failed", "seconds", "finished",
    )  # fmt: skip
    id: str
    service: str
    environment: str
    version: str
    digest: str
    commit: str
    strategy: str
    kind: str
    state: str
    live: bool
    error: str
    previous: str
    previous_digest: str
    configuration_commit: str
    url: str
    run: str
    incident: str
    actor: str
    created: datetime
    switched: datetime | None
    finished: datetime | None
    seconds: float | None
    requests: int | None
    failed: int | None
    traffic_unknown: str
    events: list[str]


@operation("deployments.list", scope=SEEN)
def list_deployments(
    call: Call, *, service: str = "", environment: str = "", run: str = "", digest: str = "",
    since: datetime | None = None, after: str = "", limit: int = 50,
) -> Page[DeploymentView]:  # fmt: skip
    """Deployments, newest first."""
    if limit < 1:
        raise Invalid(f"limit {limit} is not at least 1")
    with call.plane.store.read() as tx:
        found = rows.find(
            tx,
            service=service,
            environment=environment,
            run=run,
            digest=digest,
            since=since,
            after=after,
            limit=limit + 1,
        )
        live = {deployment.id for deployment in rows.live_all(tx)}
    items = [_view(call, deployment, live) for deployment in found[:limit]]
    return Page[DeploymentView](items=items, next=items[-1].id if len(found) > limit else "")


@operation("deployments.show", scope=SEEN)
def show_deployment(call: Call, id: str) -> DeploymentView:
    """One deployment with the traffic that it had to carry. Error: not found."""
    with call.plane.store.read() as tx:
        found = rows.get(tx, id)
        live = {deployment.id for deployment in rows.live_all(tx)}
    if found is None:
        raise NotFound(f"deployment {id!r} does not exist; `opsroom deployments list` shows them")
    return _view(call, found, live)


@operation("deployments.create", needs="operate", scope=NAMED)
def create_deployment(
    call: Call, *, service: str, environment: str, digest: str, strategy: str = "", key: str = ""
) -> DeploymentView:
    """Deploy an artefact by its digest and wait until it serves. The same `key` again is the same deployment.

    Error: it was never published; its provenance does not verify; it did not become healthy."""
    name = key or call.plane.clock.new_id("ask")
    wish = wish_for(call, service=service, environment=environment, digest=digest, strategy=strategy, key=name)
    return show_deployment(call, deployer(call.plane).deploy(wish).id)


@operation("deployments.rollback", needs="operate", scope=NAMED)
def rollback_deployment(
    call: Call, *, service: str, environment: str, digest: str = "", incident: str = "", key: str = ""
) -> DeploymentView:
    """Deploy what ran before, or an earlier digest, without a rebuild."""
    name = key or call.plane.clock.new_id("ask")
    target = digest or rollback_target(call.plane, service, environment, key=name)
    wish = wish_for(
        call, service=service, environment=environment, digest=target, strategy="", key=name, kind="rollback",
        incident=incident,
    )  # fmt: skip
    return show_deployment(call, deployer(call.plane).deploy(wish).id)


def wish_for(
    call: Call, *, service: str, environment: str, digest: str, strategy: str, key: str, run: str = "",
    kind: Literal["deploy", "rollback"] = "deploy", incident: str = "",
) -> Wish:  # fmt: skip
    """The wish for a deployment, checked: the environment lists the service, the artefact is here, the strategy is one."""
    plane = call.plane
    spec = service_spec(plane, environment, service)
    chosen = _strategy(strategy or spec.strategy)
    with plane.store.read() as tx:
        artifact = artifact_store.newest(tx, digest, run=run)
    if artifact is None:
        raise NotFound(f"artefact {digest} was never published here; `opsroom artifacts list` shows those that were")
    return Wish(
        service=service, environment=environment, digest=artifact.digest, version=artifact.version, commit=artifact.commit,
        kind=kind, strategy=chosen, spec=spec, configuration_commit=plane.catalogs.current().commit,
        actor=call.actor.id, cause=call.cause or artifact.event, key=key, run=run, incident=incident,
    )  # fmt: skip


def rollback_target(plane: Plane, service: str, environment: str, *, key: str = "") -> str:
    """The newest digest that finished there before what serves now and differs from it. Conflict: there is none."""
    with plane.store.read() as tx:
        if key and (known := rows.by_key(tx, key)):
            return known.digest
        now = rows.live(tx, service, environment)
        history = rows.find(tx, service=service, environment=environment, states=["finished"], limit=200)
    if now is None:
        raise Conflict(f"nothing of {service} runs in {environment}, so there is nothing to roll back")
    for earlier in history:
        if earlier.id < now.id and earlier.digest != now.digest:
            return earlier.digest
    raise Conflict(f"{service} in {environment} has no earlier version than {now.version}; deploy a digest instead")


def _strategy(name: str) -> Strategy:
    for known in STRATEGIES:
        if name == known:
            return known  # type: ignore[return-value]
    raise Invalid(f"strategy {name!r} is not one of {', '.join(STRATEGIES)}")


def _view(call: Call, deployment: Deployment, live: set[str]) -> DeploymentView:
    until = (deployment.finished or call.plane.clock.now()) + SETTLE
    traffic = call.ask(TrafficDuring(deployment.service, deployment.environment, deployment.created, until))
    ended, counted = deployment.finished, traffic.value
    return DeploymentView(
        id=deployment.id, service=deployment.service, environment=deployment.environment, version=deployment.version,
        digest=deployment.digest, commit=deployment.commit, strategy=deployment.strategy, kind=deployment.kind,
        state=deployment.state, live=deployment.id in live, error=deployment.error, previous=deployment.previous,
        previous_digest=deployment.previous_digest, configuration_commit=deployment.configuration_commit,
        url=deployment.url, run=deployment.run, incident=deployment.incident, actor=deployment.actor,
        created=deployment.created, switched=deployment.switched, finished=ended,
        seconds=(ended - deployment.created).total_seconds() if ended else None,
        requests=counted.requests if counted else None, failed=counted.failed if counted else None,
        traffic_unknown=traffic.unknown,
        events=[event for event in (deployment.started_event, deployment.finished_event) if event],
    )  # fmt: skip
