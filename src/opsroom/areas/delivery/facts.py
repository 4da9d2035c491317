"""What delivery answers: which digests run where."""

from __future__ import annotations

from opsroom.areas.delivery import deployment_store as rows
from opsroom.areas.delivery.model import Deployment
from opsroom.contracts.facts import Answer, Running, WhatRuns
from opsroom.contracts.plane import Plane


def what_runs(plane: Plane, question: WhatRuns) -> Answer[tuple[Running, ...]]:
    """What serves now. The event is the one that says it was deployed: deployment.finished, or started until then."""
    with plane.store.read() as tx:
        live = rows.live_all(tx, service=question.service, environment=question.environment)
    found = tuple(_running(one) for one in live)
    return Answer(value=found, at=plane.clock.now(), events=tuple(one.event for one in found))


def _running(live: Deployment) -> Running:
    return Running(
        service=live.service, environment=live.environment, version=live.version, digest=live.digest, commit=live.commit,
        deployment=live.id, url=live.url, since=live.switched or live.created, event=live.finished_event or live.started_event,
    )  # fmt: skip
