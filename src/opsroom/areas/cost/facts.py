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
        found = rows.find(tx, service=question.service)
    now = plane.clock.now()
    if not found:
        return Answer(value=None, unknown=f"no run of {question.service} has been priced", at=now)
    currencies = {row.currency for row in found}
    if len(currencies) > 1:
        return Answer(value=None, unknown=f"its runs were priced in {', '.join(sorted(currencies))}", at=now)
    sum_micros = sum(row.micros for row in found)
    value = Cost(micros=sum_micros, currency=found[0].currency, price_version=found[0].price_version)
    return Answer(value=value, at=now, events=tuple(row.event for row in found[:20]))
