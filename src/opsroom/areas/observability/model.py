"""What observability speaks of: targets, alerts, rule groups with their state, and objectives with their figures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

TargetHealth = Literal["up", "down", "unknown"]
AlertState = Literal["pending", "firing", "resolved", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRow:
    """A target as it was last seen. `since`: when it went into this state; `event` tells of that; times of the last scrape."""

    service: str
    environment: str
    instance: str
    url: str
    state: TargetHealth
    error: str
    since: datetime
    scraped: datetime
    seconds: float
    samples: int
    event: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.service, self.environment, self.instance


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """One alert from its onset to its end. `key` names it within its rule group; `silence` is the waiver that covered it when it fired; `muted_by` the
    load test that causes it, so that it calls nobody ("" : none, or it outlasts it)."""

    id: str
    key: str
    fingerprint: str
    name: str
    file: str
    group: str
    state: AlertState
    severity: str
    service: str
    environment: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float
    expr: str
    active_at: datetime
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    silence: str = ""
    muted_by: str = ""
    fired_event: str = ""
    resolved_event: str = ""

    @property
    def subjects(self) -> list[str]:
        named = {"alert": self.name, "service": self.service, "environment": self.environment}
        return [f"{kind}:{value}" for kind, value in named.items() if value]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """The kept state of a rule group. `answered`: when all its questions were last answered; until `settles`, an alert that is not
    seen any more is not taken as over, for what it looks at was not watched. `faults` by rule."""

    file: str
    name: str
    state: dict[str, Any]
    evaluated: datetime
    answered: datetime
    settles: datetime
    seconds: float = 0.0
    faults: Mapping[str, str] = field(default_factory=dict)
    revision: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.file, self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class SloRow:
    """The last figures of an objective. `left` and `burn_rate` are None where `reason` says why; `covered` is how much of the window was
    watched, in seconds. `counters` are the last values of the series behind it; `level` is that of the last event."""

    name: str
    definition: str
    counters: dict[str, Any]
    began: datetime
    evaluated: datetime
    left: float | None = None
    burn_rate: float | None = None
    burn_seconds: float = 0.0
    good: float = 0.0
    total: float = 0.0
    covered: float = 0.0
    reason: str = ""
    level: int = 0
    told: datetime | None = None
    event: str = ""


def fingerprint(file: str, group: str, labels: Mapping[str, str]) -> str:
    """16 hexadecimal digits that stay the same for an alert of these labels by this group."""
    parts = [file, group, *(f"{name}={value}" for name, value in sorted(labels.items()))]
    return hashlib.sha256("\xff".join(parts).encode()).hexdigest()[:16]
