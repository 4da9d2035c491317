"""Gathering suspects from a real ledger, catalog and (faked) telemetry."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from opsroom.areas.incidents.changes import changes_of, suspects
from opsroom.areas.incidents.readings import measured
from opsroom.contracts.facts import Answer, Figures, FiguresDuring, Load, LoadDuring
from opsroom.telemetry.port import LogRecord


def look(world: Any, seconds: float, service: str = "storefront", expr: str = "p95 > 0.15") -> list[Any]:
    onset = world.start + timedelta(seconds=seconds)
    return list(
        suspects(
            world.plane, service=service, environment="production", onset=onset, expr=expr, labels={"service": service}
        )
    )


def test_the_story_of_a_defect_with_another_service_deployed_later(world: Any) -> None:
    """The good version, the harmless start, then the defect, then the other service, to staging and production each."""
    for service in ("storefront", "inventory"):
        good = world.push(service, "first")
        world.deploy(service, "staging", cause=good.id)
        world.deploy(service, cause=good.id)
    world.at(300)
    defect = world.push("storefront", "Stock per product")
    world.at(301)
    harmless = world.push("inventory", "Log the start")
    world.at(320)
    world.deploy("storefront", "staging", cause=defect.id)
    world.at(330)
    bad = world.deploy("storefront", cause=defect.id, seconds=11)
    world.at(334)
    later = world.deploy("inventory", cause=harmless.id, seconds=11)
    world.telemetry.samples = [
        (world.start + timedelta(seconds=second), 0.04 if second < 326 else 0.3) for second in range(40, 340, 2)
    ]
    world.at(340)

    found = look(world, 327)
    assert [one.change.event for one in found[:2]] == [bad.id, later.id]
    assert found[0].score > 0.9
    assert found[0].change.brings.endswith("“Stock per product” by aylin")
    assert "The alert's series went from 0.04 to 0.3 while it took effect." in found[0].reasons
    assert world.telemetry.asked == ["p95"]
    pushes = {world.push.__name__, defect.id, harmless.id}
    assert not pushes & {one.change.event for one in found}, "a push is told by what it led to"
    assert sum(one.change.environment == "staging" for one in found) == 3


def test_a_deployment_is_one_change_from_its_beginning_to_its_end(world: Any) -> None:
    subjects = ("deployment:dep_1", "service:storefront", "environment:production")
    world.record("deployment.started", *subjects, version="3f2a1c")
    world.at(9)
    finished = world.record("deployment.finished", *subjects, version="3f2a1c", strategy="rolling", seconds=9.0)
    [change] = changes_of(world.plane, since=world.start)
    assert (change.event, change.began, change.ended) == (finished.id, world.start, world.start + timedelta(seconds=9))
    assert not change.going_on


def test_what_has_only_begun_or_has_failed_says_so(world: Any) -> None:
    world.deploy("storefront", end="started", seconds=0)
    world.deploy("inventory", end="failed")
    by_service = {change.services[0]: change for change in changes_of(world.plane, since=world.start)}
    assert by_service["storefront"].going_on
    assert by_service["inventory"].failed


def test_a_push_that_led_to_nothing_stands_for_itself(world: Any) -> None:
    push = world.push("storefront", "not deployed")
    [change] = changes_of(world.plane, since=world.start - timedelta(seconds=1))
    assert (change.event, change.runs) == (push.id, False)


def test_changes_of_the_setup_are_suspects_of_every_service(world: Any) -> None:
    changed = world.record("catalog.changed", "commit:abc", commit="abc")
    world.at(10)
    assert [one.change.event for one in look(world, 10)] == [changed.id]
    assert "how things are set up" in look(world, 10)[0].reasons[0]


def test_telemetry_that_does_not_answer_costs_nothing_but_the_evidence(world: Any) -> None:
    bad = world.deploy("storefront")
    world.telemetry.down = "the telemetry process is starting"
    world.at(20)
    [found] = look(world, 20)
    assert found.change.event == bad.id
    assert "Whether the alert's series moved with it is not known: the telemetry process is starting." in found.reasons


def test_a_series_that_is_not_the_alerts_is_no_evidence(world: Any) -> None:
    world.deploy("storefront")
    world.at(20)
    world.telemetry.samples = [(world.start + timedelta(seconds=second), 1.0) for second in range(30)]
    world.telemetry.labels = {"service": "inventory"}
    assert any("gives 0 series with its labels" in reason for reason in look(world, 20)[0].reasons)
    world.telemetry.labels = {"service": "storefront"}
    world.telemetry.samples = world.telemetry.samples[:3]
    assert any("only 3 samples" in reason for reason in look(world, 20)[0].reasons)
    assert any("not known: PromQL" in reason for reason in look(world, 20, expr="sum(")[0].reasons)


def test_without_a_change_nobody_asks_telemetry(world: Any) -> None:
    assert look(world, 0) == []
    assert world.telemetry.asked == []


@pytest.mark.parametrize(
    ("expr", "side"),
    [
        ('p95{environment="production"} > 0.15', 'p95{environment="production"}'),
        ("0.15 < p95", "p95"),
        ("(up == 0)", "up"),
        ("sum by (service) (rate(a[30s])) / sum by (service) (rate(b[30s])) > 0.02",
         "sum by (service) (rate(a[30s])) / sum by (service) (rate(b[30s]))"),
        ("absent(up)", "absent(up)"),
        ("a > 1 and b > 2", "a > 1 and b > 2"),
    ],
)  # fmt: skip
def test_what_an_alert_measures_is_the_side_of_its_comparison_that_is_no_number(expr: str, side: str) -> None:
    assert " ".join(measured(expr).split()) == side


def test_load_that_ran_is_told_with_its_window_and_where(world: Any) -> None:
    def load(kind: str, environment: str, since: float, until: float, test: str = "smoke") -> Load:
        return Load(
            kind=kind, test=test, service="storefront", environment=environment, since=world.start + timedelta(seconds=since),
            until=world.start + timedelta(seconds=until), going_on=False, mutes=False, event=f"evt_{test}",
        )  # fmt: skip

    loads = (
        load("test", "staging", 700, 703), load("traffic", "production", 0, 800, "all day"),
        load("traffic", "production", 705, 800, "peak"),
    )  # fmt: skip
    world.plane.answers[LoadDuring] = lambda plane, asked: Answer(value=loads, at=plane.clock.now())
    world.at(712)
    bad = world.deploy("storefront")
    world.at(720)
    found = {one.change.event: one for one in look(world, 714)}
    assert set(found) == {bad.id, "evt_smoke", "evt_peak"}, "what ran all along is no news"
    told = found["evt_smoke"].plain()
    assert (told["kind"], told["change"]) == (
        "load", "load test smoke ran in staging from 09:11:40 to 09:11:43 UTC"
    )  # fmt: skip
    assert "It ran in staging: production shares at most the machine with it." in told["reasons"]
    assert max(found.values(), key=lambda one: one.score).change.event == bad.id


def test_series_of_another_environment_are_no_evidence(world: Any) -> None:
    """The alert's labels may not name the environment; its incident does."""
    world.at(60)
    world.deploy("storefront")
    world.telemetry.samples = [(world.start + timedelta(seconds=n), 0.04 if n < 60 else 0.3) for n in range(70)]
    world.telemetry.labels = {"service": "storefront", "environment": "staging"}
    world.at(70)
    assert any("gives 0 series with its labels" in reason for reason in look(world, 62)[0].reasons)


