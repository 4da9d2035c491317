"""The question performance answers: the traffic a service carried between two moments."""

from __future__ import annotations

from opsroom.areas.performance import store as rows
from opsroom.contracts.facts import Answer, Traffic, TrafficDuring
from opsroom.contracts.plane import Plane


def traffic_during(plane: Plane, question: TrafficDuring) -> Answer[Traffic]:
    """Summed over the whole seconds that overlap; unknown where no generator counted one of them."""
    now = plane.clock.now()
    with plane.store.read() as tx:
        found = rows.flow(tx, question.service, question.environment, question.since, question.until)
    if found is None:
        return Answer(value=None, unknown="no load generator reported traffic in that time", at=now)
    return Answer(value=Traffic(requests=found.requests, failed=found.failed), at=now)
