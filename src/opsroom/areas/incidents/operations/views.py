"""What the verbs of incidents answer with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field

from opsroom.areas.incidents.model import ActionItem, Incident, IncidentAlert
from opsroom.areas.incidents.model import Page as Paged
from opsroom.contracts.operations import Model


class SuspectView(Model):
    """A change or a load that could have caused it: its event, its sentence, a score from 0 (cannot be) to 1, and why. `factors` are what
    the reasons count, in their order; their product is the score."""

    columns: ClassVar[tuple[str, ...]] = ("score", "kind", "change", "at", "event")
    event: str
    change: str
    subjects: list[str]
    at: datetime
    kind: Literal["change", "load"] = "change"
    score: float
    reasons: list[str]
    factors: list[float] = Field(default_factory=list)


class AlertView(Model):
    """An alert of an incident; `resolved` None: it still fires."""

    name: str
    service: str
    environment: str
    summary: str
    value: float | None
    fired: datetime
    resolved: datetime | None
    events: list[str]


class PageView(Model):
    """A message to people by one channel. `delivered`: its receiver has confirmed it; `state` sent: taken, not confirmed."""

    columns: ClassVar[tuple[str, ...]] = (
        "id", "incident", "provider", "person", "state", "delivered", "attempts", "error", "created",
    )  # fmt: skip
    id: str
    incident: str
    step: int
    channel: str
    provider: str
    address: str
    person: str
    state: str
    delivered: bool
    attempts: int
    error: str
    receiver: str
    created: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    next_try: datetime | None


class ActionItemView(Model):
    """Something to do so that it does not happen again."""

    columns: ClassVar[tuple[str, ...]] = ("id", "incident", "title", "state", "owner", "opened", "closed")
    id: str
    incident: str
    title: str
    state: str
    owner: str
    opened: datetime
    closed: datetime | None
    closed_by: str
    note: str


class IncidentView(Model):
    """An incident. Seconds count from the onset of the symptom: to when it was noticed, and to when it was over."""

    columns: ClassVar[tuple[str, ...]] = (
        "id", "state", "severity", "title", "service", "environment", "owner", "opened", "resolved", "seconds_to_recover",
    )  # fmt: skip
    id: str
    title: str
    state: str
    severity: str
    service: str
    environment: str
    owner: str
    onset: datetime
    opened: datetime
    acknowledged: datetime | None
    acknowledged_by: str
    resolved: datetime | None
    resolved_by: str
    automatic: bool
    note: str
    runbook: str
    runbook_title: str
    runbook_workflow: str
    runbook_unknown: str
    suspects: list[SuspectView]
    unpaged: str
    previous: str
    seconds_to_detect: float
    seconds_to_recover: float | None
    events: list[str]


class MomentView(Model):
    """One event of a timeline, as a sentence."""

    columns: ClassVar[tuple[str, ...]] = ("at", "what", "event")
    at: datetime
    what: str
    event: str


class IncidentDetail(IncidentView):
    """An incident with all that belongs to it; `timeline` is oldest first; `runs` are those of its runbook."""

    alerts: list[AlertView]
    pages: list[PageView]
    action_items: list[ActionItemView]
    timeline: list[MomentView]
    runs: list[str]


def incident_view(incident: Incident) -> IncidentView:
    return IncidentView.model_validate(incident_values(incident))


def incident_values(incident: Incident) -> dict[str, object]:
    runbook = incident.runbook
    shared = (
        "id", "title", "state", "severity", "service", "environment", "owner", "onset", "opened", "acknowledged",
        "acknowledged_by", "resolved", "resolved_by", "automatic", "note", "unpaged", "previous", "seconds_to_detect",
        "seconds_to_recover",
    )  # fmt: skip
    return {
        **{name: getattr(incident, name) for name in shared}, "runbook": runbook.get("path", ""),
        "runbook_title": runbook.get("title", ""), "runbook_workflow": runbook.get("workflow", ""),
        "runbook_unknown": runbook.get("unknown", ""), "suspects": [dict(one) for one in incident.suspects],
        "events": [event for event in (incident.opened_event, incident.resolved_event) if event],
    }  # fmt: skip


def alert_views(alerts: Sequence[IncidentAlert]) -> list[AlertView]:
    return [
        AlertView(
            name=alert.name, service=alert.service, environment=alert.environment, summary=alert.summary,
            value=alert.value, fired=alert.fired, resolved=alert.resolved,
            events=[event for event in (alert.fired_event, alert.resolved_event) if event],
        )
        for alert in alerts
    ]  # fmt: skip


def page_view(page: Paged) -> PageView:
    return PageView(
        id=page.id, incident=page.incident, step=page.step, channel=page.channel, provider=page.provider,
        address=page.address, person=", ".join(page.people), state=page.state, delivered=page.state == "delivered",
        attempts=page.attempts, error=page.error, receiver=page.receiver, created=page.created, sent_at=page.sent,
        delivered_at=page.delivered, next_try=page.next_try,
    )  # fmt: skip


def item_view(item: ActionItem) -> ActionItemView:
    return ActionItemView(
        id=item.id, incident=item.incident, title=item.title, state=item.state, owner=item.owner, opened=item.opened,
        closed=item.closed, closed_by=item.closed_by, note=item.note,
    )  # fmt: skip
