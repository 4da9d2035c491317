"""Alerts: what fires, what waits to, the rules behind them; and one alert with its figure, its causes and its past."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from opsroom.areas.observability import store as rows
from opsroom.areas.observability.operations.alerts import AlertView, alert_view, find_alert
from opsroom.areas.observability.operations.rules import RuleView, list_rules, rule_views
from opsroom.areas.observability.pages.seen import seen, telemetry_problem
from opsroom.contracts.facts import RunbookFor
from opsroom.contracts.pages import PageRequest, View
from opsroom.kernel.clock import stamp
from opsroom.kernel.errors import Invalid, NotFound, Place
from opsroom.kernel.ledger import Event

LIVE = ("alert.", "rules.", "waiver.", "incident.")
PAST = 50
SILENCE = timedelta(hours=2)
_COMPARISONS = frozenset({">", "<", ">=", "<="})


def listing(asked: PageRequest) -> View:
    """What is on now, what was in the scope's time, and every rule in force."""
    plane = asked.call.plane
    with plane.store.read() as tx:
        on, past = rows.open_alerts(tx), rows.alerts(tx, states=("resolved",), since=asked.scope.since, limit=PAST)
    rules = list_rules(asked.call)
    values = {
        "on": [alert_view(plane, one) for one in reversed(seen(asked, on))],
        "past": [alert_view(plane, one) for one in seen(asked, past)],
        "rules": rules, "problem": telemetry_problem(asked), "silence": SILENCE,
        "until": plane.clock.now() + SILENCE,
    }  # fmt: skip
    return View(
        template="observability/alerts.html", values=values, title="Alerts", api="/api/v1/alerts", live=LIVE,
        code=_place(rules[0]) if rules else None,
    )  # fmt: skip


def show(asked: PageRequest) -> View:
    """One alert, by its id or its name; of a rule that never fired, the rule. Error: not found; not allowed."""
    plane, id = asked.call.plane, asked.params["id"]
    rule = next((one for one in list_rules(asked.call) if one.name == id and one.kind == "alert"), None)
    try:
        alert = find_alert(plane, id)
    except NotFound:
        if rule is None:
            raise
        return View(
            template="observability/rule.html", values={"rule": rule}, title=rule.name, code=_place(rule),
            api="/api/v1/rules", live=LIVE,
        )  # fmt: skip
    asked.call.sight.require(alert)
    with plane.store.read() as tx:
        past = [one for one in rows.alerts(tx, name=alert.name, limit=PAST) if one.id != alert.id]
    view = alert_view(plane, alert)
    rule = next(
        (one for one in rule_views(plane) if (one.file, one.group, one.name) == (alert.file, alert.group, alert.name)),
        None,
    )
    query, thresholds = watched(alert.expr)
    values: dict[str, Any] = {
        "alert": view, "rule": rule, "past": [alert_view(plane, one) for one in seen(_unscoped(asked), past)],
        "query": query, "thresholds": thresholds, "events": _events(asked, view), "until": plane.clock.now() + SILENCE,
        "matchers": "\n".join(_matchers(view)), "runbook": plane.ask(RunbookFor(alert.service, alert.name)),
        "reason": rule.error if rule else "its rule is not in force any more",
        "around": {"since": stamp(alert.active_at - timedelta(minutes=5)), "until": stamp(_end(asked, view))},
    }  # fmt: skip
    return View(
        template="observability/alert.html", values=values, title=alert.name, code=_place(rule) if rule else None,
        api=f"/api/v1/alerts/{alert.id}", live=LIVE,
    )  # fmt: skip


def watched(expr: str) -> tuple[str, list[dict[str, Any]]]:
    """What an alert's expression looks at, without its bound, and the bound as the chart draws it."""
    from promql_parser import BinaryExpr, NumberLiteral, ParenExpr

    from opsroom.telemetry.promql.parse import parse

    try:
        tree: Any = parse(expr)
        while isinstance(tree, ParenExpr):
            tree = tree.expr
        if (
            not isinstance(tree, BinaryExpr)
            or str(tree.op) not in _COMPARISONS
            or not isinstance(tree.rhs, NumberLiteral)
        ):
            return expr, []
        shown = str(tree.lhs).replace("{}", "")
        parse(shown)
    except Invalid:
        return expr, []
    return shown, [{"value": tree.rhs.val, "label": "fires " + ("above" if str(tree.op).startswith(">") else "below")}]


def _events(asked: PageRequest, alert: AlertView) -> list[Event]:
    """Its end, its firing, and what led to it, newest first."""
    ledger = asked.call.plane.ledger
    told = [ledger.get(alert.resolved_event)] if alert.resolved_event else []
    return asked.call.sight.only([*told, *(ledger.chain(alert.fired_event) if alert.fired_event else [])])


def _matchers(alert: AlertView) -> list[str]:
    """Matchers that cover exactly this alert's place, for a silence."""
    named = (("alert", alert.name), ("service", alert.service), ("environment", alert.environment))
    return [f"{label}={value}" for label, value in named if value]


def _end(asked: PageRequest, alert: AlertView) -> datetime:
    return min(asked.call.plane.clock.now(), (alert.resolved_at or asked.call.plane.clock.now()) + timedelta(minutes=5))


def _unscoped(asked: PageRequest) -> PageRequest:
    return replace(asked, scope=replace(asked.scope, service="", environment="", team=""))


def _place(rule: RuleView) -> Place:
    file, _, rest = rule.place.partition(":")
    line, _, column = rest.partition(":")
    return Place(file, int(line or 0), int(column or 0))
