"""The questions cost answers: what a run cost, and what a service cost in all its runs."""

from __future__ import annotations

from opsroom.areas.cost import store as rows
from opsroom.contracts.facts import Answer, Cost, RunCost, ServiceCost
from opsroom.contracts.plane import Plane


def run_cost(plane: Plane, question: RunCost) -> Answer[Cost]:
    with plane.store.read() as tx:
        row = rows.cost_of_run(tx, question.run)
    now = plane.clock.now()
    if row is None:
        return Answer(value=None, unknown="the run has not finished, or no price list was in force", at=now)
    value = Cost(micros=row.micros, currency=row.currency, price_version=row.price_version)
    return Answer(value=value, at=now, events=(row.event,))


def service_cost(plane: Plane, question: ServiceCost) -> Answer[Cost]:
    with plane.store.read() as tx:
        newest = rows.find(tx, service=question.service, limit=20)
        by_currency = rows.sums(tx, "currency", service=question.service)
    now = plane.clock.now()
    if not newest:
        return Answer(value=None, unknown=f"no run of {question.service} has been priced", at=now)
    if len(by_currency) > 1:
        return Answer(value=None, unknown=f"its runs were priced in {', '.join(sorted(by_currency))}", at=now)
    value = Cost(micros=sum(by_currency.values()), currency=newest[0].currency, price_version=newest[0].price_version)
    return Answer(value=value, at=now, events=tuple(row.event for row in newest))
