"""Alerts that a load test causes: recorded, marked, and counted only once they outlast it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from observed_plane import RULES, Scene

from opsroom.areas.observability.evaluating import evaluate_group
from opsroom.areas.observability.in_force import groups_of, tell_rules
from opsroom.areas.observability.muting import fades_of
from opsroom.areas.observability.operations.alerts import show_alert
from opsroom.contracts.facts import Answer, Load, LoadDuring

PLACE = {"service": "storefront", "environment": "staging"}


def step(scene: Scene, value: float, count: int = 1) -> None:
    """Seconds pass, each with a scrape and an evaluation."""
    for _ in range(count):
        scene.clock.advance(1)
        scene.sample("latency", value, **PLACE)
        for group in groups_of(scene.plane.catalogs.current()):
            evaluate_group(scene.plane, group)


def watch(scene: Scene, **of_the_load: Any) -> dict[str, Any]:
    """A server that watches; a load test runs from three seconds on, until `until` is set."""
    tell_rules(scene.plane, scene.offer({"rules/storefront.yml": RULES}))
    began = scene.clock.now() + timedelta(seconds=3)
    given: dict[str, Any] = {"until": None, **of_the_load}

    def load_during(plane: Any, question: LoadDuring) -> Answer[tuple[Load, ...]]:
        now = scene.clock.now()
        over = given["until"] or now
        if now < began or over < question.since or question.environment != given.get("environment", "staging"):
            return Answer(value=(), at=now)
        load = Load(
            kind="test", test="peak", service=given.get("service", "storefront"), environment=question.environment,
            since=began, until=over, going_on=given["until"] is None, mutes=given.get("mutes", True), event="evt_1",
        )  # fmt: skip
        return Answer(value=(load,), at=now)

    scene.plane.answers[LoadDuring] = load_during
    step(scene, 0.05, 4)
    return given


def told(scene: Scene) -> list[str]:
    return [event.type for event in scene.events("alert.")]


def test_an_alert_of_a_load_test_says_so_and_ends_without_having_counted(scene: Scene) -> None:
    load = watch(scene)
    step(scene, 0.3, 8)
    (fired,) = scene.events("alert.")
    assert fired.data["muted_by"].startswith("load test peak in staging from ")
    assert not fired.data["silenced"]
    assert show_alert(scene.call, "StorefrontSlow").muted_by == fired.data["muted_by"]
    load["until"] = scene.clock.now()
    step(scene, 0.05, 90)
    assert told(scene) == ["alert.fired", "alert.resolved"]
    assert scene.events("alert.resolved")[0].data["muted_by"] == fired.data["muted_by"]


def test_an_alert_that_outlasts_the_load_counts_from_then_on_once(scene: Scene) -> None:
    load = watch(scene)
    step(scene, 0.3, 8)
    load["until"] = scene.clock.now()
    step(scene, 0.3, 55)
    assert told(scene) == ["alert.fired"], "rates still look back at the load"
    step(scene, 0.3, 20)
    fired, unmuted = scene.events("alert.")
    assert unmuted.type == "alert.unmuted" and unmuted.cause == fired.id
    assert unmuted.data["active_at"] == fired.data["active_at"]
    assert unmuted.data["fingerprint"] == fired.data["fingerprint"]
    assert show_alert(scene.call, "StorefrontSlow").muted_by == ""
    step(scene, 0.05, 2)
    assert told(scene) == ["alert.fired", "alert.unmuted", "alert.resolved"]


@pytest.mark.parametrize("otherwise", [{"mutes": False}, {"environment": "production"}, {"service": "inventory"}])
def test_a_load_that_may_page_or_is_sent_elsewhere_mutes_nothing(scene: Scene, otherwise: dict[str, Any]) -> None:
    watch(scene, **otherwise)
    step(scene, 0.3, 8)
    (fired,) = scene.events("alert.")
    assert fired.data["muted_by"] == ""


def test_an_alert_that_began_before_the_load_is_not_its_doing(scene: Scene) -> None:
    tell_rules(scene.plane, scene.offer({"rules/storefront.yml": RULES}))
    step(scene, 0.3, 2)
    onset = scene.clock.now()
    load = Load(
        kind="test", test="peak", service="storefront", environment="staging", since=onset + timedelta(seconds=1),
        until=onset + timedelta(minutes=5), going_on=True, mutes=True, event="evt_1",
    )  # fmt: skip
    scene.plane.answers[LoadDuring] = lambda plane, asked: Answer(value=(load,), at=scene.clock.now())
    step(scene, 0.3, 8)
    assert scene.events("alert.")[0].data["muted_by"] == ""


def test_load_is_felt_as_long_as_the_expression_looks_back() -> None:
    assert fades_of("up == 0") == timedelta(minutes=1)
    assert fades_of("rate(a[30s]) > 1") == timedelta(minutes=1)
    assert fades_of("rate(a[5m]) / rate(b[10m:1m]) > 1") == timedelta(minutes=10)
