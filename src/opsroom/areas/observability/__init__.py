"""Observability: what the services say of themselves, the rules that watch it, and what is left of what was promised.

Nouns: target, metric, log line, rule, alert, SLO. Verbs: list, query, search, check, show. It scrapes, collects, evaluates and tells
who fires and who recovers; it calls nobody (incidents does), and it is *not* the store: telemetry keeps samples and lines.
"""

from __future__ import annotations

from opsroom.areas.observability import facts, jobs, kinds, migrations
from opsroom.areas.observability.operations import alerts, logs, metrics, rules, slos, targets
from opsroom.areas.observability.pages import PAGES, PARTS
from opsroom.areas.observability.prometheus import ROUTES
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import BudgetLeft, FiguresDuring, HealthOf
from opsroom.contracts.operations import operations_of

EVENTS: tuple[EventType, ...] = (
    EventType(
        name="rules.loaded", sentence="{rules} rules in {groups} groups in force, {alerts} of them alerts", change=True
    ),
    EventType(name="target.up", sentence="{service} in {environment} answers at {instance}"),
    EventType(name="target.down", sentence="{service} in {environment} does not answer at {instance}: {error}"),
    EventType(name="alert.fired", sentence="{name} fires: {summary}"),
    EventType(name="alert.unmuted", sentence="{name} outlasts {muted_by} and counts now: {summary}"),
    EventType(name="alert.resolved", sentence="{name} is over after {seconds:.0f} s: {summary}"),
    EventType(
        name="slo.evaluated",
        sentence="{title}: {left:.1%} of the error budget left, burning at {burn_rate:.2f} of what is allowed",
    ),
)

AREA = Area(
    name="observability",
    promise="What runs is seen: metrics, logs and objectives, with every change marked, and an alert that does not lie.",
    nouns=("targets", "metrics", "logs", "rules", "alerts", "slos"),
    kinds=kinds.KINDS,
    events=EVENTS,
    operations=operations_of(targets, metrics, logs, rules, alerts, slos),
    migrations=migrations.MIGRATIONS,
    facts={BudgetLeft: facts.budget_left, HealthOf: facts.health_of, FiguresDuring: facts.figures_during},
    subscriptions=jobs.SUBSCRIPTIONS,
    duties=jobs.DUTIES,
    pages=PAGES,
    parts=PARTS,
    routes=ROUTES,
)
