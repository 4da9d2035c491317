"""Services and teams: list, show. What other areas know of a service is asked by facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from opsroom.contracts.facts import (
    Answer,
    BudgetLeft,
    FindingsOn,
    HealthOf,
    OnCall,
    OpenIncidents,
    OwnerOf,
    Question,
    Running,
    ServiceCost,
    WhatRuns,
)
from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import Shared, Sifted
from opsroom.kernel.errors import NotFound
from opsroom.kernel.resources import Resource

T = TypeVar("T")
V = TypeVar("V")


class RunsHere(Model):
    """What of a service runs in an environment, and how it does; None is "not known", and `unknown` says why."""

    environment: str
    version: str
    digest: str
    since: datetime
    rate: float | None
    error_share: float | None
    p95_seconds: float | None
    open_findings: int | None
    unknown: list[str]


class ServiceView(Model):
    """A service of the catalog."""

    name: str
    title: str
    description: str
    owner: str
    system: str
    lifecycle: str
    depends_on: list[str]
    used_by: list[str]


class ServiceDetail(ServiceView):
    """A service and its reality, asked of every area; what is not known is in `unknown`."""

    running: list[RunsHere]
    on_call: list[str]
    open_incidents: list[str]
    budgets: dict[str, float]
    cost_micros: int | None
    currency: str
    unknown: list[str]


class TeamView(Model):
    """A team, its people and the services it owns."""

    name: str
    title: str
    members: list[str]
    services: list[str]


@operation("services.list", scope=Shared("the catalogue says who owns what and whom to ask"))
def list_services(call: Call, *, team: str = "") -> list[ServiceView]:
    """Every service of the catalog."""
    found = [_view(call, one) for one in call.plane.catalogs.current().all("Component")]
    return [one for one in found if team in ("", one.owner)]


@operation("services.show", scope=Sifted("what runs, costs and fails of a service is told to those who may read it"))
def show_service(call: Call, id: str) -> ServiceDetail:
    """One service: who owns it, what runs where, how it does, what it costs."""
    resource = call.plane.catalogs.current().find("Component", id)
    if resource is None:
        known = ", ".join(one.name for one in call.plane.catalogs.current().all("Component")) or "none"
        raise NotFound(f"service {id!r} is not in the catalog; there are: {known}")
    on_call, runs = call.ask(OnCall(id)), seen_answer(call, call.ask(WhatRuns(service=id)))
    incidents = seen_answer(call, call.ask(OpenIncidents(id)))
    budgets, cost = _of_service(call, id, BudgetLeft(id)), _of_service(call, id, ServiceCost(id))
    named: dict[str, Answer[Any]] = {
        "what runs": runs,
        "on call": on_call,
        "incidents": incidents,
        "budget": budgets,
        "cost": cost,
    }
    return ServiceDetail(
        **_view(call, resource).model_dump(),
        running=[_here(call, one) for one in runs.value or ()],
        on_call=list(on_call.value.people) if on_call.value else [],
        open_incidents=[one.id for one in incidents.value or ()],
        budgets={one.slo: one.left for one in budgets.value or ()},
        cost_micros=cost.value.micros if cost.value else None,
        currency=cost.value.currency if cost.value else "",
        unknown=[f"{name}: {answer.unknown}" for name, answer in named.items() if answer.unknown],
    )


@operation("teams.list", scope=Shared("the catalogue says who owns what and whom to ask"))
def list_teams(call: Call) -> list[TeamView]:
    """Every team of the catalog with its people and services."""
    catalog = call.plane.catalogs.current()
    owned: dict[str, list[str]] = {}
    for component in catalog.all("Component"):
        owned.setdefault(call.ask(OwnerOf(component.name)).value or "", []).append(component.name)
    return [
        TeamView(
            name=one.name, title=one.title, members=list(catalog.members_of(one.name)), services=owned.get(one.name, [])
        )
        for one in catalog.all("Group")
    ]


def seen_answer(call: Call, answer: Answer[tuple[T, ...]]) -> Answer[tuple[T, ...]]:
    """The answer without what the actor may not read."""
    return answer if answer.value is None else replace(answer, value=tuple(call.sight.only(answer.value)))


def _of_service(call: Call, service: str, question: Question[V]) -> Answer[V]:
    """The answer to a question about a service in every environment, for who may read all of them."""
    if call.sight.sees(service=service):
        return call.ask(question)
    return Answer(value=None, unknown=f"your roles do not cover {service} everywhere", at=call.plane.clock.now())


def _view(call: Call, resource: Resource) -> ServiceView:
    spec, graph = resource.spec, call.plane.catalogs.current().graph()
    return ServiceView(
        name=resource.name, title=resource.title, description=resource.metadata.description,
        owner=call.ask(OwnerOf(resource.name)).value or "", system=spec.system or "", lifecycle=spec.lifecycle,
        depends_on=sorted(graph.dependencies(resource.name)), used_by=sorted(graph.dependents(resource.name)),
    )  # fmt: skip


def _here(call: Call, running: Running) -> RunsHere:
    health = call.ask(HealthOf(running.service, running.environment))
    findings = call.ask(FindingsOn(running.digest))
    signals, counts = health.value, findings.value
    return RunsHere(
        environment=running.environment, version=running.version, digest=running.digest, since=running.since,
        rate=signals.rate if signals else None, error_share=signals.error_share if signals else None,
        p95_seconds=signals.p95_seconds if signals else None,
        open_findings=counts.critical + counts.high + counts.medium + counts.low if counts else None,
        unknown=[text for text in (health.unknown, findings.unknown) if text],
    )  # fmt: skip
