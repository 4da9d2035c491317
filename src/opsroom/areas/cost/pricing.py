"""The arithmetic of cost: integers of micro-units throughout, so that parts sum to the whole exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A version of a price list: micro-units for a second of CPU, and for each run."""

    version: str
    currency: str
    cpu_second: int
    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCostRow:
    """What one run cost. `service` "" : it belongs to its repository alone."""

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


def cost_of(cpu_seconds: float, price: Price) -> int:
    """Micro-units of a run: CPU seconds, to the millisecond, times their price, rounded half to even, plus the fixed part."""
    exact = Decimal(round(cpu_seconds * 1000)) * price.cpu_second / 1000
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)) + price.run


def by(rows: Iterable[RunCostRow], key: str) -> dict[str, int]:
    """The sum by a field (service, workflow, repository, …), largest first; what has none stands under ""."""
    sums: dict[str, int] = {}
    for row in rows:
        name = str(getattr(row, key))
        sums[name] = sums.get(name, 0) + row.micros
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def period_start(moment: datetime, period: str) -> datetime:
    """When the day, week (from Monday) or month of a moment began, in the moment's own zone."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def crossed(spent_before: int, spent: int, amount: int, shares: Iterable[float]) -> list[float]:
    """The shares of a budget that this spending passed, lowest first."""
    return [share for share in sorted(shares) if spent_before < share * amount <= spent]


def total(parts: Mapping[str, int]) -> int:
    return sum(parts.values())
