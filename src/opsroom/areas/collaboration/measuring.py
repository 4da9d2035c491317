"""Reading from the ledger what DORA's keys are computed from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from opsroom.areas.collaboration.dora import Deployed, Keys, Recovered, four_keys
from opsroom.contracts.plane import Plane
from opsroom.kernel.clock import parse_stamp
from opsroom.kernel.ledger import Event

PAGE = 200
LIMIT = 5000


def measure(plane: Plane, service: str, since: datetime, until: datetime) -> Keys:
    """The four keys of a service ("" : of all) between two moments."""
    return four_keys(list(_deployments(plane, service, since, until)), list(_incidents(plane, service, since, until)))


def _deployments(plane: Plane, service: str, since: datetime, until: datetime) -> Iterator[Deployed]:
    production = {one.name for one in plane.catalogs.current().all("Environment") if one.spec.tier == "production"}
    for event in _events(plane, "deployment.finished", service, since, until):
        if event.subject("environment") in production:
            yield Deployed(
                event=event.id, kind=str(event.data.get("kind", "deploy")), digest=event.subject("digest"),
                previous_digest=str(event.data.get("previous_digest", "")), finished=event.time, oldest=_oldest(plane, event),
            )  # fmt: skip


def _oldest(plane: Plane, event: Event) -> datetime | None:
    """The oldest commit of the push that led to this deployment."""
    pushed = next((one for one in plane.ledger.chain(event.id) if one.type == "change.pushed"), None)
    times = [
        parse_stamp(commit["time"])
        for commit in (pushed.data.get("commits", []) if pushed else [])
        if commit.get("time")
    ]
    return min(times) if times else None


def _incidents(plane: Plane, service: str, since: datetime, until: datetime) -> Iterator[Recovered]:
    for event in _events(plane, "incident.resolved", service, since, until):
        opened = plane.ledger.find(
            types=["incident.opened"], subjects=[f"incident:{event.subject('incident')}"], limit=1, newest_first=False
        )
        if not opened:
            continue
        suspects = opened[0].data.get("suspects") or []
        onset = opened[0].data.get("onset")
        yield Recovered(
            event=event.id, onset=parse_stamp(onset) if onset else opened[0].time, resolved=event.time,
            suspect=str(suspects[0]["event"]) if suspects else "",
        )  # fmt: skip


def _events(plane: Plane, type: str, service: str, since: datetime, until: datetime) -> Iterator[Event]:
    after, given = "", 0
    subjects = [f"service:{service}"] if service else []
    while given < LIMIT:
        found = plane.ledger.find(types=[type], subjects=subjects, since=since, until=until, after=after, limit=PAGE)
        yield from found
        given += len(found)
        if len(found) < PAGE:
            return
        after = found[-1].id
