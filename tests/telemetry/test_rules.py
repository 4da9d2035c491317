"""Rule files, their templates, and what evaluation makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.kernel.errors import Invalid, Unavailable
from opsroom.telemetry.durations import format_duration, parse_duration
from opsroom.telemetry.limits import Limits
from opsroom.telemetry.port import Points, QueryResult, is_stale, labels
from opsroom.telemetry.promql.engine import query
from opsroom.telemetry.promql.source import MemorySource
from opsroom.telemetry.rulefiles import RuleGroup
from opsroom.telemetry.rules import active_alerts, check_rules, evaluate
from opsroom.telemetry.ruletemplates import compile_template

PUBLISHED = Path(__file__).parents[2].parent / "shared" / "conformance" / "prometheus"

GROUP = """\
groups:
  - name: shop
    interval: 10s
    rules:
      - record: shop:errors:rate1m
        expr: sum by (service) (rate(errors_total[1m]))
        labels: {kind: recorded}
      - alert: ShopSlow
        expr: latency > 0.5
        for: 20s
        keep_firing_for: 15s
        labels: {severity: page, where: '{{ $labels.service }}'}
        annotations:
          summary: '{{ $labels.service }} takes {{ $value | humanizeDuration }}'
"""


def published(folder: str) -> list[Path]:
    paths = sorted((PUBLISHED / folder).glob("*.yaml"))
    if not paths:
        pytest.skip(f"no published rule files at {PUBLISHED / folder}")
    return paths


def test_published_rule_files() -> None:
    for path in published("rulefmt"):
        _, problems = check_rules(path.read_text(), path.name)
        # The legacy file is bad only where label names are limited to ASCII, which they no longer are.
        good = ".bad." not in path.name or path.name.startswith("legacy_validation")
        assert (not problems) == good, (path.name, problems)
    for name, good in (("rules.yml", True), ("rules-bad.yml", False), ("rules_duplicates.yml", True)):
        _, problems = check_rules((PUBLISHED / "promtool" / name).read_text(), name)
        assert (not problems) == good, (name, problems)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("groups: 5", "r.yml:1:9", "groups is no list"),
        ("groups: [{rules: []}]", "r.yml:1:10", "the group has no name"),
        ("groups: [{name: a, rules: [{alert: B, expr: 'rate('}]}]", "r.yml:1:45", "PromQL `rate(`"),
        ("groups: [{name: a, rules: [{alert: B, expr: up, for: soon}]}]", "r.yml:1:54", "'soon' is no duration"),
        ("groups: [{name: a, interval: 1 h}]", "r.yml:1:30", "'1 h' is no duration"),
        ("groups: [{name: a, rules: [{alert: B, exp: up}]}]", "r.yml:1:39", "a rule has no field 'exp'"),
        (
            "groups: [{name: a, rules: [{alert: B, expr: up, labels: {x: '{{ nope $value }}'}}]}]",
            "r.yml:1:61",
            "function 'nope' is not there",
        ),
        ("groups:\n  - name: a\n  - name: a\n", "r.yml:3:11", "is there twice"),
    ],
)
def test_problems_have_a_place(text: str, place: str, message: str) -> None:
    _, problems = check_rules(text, "r.yml")
    assert any(str(p.place) == place and message in p.message for p in problems), list(map(str, problems))


@given(st.text() | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["groups", "name", "rules", "alert", "record", "expr", "for", "labels", "<<"]), inner),
    max_leaves=20,
).map(json.dumps))  # fmt: skip
def test_any_file_is_read_or_has_problems(text: str) -> None:
    check_rules(text, "r.yml")


def group() -> RuleGroup:
    groups, problems = check_rules(GROUP, "r.yml")
    assert not problems
    return groups[0]


def answers(latency: dict[str, float]) -> Callable[[str, float], QueryResult]:
    def ask(expr: str, at: float) -> QueryResult:
        if expr.startswith("sum"):
            return QueryResult("vector", (Points(labels({"service": "shop"}), (at,), (2.0,)),))
        found = [Points(labels({"__name__": "latency", "service": s}), (at,), (v,)) for s, v in latency.items()]
        return QueryResult("vector", tuple(found))

    return ask


def test_an_alert_lives_through_pending_firing_and_resolved() -> None:
    state, kinds = None, []
    seen: dict[float, list[str]] = {}
    for at in range(0, 80, 10):
        latency = {"shop": 0.75} if at < 40 else {}
        done = evaluate(group(), state, answers(latency), float(at))
        state = json.loads(json.dumps(done.state))
        kinds += [(at, t.kind) for t in done.transitions]
        seen[at] = [
            dict(s.labels)["alertstate"]
            for s in done.samples
            if dict(s.labels)["__name__"] == "ALERTS" and not is_stale(s.value)
        ]
    assert kinds == [(0, "pending"), (20, "firing"), (60, "resolved")]
    assert seen[10] == ["pending"]
    assert seen[20] == seen[50] == ["firing"]
    assert seen[60] == []
    assert active_alerts(state) == []


def test_labels_annotations_and_recorded_samples() -> None:
    done = evaluate(group(), None, answers({"shop": 90.0}), 100.0)
    (alert,) = active_alerts(done.state)
    assert alert["labels"] == {"alertname": "ShopSlow", "service": "shop", "severity": "page", "where": "shop"}
    assert alert["annotations"] == {"summary": "shop takes 1m 30s"}
    recorded = [s for s in done.samples if dict(s.labels)["__name__"] == "shop:errors:rate1m"]
    assert [(dict(s.labels)["kind"], s.value, s.time) for s in recorded] == [("recorded", 2.0, 100.0)]


def test_a_pending_alert_that_goes_says_nothing() -> None:
    first = evaluate(group(), None, answers({"shop": 1.0}), 0.0)
    second = evaluate(group(), first.state, answers({}), 10.0)
    assert second.transitions == ()
    stale = [dict(s.labels)["__name__"] for s in second.samples if is_stale(s.value)]
    assert sorted(stale) == ["ALERTS", "ALERTS_FOR_STATE"]


def test_a_rule_that_fails_keeps_its_alerts() -> None:
    first = evaluate(group(), None, answers({"shop": 1.0}), 0.0)

    def fails(expr: str, at: float) -> QueryResult:
        raise Unavailable("telemetry is down")

    second = evaluate(group(), first.state, fails, 30.0)
    assert [f.rule for f in second.faults] == ["shop:errors:rate1m", "ShopSlow"]
    assert len(active_alerts(second.state)) == 1
    third = evaluate(group(), second.state, answers({"shop": 1.0}), 31.0)
    assert [t.kind for t in third.transitions] == ["firing"]


def test_a_removed_rule_resolves_its_alerts() -> None:
    state = None
    for at in (0.0, 20.0):
        state = evaluate(group(), state, answers({"shop": 1.0}), at).state
    done = evaluate(RuleGroup(name="shop", file="r.yml"), state, answers({}), 30.0)
    assert [t.kind for t in done.transitions] == ["resolved"]
    assert done.state["rules"] == {}


def test_rules_over_the_evaluator() -> None:
    source = MemorySource()
    source.add(labels({"__name__": "latency", "service": "shop"}), [(0, 0.1), (60_000, 0.9)])
    source.add(
        labels({"__name__": "errors_total", "service": "shop"}), [(t * 1000, float(t)) for t in range(0, 61, 15)]
    )
    done = evaluate(group(), None, lambda text, at: query(source, text, at, Limits()), 60.0)
    assert not done.faults
    assert [t.kind for t in done.transitions] == ["pending"]
    assert any(
        dict(s.labels)["__name__"] == "shop:errors:rate1m" and s.value == pytest.approx(1.0) for s in done.samples
    )


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ $labels.a }}/{{ .Labels.b }}/{{ $.labels.c }}", "x//"),
        ("{{ $value }}", "1234567.5"),
        ("{{ $value | humanize }}", "1.235M"),
        ("{{ humanize1024 2048 }}", "2ki"),
        ('{{ printf "%.2f" $value }} {{ printf "%5s|%-3d" "a" 7 }}', "1234567.50     a|7  "),
        ("{{ 0.1234 | humanizePercentage }}", "12.34%"),
        ("{{ humanizeDuration 93784 }}", "1d 2h 3m 4s"),
        ("{{ humanizeDuration 0.012 }}", "12ms"),
        ('{{ if gt $value 5.0 }}big{{ else if eq $labels.a "x" }}x{{ else }}small{{ end }}', "big"),
        ('{{ if (and (lt $value 5.0) true) }}a{{ else }}{{ "b" | toUpper }}{{ end }}', "B"),
        ("a  {{- 1 -}}  b", "a1b"),
        ('{{ reReplaceAll "(.)x" "${1}y" "axbx" }}', "ayby"),
        ('{{ "h.example.com:80" | stripPort | stripDomain }}', "h"),
        ("{{ toUpper }}", "<error: "),
    ],
)
def test_templates(template: str, text: str) -> None:
    assert compile_template(template).expand({"a": "x"}, 1234567.5).startswith(text)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ $label.foo }}", "undefined variable $label"),
        ('{{ query "up" }}', "function 'query' is not there"),
        ("{{ $value", "not closed"),
        ("{{ if true }}", "not closed by {{ end }}"),
        ("{{ end }}", "ends no"),
        ("{{ ( $value }}", "not closed"),
        ("{{ | humanize }}", "missing"),
        ("{{ }}", "empty"),
    ],
)
def test_template_errors(template: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        compile_template(template)
    assert message in str(caught.value)


@given(st.text() | st.text(st.sampled_from('{}$.()|"` labelsvifend1%'), max_size=40))
def test_any_template_is_understood_or_refused(text: str) -> None:
    try:
        template = compile_template(text)
    except Invalid:
        return
    assert isinstance(template.expand({"a": "b"}, 1.0), str)


@given(st.integers(0, 10**12))
def test_durations_read_back(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds
