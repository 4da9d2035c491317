"""The SQL of cost."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from opsroom.areas.cost.pricing import Price, RunCostRow
from opsroom.kernel.store import Tx, table

PRICES = table("prices", "version", "currency", "cpu_second", "run", "commit_id", times=("seen",))
COSTS = table(
    "run_costs", "run", "service", "repository", "workflow", "cpu_seconds", "micros", "currency", "price_version", "event",
    times=("finished",),
)  # fmt: skip


def keep_price(tx: Tx, price: Price, *, commit: str, now: datetime) -> None:
    """Remembers a version of a price list; a version already known stays as it was first seen."""
    if price_of(tx, price.version) is None:
        tx.execute(
            sa.insert(PRICES).values(
                version=price.version, currency=price.currency, cpu_second=price.cpu_second, run=price.run,
                commit_id=commit, seen=now,
            )
        )  # fmt: skip


def price_of(tx: Tx, version: str) -> Price | None:
    row = tx.row(sa.select(PRICES).where(PRICES.c.version == version))
    if row is None:
        return None
    return Price(version=row["version"], currency=row["currency"], cpu_second=row["cpu_second"], run=row["run"])


def prices(tx: Tx) -> list[Price]:
    return [
        Price(version=row["version"], currency=row["currency"], cpu_second=row["cpu_second"], run=row["run"])
        for row in tx.rows(sa.select(PRICES).order_by(PRICES.c.seen.desc()))
    ]


def add(tx: Tx, row: RunCostRow) -> None:
    fields = {name: getattr(row, name) for name in RunCostRow.__dataclass_fields__}
    tx.execute(sa.insert(COSTS).values(**fields))


def cost_of_run(tx: Tx, run: str) -> RunCostRow | None:
    row = tx.row(sa.select(COSTS).where(COSTS.c.run == run))
    return RunCostRow(**row) if row else None


def find(
    tx: Tx, *, service: str = "", since: datetime | None = None, until: datetime | None = None, after: str = "",
    limit: int = 100_000,
) -> list[RunCostRow]:  # fmt: skip
    """Costs of runs that match all given, newest run first; `after` is the run to go on from."""
    query = sa.select(COSTS).order_by(COSTS.c.run.desc()).limit(limit)
    if service:
        query = query.where(COSTS.c.service == service)
    if since:
        query = query.where(COSTS.c.finished >= since)
    if until:
        query = query.where(COSTS.c.finished < until)
    if after:
        query = query.where(COSTS.c.run < after)
    return [RunCostRow(**row) for row in tx.rows(query)]
