"""Environments: what is live where, as the ops repo orders them."""

from __future__ import annotations

from datetime import datetime

from opsroom.areas.delivery import deployment_store as rows
from opsroom.areas.delivery.environments import environment as find_environment
from opsroom.areas.delivery.model import Deployment, Instance
from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import Sifted


class ProcessView(Model):
    """One process of what is live; `state` is starting, serving or draining."""

    number: int
    address: str
    state: str
    restarts: int
    started: datetime


class ServiceInEnvironment(Model):
    """A service an environment lists, and what of it runs there now ("" : nothing). `listed` False: it runs there still, though
    the ops repo lists it no more."""

    service: str
    address: str
    strategy: str
    deployment: str
    version: str
    digest: str
    since: datetime | None
    listed: bool
    processes: list[ProcessView]


class EnvironmentView(Model):
    """An environment and what runs in it."""

    name: str
    tier: str
    strategy: str
    services: list[ServiceInEnvironment]


@operation("environments.list", scope=Sifted("an environment lists the services that the actor may read"))
def list_environments(call: Call) -> list[EnvironmentView]:
    """Every environment of the ops repo, in its order, and what runs there."""
    resources = sorted(call.plane.catalogs.current().all("Environment"), key=lambda one: (one.spec.order, one.name))
    return [show_environment(call, resource.name) for resource in resources]


@operation("environments.show", scope=Sifted("an environment lists the services that the actor may read"))
def show_environment(call: Call, id: str) -> EnvironmentView:
    """One environment and what runs there. Error: not found."""
    resource = find_environment(call.plane, id)
    with call.plane.store.read() as tx:
        running = {deployment.service: deployment for deployment in rows.live_all(tx, environment=id)}
        processes = rows.instances(tx)
    services = [
        _service(
            entry.service,
            entry.address,
            entry.strategy or resource.spec.strategy,
            running.pop(entry.service, None),
            processes,
        )
        for entry in resource.spec.services
    ]
    services += [_service(name, "", "", live, processes, listed=False) for name, live in sorted(running.items())]
    services = call.sight.only(services, lambda sight, one: sight.sees(service=one.service, environment=id))
    return EnvironmentView(
        name=resource.name, tier=resource.spec.tier, strategy=resource.spec.strategy, services=services
    )


def _service(
    name: str, address: str, strategy: str, live: Deployment | None, processes: list[Instance], *, listed: bool = True
) -> ServiceInEnvironment:
    own = [one for one in processes if live is not None and one.deployment == live.id]
    return ServiceInEnvironment(
        service=name, address=address, strategy=strategy, deployment=live.id if live else "",
        version=live.version if live else "", digest=live.digest if live else "", since=live.switched if live else None,
        listed=listed,
        processes=[
            ProcessView(
                number=one.number, address=one.address, state=one.state, restarts=one.restarts, started=one.started
            )
            for one in own
        ],
    )  # fmt: skip
