"""Escalation: whom to call when nobody has said that they are on it. Each step is a durable timer that outlives the process."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from opsroom.areas.incidents import store as rows
from opsroom.areas.incidents.kinds import EscalationPolicySpec
from opsroom.areas.incidents.model import Incident, Page
from opsroom.areas.incidents.on_call import bare, people_of, policy_of, schedule_for
from opsroom.contracts.plane import Plane
from opsroom.kernel.queue import Item
from opsroom.kernel.store import Tx

ESCALATE = "incidents.escalate"
PAGE = "incidents.page"
SYSTEM = "system:incidents"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One step of a policy at its time: seconds since the incident opened, whom and by what."""

    number: int
    after: float
    notify: tuple[str, ...]
    channels: tuple[str, ...]


def calls(policy: EscalationPolicySpec, severity: str) -> list[Call]:
    """Every call a policy makes for a severity, the repeats of its last step among them; none where it does not page for that."""
    if severity not in policy.severities:
        return []
    steps = sorted(policy.steps, key=lambda step: step.after)
    times = [step.after for step in steps]
    times += [steps[-1].after + count * policy.repeat_after for count in range(1, policy.repeat + 1)]
    steps += [steps[-1]] * policy.repeat
    return [
        Call(number=number, after=at, notify=step.notify, channels=step.channels)
        for number, (at, step) in enumerate(zip(times, steps, strict=True))
    ]


def start_timers(tx: Tx, plane: Plane, incident: Incident) -> Incident:
    """Sets a timer for every call, in the transaction that opens the incident; says why where there is none to make."""
    schedule, unpaged = schedule_for(plane, incident.service, incident.owner)
    made: list[Call] = []
    policy = policy_of(plane.catalogs.current(), schedule.escalation) if schedule is not None else None
    if schedule is not None:
        if policy is None:
            unpaged = (
                f"schedule {schedule.name} names EscalationPolicy {schedule.escalation!r}, which is not in the ops repo"
            )
        else:
            made = calls(policy, incident.severity)
            unpaged = "" if made else f"EscalationPolicy {schedule.escalation} does not page for {incident.severity}"
    if not made and (schedule is None or policy is None):
        # Nobody will ever be called: that is a failure to page, and must be seen as one.
        plane.ledger.record(
            tx, "page.failed", actor=SYSTEM, cause=incident.opened_event, subjects=incident.subjects,
            key=f"page.failed:{incident.id}:nobody",
            data={"page": "", "provider": "none", "address": "", "person": "anybody", "detail": unpaged, "final": True},
        )  # fmt: skip
    keys = []
    for call in made:
        keys.append(f"{ESCALATE}:{incident.id}:{call.number}")
        plane.queue.put(
            tx, ESCALATE, {"incident": incident.id, "step": call.number, "notify": call.notify, "channels": call.channels},
            at=incident.opened + timedelta(seconds=call.after), key=keys[-1], cause=incident.opened_event,
        )  # fmt: skip
    rows.change(tx, incident.id, timers=keys, unpaged=unpaged)
    return replace(incident, timers=tuple(keys), unpaged=unpaged)


def give_up_timers(tx: Tx, plane: Plane, incident: Incident) -> None:
    """Takes back what has not come due: someone is on it, or it is over."""
    for key in incident.timers:
        plane.queue.drop(tx, key)


def escalate(plane: Plane, item: Item) -> None:
    """Carries one timer out: a page for every channel of the step, each sent by itself, so that none waits for another."""
    payload = item.payload
    channels = [bare(str(name)) for name in payload["channels"]]
    with plane.store.read() as tx:
        incident = rows.get(tx, str(payload["incident"]))
    if incident is None or incident.state != "open":
        with plane.store.begin() as tx:
            plane.queue.done(tx, item)
        return
    people = people_of(plane, tuple(map(str, payload["notify"])), incident.service, incident.owner)
    catalog = plane.catalogs.current()
    with plane.store.begin() as tx:
        if not plane.queue.done(tx, item):
            return
        for name in channels:
            found = catalog.find("NotificationChannel", name)
            page = Page(
                id=plane.clock.new_id("pag"), incident=incident.id, step=int(payload["step"]), channel=name,
                provider=str(found.spec.type) if found else "", address=address_of(found.spec) if found else "",
                people=tuple(people), state="waiting", attempts=0, error="", receiver="", created=plane.clock.now(),
                sent=None, delivered=None, next_try=plane.clock.now(), sent_event="",
            )  # fmt: skip
            rows.add_page(tx, page)
            plane.queue.put(tx, PAGE, {"page": page.id}, key=f"{PAGE}:{page.id}", cause=incident.opened_event)


def address_of(spec: Any) -> str:
    """Where a channel leads, without what may be secret: the host of its URL, or its mail server."""
    if spec.type != "webhook":
        return str(getattr(spec, "server", None) or "")
    host = re.split(r"[/?#]", str(spec.url).partition("://")[2])[0].rpartition("@")[2]
    return host if host and "${{" not in str(spec.url).partition("/")[0] + host else "an address kept secret"
