"""The SQL of objectives: their last figures, and the sums of their windows in slices."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.areas.observability.budgets import Sums
from opsroom.areas.observability.model import SloRow
from opsroom.kernel.store import Tx, table

SLOS = table(
    "slos", "name", "definition", "budget_left", "burn_rate", "burn_seconds", "good", "total", "covered", "reason", "level",
    "event", json=("counters",), times=("began", "evaluated", "told"),
)  # fmt: skip
BUCKETS = table("slo_buckets", "slo", "start", "good", "total", "seconds")


def slo(tx: Tx, name: str) -> SloRow | None:
    row = tx.row(sa.select(SLOS).where(SLOS.c.name == name))
    return _slo(row) if row else None


def slos(tx: Tx) -> dict[str, SloRow]:
    return {row["name"]: _slo(row) for row in tx.rows(sa.select(SLOS).order_by(SLOS.c.name))}


def put_slo(tx: Tx, row: SloRow) -> None:
    values = asdict(row)
    values["budget_left"] = values.pop("left")
    if not tx.execute(sa.update(SLOS).where(SLOS.c.name == row.name).values(values)).rowcount:
        tx.execute(sa.insert(SLOS).values(values))


def drop_slo(tx: Tx, name: str) -> None:
    """Forgets an objective and what was counted for it."""
    tx.execute(sa.delete(SLOS).where(SLOS.c.name == name))
    tx.execute(sa.delete(BUCKETS).where(BUCKETS.c.slo == name))


def add(tx: Tx, name: str, start: int, sums: Sums) -> None:
    """Adds to the slice that begins at `start`, in epoch seconds."""
    same = sa.and_(BUCKETS.c.slo == name, BUCKETS.c.start == start)
    more = {
        "good": BUCKETS.c.good + sums.good,
        "total": BUCKETS.c.total + sums.total,
        "seconds": BUCKETS.c.seconds + sums.seconds,
    }
    if not tx.execute(sa.update(BUCKETS).where(same).values(more)).rowcount:
        tx.execute(sa.insert(BUCKETS).values(slo=name, start=start, **asdict(sums)))


def sums(tx: Tx, name: str, since: float) -> Sums:
    """The sums of the slices that begin at `since` or later."""
    inside = sa.and_(BUCKETS.c.slo == name, BUCKETS.c.start >= since)
    return _sums(tx, sa.func.sum(BUCKETS.c.good), sa.func.sum(BUCKETS.c.total), inside)


def slices(tx: Tx, name: str, since: float, until: float, share: float) -> Sums:
    """How many slices begin from `since` to `until` in which anything was counted; good are those with at least this share of good."""
    inside = sa.and_(BUCKETS.c.slo == name, BUCKETS.c.start >= since, BUCKETS.c.start <= until, BUCKETS.c.total > 0)
    held = sa.case((BUCKETS.c.good >= BUCKETS.c.total * share, 1.0), else_=0.0)
    return _sums(tx, sa.func.sum(held), sa.func.count(), inside)


def forget_before(tx: Tx, name: str, start: float) -> None:
    tx.execute(sa.delete(BUCKETS).where(BUCKETS.c.slo == name, BUCKETS.c.start < start))


def _sums(tx: Tx, good: sa.ColumnElement[float], total: sa.ColumnElement[int], inside: sa.ColumnElement[bool]) -> Sums:
    row = tx.execute(sa.select(good, total, sa.func.sum(BUCKETS.c.seconds)).where(inside)).one()
    return Sums(*(float(value or 0.0) for value in row))


def _slo(row: RowMapping) -> SloRow:
    values = dict(row)
    values["left"] = values.pop("budget_left")
    return SloRow(**values)
