"""The questions collaboration answers: who owns a service, and its DORA figures."""

from __future__ import annotations

from opsroom.areas.collaboration.measuring import measure
from opsroom.contracts.facts import Answer, Dora, DoraOf, OwnerOf
from opsroom.contracts.plane import Plane


def owner_of(plane: Plane, question: OwnerOf) -> Answer[str]:
    catalog, now = plane.catalogs.current(), plane.clock.now()
    if catalog.find("Component", question.service) is None:
        return Answer(value=None, unknown=f"{question.service} is not in the catalog", at=now)
    owner = catalog.owner_of(question.service)
    changed = plane.ledger.find(types=["catalog.changed"], subjects=[f"commit:{catalog.commit}"], limit=1)
    return Answer(value=owner, at=now, events=tuple(event.id for event in changed))


def dora_of(plane: Plane, question: DoraOf) -> Answer[Dora]:
    keys = measure(plane, question.service, question.since, question.until)
    value = Dora(
        deployments=keys.deployments, lead_time_seconds=keys.lead_time_seconds,
        change_failure_share=keys.change_failure_share, recovery_seconds=keys.recovery_seconds,
    )  # fmt: skip
    return Answer(value=value, at=plane.clock.now(), events=keys.events["deployments"])
