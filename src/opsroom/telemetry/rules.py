"""Evaluates rule groups: pure, from the last state to the next, with the samples to write and the alerts that changed.

The state is a plain JSON value that belongs to one group; whoever holds it stores it in the transaction that tells of the
transitions. Semantics are Prometheus's: pending until `for` has passed, then firing; `keep_firing_for` outlasts the condition.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from opsroom.kernel.errors import Invalid, UserError
from opsroom.telemetry.port import STALE, Labels, QueryResult, Sample, labels
from opsroom.telemetry.rulefiles import Rule, RuleGroup, check_rules

__all__ = ["Evaluation", "RuleFault", "Transition", "active_alerts", "check_rules", "evaluate"]

State = dict[str, Any]
Query = Callable[[str, float], QueryResult]
"""(PromQL, time in seconds) -> result; its UserErrors make the rule fail, and nothing else."""

Kind = Literal["pending", "firing", "resolved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One alert that changed. `key` names the alert (rule and labels) for its whole life; times are epoch seconds."""

    kind: Kind
    rule: str
    key: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float
    at: float
    active_since: float


@dataclass(frozen=True, slots=True)
class RuleFault:
    """A rule that could not be evaluated this time; its alerts stay as they were."""

    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one evaluation gives. `faults` are told beside the samples of the rules that did work."""

    state: State
    samples: tuple[Sample, ...]
    transitions: tuple[Transition, ...]
    faults: tuple[RuleFault, ...] = ()


def evaluate(group: RuleGroup, state: State | None, query: Query, now: float, *, external_url: str = "") -> Evaluation:
    """Evaluates every rule of the group at `now`, in order. `state` is None at first, then what was returned before."""
    before: Mapping[str, Any] = (state or {}).get("rules", {})
    after: dict[str, Any] = {}
    run = _Run(group, query, now, external_url)
    for key, rule in _keyed(group):
        kept = copy.deepcopy(before.get(key, {"alerts": {}, "series": []}))
        try:
            result = run.result(rule)
            (run.alerting if rule.alert else run.recording)(rule, key, kept, result)
        except UserError as error:
            run.faults.append(RuleFault(rule.name, str(error)))
            kept = copy.deepcopy(before.get(key, kept))
        after[key] = kept
    for key, kept in before.items():
        if key not in after:
            run.removed(kept)
    return Evaluation({"at": now, "rules": after}, tuple(run.samples), tuple(run.transitions), tuple(run.faults))


def active_alerts(state: State | None) -> list[dict[str, Any]]:
    """The alerts in a state, pending and firing, as plain values: key, rule, state, labels, annotations, value, active_since."""
    return [
        {"key": key, "rule": kept["rule"], **alert}
        for kept in (state or {}).get("rules", {}).values()
        for key, alert in kept["alerts"].items()
    ]


@dataclass(slots=True)
class _Run:
    group: RuleGroup
    query: Query
    now: float
    external_url: str
    samples: list[Sample] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    faults: list[RuleFault] = field(default_factory=list)

    def result(self, rule: Rule) -> list[tuple[Labels, float]]:
        found = self.query(rule.expr, self.now - self.group.offset)
        if found.kind not in {"vector", "scalar"}:
            raise Invalid(f"the rule {rule.name} gives a {found.kind}; a rule needs an instant vector or a number")
        if self.group.limit and len(found.series) > self.group.limit:
            raise Invalid(
                f"the rule {rule.name} gives {len(found.series)} results, its group's limit is {self.group.limit}"
            )
        return [(one.labels, one.values[0]) for one in found.series]

    def recording(self, rule: Rule, key: str, kept: dict[str, Any], result: list[tuple[Labels, float]]) -> None:
        fixed = {name: template.text for name, template in rule.labels.items()}
        recorded: dict[Labels, float] = {}
        for of, value in result:
            series = labels({**dict(of), **self.group.labels, **fixed, "__name__": rule.record})
            if series in recorded:
                raise Invalid(f"the rule {rule.name} gives the same labels twice after its own were set")
            recorded[series] = value
        self._write(kept, rule.name, recorded)

    def alerting(self, rule: Rule, key: str, kept: dict[str, Any], result: list[tuple[Labels, float]]) -> None:
        seen: dict[str, dict[str, Any]] = {}
        for of, value in result:
            alert = self._alert(rule, dict(of), value)
            name = f"{key}{sorted(alert['labels'].items())}"
            if name in seen:
                raise Invalid(f"the rule {rule.name} gives two alerts with the same labels after its own were set")
            seen[name] = alert
        alerts: dict[str, Any] = kept["alerts"]
        for name in sorted({*alerts, *seen}):
            self._move(rule, name, alerts, seen.get(name))
        told: dict[Labels, float] = {}
        for alert in alerts.values():
            told[labels({**alert["labels"], "__name__": "ALERTS", "alertstate": alert["state"]})] = 1.0
            told[labels({**alert["labels"], "__name__": "ALERTS_FOR_STATE"})] = alert["active_since"]
        self._write(kept, rule.name, told)

    def removed(self, kept: dict[str, Any]) -> None:
        """A rule that is no more: its alerts are resolved, its series end."""
        for name, alert in kept["alerts"].items():
            if alert["state"] == "firing":
                self._tell("resolved", kept["rule"], name, alert)
        self._write(kept, kept["rule"], {})

    def _alert(self, rule: Rule, own: dict[str, str], value: float) -> dict[str, Any]:
        own.pop("__name__", None)

        def expanded(templates: Mapping[str, Any]) -> dict[str, str]:
            return {n: t.expand(own, value, external_url=self.external_url) for n, t in templates.items()}

        named = {**own, **self.group.labels, **expanded(rule.labels), "alertname": rule.alert}
        return {"labels": dict(labels(named)), "annotations": expanded(rule.annotations), "value": value}

    def _move(self, rule: Rule, name: str, alerts: dict[str, Any], seen: dict[str, Any] | None) -> None:
        """One step of one alert's life."""
        alert = alerts.get(name)
        if seen is not None:
            if alert is None:
                alert = alerts[name] = {**seen, "state": "pending", "active_since": self.now}
                if rule.hold > 0:
                    self._tell("pending", rule.alert, name, alert)
            alert |= {**seen, "keep_since": None}
            if alert["state"] == "pending" and self.now - alert["active_since"] >= rule.hold:
                alert |= {"state": "firing", "fired": self.now}
                self._tell("firing", rule.alert, name, alert)
            return
        if alert is None:
            return
        if alert["state"] == "firing" and rule.keep_firing > 0:
            alert["keep_since"] = alert.get("keep_since") or self.now
            if self.now - alert["keep_since"] < rule.keep_firing:
                return
        del alerts[name]
        if alert["state"] == "firing":
            self._tell("resolved", rule.alert, name, alert)

    def _tell(self, kind: Kind, rule: str, name: str, alert: Mapping[str, Any]) -> None:
        self.transitions.append(
            Transition(
                kind=kind,
                rule=rule,
                key=name,
                labels=dict(alert["labels"]),
                annotations=dict(alert["annotations"]),
                value=alert["value"],
                at=self.now,
                active_since=alert["active_since"],
            )
        )

    def _write(self, kept: dict[str, Any], rule: str, series: dict[Labels, float]) -> None:
        """Samples for what is there, staleness markers for what was there last time."""
        self.samples += [Sample(of, self.now, value) for of, value in series.items()]
        for pairs in kept["series"]:
            of = tuple((name, value) for name, value in pairs)
            if of not in series:
                self.samples.append(Sample(of, self.now, STALE))
        kept["series"] = [[list(pair) for pair in of] for of in series]
        kept["rule"] = rule


def _keyed(group: RuleGroup) -> list[tuple[str, Rule]]:
    """Each rule with a key that stays when others are added: its name, and its number among those of that name."""
    counts: dict[str, int] = {}
    keyed = []
    for rule in group.rules:
        counts[rule.name] = counts.get(rule.name, 0) + 1
        keyed.append((f"{rule.name}#{counts[rule.name]}", rule))
    return keyed
