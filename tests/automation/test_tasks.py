"""Self-service tasks: who may start them, what inputs they take, the run they become; and what runs by the clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from area_plane import AreaPlane
from opsroom.areas.automation.operations.schedules import list_schedules
from opsroom.areas.automation.operations.tasks import list_tasks, show_task, start_task
from opsroom.kernel.actors import Actor
from opsroom.kernel.errors import Forbidden, Invalid, NotFound

WORKFLOW = """\
name: check
on:
  workflow_dispatch:
    inputs:
      product: {type: string, required: true, description: The product's id}
      pieces: {type: number, default: 5}
      strict: {type: boolean, default: false}
      size: {type: choice, options: [small, large], default: small}
      where: {type: environment}
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - run: echo "$PRODUCT"
"""
NIGHTLY = """\
name: nightly
on:
  schedule:
    - cron: "30 2 * * *"
    - cron: "0 0 29 2 *"
jobs:
  x: {runs-on: ubuntu-latest, steps: [{run: "true"}]}
"""
TASKS = """\
apiVersion: opsroom.dev/v1
kind: Task
metadata: {name: check}
spec: {title: Check the stock, workflow: .opsroom/workflows/check.yml, allowed: ["group:shop-team", "user:vera"], service: storefront, confirm: Sure?}
---
apiVersion: opsroom.dev/v1
kind: Task
metadata: {name: open}
spec: {title: Anyone may, workflow: .opsroom/workflows/check.yml}
---
apiVersion: opsroom.dev/v1
kind: Task
metadata: {name: nightly}
spec: {title: No form, workflow: .opsroom/workflows/nightly.yml}
---
apiVersion: opsroom.dev/v1
kind: Schedule
metadata: {name: nightly}
spec: {workflow: .opsroom/workflows/nightly.yml, timezone: Europe/Berlin, overlap: queue, missed: skip%s}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: vera}
spec: {memberOf: []}
"""
FILES = {
    ".opsroom/workflows/check.yml": WORKFLOW, ".opsroom/workflows/nightly.yml": NIGHTLY, "opsroom/tasks.yaml": TASKS % "",
}  # fmt: skip


@pytest.fixture
def ready(room: AreaPlane) -> AreaPlane:
    room.decide(FILES)
    return room


def as_person(room: AreaPlane, name: str) -> Actor:
    return Actor(id=f"person:{name}", name=name, roles=("operator",))


def test_a_task_becomes_a_run_of_the_ops_repo_in_force(ready: AreaPlane) -> None:
    started = start_task(ready.call_as(as_person(ready, "maria")), "check", inputs={"product": "assam", "pieces": "12"})
    run = ready.plane.engine.get(started.run).run
    assert run.event == "workflow_dispatch" and run.actor == "person:maria"
    assert run.commit == ready.plane.catalogs.current().commit
    event = ready.plane.ledger.get(started.event)
    assert event.data["inputs"] == {"product": "assam", "pieces": 12} and event.subject("service") == "storefront"
    assert run.trigger == started.event
    assert [one.type for one in ready.plane.ledger.chain(event.id)] == [
        "task.requested",
        "catalog.changed",
        "change.pushed",
    ]
    shown = show_task(ready.call, "check")
    assert shown.last_run == started.run
    assert [(one.name, one.type) for one in shown.inputs] == [
        ("product", "string"), ("pieces", "number"), ("strict", "boolean"), ("size", "choice"), ("where", "environment"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "'product' is required"),
        ({"product": "a", "pieces": "many"}, "pieces"),
        ({"product": "a", "size": "huge"}, "size"),
        ({"product": "a", "strict": "perhaps"}, "strict"),
        ({"product": "a", "colour": "red"}, "unknown input 'colour'"),
    ],
)
def test_inputs_are_typed_and_what_does_not_fit_is_told_of_nobody(
    ready: AreaPlane, inputs: dict[str, str], words: str
) -> None:
    with pytest.raises(Invalid, match=words):
        start_task(ready.call, "check", inputs=inputs)
    assert not ready.events("task.requested") and not ready.events("run.queued")


@pytest.mark.parametrize(("name", "task", "may"), [("maria", "check", True), ("jonas", "check", True), ("vera", "check", True), ("eve", "check", False), ("eve", "open", True)])  # fmt: skip
def test_who_may_start_a_task(ready: AreaPlane, name: str, task: str, may: bool) -> None:
    # jonas is in the group below the one that is named.
    call = ready.call_as(as_person(ready, name))
    assert show_task(call, task).may is may
    if may:
        assert start_task(call, task, inputs={"product": "x"}).run
    else:
        with pytest.raises(Forbidden, match=r"may be started by group:shop-team, user:vera; person:eve is none"):
            start_task(call, task, inputs={"product": "x"})
        assert not ready.events("task.requested")


def test_admins_may_always(ready: AreaPlane) -> None:
    answer = ready.api().post("/api/v1/tasks/check/start", json={"inputs": {"product": "assam"}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["run"].startswith("run_")


def test_inputs_come_in_the_types_that_the_workflow_declares(ready: AreaPlane) -> None:
    def start(**inputs: object) -> dict[str, object]:
        answer = ready.api().post("/api/v1/tasks/check/start", json={"inputs": {"product": "assam", **inputs}})
        return dict(answer.json(), status=answer.status_code)

    started = start(pieces=12, strict=True)
    asked = ready.plane.ledger.get(str(started["event"])).data["inputs"]
    assert asked == {"product": "assam", "pieces": 12, "strict": True}
    told = {
        name: start(**{name: value})["detail"] for name, value in (("pieces", True), ("strict", 3), ("size", "huge"))
    }
    assert str(told["pieces"]).endswith("input 'pieces' is 'true'; write a number")
    assert str(told["strict"]).endswith("input 'strict' is '3'; write true or false")
    assert str(told["size"]).endswith("input 'size' is 'huge' (allowed: small, large)")
    assert start(pieces=["1"])["status"] == 422


def test_a_task_without_a_form_says_why(ready: AreaPlane) -> None:
    assert "no workflow_dispatch" in show_task(ready.call, "nightly").problems[0]
    with pytest.raises(Invalid, match="no workflow_dispatch"):
        start_task(ready.call, "nightly")
    with pytest.raises(NotFound, match="there are: check, nightly, open"):
        start_task(ready.call, "nope")


def test_forms_are_made_from_the_inputs(ready: AreaPlane) -> None:
    assert "Check the stock" in ready.page("/tasks")
    form = ready.page("/tasks/check", raw=True)
    assert 'name="inputs.product"' in form and 'name="inputs.pieces"' in form
    assert "<option>staging</option>" in form and "<option selected>small</option>" in form
    assert 'data-confirm="Sure?"' in form
    assert "no workflow_dispatch" in ready.page("/tasks/nightly")
    assert "Check the stock" in ready.page("/services/storefront")


def test_schedules_have_a_next_time_in_their_zone(ready: AreaPlane) -> None:
    daily, leap = list_schedules(ready.call)
    assert (daily.cron, daily.timezone, daily.overlap, daily.missed) == ("30 2 * * *", "Europe/Berlin", "queue", "skip")
    assert daily.next == datetime(2026, 1, 6, 1, 30, tzinfo=UTC)
    assert leap.next is None
    assert "30 2 * * *" in ready.page("/schedules")


def test_a_paused_schedule_is_shown_as_paused_and_not_started(ready: AreaPlane) -> None:
    from opsroom.areas.automation.jobs import start_due

    ready.decide({"opsroom/tasks.yaml": TASKS % ", paused: true"})
    start_due(ready.plane)
    ready.plane.clock.advance(2 * 86400)  # type: ignore[attr-defined]
    start_due(ready.plane)
    assert not ready.events("run.queued", "schedule.missed")
    assert [(one.paused, one.next) for one in list_schedules(ready.call)] == [(True, None)] * 2
    assert "paused" in ready.page("/schedules")
    ready.decide({"opsroom/tasks.yaml": TASKS % ""})
    start_due(ready.plane)
    ready.plane.clock.advance(datetime(2026, 1, 8, 1, 30, 20, tzinfo=UTC) - ready.plane.clock.now())  # type: ignore[attr-defined]
    start_due(ready.plane)
    start_due(ready.plane)
    assert len(ready.events("run.queued")) == 1


def test_empty_pages_teach(room: AreaPlane) -> None:
    room.decide()
    assert list_tasks(room.call) == [] and list_schedules(room.call) == []
    assert "opsroom/tasks.yaml" in room.page("/tasks")
    assert "opsroom/schedules.yaml" in room.page("/schedules")
