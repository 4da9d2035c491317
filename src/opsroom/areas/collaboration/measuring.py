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
    return four_keys(
        list(_deployments(plane, service, since, until)), list(_incidents(plane, service, since, until)),
        set(_suspected(plane, service, since, until)),
    )  # fmt: skip


def _deployments(plane: Plane, service: str, since: datetime, until: datetime) -> Iterator[Deployed]:
    production = {one.name for one in plane.catalogs.current().all("Environment") if one.spec.tier == "production"}
    for event in _events(plane, "deployment.finished", service, since, until):
        if event.subject("environment") in production:
            kind = str(event.data.get("kind", "deploy"))
            yield Deployed(
                event=event.id, deployment=event.subject("deployment"), kind=kind, finished=event.time,
                place=(event.subject("service"), event.subject("environment")),
                oldest=_oldest(plane, event) if kind == "deploy" else None,
            )  # fmt: skip


def _oldest(plane: Plane, event: Event) -> datetime | None:
    """The oldest commit that this deployment brought: of all pushes to the branch since the one deployed there before, whether or not
    each was deployed."""
    push = _push_of(plane, event)
    if push is None:
        return None
    before = _push_of(plane, _before(plane, event))
    pushes = [push] if before is None else list(_pushes_between(plane, before, push))
    return min((time for one in pushes for time in _commit_times(one)), default=None)


def _push_of(plane: Plane, event: Event | None) -> Event | None:
    """The push whose head is the commit of a deployment."""
    commit = event.subject("commit") if event else ""
    found = plane.ledger.find(
        types=["change.pushed"], subjects=[f"commit:{commit}"], limit=1, newest_first=False
    ) if commit else []  # fmt: skip
    return found[0] if found else None


def _before(plane: Plane, event: Event) -> Event | None:
    """What was deployed at the same place before; rollbacks bring nothing new, so they are passed over."""
    subjects = [f"service:{event.subject('service')}", f"environment:{event.subject('environment')}"]
    found = plane.ledger.find(types=["deployment.finished"], subjects=subjects, until=event.time, limit=PAGE)
    return next((one for one in found if one.data.get("kind", "deploy") == "deploy"), None)


def _pushes_between(plane: Plane, before: Event, push: Event) -> Iterator[Event]:
    """Pushes to the branch after `before`, up to and with `push`."""
    subject = f"repository:{push.subject('repository')}"
    found = plane.ledger.find(
        types=["change.pushed"], subjects=[subject], after=before.id, limit=PAGE, newest_first=False
    )
    return (one for one in found if one.id <= push.id and one.data.get("ref") == push.data.get("ref"))


def _commit_times(push: Event) -> Iterator[datetime]:
    commits = push.data.get("commits") or []
    if not push.data.get("before"):
        # The first push that was seen brings the whole history; what was waiting for this deployment is its head.
        commits = [one for one in commits if one.get("commit") == push.data.get("after")]
    for commit in commits:
        if commit.get("time"):
            yield parse_stamp(commit["time"])


def _incidents(plane: Plane, service: str, since: datetime, until: datetime) -> Iterator[Recovered]:
    for event in _events(plane, "incident.resolved", service, since, until):
        opened = plane.ledger.find(
            types=["incident.opened"], subjects=[f"incident:{event.subject('incident')}"], limit=1, newest_first=False
        )
        if opened:
            onset = opened[0].data.get("onset")
            yield Recovered(event=event.id, onset=parse_stamp(onset) if onset else opened[0].time, resolved=event.time)


def _suspected(plane: Plane, service: str, since: datetime, until: datetime) -> Iterator[str]:
    """Deployments that are the first suspect of an incident opened in the time, resolved or not."""
    # What broke may be another service than the one whose incident it became.
    for event in _events(plane, "incident.opened", "", since, until):
        first = next(iter(event.data.get("suspects") or []), None)
        for subject in first.get("subjects", ()) if first else ():
            if subject.startswith("deployment:"):
                yield subject.removeprefix("deployment:")


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