def test_services_that_log_the_same_trace_ids_are_near_though_the_catalog_does_not_say_so(world: Any) -> None:
    world.at(60)
    world.deploy("newsletter")
    at = (world.start + timedelta(seconds=55)).timestamp()
    assert "The catalog knows no way between newsletter and storefront." in look(world, 62)[0].reasons
    world.telemetry.lines = [
        LogRecord(time=at, message="asked", service=service, trace_id=trace)
        for service, trace in (("storefront", "t1"), ("newsletter", "t1"), ("inventory", "t2"))
    ]
    world.at(62)
    reasons = look(world, 62)[0].reasons
    assert reasons[0] == (
        "It changed newsletter, whose logs hold trace ids of storefront, though the catalog names no way between them."
    )


def test_the_figures_of_a_needed_service_are_asked_for(world: Any) -> None:
    asked: list[Any] = []

    def figures(plane: Any, question: Any) -> Answer[Any]:
        asked.append((question.service, question.environment))
        times = tuple((world.start + timedelta(seconds=n)).timestamp() for n in range(70))
        values = tuple(0.01 if n < 60 else 0.2 for n in range(70))
        return Answer(value=(Figures(name="p95", times=times, values=values),), at=plane.clock.now())

    world.plane.answers[FiguresDuring] = figures
    world.at(60)
    world.deploy("inventory")
    world.at(70)
    [found] = look(world, 62)
    assert asked == [("inventory", "production")]
    assert "The figures of inventory itself went from 0.01 to 0.2 with it." in found.reasons
