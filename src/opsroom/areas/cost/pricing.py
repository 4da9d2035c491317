"""The arithmetic of cost: integers of micro-units throughout, so that parts sum to the whole exactly."""

from __future__ import annotations

from collections.abc import Iterable
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


def period_start(moment: datetime, period: str) -> datetime:
    """When the day, week (from Monday) or month of a moment began, in the moment's own zone."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def period_end(start: datetime, period: str) -> datetime:
    """When the day, week or month that began then ends."""
    if period == "month":
        return (start + timedelta(days=32)).replace(day=1)
    return start + timedelta(days=7 if period == "week" else 1)


def reached(spent: int, amount: int, shares: Iterable[float]) -> list[float]:
    """The shares of a budget that spending has reached, lowest first, compared exactly."""
    return [share for share in sorted(set(shares)) if Decimal(str(share)) * amount <= spent]
