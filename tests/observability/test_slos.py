"""Objectives: what is counted, what a budget says, when it is told, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observed_plane import Scene

from opsroom.areas.observability.budgets import LEVELS, Counters, Sums, bucket_width, figures, level_of
from opsroom.areas.observability.kinds import KINDS
from opsroom.areas.observability.objectives import evaluate_all
from opsroom.areas.observability.operations.slos import list_slos
from opsroom.contracts.facts import BudgetLeft, HealthOf
from opsroom.kernel.resources import load_catalog
from opsroom.telemetry.port import Points, QueryResult, labels

SLO = """apiVersion: openslo/v1
kind: SLO
metadata: {name: answers, displayName: Storefront answers}
spec:
  service: storefront
  indicator:
    metadata: {name: storefront-answers}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: Prometheus, spec: {query: 'http_requests_total{code!~"5.."}'}}}
        total: {metricSource: {type: Prometheus, spec: {query: http_requests_total}}}
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.99}]
"""
FILES = {"opsroom/slo.yaml": SLO}
PLACE = {"service": "storefront", "environment": "production", "instance": "127.0.0.1:81"}


def step(scene: Scene, good: float, bad: float, *, seconds: float = 5, **more: str) -> None:
    """Time passes: counters as given, and an evaluation."""
    scene.clock.advance(seconds)
    scene.sample("http_requests_total", good, code="200", **PLACE, **more)
    scene.sample("http_requests_total", bad, code="500", **PLACE, **more)
    evaluate_all(scene.plane)


def test_a_budget_is_what_was_counted_while_watched(scene: Scene) -> None:
    scene.offer(FILES)
    deployed = scene.deploy("storefront")
    step(scene, 1_000_000, 500)
    (slo,) = list_slos(scene.call)
    assert slo.left is None and "no events were counted yet" in slo.unknown
    step(scene, 1_000_050, 500)
    assert "50 events were counted; with 100 the budget is one of them" in list_slos(scene.call)[0].unknown
    assert scene.events("slo.") == []
    step(scene, 1_000_999, 501)
    (slo,) = list_slos(scene.call)
    assert (slo.good, slo.total, slo.covered_seconds) == (999.0, 1000.0, 10.0)
    assert slo.left == pytest.approx(0.9) and slo.burn_rate == pytest.approx(0.1) and slo.burn_seconds == 10.0
    (told,) = scene.events("slo.")
    assert told.cause == deployed.id and told.data["left"] == slo.left
    assert set(told.subjects) == {"slo:answers", "service:storefront"}
    answer = scene.plane.ask(BudgetLeft("storefront"))
    assert answer.value is not None and answer.events == (told.id,)
    assert (answer.value[0].slo, answer.value[0].left) == ("answers", slo.left)


def test_it_is_told_once_an_hour_and_when_it_falls(scene: Scene) -> None:
    scene.offer(FILES)
    step(scene, 0, 0)
    step(scene, 1000, 0)
    for _ in range(20):
        step(scene, 1000, 0)
    assert len(scene.events("slo.")) == 1
    step(scene, 1000, 8)
    assert [one.data["level"] for one in scene.events("slo.")] == [0, 2]
    step(scene, 1000, 60)
    assert [one.data["level"] for one in scene.events("slo.")] == [0, 2, 4]
    assert list_slos(scene.call)[0].left < 0  # type: ignore[operator]
    for _ in range(5):
        step(scene, 1000, 60)
    assert len(scene.events("slo.")) == 3
    step(scene, 1000, 60, seconds=3600)
    assert len(scene.events("slo.")) == 4


def test_it_goes_on_after_a_restart(scene: Scene) -> None:
    scene.offer(FILES)
    step(scene, 0, 0)
    step(scene, 900, 0)
    scene.start()
    step(scene, 1800, 9)
    (slo,) = list_slos(scene.call)
    assert (slo.good, slo.total) == (1800.0, 1809.0)


def test_a_new_version_counts_from_its_own_start(scene: Scene) -> None:
    scene.offer(FILES)
    step(scene, 5000, 0, deployment="d1")
    step(scene, 5500, 0, deployment="d1")
    scene.telemetry.source = type(scene.telemetry.source)()
    step(scene, 40, 2, deployment="d2")
    (slo,) = list_slos(scene.call)
    assert (slo.good, slo.total) == (540.0, 542.0)


def test_another_definition_begins_anew_and_another_target_does_not(scene: Scene) -> None:
    scene.offer(FILES)
    step(scene, 0, 0)
    step(scene, 990, 10)
    scene.offer({"opsroom/slo.yaml": SLO.replace("0.99", "0.9")}, commit="c2")
    step(scene, 990, 10)
    assert list_slos(scene.call)[0].left == pytest.approx(0.9)
    scene.offer({"opsroom/slo.yaml": SLO.replace('code!~"5.."', 'code="200"')}, commit="c3")
    step(scene, 990, 10)
    assert list_slos(scene.call)[0].left is None
    scene.offer({}, commit="c4")
    evaluate_all(scene.plane)
    scene.offer(FILES, commit="c5")
    assert list_slos(scene.call)[0].unknown == "it was not evaluated yet"


def test_what_is_older_than_the_window_is_forgotten(scene: Scene) -> None:
    scene.offer({"opsroom/slo.yaml": SLO.replace("28d", "1h")})
    step(scene, 0, 0)
    step(scene, 0, 1000)
    step(scene, 1000, 1000, seconds=4000)
    (slo,) = list_slos(scene.call)
    assert (slo.good, slo.total) == (1000.0, 1000.0)


def test_figures_that_are_not_made_any_more_are_unknown(scene: Scene) -> None:
    scene.offer(FILES)
    step(scene, 0, 0)
    step(scene, 1000, 0)
    scene.telemetry.down = True
    scene.clock.advance(60)
    evaluate_all(scene.plane)
    assert list_slos(scene.call)[0].left == 1.0
    scene.clock.advance(120)
    evaluate_all(scene.plane)
    (slo,) = list_slos(scene.call)
    assert slo.left is None and slo.unknown == "telemetry is down"
    assert "telemetry is down" in scene.plane.ask(BudgetLeft("storefront")).unknown
    assert "no SLO" in scene.plane.ask(BudgetLeft("inventory")).unknown


def test_rates_count_while_they_are_watched(scene: Scene) -> None:
    scene.offer({"opsroom/slo.yaml": SLO.replace("counter: true", "counter: false")})
    for _ in range(11):
        step(scene, 90, 10)  # requests a second, by code
    (slo,) = list_slos(scene.call)
    assert (slo.good, slo.total, slo.covered_seconds) == (4500.0, 5000.0, 50.0)
    step(scene, 90, 10, seconds=3600)
    assert list_slos(scene.call)[0].covered_seconds == 65.0


THRESHOLD = """apiVersion: openslo/v1
kind: SLO
metadata: {name: quick}
spec:
  service: storefront
  indicator:
    spec:
      thresholdMetric: {metricSource: {spec: {query: latency}}}
  timeWindow: [{duration: 1h}]
  budgetingMethod: METHOD
  objectives: [{target: 0.5, op: lte, value: 0.2 SLICES}]
