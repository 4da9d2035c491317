"""Costs: list, summary. Budgets: list. Prices: show."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from opsroom.areas.cost import store as rows
from opsroom.areas.cost.budgets import members, spent
from opsroom.areas.cost.pricing import period_start
from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import SEEN, Seen, Shared, Sifted
from opsroom.contracts.sight import Sight
from opsroom.kernel.store import Tx


class RunCostView(Model):
    """What one run cost, in micro-units of `currency`, and the event that says so."""

    columns: ClassVar[tuple[str, ...]] = (
        "run", "service", "repository", "finished", "cpu_seconds", "micros", "currency",
    )  # fmt: skip
    run: str
    service: str
    repository: str
    workflow: str
    finished: datetime
    cpu_seconds: float
    micros: int
    currency: str
    price_version: str
    event: str


class PartCost(Model):
    """The cost of one part; `name` "" : what belongs to none."""

    name: str
    micros: int


class CostSummary(Model):
    """The cost of all runs of a time. `sum_of_parts_micros` is added up from `services`, so that it can be held against `sum_micros`.
    Storage is not in it: no measured figure of stored bytes over time exists yet."""

    runs: int
    currency: str
    sum_micros: int
    sum_of_parts_micros: int
    services: list[PartCost]
    workflows: list[PartCost]
    since: datetime | None
    not_in_sums: str


class BudgetView(Model):
    """A budget and what is spent of it in its running period."""

    name: str
    of: str
    services: list[str]
    period: str
    since: datetime
    amount_micros: int
    spent_micros: int
    left_micros: int
    currency: str


class PriceView(Model):
    """A version of a price list, in micro-units."""

    version: str
    currency: str
    cpu_second_micros: int
    run_micros: int


def services_seen(call: Call, tx: Tx) -> list[str] | None:
    """The services whose runs the actor may read; None: all, and the runs of no service too."""
    if call.sight.everything:
        return None
    return [name for name in rows.sums(tx, "service") if call.sight.sees(service=name)]


def _shows(sight: Sight, budget: BudgetView) -> bool:
    """A budget is for those who may read all that is paid from it."""
    return all(sight.sees(service=service) for service in budget.services or [""])


@operation("costs.list", scope=SEEN)
def list_costs(call: Call, *, service: str = "", after: str = "", limit: int = 50) -> Page[RunCostView]:
    """What each run cost, newest first."""
    with call.plane.store.read() as tx:
        found = rows.find(tx, service=service, after=after, limit=limit + 1)
    items = [RunCostView(**{name: getattr(row, name) for name in RunCostView.model_fields}) for row in found[:limit]]
    return Page[RunCostView](items=items, next=items[-1].run if len(found) > limit else "")


@operation("costs.summary", scope=Sifted("the runs of services that the actor may read"))
def summarise_costs(call: Call, *, since: datetime | None = None, until: datetime | None = None) -> CostSummary:
    """The cost of all runs by service and by workflow; the parts sum to the whole exactly."""
    with call.plane.store.read() as tx:
        among = services_seen(call, tx)
        currencies = sorted(rows.sums(tx, "currency", among=among, since=since, until=until))
        currency = currencies[0] if currencies else ""
        runs, micros = rows.total(tx, currency, among=among, since=since, until=until)
        services = rows.sums(tx, "service", currency=currency, among=among, since=since, until=until)
        workflows = rows.sums(tx, "workflow", currency=currency, among=among, since=since, until=until)
    others = f"runs priced in {', '.join(currencies[1:])} are not in these sums" if len(currencies) > 1 else ""
    return CostSummary(
        runs=runs, currency=currency, sum_micros=micros, sum_of_parts_micros=sum(services.values()), since=since,
        not_in_sums=others,
        services=[PartCost(name=name, micros=micros) for name, micros in services.items()],
        workflows=[PartCost(name=name, micros=micros) for name, micros in workflows.items()],
    )  # fmt: skip


@operation("budgets.list", scope=Seen(_shows))
def list_budgets(call: Call) -> list[BudgetView]:
    """Every budget of the ops repo with what is spent in its running period."""
    plane, views = call.plane, []
    with plane.store.read() as tx:
        for resource in plane.catalogs.current().all("Budget"):
            spec = resource.spec
            used = spent(plane, tx, spec, at=plane.clock.now())
            views.append(
                BudgetView(
                    name=resource.name, of=spec.of, services=sorted(members(plane, spec.of)), period=spec.period,
                    since=period_start(plane.clock.now(), spec.period), amount_micros=spec.amount, spent_micros=used,
                    left_micros=spec.amount - used, currency=spec.currency,
                )
            )  # fmt: skip
    return views


@operation("prices.list", scope=Shared("a price is the same for every team"))
def list_prices(call: Call) -> list[PriceView]:
    """Every version of a price list that was in force, newest first."""
    with call.plane.store.read() as tx:
        return [
            PriceView(version=one.version, currency=one.currency, cpu_second_micros=one.cpu_second, run_micros=one.run)
            for one in rows.prices(tx)
        ]
