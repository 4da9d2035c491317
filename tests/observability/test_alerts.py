"""Rules and alerts: fired once and ended once, over restarts, gaps, silences, and a telemetry that is away."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from observed_plane import RULES, Scene

from opsroom.areas.observability import store as rows
from opsroom.areas.observability.evaluating import evaluate_due, evaluate_group
from opsroom.areas.observability.in_force import groups_of, tell_rules
from opsroom.areas.observability.kinds import KINDS
from opsroom.areas.observability.operations.alerts import list_alerts, show_alert
from opsroom.areas.observability.operations.rules import check_rule_text, list_rules
from opsroom.kernel.clock import parse_stamp
from opsroom.kernel.errors import NotFound, TooLarge
from opsroom.kernel.resources import load_catalog
from opsroom.telemetry.port import is_stale

FILES = {"rules/storefront.yml": RULES}
PLACE = {"service": "storefront", "environment": "production"}


def step(scene: Scene, value: float | None, *, seconds: float = 1.0) -> None:
    """A second passes: a scrape, and an evaluation."""
    scene.clock.advance(seconds)
    if value is not None:
        scene.sample("latency", value, **PLACE)
    for group in groups_of(scene.plane.catalogs.current()):
        evaluate_group(scene.plane, group)


def watch(scene: Scene) -> None:
    tell_rules(scene.plane, scene.offer(FILES))
    scene.deploy("storefront")


def test_an_alert_fires_after_its_time_and_ends_once(scene: Scene) -> None:
    watch(scene)
    deployed = scene.deploy("storefront", version="v2")
    step(scene, 0.1)
    onset = scene.clock.now() + timedelta(seconds=1)
    for _ in range(5):
        step(scene, 0.3)
    assert scene.events("alert.") == []
    pending = list_alerts(scene.call).items
    assert [(one.state, one.fired_at) for one in pending] == [("pending", None)]
    step(scene, 0.3)
    step(scene, 0.4)
    (fired,) = scene.events("alert.")
    assert fired.type == "alert.fired" and fired.cause == deployed.id
    assert set(fired.subjects) == {"alert:StorefrontSlow", "service:storefront", "environment:production"}
    assert parse_stamp(fired.data["active_at"]) == onset
    assert fired.data["name"] == "StorefrontSlow" and fired.data["labels"]["severity"] == "error"
    assert fired.data["value"] == 0.3 and fired.data["expr"] == "latency > 0.15" and not fired.data["silenced"]
    assert fired.data["annotations"] == {"summary": "storefront is slow: 300ms"}
    back = scene.deploy("storefront", version="v1")
    step(scene, 0.1)
    step(scene, 0.1)
    _, ended = scene.events("alert.")
    assert ended.type == "alert.resolved" and ended.cause == back.id
    assert ended.data["fingerprint"] == fired.data["fingerprint"] and ended.data["fired"] == fired.id
    shown = show_alert(scene.call, "StorefrontSlow")
    assert shown.state == "resolved" and shown.fired_event == fired.id and shown.resolved_event == ended.id
    assert scene.plane.ledger.chain(ended.id)[-1].type == "deployment.finished"


def test_a_condition_that_does_not_last_leaves_nothing(scene: Scene) -> None:
    watch(scene)
    step(scene, 0.3)
    step(scene, 0.1)
    assert scene.events("alert.") == [] and list_alerts(scene.call).items == []


def test_alerts_outlive_a_restart(scene: Scene) -> None:
    watch(scene)
    for _ in range(4):
        step(scene, 0.3)
    scene.start()
    for _ in range(3):
        step(scene, 0.3)
    assert [one.type for one in scene.events("alert.")] == ["alert.fired"]
    scene.start()
    step(scene, 0.1)
    assert [one.type for one in scene.events("alert.")] == ["alert.fired", "alert.resolved"]


def test_time_that_nobody_watched_does_not_count(scene: Scene) -> None:
    watch(scene)
    step(scene, 0.3)
    step(scene, 0.3)
    scene.start()
    step(scene, 0.3, seconds=600)
    assert scene.events("alert.") == []
    for _ in range(5):
        step(scene, 0.3)
    assert [one.type for one in scene.events("alert.")] == ["alert.fired"]


def test_what_is_missing_after_a_gap_is_not_taken_as_over(scene: Scene) -> None:
    watch(scene)
    for _ in range(7):
        step(scene, 0.3)
    scene.start()
    scene.telemetry.source = type(scene.telemetry.source)()  # the windows are empty when the server is back
    step(scene, None, seconds=20)
    (alert,) = list_alerts(scene.call).items
    assert alert.state == "unknown" and len(scene.events("alert.")) == 1
    assert "nothing was watched" in list_rules(scene.call)[1].error
    step(scene, 0.3)
    assert list_alerts(scene.call).items[0].state == "firing"
    for _ in range(22):
        step(scene, 0.1)
    assert [one.type for one in scene.events("alert.")] == ["alert.fired", "alert.resolved"]


def test_telemetry_that_is_down_makes_alerts_unknown_and_tells_nothing(scene: Scene) -> None:
    watch(scene)
    for _ in range(7):
        step(scene, 0.3)
    scene.telemetry.down = True
    for _ in range(30):
        step(scene, None)
    assert list_alerts(scene.call).items[0].state == "unknown"
    assert {one.state for one in list_rules(scene.call)} == {"unknown"}
    assert list_rules(scene.call)[1].error == "telemetry is down"
    scene.telemetry.down = False
    step(scene, 0.3)
    assert list_alerts(scene.call).items[0].state == "firing"
    assert [one.type for one in scene.events("alert.")] == ["alert.fired"]


def test_a_store_that_lags_ends_no_alert(scene: Scene) -> None:
    watch(scene)
    for _ in range(7):
        step(scene, 0.3)
    scene.telemetry.lag = "records wait"
    step(scene, 0.1)
    assert list_alerts(scene.call).items[0].state == "unknown"
    scene.telemetry.lag = ""
    step(scene, 0.1)
    assert [one.type for one in scene.events("alert.")] == ["alert.fired", "alert.resolved"]


def test_a_clock_that_goes_back_stops_no_rule(scene: Scene) -> None:
    watch(scene)
    step(scene, 0.3)
    step(scene, 0.3, seconds=-3600)
    for _ in range(6):
        step(scene, 0.3)
    assert [one.type for one in scene.events("alert.")] == ["alert.fired"]


def test_two_servers_tell_an_alert_once(scene: Scene) -> None:
    watch(scene)
    for _ in range(5):
        step(scene, 0.3)
    first = scene.plane
    (group,) = groups_of(first.catalogs.current())
    with first.store.read() as tx:
        late = rows.group(tx, (group.file, group.name))
    step(scene, 0.3)
    step(scene, 0.3)
    assert late is not None
    with first.store.begin() as tx:
        assert not rows.put_group(tx, late)
    assert len(scene.events("alert.fired")) == 1


def test_a_silence_is_recorded_with_the_alert(scene: Scene) -> None:
    watch(scene)
    silence = scene.plane.waivers.grant(
        "silence", ["alert=StorefrontSlow"], owner="maria", reason="load test",
        expires=scene.clock.now() + timedelta(hours=1), actor="person:maria",
    )  # fmt: skip
    for _ in range(7):
        step(scene, 0.3)
    (fired,) = scene.events("alert.fired")
    assert fired.data["silenced"] and fired.data["silence"] == silence.id
    assert list_alerts(scene.call).items[0].silenced == silence.id


def test_an_alert_that_outlasts_its_silence_counts_from_then_on_once(scene: Scene) -> None:
    watch(scene)
    silences = [
        scene.plane.waivers.grant(
            "silence", ["alert=StorefrontSlow"], owner="maria", reason="known",
            expires=scene.clock.now() + timedelta(seconds=seconds), actor="person:maria",
        ).id
        for seconds in (10, 14)
    ]  # fmt: skip
    for _ in range(13):
        step(scene, 0.3)
    assert [event.type for event in scene.events("alert.")] == ["alert.fired"], "the second silence goes on"
    for _ in range(4):
        step(scene, 0.3)
    fired, unmuted = scene.events("alert.")
    assert (unmuted.type, unmuted.cause, unmuted.data["silenced"]) == ("alert.unmuted", fired.id, False)
    assert unmuted.data["muted_by"] == f"silence {fired.data['silence']}"
    assert fired.data["silence"] in silences
    assert list_alerts(scene.call).items[0].silenced == ""
    step(scene, 0.05)
    assert [event.type for event in scene.events("alert.")] == ["alert.fired", "alert.unmuted", "alert.resolved"]


def test_rules_that_are_no_more_end_their_alerts(scene: Scene) -> None:
    watch(scene)
    for _ in range(7):
        step(scene, 0.3)
    evaluate_due(scene.plane)
    tell_rules(scene.plane, scene.offer({}, commit="c2"))
    evaluate_due(scene.plane)
    assert [one.type for one in scene.events("alert.")] == ["alert.fired", "alert.resolved"]
    last = [one for one in scene.telemetry.samples if ("__name__", "ALERTS") in one.labels][-1]
    assert is_stale(last.value)
    assert list_rules(scene.call) == []


def test_rules_loaded_is_told_when_they_change(scene: Scene) -> None:
    changed = scene.offer(FILES)
    tell_rules(scene.plane, changed)
    tell_rules(scene.plane, changed)
    tell_rules(scene.plane, scene.offer(FILES, commit="c2"))
    (told,) = scene.events("rules.loaded")
    assert told.cause == changed.id and (told.data["rules"], told.data["alerts"]) == (2, 1)
    tell_rules(scene.plane, scene.offer({"rules/storefront.yml": RULES.replace("0.15", "0.2")}, commit="c3"))
    assert len(scene.events("rules.loaded")) == 2


def test_without_rules_nothing_is_loaded(scene: Scene) -> None:
    tell_rules(scene.plane, scene.offer({}))
    assert scene.events("rules.loaded") == []


def test_an_alert_of_nothing_that_runs_is_caused_by_its_rules(scene: Scene) -> None:
    tell_rules(scene.plane, scene.offer(FILES))
    for _ in range(7):
        step(scene, 0.3)
    (fired,) = scene.events("alert.fired")
    assert [one.type for one in scene.plane.ledger.chain(fired.id)] == [
        "alert.fired", "rules.loaded", "catalog.changed", "change.pushed",
    ]  # fmt: skip


def test_recording_rules_write_their_series(scene: Scene) -> None:
    watch(scene)
    step(scene, 0.3)
    recorded = [one for one in scene.telemetry.samples if ("__name__", "service:latency") in one.labels]
    assert [one.value for one in recorded] == [0.3]


def test_values_that_json_has_not_are_kept(scene: Scene) -> None:
    watch(scene)
    for _ in range(8):
        step(scene, float("inf"))
    assert len(scene.events("alert.fired")) == 1
    assert scene.events("alert.fired")[0].data["value"] is None
    with scene.plane.store.read() as tx:
        assert rows.open_alerts(tx)[0].value == float("inf")


def test_alerts_are_listed_by_state_and_pages(scene: Scene) -> None:
    watch(scene)
    for _ in range(7):
        step(scene, 0.3)
    step(scene, 0.1)
    for _ in range(7):
        step(scene, 0.3)
    assert [one.state for one in list_alerts(scene.call).items] == ["firing", "resolved"]
    assert [one.state for one in list_alerts(scene.call, state="open").items] == ["firing"]
    page = list_alerts(scene.call, limit=1)
    assert [one.state for one in list_alerts(scene.call, limit=1, after=page.next).items] == ["resolved"]
    assert list_alerts(scene.call, service="inventory").items == []
    with pytest.raises(NotFound, match="alert 'Nope' does not exist"):
        show_alert(scene.call, "Nope")


def test_checking_a_text(scene: Scene) -> None:
    assert check_rule_text(scene.call, text=RULES).ok
    wrong = check_rule_text(
        scene.call, text="groups:\n  - name: a\n    rules:\n      - alert: B\n        expr: rate(\n"
    )
    assert not wrong.ok and (wrong.problems[0].line, wrong.problems[0].column) == (5, 15)
    with pytest.raises(TooLarge):
        check_rule_text(scene.call, text="x" * 30_001)


def test_problems_of_rule_files_have_a_place() -> None:
    text = RULES + "      - alert: X\n        expr: up ==\n"
    named = RULES.replace("summary:", "runbook_url: runbooks/gone.md\n          summary:")
    _, problems = load_catalog({"rules/a.yml": text, "rules/b.yaml": named}, "c", KINDS)
    assert [str(one.place) for one in problems] == ["rules/a.yml:14:15", "rules/b.yaml:7:9"]
    assert "runbooks/gone.md" in problems[1].message


def test_every_fault_of_a_rule_file_is_told_at_once(scene: Scene) -> None:
    text = (
        "groupz: []\ngroups:\n  - name: a\n    interval: soon\n    rules:\n      - alert: B\n        expr: rate(up[5m]) >> 1\n"
        "      - record: c\n        expr: |\n          sum by (x) (\n            up +\n          )\n"
        "      - hello\n  - name: a\n    rules: none\n"
    )
    told = [f"{one.line}:{one.column} {one.message}" for one in check_rule_text(scene.call, text=text).problems]
    assert told == [
        "1:1 a rule file has no field 'groupz'",
        "4:15 interval: 'soon' is no duration; write one such as 30s, 5m or 1h30m",
        "7:15 PromQL `rate(up[5m]) >> 1`: `>` may not stand at line 1, column 15",
        "9:15 PromQL `sum by (x) ( up + )`: `)` may not stand at line 3, column 1",
        "13:9 rules[2] is no rule",
        "14:11 the group 'a' is there twice in this file",
        "15:12 rules is no list",
    ]


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("up ==", "it ends where more is expected"),
        ("up) + 1", "`)` may not stand at line 1, column 3"),
        ("sum(up) bi (x)", "`bi` may not stand at line 1, column 9"),
        ("up{job=}", "`}` may not stand at line 1, column 8"),
        ("a and on(x) group_left(y) * b", "`*` may not stand at line 1, column 27"),
        ("up @ start() up", "`up` may not stand at line 1, column 14"),
    ],
)
def test_a_fault_of_promql_names_the_word_and_its_place(scene: Scene, expression: str, word: str) -> None:
    text = f"groups: [{{name: a, rules: [{{alert: B, expr: {json.dumps(expression)}}}]}}]"
    assert word in check_rule_text(scene.call, text=text).problems[0].message


@hypothesis_settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.sampled_from([0.1, 0.3, None, "restart", "down"]), min_size=5, max_size=40))
def test_each_firing_is_told_once_and_ends_once(scene: Scene, values: list[float | str | None]) -> None:
    watch(scene)
    for value in values:
        if value == "restart":
            scene.start()
        elif value == "down":
            scene.telemetry.down = not scene.telemetry.down
        else:
            step(scene, value)  # type: ignore[arg-type]
    scene.telemetry.down = False
    told: dict[str, list[str]] = {}
    for event in scene.events("alert."):
        told.setdefault(event.data["id"], []).append(event.type)
    assert all(types in (["alert.fired"], ["alert.fired", "alert.resolved"]) for types in told.values())
    open_now = [one.id for one in list_alerts(scene.call, state="open", limit=200).items if one.fired_at]
    assert {id for id, types in told.items() if len(types) == 1} == set(open_now)
    assert len(open_now) <= 1