"""


def test_thresholds_count_looks(scene: Scene) -> None:
    scene.offer({"opsroom/slo.yaml": THRESHOLD.replace("METHOD", "Occurrences").replace("SLICES", "")})
    for value in (0.1, 0.2, 0.3, 0.1):
        scene.clock.advance(5)
        scene.sample("latency", value)
        evaluate_all(scene.plane)
    (slo,) = list_slos(scene.call)
    assert (slo.good, slo.total, slo.left) == (3.0, 4.0, 0.5)


def test_time_slices_are_good_or_not_as_a_whole(scene: Scene) -> None:
    text = THRESHOLD.replace("METHOD", "Timeslices").replace("SLICES", ", timeSliceTarget: 0.9, timeSliceWindow: 60s")
    scene.offer({"opsroom/slo.yaml": text})
    for minute in range(5):
        for look in range(6):
            scene.clock.advance(10)
            scene.sample("latency", 0.3 if minute == 2 and look in (2, 3) else 0.1)
            evaluate_all(scene.plane)
    (slo,) = list_slos(scene.call)
    assert slo.total in (4.0, 5.0) and slo.total - slo.good == 1.0
    assert slo.budgeting == "Timeslices"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  service: storefront\n", "  service: storefront\n  alertPolicies: []\n", "alertPolicies of OpenSLO is not evaluated here"),
        ("{duration: 28d, isRolling: true}", "{duration: 28d, isRolling: false}", "isRolling"),
        ("{duration: 28d, isRolling: true}", "{duration: 28d, calendar: {}}", "calendar of OpenSLO is not evaluated here"),
        ("target: 0.99", "target: 0.99, targetPercent: 99", "exactly one of target and targetPercent"),
        ("target: 0.99", "target: 1", "target"),
        ("target: 0.99", "target: 0.99, op: lt, value: 1", "op and value of the objective belong to a thresholdMetric"),
        ("Occurrences", "Timeslices", "Timeslices need timeSliceTarget and timeSliceWindow"),
        ("        good:", "        bad: {metricSource: {spec: {query: up}}}\n        good:", "exactly one of good and bad"),
        ("query: http_requests_total}", "query: 'rate('}", "PromQL `rate(`"),
        ("Storefront answers}", "Storefront answers, annotations: {opsroom.dev/environment: moon}}", "refers to no Environment"),
    ],
)  # fmt: skip
def test_what_is_refused(old: str, new: str, message: str) -> None:
    text = SLO.replace(old, new)
    assert text != SLO
    _, problems = load_catalog({"opsroom/slo.yaml": text}, "c", KINDS)
    own = [str(one) for one in problems if "refers to no Component" not in str(one)]
    assert any(message in one and one.startswith("opsroom/slo.yaml:") for one in own), own


def test_health_is_read_from_http_metrics(scene: Scene) -> None:
    scene.offer({})
    for second in range(30):
        scene.clock.advance(1)
        scene.sample("http_requests_total", 10.0 * second, code="200", **PLACE)
        for le, share in (("0.1", 0.9), ("0.25", 1.0), ("+Inf", 1.0)):
            scene.sample("http_request_duration_seconds_bucket", 10.0 * second * share, le=le, **PLACE)
    signals = scene.plane.ask(HealthOf("storefront", "production")).value
    assert signals is not None and signals.rate is not None and signals.p95_seconds is not None
    assert signals.error_share == 0.0 and 0.1 < signals.p95_seconds < 0.25 and signals.rate > 4
    assert "no HTTP metrics of inventory in production" in scene.plane.ask(HealthOf("inventory", "production")).unknown
    whole = scene.plane.ask(HealthOf("storefront", "")).value
    assert whole is not None and whole.rate == signals.rate and whole.p95_seconds == signals.p95_seconds
    scene.telemetry.down = True
    scene.clock.advance(5)
    assert scene.plane.ask(HealthOf("storefront", "production")).unknown == "telemetry is down"


def result(**values: float) -> QueryResult:
    return QueryResult(
        "vector",
        tuple(Points(labels({"instance": "a", "code": name}), (0.0,), (value,)) for name, value in values.items()),
    )


def test_counters_that_appear() -> None:
    counters = Counters()
    assert counters.increase(result(ok=100), 0) == 0
    assert counters.increase(result(ok=110, failed=3), 5) == 13
    elsewhere = QueryResult("vector", (Points(labels({"instance": "b"}), (0.0,), (9_000.0,)),))
    assert counters.increase(elsewhere, 10) == 0
    fresh = QueryResult("vector", (Points(labels({"instance": "c", "deployment": "d"}), (0.0,), (7.0,)),))
    assert counters.increase(fresh, 15) == 7
    assert Counters.of(counters.plain()) == counters
    assert counters.increase(result(ok=float("nan")), 20) == 0


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30), st.lists(st.booleans(), min_size=30, max_size=30))
def test_no_growth_is_lost_or_counted_twice(growths: list[int], restarts: list[bool]) -> None:
    counters, value, grown, counted = Counters(), 0, 0, 0.0
    counters.increase(result(ok=0), 0)
    for at, (growth, restart) in enumerate(zip(growths, restarts, strict=False)):
        value = growth if restart and growth < value else value + growth
        grown += growth
        counted += counters.increase(result(ok=value), at)
    assert counted == grown


@given(st.floats(0, 1e6), st.floats(0, 1), st.floats(0.5, 0.9999))
def test_a_budget_is_spent_exactly_when_the_target_is_missed(total: float, share: float, target: float) -> None:
    sums = Sums(total * share, total, 60.0)
    found = figures(sums, sums, target)
    if found.left is not None and abs(share - target) > 1e-6:
        assert (found.left > 0) == (share > target)
    else:
        assert found.reason or abs(share - target) <= 1e-6


@given(st.lists(st.floats(-1, 1), max_size=30))
def test_levels_fall_at_once_and_recover_with_patience(lefts: list[float]) -> None:
    level = 0
    for left in lefts:
        after = level_of(left, level)
        assert 0 <= after <= len(LEVELS)
        assert after >= sum(left <= one for one in LEVELS)
        level = after


def test_widths() -> None:
    assert bucket_width(28 * 86400, None) == 300 and bucket_width(3600, None) == 36 and bucket_width(60, None) == 10
    assert bucket_width(28 * 86400, 60.0) == 60
