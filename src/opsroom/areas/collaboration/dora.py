"""DORA's four keys from what the ledger holds, each with the events it was made of. Pure.

Definitions after "Accelerate" (Forsgren, Humble, Kim, 2018) and the DORA guides, as far as the ledger can prove them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

DEFINITIONS: Mapping[str, str] = {
    "deployments": "Deployments to production that finished in the time, rollbacks not counted.",
    "lead_time_seconds": "Median over those deployments of the time from the oldest commit that was new in it to its end.",
    "change_failure_share": "Of those deployments, the share that was rolled back, or was the first suspect of an incident.",
    "recovery_seconds": "Median over the incidents resolved in the time of the time from the first symptom to the resolution.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A finished deployment to production. `place` is where it was deployed: service and environment; `oldest` the time of the oldest
    commit new in it (None: there is none, or it is not known)."""

    event: str
    deployment: str
    place: tuple[str, str]
    kind: str
    finished: datetime
    oldest: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A resolved incident."""

    event: str
    onset: datetime
    resolved: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The four keys; None where there is nothing to compute one from. `events` names those behind each."""

    deployments: int
    lead_time_seconds: float | None
    change_failure_share: float | None
    recovery_seconds: float | None
    events: Mapping[str, tuple[str, ...]]


def four_keys(deployments: Sequence[Deployed], incidents: Sequence[Recovered], suspected: Collection[str] = ()) -> Keys:
    """Over deployments and incidents of one time, in any order; `suspected` are the deployments that were first suspects of an
    incident."""
    ordered = sorted(deployments, key=lambda one: one.finished)
    forward = [one for one in ordered if one.kind == "deploy"]
    timed = [one for one in forward if one.oldest is not None]
    failed = _failed(ordered, suspected)
    leads = [(one.finished - one.oldest).total_seconds() for one in timed if one.oldest is not None]
    recoveries = [(one.resolved - one.onset).total_seconds() for one in incidents]
    return Keys(
        deployments=len(forward),
        lead_time_seconds=median(leads) if leads else None,
        change_failure_share=len(failed) / len(forward) if forward else None,
        recovery_seconds=median(recoveries) if recoveries else None,
        events={
            "deployments": tuple(one.event for one in forward),
            "lead_time_seconds": tuple(one.event for one in timed),
            "change_failure_share": tuple(failed),
            "recovery_seconds": tuple(one.event for one in incidents),
        },
    )


def _failed(ordered: Sequence[Deployed], suspected: Collection[str]) -> list[str]:
    """Deployments that failed: suspected first by an incident, or replaced by a rollback of the same place."""
    failed: dict[str, None] = {}
    live: dict[tuple[str, str], Deployed] = {}
    for one in ordered:
        before = live.get(one.place)
        if one.kind == "rollback" and before is not None and before.kind == "deploy":
            failed[before.event] = None
        if one.kind == "deploy" and one.deployment in suspected:
            failed[one.event] = None
        live[one.place] = one
    return list(failed)
