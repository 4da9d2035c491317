"""Cost: what every run cost, by service, summing to the micro-unit, and the budgets it is held against.

Nouns: cost, price, budget. Verbs: list, summarise. It is not a bill: cloud and storage charges are not in it, and nothing is
estimated. A run without a price list in force has no cost rather than a cost of nought.
"""

from __future__ import annotations

from opsroom.areas.cost import operations
from opsroom.areas.cost.facts import run_cost, service_cost
from opsroom.areas.cost.jobs import SUBSCRIPTIONS
from opsroom.areas.cost.kinds import KINDS
from opsroom.areas.cost.migrations import MIGRATIONS
from opsroom.areas.cost.pages import PAGES, PARTS
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import RunCost, ServiceCost
from opsroom.contracts.operations import operations_of

AREA = Area(
    name="cost",
    promise="The price of every run and of each service, summing exactly.",
    nouns=("cost", "price", "budget"),
    kinds=KINDS,
    events=(
        EventType(
            name="run.priced",
            sentence="the run cost {micros:money {currency}}: {cpu_seconds} s of CPU at the prices of {price_version}",
        ),
        EventType(name="budget.exceeded", sentence="budget {budget} of {of} passed {share} of its amount"),
    ),
    operations=operations_of(operations),
    migrations=MIGRATIONS,
    facts={RunCost: run_cost, ServiceCost: service_cost},
    subscriptions=SUBSCRIPTIONS,
    pages=PAGES,
    parts=PARTS,
)
