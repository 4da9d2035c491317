"""What cost does on events: keeps every price list that comes into force, prices every run that finishes, watches budgets."""

from __future__ import annotations

from datetime import datetime

from opsroom.areas.cost import store as rows
from opsroom.areas.cost.budgets import members, spent
from opsroom.areas.cost.kinds import PRICE_LIST
from opsroom.areas.cost.pricing import Price, RunCostRow, cost_of, period_start, reached
from opsroom.contracts.area import Subscription
from opsroom.contracts.plane import Plane
from opsroom.contracts.repositories import ops_repository
from opsroom.kernel.errors import NotFound
from opsroom.kernel.ledger import Event
from opsroom.kernel.resources import Catalog, load_catalog
from opsroom.kernel.store import Tx


def follow(plane: Plane, event: Event) -> None:
    """Both kinds of event by one reader, so that a run is never priced before the prices it began under are known."""
    if event.type == "catalog.changed":
        keep_prices(plane, event)
    else:
        price_run(plane, event)


def keep_prices(plane: Plane, event: Event) -> None:
    """Remembers the price list of the commit that came into force, so that a run keeps its price whatever comes later."""
    commit = event.subject("commit")
    if event.data.get("in_force") and (price := price_in(_catalog_at(plane, commit))):
        with plane.store.begin() as tx:
            rows.keep_price(tx, price, commit=commit, now=plane.clock.now())


def price_run(plane: Plane, event: Event) -> None:
    """Prices a finished run, with all its attempts, by the list in force when it started; without one it is not priced, and no cost is
    invented."""
    run = event.subject("run")
    try:
        detail = plane.engine.get(run).run
    except NotFound:
        plane.journal.warning("a run that is gone cannot be priced", run=run)
        return
    with plane.store.begin() as tx:
        price = rows.price_of(tx, detail.price_version) if detail.price_version else None
        if price is None:
            return
        micros = cost_of(detail.cpu_seconds, price)
        subjects = [f"run:{run}", *([f"service:{detail.service}"] if detail.service else [])]
        told = plane.ledger.record(
            tx, "run.priced", actor="system:cost", cause=event.id, key=f"run.priced:{event.id}", subjects=subjects,
            data={"micros": micros, "currency": price.currency, "price_version": price.version,
                  "cpu_seconds": round(detail.cpu_seconds, 3)},
        )  # fmt: skip
        row = RunCostRow(
            run=run, service=detail.service, repository=detail.repository, workflow=detail.workflow,
            finished=detail.finished or event.time, cpu_seconds=detail.cpu_seconds, micros=micros, currency=price.currency,
            price_version=price.version, event=told.id,
        )  # fmt: skip
        rows.put(tx, row)
        _watch_budgets(plane, tx, row, told)


def price_in(catalog: Catalog) -> Price | None:
    """The price list of a catalog."""
    for resource in catalog.all("PriceList"):
        spec = resource.spec
        return Price(version=spec.version, currency=spec.currency, cpu_second=spec.cpu_second, run=spec.run)
    return None


def _catalog_at(plane: Plane, commit: str) -> Catalog:
    """The catalog in force, or, where a later commit is in force by now, what is needed of the one asked for."""
    current = plane.catalogs.current()
    if current.commit == commit:
        return current
    files = plane.repos.files(ops_repository(plane), commit)
    return load_catalog(files, commit, [PRICE_LIST])[0]


def _watch_budgets(plane: Plane, tx: Tx, row: RunCostRow, cause: Event) -> None:
    """Tells of each share that is reached, once in a period: the event's key is the budget, the period's start and the share."""
    for resource in plane.catalogs.current().all("Budget"):
        spec = resource.spec
        if row.service not in members(plane, spec.of) or row.currency != spec.currency:
            continue
        used, begins = spent(plane, tx, spec, at=row.finished), _begins(row.finished, spec.period)
        for share in reached(used, spec.amount, spec.warn_at):
            plane.ledger.record(
                tx, "budget.exceeded", actor="system:cost", cause=cause.id, subjects=[f"budget:{resource.name}"],
                key=f"budget:{resource.name}:{begins}:{share}",
                data={"budget": resource.name, "of": spec.of, "share": share, "spent_micros": used, "amount_micros": spec.amount,
                      "currency": spec.currency, "channels": list(spec.channels)},
            )  # fmt: skip


def _begins(moment: datetime, period: str) -> str:
    return period_start(moment, period).date().isoformat()


SUBSCRIPTIONS = (Subscription(name="pricing", types=("catalog.changed", "run.finished"), handle=follow),)
