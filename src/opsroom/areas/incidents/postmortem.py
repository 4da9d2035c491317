"""The draft of a postmortem, written from what was recorded: impact, suspects, timeline, what helped, what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from opsroom.areas.incidents.model import ActionItem, Incident, IncidentAlert
from opsroom.areas.incidents.suspects import span
from opsroom.areas.incidents.timeline import helped, timeline
from opsroom.contracts.facts import Answer, Budget, BudgetLeft, Traffic, TrafficDuring
from opsroom.contracts.plane import Plane
from opsroom.contracts.sentences import Sentences
from opsroom.kernel.clock import stamp
from opsroom.kernel.ledger import Event

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a draft is written from; gathered before it is written, so that writing reads nothing."""

    alerts: tuple[IncidentAlert, ...]
    events: tuple[Event, ...]
    helped: tuple[Event, ...]
    traffic: Answer[Traffic] | None
    budgets: Answer[tuple[Budget, ...]] | None
    sentences: Sentences


def gather(plane: Plane, incident: Incident, alerts: Sequence[IncidentAlert], *, until: datetime) -> Material:
    """Reads the ledger and asks the facts; impact is counted from the onset until `until`."""
    events = timeline(plane, incident, alerts)
    traffic = budgets = None
    if incident.service:
        traffic = plane.ask(TrafficDuring(incident.service, incident.environment, incident.onset, until))
        budgets = plane.ask(BudgetLeft(incident.service))
    return Material(
        alerts=tuple(alerts), events=tuple(events), helped=tuple(helped(plane, incident, events)), traffic=traffic,
        budgets=budgets, sentences=Sentences(declared for area in plane.areas for declared in area.events),
    )  # fmt: skip


def write(incident: Incident, material: Material, items: Sequence[ActionItem]) -> str:
    """The draft as Markdown (CommonMark). What is not known says so and why; nothing is estimated."""
    return "\n".join([*_head(incident, material), *_impact(incident, material), *_causes(incident), *_told(material),
                      *_remedy(incident, material), *_actions(items)]) + "\n"  # fmt: skip


def action_title(incident: Incident) -> str:
    """What the one action item that every incident leaves asks for."""
    first = next((one for one in incident.suspects if one["score"] > 0), None)
    if first is None:
        return f"Find out what caused “{incident.title}”, and what would have told of it before"
    return f"Find out why nothing stopped this before it was in {incident.environment or 'use'}: {first['change']}"


def text(value: str) -> str:
    """Plain text as Markdown that says the same: on one line, with nothing that would be markup."""
    return _MARKUP.sub(r"\\\1", " ".join(value.split()))


def _moment(at: datetime) -> str:
    """RFC 3339 in UTC to the second."""
    return f"{stamp(at)[:19]}Z"


def _head(incident: Incident, material: Material) -> Iterator[str]:
    yield f"# {text(incident.title)}"
    yield ""
    yield f"Incident `{incident.id}`, {incident.severity}. Draft written by Opsroom from the ledger; a person completes it."
    yield ""
    yield f"- Service: {text(incident.service) or 'not known'}{f' in {text(incident.environment)}' if incident.environment else ''}"
    yield f"- Owner: {text(incident.owner) or 'not known'}"
    yield f"- Alerts: {', '.join(text(alert.name) for alert in material.alerts) or 'none, it was reported by a person'}"
    yield f"- Began: {_moment(incident.onset)}"
    yield f"- Noticed: {_moment(incident.opened)}, {span(incident.opened - incident.onset)} later"
    if incident.acknowledged:
        who = incident.acknowledged_by.removeprefix("person:")
        yield f"- Acknowledged: {_moment(incident.acknowledged)} by {text(who)}, {span(incident.acknowledged - incident.opened)} later"
    if incident.resolved:
        how = (
            "by itself, when its alerts were over"
            if incident.automatic
            else f"by {text(incident.resolved_by.removeprefix('person:'))}"
        )
        yield f"- Resolved: {_moment(incident.resolved)}, {how}, {span(incident.resolved - incident.onset)} after it began"
    else:
        yield "- Resolved: not yet"
    if incident.note:
        yield f"- Note: {text(incident.note)}"
    if incident.previous:
        yield f"- The one before of the same alert: `{incident.previous}`"


def _impact(incident: Incident, material: Material) -> Iterator[str]:
    yield from ("", "## Impact", "")
    for alert in material.alerts:
        measured = "" if alert.value is None else f"; measured when it fired: {alert.value:.4g}"
        yield f"- {text(alert.summary)}{measured}"
    if material.traffic is not None:
        counted = material.traffic.value
        if counted is None:
            yield f"- Requests that failed: unknown, {text(material.traffic.unknown)}"
        else:
            yield f"- {counted.failed:,} of {counted.requests:,} requests failed from its beginning on, as the load generator counted"
    if material.budgets is not None:
        for budget in material.budgets.value or ():
            yield f"- SLO {text(budget.slo)}: {budget.left:.1%} of its error budget left"
        if material.budgets.value is None:
            yield f"- Error budget: unknown, {text(material.budgets.unknown)}"


def _causes(incident: Incident) -> Iterator[str]:
    yield from ("", "## Suspects", "")
    if not incident.suspects:
        yield "No change was recorded in the half hour before."
    for number, suspect in enumerate(incident.suspects, 1):
        yield f"{number}. **{text(suspect['change'])}**, score {suspect['score']:.2f} (event `{suspect['event']}`)"
        yield from (f"   - {text(reason)}" for reason in suspect["reasons"])


def _told(material: Material) -> Iterator[str]:
    yield from ("", "## Timeline", "")
    for event in material.events:
        yield f"- {_moment(event.time)} {text(material.sentences.tell(event))} (`{event.id}`)"


def _remedy(incident: Incident, material: Material) -> Iterator[str]:
    yield from ("", "## What helped", "")
    if not material.helped:
        yield "No change to the service is recorded between its opening and its end."
    for event in material.helped:
        before = f", {span(incident.resolved - event.time)} before the end" if incident.resolved else ""
        yield f"- {text(material.sentences.tell(event))}{before} (`{event.id}`)"


def _actions(items: Sequence[ActionItem]) -> Iterator[str]:
    yield from ("", "## Action items", "")
    for item in items:
        yield f"- [{'x' if item.state == 'closed' else ' '}] {text(item.title)} (`{item.id}`, {text(item.owner) or 'nobody owns it'})"
    if not items:
        yield "One is opened when the incident is resolved."
