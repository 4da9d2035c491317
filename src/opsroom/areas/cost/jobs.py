"""What cost does on events: keeps every price list that comes into force, prices every run that finishes, watches budgets."""

from __future__ import annotations

from typing import Any

from opsroom.areas.cost import store as rows
from opsroom.areas.cost.pricing import Price, RunCostRow, cost_of, crossed, period_start
from opsroom.contracts.area import Subscription
from opsroom.contracts.plane import Plane
from opsroom.kernel.ledger import Event
from opsroom.kernel.store import Tx


def keep_prices(plane: Plane, event: Event) -> None:
    """Remembers the price list in force, so that a run keeps its price whatever comes later."""
    if price := current_price(plane):
        with plane.store.begin() as tx:
            rows.keep_price(tx, price, commit=plane.catalogs.current().commit, now=plane.clock.now())


def price_run(plane: Plane, event: Event) -> None:
    """Prices a finished run by the list in force when it started; without one it is not priced, and no cost is invented."""
    run = event.subject("run")
    detail = plane.engine.get(run).run
    with plane.store.begin() as tx:
        price = rows.price_of(tx, detail.price_version) if detail.price_version else None
        if price is None or rows.cost_of_run(tx, run) is not None:
            return
        micros = cost_of(detail.cpu_seconds, price)
        subjects = [f"run:{run}", *([f"service:{detail.service}"] if detail.service else [])]
        told = plane.ledger.record(
            tx, "run.priced", actor="system:cost", cause=event.id, key=f"run.priced:{run}", subjects=subjects,
            data={"micros": micros, "currency": price.currency, "price_version": price.version,
                  "cpu_seconds": round(detail.cpu_seconds, 3)},
        )  # fmt: skip
        row = RunCostRow(
            run=run, service=detail.service, repository=detail.repository, workflow=detail.workflow,
            finished=detail.finished or event.time, cpu_seconds=detail.cpu_seconds, micros=micros, currency=price.currency,
            price_version=price.version, event=told.id,
        )  # fmt: skip
        rows.add(tx, row)
        _watch_budgets(plane, tx, row, told)


def current_price(plane: Plane) -> Price | None:
    """The price list in force; of several, the first by name."""
    for resource in plane.catalogs.current().all("PriceList"):
        spec = resource.spec
        return Price(version=spec.version, currency=spec.currency, cpu_second=spec.cpu_second, run=spec.run)
    return None


def members(plane: Plane, of: str) -> set[str]:
    """The services a budget covers: a component itself, or those of a system or an owning group."""
    kind, _, name = of.rpartition(":")
    catalog = plane.catalogs.current()
    if kind in ("", "component"):
        return {name}
    field = {"system": "system", "group": "owner"}.get(kind, "owner")
    return {one.name for one in catalog.all("Component") if _last(getattr(one.spec, field, "")) == name}


def spent(plane: Plane, tx: Tx, spec: Any) -> int:
    """What the services of a budget cost in its running period."""
    since = period_start(plane.clock.now(), spec.period)
    services = members(plane, spec.of)
    return sum(
        row.micros for row in rows.find(tx, since=since) if row.service in services and row.currency == spec.currency
    )


def _watch_budgets(plane: Plane, tx: Tx, row: RunCostRow, cause: Event) -> None:
    for resource in plane.catalogs.current().all("Budget"):
        spec = resource.spec
        if row.service not in members(plane, spec.of) or row.currency != spec.currency:
            continue
        now = spent(plane, tx, spec)
        begins = period_start(plane.clock.now(), spec.period)
        for share in crossed(now - row.micros, now, spec.amount, spec.warn_at):
            plane.ledger.record(
                tx, "budget.exceeded", actor="system:cost", cause=cause.id, subjects=[f"budget:{resource.name}"],
                key=f"budget:{resource.name}:{begins.date()}:{share}",
                data={"budget": resource.name, "of": spec.of, "share": share, "spent_micros": now, "amount_micros": spec.amount,
                      "currency": spec.currency, "channels": list(spec.channels)},
            )  # fmt: skip


def _last(reference: str) -> str:
    return reference.rpartition(":")[2].rpartition("/")[2]


SUBSCRIPTIONS = (
    Subscription(name="keep-prices", types=("catalog.changed",), handle=keep_prices),
    Subscription(name="price-runs", types=("run.finished",), handle=price_run),
)
