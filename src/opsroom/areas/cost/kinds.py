"""The kinds PriceList and Budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from opsroom.kernel.errors import Problem
from opsroom.kernel.resources import Catalog, Kind, Money, Reference, Resource, Share, Spec


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
    warn_at: tuple[Share, ...] = (0.8, 1.0)
    channels: tuple[str, ...] = ()


def _check_prices(resource: Resource, catalog: Catalog) -> Iterable[Problem]:
    first = catalog.all("PriceList")[0]
    if resource.name != first.name:
        yield Problem(
            resource.place, f"a second PriceList, beside {first.name}; a run has one price", "leave one of them"
        )


def _check_budget(resource: Resource, catalog: Catalog) -> Iterable[Problem]:
    for prices in catalog.all("PriceList")[:1]:
        if prices.spec.currency != resource.spec.currency:
            yield Problem(
                resource.place_of("currency"),
                f"runs are priced in {prices.spec.currency}, the budget is in {resource.spec.currency}",
                f"write currency: {prices.spec.currency}",
            )


PRICE_LIST = Kind(name="PriceList", api_version="opsroom.dev/v1", model=PriceListSpec, area="cost", check=_check_prices)
BUDGET = Kind(
    name="Budget",
    api_version="opsroom.dev/v1",
    model=BudgetSpec,
    area="cost",
    references=(Reference("of", "Component", "System", "Group"), Reference("channels[]", "NotificationChannel")),
    check=_check_budget,
)
KINDS = (PRICE_LIST, BUDGET)
