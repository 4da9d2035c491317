"""The kinds PriceList and Budget."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from opsroom.kernel.resources import Kind, Money, Reference, Spec


class PriceListSpec(Spec):
    """What running things costs, in micro-units of `currency`; `version` is recorded with each price computed from it."""

    version: str = Field(min_length=1)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    cpu_second: Money
    storage_gb_month: Money = 0
    run: Money = 0


class BudgetSpec(Spec):
    """What may be spent on something in a period (in UTC)."""

    of: str
    amount: Money = Field(gt=0)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    period: Literal["day", "week", "month"] = "month"
    warn_at: tuple[float, ...] = (0.8, 1.0)
    channels: tuple[str, ...] = ()


PRICE_LIST = Kind(name="PriceList", api_version="opsroom.dev/v1", model=PriceListSpec, area="cost")
BUDGET = Kind(
    name="Budget",
    api_version="opsroom.dev/v1",
    model=BudgetSpec,
    area="cost",
    references=(Reference("of", "Component", "System", "Group"), Reference("channels[]", "NotificationChannel")),
)
KINDS = (PRICE_LIST, BUDGET)
