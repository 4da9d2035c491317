"""Facts: typed questions, each answered by exactly one area and asked by any.

An answer carries a value or *unknown* with its reason, the time it was true, and the ids of the events behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A question; its subclass names the type of its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[T]):
    """`value` is None exactly when `unknown` says why."""

    value: T | None
    unknown: str = ""
    at: datetime
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One version that serves in an environment now."""

    service: str
    environment: str
    version: str
    digest: str
    commit: str
    deployment: str
    url: str
    since: datetime
    event: str


@dataclass(frozen=True, slots=True)
class WhatRuns(Question[tuple[Running, ...]]):
    """Which digests run where (delivery). Empty strings mean any."""

    service: str = ""
    environment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Ids of the newest events that match, newest first; `behind` is how many sealed events were not looked through yet."""

    events: tuple[str, ...]
    behind: int


@dataclass(frozen=True, slots=True)
class EventsWith(Question[Found]):
    """Which events have, for every word of the text, a word that begins with it (documentation). Words are those of the
    event's sentence, type, subjects and actor."""

    text: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingCount:
    """Open findings on a digest by severity; `waived` are not in the others. `checked` names what was checked, `unchecked` what was not and why."""

    critical: int
    high: int
    medium: int
    low: int
    waived: int
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FindingsOn(Question[FindingCount]):
    """Findings on this digest (security)."""

    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Error budget of an SLO: share left (1 full, below 0 overspent) and burn rate over the last window (1: exactly as allowed)."""

    slo: str
    objective: float
    left: float
    burn_rate: float


@dataclass(frozen=True, slots=True)
class BudgetLeft(Question[tuple[Budget, ...]]):
    """SLO budgets of a service (observability)."""

    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Objects of a target that differ from their file."""

    target: str
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DriftOf(Question[tuple[Drift, ...]]):
    """Drift by target (configuration). Empty: all targets."""

    target: str = ""


@dataclass(frozen=True, slots=True)
class OwnerOf(Question[str]):
    """The owning group of a service (collaboration)."""

    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Who is on call: people in the order they are paged, and until when."""

    schedule: str
    people: tuple[str, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class OnCall(Question[Shift]):
    """Who is on call for a service now (incidents)."""

    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Micro-units of `currency` (1,000,000 = 1), with the price version that gave it."""

    micros: int
    currency: str
    price_version: str


@dataclass(frozen=True, slots=True)
class RunCost(Question[Cost]):
    """What one run cost (cost)."""

    run: str


@dataclass(frozen=True, slots=True)
class ServiceCost(Question[Cost]):
    """What a service cost in all recorded runs (cost)."""

    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Requests sent to a service and how many of them failed, as counted by the load generator that sent them."""

    requests: int
    failed: int


@dataclass(frozen=True, slots=True)
class TrafficDuring(Question[Traffic]):
    """Traffic between two moments (performance). Unknown where no generator ran."""

    service: str
    environment: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests that Opsroom sent to a service from `since` to `until`, by a load test of the ops repo. `kind`: test (a step of a workflow)
    or traffic (steady, sent by a person or a program). `going_on`: it had not ended when asked. `mutes`: alerts that it causes call nobody.
    `event` tells of it."""

    kind: str
    test: str
    service: str
    environment: str
    since: datetime
    until: datetime
    going_on: bool
    mutes: bool
    event: str


@dataclass(frozen=True, slots=True)
class LoadDuring(Question[tuple[Load, ...]]):
    """Load that overlaps the time between two moments, in any environment unless one is named (performance); the earliest first."""

    since: datetime
    until: datetime
    environment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One golden figure of a service as it went: `times` are seconds since the epoch, rising, each with its value."""

    name: str
    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FiguresDuring(Question[tuple[Figures, ...]]):
    """p95 and error share of a service in an environment between two moments, those that have samples (observability)."""

    service: str
    environment: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Golden signals over the last minute or the given window; None is "no samples", never 0. Seconds, shares, requests a second."""

    rate: float | None
    error_share: float | None
    p95_seconds: float | None


@dataclass(frozen=True, slots=True)
class HealthOf(Question[Signals]):
    """Golden signals of a service in an environment (observability)."""

    service: str
    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncident:
    """An incident that is not resolved."""

    id: str
    title: str
    severity: str
    service: str
    environment: str
    since: datetime


@dataclass(frozen=True, slots=True)
class OpenIncidents(Question[tuple[OpenIncident, ...]]):
    """Open incidents (incidents). Empty: of every service."""

    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """A runbook: its document, and the workflow that carries it out ("" : none)."""

    title: str
    path: str
    workflow: str


@dataclass(frozen=True, slots=True)
class RunbookFor(Question[Runbook]):
    """The runbook of an alert (documentation)."""

    service: str
    alert: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """A thing that ends on a day, and what breaks then."""

    kind: str
    name: str
    expires: datetime
    breaks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExpiringBefore(Question[tuple[Expiry, ...]]):
    """Tokens, certificates, waivers that end before a moment (infrastructure)."""

    moment: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Dora:
    """The four keys over a window; None where nothing was recorded to compute it from."""

    deployments: int
    lead_time_seconds: float | None
    change_failure_share: float | None
    recovery_seconds: float | None


@dataclass(frozen=True, slots=True)
class DoraOf(Question[Dora]):
    """DORA figures of a service between two moments (collaboration)."""

    service: str
    since: datetime
    until: datetime
