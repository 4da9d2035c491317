"""Prometheus rule files: read, checked, and every fault told with its place.

Format: https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/ (rule files).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsroom.kernel.documents import Node, load_documents
from opsroom.kernel.errors import Invalid, Place, Problem
from opsroom.telemetry.durations import parse_duration
from opsroom.telemetry.promql.parse import parse
from opsroom.telemetry.ruletemplates import Template, compile_template

_GROUP = {"name", "interval", "query_offset", "limit", "labels", "rules"}
_RULE = {"record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
_METRIC = re.compile(r"[^{}\x00-\x1f]+")
_SELECTOR = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `alert` or `record` is set, never both. Times are seconds; `labels` of a recording rule are not templates."""

    expr: str
    place: Place
    record: str = ""
    alert: str = ""
    hold: float = 0.0
    """`for`: how long the condition must hold before the alert fires."""
    keep_firing: float = 0.0
    labels: Mapping[str, Template] = field(default_factory=dict)
    annotations: Mapping[str, Template] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.alert or self.record


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleGroup:
    """Rules evaluated together, in order. `interval` 0: the server's own; `limit` 0: none, else results one rule may give."""

    name: str
    file: str
    rules: tuple[Rule, ...] = ()
    interval: float = 0.0
    offset: float = 0.0
    limit: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


def check_rules(text: str, file: str) -> tuple[tuple[RuleGroup, ...], tuple[Problem, ...]]:
    """The groups that are right, and everything that is wrong, in the order of its places. Never raises."""
    nodes, problems = load_documents(text, file)
    checker = _Checker(problems)
    groups = [group for node in nodes for group in checker.document(node)]
    return tuple(groups), tuple(sorted(checker.problems))


