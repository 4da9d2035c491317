"""Logs of deployed services, from the file to the search."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from observed_plane import Scene

from opsroom.areas.observability.collecting import QUIET_ROUNDS, Collector
from opsroom.areas.observability.operations.logs import scoped, search_logs
from opsroom.kernel.errors import Invalid, Unavailable
from opsroom.telemetry.logquery import And, Or, Term, parse


def log_of(scene: Scene, deployment: str = "dep_1", number: int = 0, *, service: str = "storefront") -> Path:
    path = scene.plane.settings.state / "logs" / "production" / service / f"{deployment}.{number}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def line(text: str, **more: str) -> str:
    return json.dumps({"time": "2026-01-05T09:00:00Z", "level": "INFO", "message": text, **more}) + "\n"


def test_lines_get_their_place_from_the_path(scene: Scene) -> None:
    log_of(scene).write_text(line("ordered", trace_id="4bf9", path="/order") + "no JSON\n")
    log_of(scene, "dep_2", 1, service="inventory").write_text(line("reserved"))
    (scene.plane.settings.state / "logs" / "production" / "storefront" / "notes.txt").write_text("not ours\n")
    Collector(scene.plane).work()
    found = {one.message: one for one in search_logs(scene.call).items}
    assert set(found) == {"ordered", "reserved", "no JSON"}
    ordered = found["ordered"]
    assert (ordered.service, ordered.environment, ordered.level, ordered.trace_id) == (
        "storefront", "production", "info", "4bf9",
    )  # fmt: skip
    assert ordered.attributes == {"path": "/order", "deployment": "dep_1", "instance": "0"}
    assert found["reserved"].service == "inventory" and found["reserved"].attributes["instance"] == "1"


def test_lines_are_kept_once_over_restarts_and_refusals(scene: Scene) -> None:
    log = log_of(scene)
    log.write_text(line("one"))
    Collector(scene.plane).work()
    scene.telemetry.down = True
    with log.open("a") as file:
        file.write(line("two"))
    with pytest.raises(Unavailable):
        Collector(scene.plane).work()
    scene.telemetry.down = False
    scene.start()
    Collector(scene.plane).work()
    Collector(scene.plane).work()
    assert [one.message for one in scene.telemetry.lines] == ["one", "two"]


def test_secrets_are_not_kept(scene: Scene) -> None:
    scene.plane.secrets.set("TOKEN", "hunter2-hunter2", actor="person:maria")
    log_of(scene).write_text(line("sent hunter2-hunter2"))
    Collector(scene.plane).work()
    assert "hunter2" not in scene.telemetry.lines[0].message


def test_a_quiet_file_is_let_go_and_taken_up_again(scene: Scene) -> None:
    log = log_of(scene)
    log.write_text(line("one"))
    collector = Collector(scene.plane)
    for _ in range(QUIET_ROUNDS + 3):
        collector.work()
    assert collector._followed == [] and collector._follower._open == {}
    with log.open("a") as file:
        file.write(line("two"))
    collector.work()
    assert [one.message for one in scene.telemetry.lines] == ["one", "two"]


def test_without_logs_there_is_nothing_to_do(scene: Scene) -> None:
    Collector(scene.plane).work()
    assert search_logs(scene.call).items == []


def test_a_search_is_kept_within_its_place(scene: Scene) -> None:
    text = scoped("error OR warning", service="shop")
    tree = parse(text)
    assert isinstance(tree, And) and tree.parts[0] == Term("service", "shop", phrase=True)
    assert isinstance(tree.parts[1], Or)
    assert scoped("", "shop", "staging") == 'service:"shop" AND environment:"staging"'
    assert scoped("slow") == "slow" and scoped("") == ""
    now = scene.clock.now()
    with pytest.raises(Invalid, match="is not before until"):
        search_logs(scene.call, since=now, until=now - timedelta(hours=1))
    with pytest.raises(Invalid):
        scoped('x) OR (service:"other"', "shop", "")
