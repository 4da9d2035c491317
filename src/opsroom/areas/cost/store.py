"""The SQL of cost."""

from __future__ import annotations

from collections.abc import Sequence
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


def put(tx: Tx, row: RunCostRow) -> None:
    """Keeps what a run cost, in place of what it cost before it was run again."""
    tx.execute(sa.delete(COSTS).where(COSTS.c.run == row.run))
    fields = {name: getattr(row, name) for name in RunCostRow.__dataclass_fields__}
    tx.execute(sa.insert(COSTS).values(**fields))


def cost_of_run(tx: Tx, run: str) -> RunCostRow | None:
    row = tx.row(sa.select(COSTS).where(COSTS.c.run == run))
    return RunCostRow(**row) if row else None


def find(tx: Tx, *, service: str = "", after: str = "", limit: int = 100) -> list[RunCostRow]:
    """Costs of runs, of a service or of all, newest run first; `after` is the run to go on from."""
    query = sa.select(COSTS).order_by(COSTS.c.run.desc()).limit(limit)
    if service:
        query = query.where(COSTS.c.service == service)
    if after:
        query = query.where(COSTS.c.run < after)
    return [RunCostRow(**row) for row in tx.rows(query)]


def total(
    tx: Tx, currency: str, *, among: Sequence[str] | None = None, since: datetime | None = None, until: datetime | None = None
) -> tuple[int, int]:  # fmt: skip
    """How many runs finished in the time, and their sum in micro-units; `among`: of these services alone."""
    row = tx.row(
        sa.select(sa.func.count().label("runs"), sa.func.sum(COSTS.c.micros).label("micros")).where(
            COSTS.c.currency == currency, *_within(since, until, among)
        )
    )
    return (int(row["runs"]), int(row["micros"] or 0)) if row else (0, 0)


def sums(
    tx: Tx, column: str, *, currency: str = "", service: str = "", among: Sequence[str] | None = None,
    since: datetime | None = None, until: datetime | None = None,
) -> dict[str, int]:  # fmt: skip
    """Micro-units by service, workflow, … or currency, largest first; what has none stands under "". `among`: of these services alone."""
    where = [*_within(since, until, among)]
    if currency:
        where.append(COSTS.c.currency == currency)
    if service:
        where.append(COSTS.c.service == service)
    rows = tx.rows(sa.select(COSTS.c[column], sa.func.sum(COSTS.c.micros).label("sum")).where(*where).group_by(column))
    found = {str(row[column]): int(row["sum"]) for row in rows}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _within(
    since: datetime | None, until: datetime | None, among: Sequence[str] | None = None
) -> list[sa.ColumnElement[bool]]:
    time = [*([COSTS.c.finished >= since] if since else []), *([COSTS.c.finished < until] if until else [])]
    return time if among is None else [*time, COSTS.c.service.in_(among)]