class _Checker:
    def __init__(self, problems: list[Problem]) -> None:
        self.problems = list(problems)
        self._node = Node(None, "")

    def document(self, node: Node) -> list[RuleGroup]:
        self._node = node
        if node.value is None:
            return []
        if not isinstance(node.value, dict):
            self._bad((), "a rule file holds the one key groups", "write groups: with a list of groups")
            return []
        for key in node.value.keys() - {"groups"}:
            self.problems.append(
                Problem(node.key_place((key,)), f"a rule file has no field {key!r}", "it holds the one key groups")
            )
        entries = node.value.get("groups") or []
        if not isinstance(entries, list):
            self._bad(("groups",), "groups is no list", "write each group below it, with - name:")
            return []
        found, names = [], set()
        for number, entry in enumerate(entries):
            path = ("groups", number)
            group = self._group(path, entry)
            if group and group.name in names:
                self._bad((*path, "name"), f"the group {group.name!r} is there twice in this file", "rename one")
            elif group:
                names.add(group.name)
                found.append(group)
        return found

    def _group(self, path: tuple[str | int, ...], entry: Any) -> RuleGroup | None:
        entry = self._mapping(path, entry, _GROUP, "group")
        if not entry:
            return None
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            self._bad(path, "the group has no name", "give it name:")
            return None
        rules = entry.get("rules") or []
        if not isinstance(rules, list):
            self._bad((*path, "rules"), "rules is no list", "write each rule below it, with - alert: or - record:")
            rules = []
        limit = entry.get("limit", 0)
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
            self._bad((*path, "limit"), f"limit {limit!r} is no whole number of results", "write 0 for none")
            limit = 0
        read = [self._rule((*path, "rules", number), rule) for number, rule in enumerate(rules)]
        return RuleGroup(
            name=name,
            file=self._node.file,
            rules=tuple(rule for rule in read if rule),
            interval=self._duration(path, entry, "interval"),
            offset=self._duration(path, entry, "query_offset"),
            limit=limit,
            labels={key: str(value) for key, value in self._texts((*path, "labels"), entry.get("labels")).items()},
        )

    def _rule(self, path: tuple[str | int, ...], entry: Any) -> Rule | None:
        before = len(self.problems)
        entry = self._mapping(path, entry, _RULE, "rule")
        if not entry:
            return None
        record, alert = entry.get("record"), entry.get("alert")
        if bool(record) == bool(alert):
            self._bad(path, "a rule has record or alert, one of the two", "name what it records or the alert")
        for key in ("for", "keep_firing_for", "annotations"):
            if record and key in entry:
                self._bad((*path, key), f"{key} belongs to alerts, and this rule records {record}", f"remove {key}")
        if record and not _METRIC.fullmatch(str(record)):
            self._bad((*path, "record"), f"{record!r} is no metric name", "write letters, digits, _ and :")
        rule = Rule(
            expr=self._expression(path, entry),
            place=self._node.place(path),
            record=str(record or ""),
            alert=str(alert or ""),
            hold=self._duration(path, entry, "for"),
            keep_firing=self._duration(path, entry, "keep_firing_for"),
            labels=self._templates((*path, "labels"), entry.get("labels"), labels=True),
            annotations=self._templates((*path, "annotations"), entry.get("annotations"), labels=False),
        )
        return rule if len(self.problems) == before else None

    def _expression(self, path: tuple[str | int, ...], entry: dict[str, Any]) -> str:
        if entry.get("expr") in (None, ""):
            self._bad(path, "the rule has no expression", "give it expr: with PromQL")
            return ""
        value = entry["expr"]
        text = str(value) if not isinstance(value, bool) else str(value).lower()
        try:
            parse(text)
        except Invalid as error:
            self._bad((*path, "expr"), str(error))
        return text

    def _templates(self, path: tuple[str | int, ...], entry: Any, *, labels: bool) -> dict[str, Template]:
        found = {}
        for name, text in self._texts(path, entry).items():
            if labels and name == "__name__":
                self._bad((*path, name), "__name__ may not be set by a label", "use record: for the name")
                continue
            try:
                found[name] = compile_template(text)
            except Invalid as error:
                self._bad((*path, name), f"the template is wrong: {error}")
        return found

    def _texts(self, path: tuple[str | int, ...], entry: Any) -> dict[str, str]:
        if entry is None:
            return {}
        if not isinstance(entry, dict) or not entry:
            self._bad(path, f"{path[-1]} is no mapping of names to texts", "write name: text below it")
            return {}
        for name, value in entry.items():
            if not name or isinstance(value, dict | list) or value is None:
                self._bad((*path, name), f"{path[-1]} {name!r} is no text", "write it in quotes")
        return {n: _text(v) for n, v in entry.items() if n and not isinstance(v, dict | list) and v is not None}

    def _duration(self, path: tuple[str | int, ...], entry: dict[str, Any], key: str) -> float:
        if entry.get(key) is None:
            return 0.0
        try:
            return parse_duration(str(entry[key]))
        except Invalid as error:
            self._bad((*path, key), f"{key}: {error}")
            return 0.0

    def _mapping(self, path: tuple[str | int, ...], entry: Any, known: set[str], what: str) -> dict[str, Any]:
        """The entry with YAML merge keys (<<) applied; unknown keys are problems."""
        if not isinstance(entry, dict):
            self._bad(path, f"{path[-2]}[{path[-1]}] is no {what}", f"a {what} is written as fields below it")
            return {}
        merged = _merged(entry)
        for key in merged:
            if key not in known:
                place = self._node.key_place((*path, key))
                allowed = ", ".join(sorted(known))
                self.problems.append(Problem(place, f"a {what} has no field {key!r}", f"the fields are {allowed}"))
        return merged

    def _bad(self, path: tuple[str | int, ...], message: str, way_out: str = "") -> None:
        self.problems.append(Problem(self._node.place(path), message, way_out))


def _merged(entry: dict[str, Any]) -> dict[str, Any]:
    """Prometheus's reader knows YAML 1.1's merge key, which the core schema does not."""
    base = entry.get("<<")
    found: dict[str, Any] = {}
    for one in base if isinstance(base, list) else [base]:
        if isinstance(one, dict):
            found = {**_merged(one), **found}
    return {**found, **{key: value for key, value in entry.items() if key != "<<" or base is None}}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
