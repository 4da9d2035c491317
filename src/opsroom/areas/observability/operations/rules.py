"""Rules: list, check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar, Literal

from opsroom.areas.observability import store as rows
from opsroom.areas.observability.evaluating import interval_of
from opsroom.areas.observability.in_force import groups_of
from opsroom.areas.observability.model import GroupRow
from opsroom.contracts.operations import Model, operation
from opsroom.contracts.plane import Call, Plane
from opsroom.contracts.scopes import Shared, Sifted
from opsroom.telemetry.durations import format_duration
from opsroom.telemetry.rulefiles import Rule, RuleGroup, check_rules
from opsroom.telemetry.rules import active_alerts

LONGEST_TEXT = 30_000
PLACE = ("service", "team", "environment")


class RuleView(Model):
    """A rule in force. `state` of an alert is inactive, pending, firing, or unknown where it could not be evaluated (`error` says why);
    of a recording rule ok or unknown. `hold` is its `for`; `place` where it is written."""

    columns: ClassVar[tuple[str, ...]] = ("group", "name", "kind", "state", "alerts", "error", "expr", "hold")
    file: str
    group: str
    name: str
    kind: Literal["alert", "record"]
    expr: str
    hold: str
    labels: dict[str, str]
    annotations: dict[str, str]
    state: Literal["inactive", "pending", "firing", "ok", "unknown"]
    alerts: int
    error: str
    interval_seconds: float
    evaluated: datetime | None
    place: str


class RuleProblem(Model):
    """Something wrong in a rule file."""

    line: int
    column: int
    message: str
    way_out: str


class RuleCheck(Model):
    """What a text holds as a rule file: how many rules are right, and everything that is not."""

    ok: bool
    groups: int
    rules: int
    problems: list[RuleProblem]


@operation(
    "rules.list",
    scope=Sifted(
        "a rule for one service is told to its team, and a rule for all with the alerts that the actor may read"
    ),
)
def list_rules(call: Call) -> list[RuleView]:
    """Every rule in force, with the state of its last evaluation."""
    if call.sight.everything:
        return rule_views(call.plane)

    def shows(labels: Mapping[str, str]) -> bool:
        return call.sight.sees(**{name: labels.get(name, "") for name in PLACE})

    views = rule_views(call.plane, shows)
    return [view for view in views if not any(view.labels.get(name) for name in PLACE) or shows(view.labels)]


@operation("rules.check", scope=Shared("it looks at nothing but the text it is given"))
def check_rule_text(call: Call, *, text: str, file: str = "rules.yml") -> RuleCheck:
    """Check the text of a Prometheus rule file without putting it in force. Error: it is longer than 30,000 characters."""
    from opsroom.kernel.errors import TooLarge

    if len(text) > LONGEST_TEXT:
        raise TooLarge(f"the text has {len(text):,} characters, the limit is {LONGEST_TEXT:,}; check it in parts")
    groups, problems = check_rules(text, file)
    found = [
        RuleProblem(line=one.place.line, column=one.place.column, message=one.message, way_out=one.way_out)
        for one in problems
    ]
    return RuleCheck(ok=not found, groups=len(groups), rules=sum(len(one.rules) for one in groups), problems=found)


def rule_views(plane: Plane, shows: Callable[[Mapping[str, str]], bool] = lambda labels: True) -> list[RuleView]:
    """The rules in force in the order written; of their alerts those count whose labels `shows` passes."""
    with plane.store.read() as tx:
        known = rows.groups(tx)
    return [
        _view(plane, group, rule, known.get((group.file, group.name)), shows)
        for group in groups_of(plane.catalogs.current())
        for rule in group.rules
    ]


def _view(
    plane: Plane, group: RuleGroup, rule: Rule, row: GroupRow | None, shows: Callable[[Mapping[str, str]], bool]
) -> RuleView:
    error = row.faults.get(rule.name, "") if row else "it was not evaluated yet"
    active = (
        [one for one in active_alerts(row.state if row else None) if one["rule"] == rule.name and shows(one["labels"])]
        if rule.alert
        else []
    )
    return RuleView(
        file=group.file, group=group.name, name=rule.name, kind="alert" if rule.alert else "record",
        expr=" ".join(rule.expr.split()), hold=format_duration(rule.hold) if rule.alert else "",
        labels={name: template.text for name, template in rule.labels.items()},
        annotations={name: template.text for name, template in rule.annotations.items()},
        state=_state(rule, error, [one["state"] for one in active]), alerts=len(active), error=error,
        interval_seconds=interval_of(plane, group), evaluated=row.evaluated if row else None, place=str(rule.place),
    )  # fmt: skip


def _state(rule: Rule, error: str, alerts: list[str]) -> Literal["inactive", "pending", "firing", "ok", "unknown"]:
    if error:
        return "unknown"
    if not rule.alert:
        return "ok"
    return "firing" if "firing" in alerts else "pending" if alerts else "inactive"
