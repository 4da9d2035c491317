"""What incidents speak of: an incident and its states, the alerts in it, pages, action items, postmortems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from opsroom.kernel.errors import Conflict

Severity = Literal["SEV1", "SEV2", "SEV3"]
State = Literal["open", "acknowledged", "resolved"]
Act = Literal["acknowledge", "resolve"]
PageState = Literal["waiting", "sent", "delivered", "failed", "dropped"]

SEVERITIES: tuple[Severity, ...] = ("SEV1", "SEV2", "SEV3")
"""Worst first."""

TRANSITIONS: Mapping[tuple[State, Act], State] = {
    ("open", "acknowledge"): "acknowledged",
    ("open", "resolve"): "resolved",
    ("acknowledged", "resolve"): "resolved",
}
"""All that may happen to an incident. A resolved one stays resolved: trouble that comes back is a new incident."""

PAGE_TRANSITIONS: Mapping[PageState, frozenset[PageState]] = {
    "waiting": frozenset({"sent", "delivered", "failed", "dropped"}),
    "sent": frozenset({"delivered"}),
    "failed": frozenset({"delivered"}),
    "delivered": frozenset(),
    "dropped": frozenset(),
}
"""A receiver may confirm before its answer reached us, or after we had given up: what it says counts."""

_LABELS: Mapping[str, Severity | None] = {"critical": "SEV1", "error": "SEV2", "warning": "SEV3", "info": None}
_DEFAULT_LABEL = "warning"


def severity_of(labels: Mapping[str, str]) -> Severity | None:
    """The severity of an alert by its label (docs/reference/ops-repo.md, Rules); None: no incident. A word nobody knows is a warning."""
    return _LABELS.get(labels.get("severity", _DEFAULT_LABEL), _LABELS[_DEFAULT_LABEL])


def worse(one: Severity, other: Severity) -> bool:
    """Whether `one` is worse than `other`."""
    return SEVERITIES.index(one) < SEVERITIES.index(other)


def after(state: State, act: Act, name: str) -> State:
    """The state that follows; Conflict names the incident where the act is not possible in its state."""
    following = TRANSITIONS.get((state, act))
    if following is None:
        raise Conflict(f"incident {name} is {state} already, so nobody can {act} it")
    return following


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident. `onset` is when the symptom began, `opened` when it was noticed. `runbook` has title, path, workflow; `suspects`
    are as `suspects.Suspect.plain` gives them; `unpaged` says why nobody is paged; `previous` is the last one of the same alert."""

    id: str
    key: str
    title: str
    state: State
    severity: Severity
    service: str
    environment: str
    alert: str
    owner: str
    onset: datetime
    opened: datetime
    acknowledged: datetime | None = None
    acknowledged_by: str = ""
    resolved: datetime | None = None
    resolved_by: str = ""
    automatic: bool = False
    note: str = ""
    runbook: Mapping[str, str] = field(default_factory=dict)
    suspects: tuple[Mapping[str, Any], ...] = ()
    timers: tuple[str, ...] = ()
    unpaged: str = ""
    previous: str = ""
    opened_event: str = ""
    resolved_event: str = ""

    @property
    def subjects(self) -> tuple[str, ...]:
        """What its events are about."""
        named = {"service": self.service, "environment": self.environment, "alert": self.alert, "team": self.team}
        return (f"incident:{self.id}", *(f"{kind}:{value}" for kind, value in named.items() if value))

    @property
    def team(self) -> str:
        """The owning group; "" where a person owns it, or nobody."""
        return "" if self.owner.startswith("user:") else self.owner

    @property
    def seconds_to_detect(self) -> float:
        return seconds_between(self.onset, self.opened)

    @property
    def seconds_to_recover(self) -> float | None:
        """From the symptom's beginning to the end; None while it lasts."""
        return None if self.resolved is None else seconds_between(self.onset, self.resolved)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentAlert:
    """One alert in an incident, by its fingerprint; the events are those of its last firing and its end."""

    incident: str
    fingerprint: str
    name: str
    service: str
    environment: str
    severity: Severity
    summary: str
    value: float | None
    expr: str
    fired: datetime
    resolved: datetime | None
    fired_event: str
    resolved_event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One message to the people of one escalation step by one channel. `id` is the message's key for every attempt; `address` holds no
    secret; `error` is why the last attempt failed; `next_try` is set while one is due."""

    id: str
    incident: str
    step: int
    channel: str
    provider: str
    address: str
    people: tuple[str, ...]
    state: PageState
    attempts: int
    error: str
    receiver: str
    created: datetime
    sent: datetime | None
    delivered: datetime | None
    next_try: datetime | None
    sent_event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionItem:
    """Something to do so that it does not happen again."""

    id: str
    incident: str
    title: str
    state: Literal["open", "closed"]
    owner: str
    opened: datetime
    closed: datetime | None
    closed_by: str
    note: str
    opened_event: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Postmortem:
    """The draft as it was written when the incident was resolved."""

    incident: str
    markdown: str
    drafted: datetime
    event: str


def seconds_between(start: datetime, end: datetime) -> float:
    """Seconds to the millisecond, never below 0."""
    return max(0.0, round((end - start) / timedelta(seconds=1), 3))
