"""The pages of cost: what grew, by service, each figure opening the runs it was made of."""

from __future__ import annotations

from opsroom.areas.cost import store as rows
from opsroom.areas.cost.operations import list_budgets, list_costs, services_seen, summarise_costs
from opsroom.contracts.facts import RunCost, ServiceCost
from opsroom.contracts.pages import PageDeclaration, PageRequest, Part, View


def show_costs(asked: PageRequest) -> View:
    """The sums of the scope's time beside those of the same time before it."""
    scope, call = asked.scope, asked.call
    length = scope.until - scope.since
    now = summarise_costs(call, since=scope.since, until=scope.until)
    with call.plane.store.read() as tx:
        earlier = rows.sums(
            tx,
            "service",
            currency=now.currency,
            among=services_seen(call, tx),
            since=scope.since - length,
            until=scope.since,
        )
    services = [
        {"name": part.name, "micros": part.micros, "change": _growth(earlier.get(part.name, 0), part.micros)}
        for part in now.services
        if scope.service in ("", part.name)
    ]
    return View(
        template="cost/costs.html",
        values={"summary": now, "services": services, "budgets": list_budgets(call),
                "runs": list_costs(call, service=scope.service, limit=50).items},
        title="Costs", api="/api/v1/costs/summary", live=("run.priced", "budget."),
    )  # fmt: skip


def of_run(asked: PageRequest) -> View | None:
    """What the run cost, as a part of its page."""
    answer = asked.call.ask(RunCost(asked.params["id"]))
    return View(template="cost/part.html", values={"answer": answer})


def of_service(asked: PageRequest) -> View | None:
    """What the service's runs cost, as a cell of the table of services."""
    if not asked.call.sight.sees(service=asked.params["service"]):
        return None
    answer = asked.call.ask(ServiceCost(asked.params["service"]))
    return View(template="cost/cell.html", values={"answer": answer}) if answer.value else None


def _growth(before: int, now: int) -> float | None:
    return now / before - 1 if before else None


PAGES = (PageDeclaration(path="/costs", title="Costs", render=show_costs, nav="Costs", key="m"),)

PARTS = (
    Part(where="run", title="Cost", order=90, render=of_run),
    Part(where="services.column", title="Cost of runs", order=90, render=of_service),
)
