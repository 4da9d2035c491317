"""Pushes to real repositories: what is recorded, what is started, and what is not started twice."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from opsroom.areas.delivery.operations.repositories import list_repositories, poll_repositories, show_repository
from opsroom.areas.delivery.operations.runs import list_runs
from opsroom.areas.delivery.operations.workflows import dispatch_workflow, list_workflows, show_workflow
from opsroom.areas.delivery.triggering import dispatch, start_runs
from opsroom.areas.delivery.watching import watch
from opsroom.contracts.plane import Plane
from opsroom.contracts.repositories import repository_of, services_of, workflows_of
from opsroom.kernel.errors import Conflict, Invalid, NotFound

PIPELINE = """\
name: pipeline
on:
  push:
    branches: [main]
    paths: ["src/**"]
jobs:
  test: {runs-on: ubuntu-latest, steps: [{run: echo tested}]}
"""
BY_HAND = """\
name: by hand
on:
  workflow_dispatch:
    inputs:
      product: {type: string, required: true}
      pieces: {type: number, default: 10}
      strict: {type: boolean, default: false}
jobs:
  count: {runs-on: ubuntu-latest, steps: [{run: echo counted}]}
"""
ON_FAILURE = """\
name: on failure
on:
  repository_dispatch: {types: [deployment.failed, run.finished]}
jobs:
  tell: {runs-on: ubuntu-latest, steps: [{run: echo told}]}
"""
PATH = ".opsroom/workflows/pipeline.yml"


@pytest.fixture
def team(shop: Any, git: Any) -> Iterator[Any]:
    """The ops repo and one service's repository, empty."""
    for name in ("ops", "tiny"):
        git.create(name)
    shop.environment()
    yield shop


def pushes(shop: Any) -> list[Any]:
    return shop.events("change.pushed")


def test_a_push_is_recorded_once_with_its_commits(team: Any, git: Any) -> None:
    first = git.push("tiny", {PATH: PIPELINE, "src/a": "1"}, "first\n\nwith a body")
    assert len(watch(team.plane)) == 1 and watch(team.plane) == []
    second = git.push("tiny", {"src/a": "2"}, "second")
    third = git.push("tiny", {"src/a": "3"}, "third")
    watch(team.plane)
    one, two = pushes(team)
    assert one.data["after"] == first and one.data["before"] == "" and one.actor == "person:maria"
    assert set(two.subjects) == {"repository:tiny", f"commit:{third}", "service:tiny"}
    assert [entry["commit"] for entry in two.data["commits"]] == [third, second]
    assert (two.data["ref"], two.data["before"], two.data["author"]) == ("refs/heads/main", first, "Maria Keller")
    assert two.data["commits"][0]["message"] == "third"


def test_the_same_commits_again_are_pushes_again(team: Any, git: Any) -> None:
    first = git.push("tiny", {"a": "1"})
    watch(team.plane)
    second = git.push("tiny", {"a": "2"})
    watch(team.plane)
    for commit in (first, second):
        git.run(git.folder / "tiny-work", "push", "--quiet", "--force", "origin", f"{commit}:refs/heads/main")
        watch(team.plane)
    assert [event.data["after"] for event in pushes(team)] == [first, second, first, second]
    assert [event.data["forced"] for event in pushes(team)] == [False, False, True, False]


def test_of_a_new_repository_only_the_default_branch_is_news(team: Any, git: Any) -> None:
    git.push("tiny", {"a": "1"})
    git.push("tiny", {"a": "2"}, branch="feature")
    git.run(git.folder / "tiny-work", "push", "--quiet", "origin", "HEAD:refs/tags/v1")
    watch(team.plane)
    assert [event.data["ref"] for event in pushes(team)] == ["refs/heads/main"]
    git.run(git.folder / "tiny-work", "push", "--quiet", "origin", "HEAD:refs/heads/other", ":refs/heads/feature")
    watch(team.plane)
    told = {event.data["ref"]: event.data["after"] for event in pushes(team)[1:]}
    assert told["refs/heads/feature"] == "" and told["refs/heads/other"]
    assert len(pushes(team)[-1].data["commits"]) <= 1


def test_what_was_pushed_while_the_server_was_away(team: Any, git: Any, make_plane: Callable[..., Plane]) -> None:
    git.push("tiny", {"a": "1"})
    watch(team.plane)
    later = git.push("tiny", {"a": "2"})
    successor, catalog = make_plane(), team.plane.catalogs.current()
    successor.catalogs.offer(catalog.commit, catalog, [])
    watch(successor)
    assert [event.data["after"] for event in pushes(team)][1:] == [later]
    watch(make_plane())  # without a catalog it watches the ops repo alone
    assert len(pushes(team)) == 2


def test_a_repository_that_cannot_be_read_is_said_once_and_stops_no_other(team: Any, git: Any) -> None:
    git.push("ops", {"a": "1"})
    shutil.rmtree(git.folder / "tiny.git")
    shutil.rmtree(git.folder / "tiny-work")
    team.plane.journal._out = told = io.StringIO()
    for _ in range(3):
        watch(team.plane)
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    assert [line["repository"] for line in lines] == ["tiny"] and "tiny" in lines[0]["fault"]
    assert [event.subject("repository") for event in pushes(team)] == ["ops"]
    errors = {one.name: one.error for one in list_repositories(team.call)}
    assert errors["ops"] == "" and "tiny" in errors["tiny"]
    assert show_repository(team.call, "tiny").commits == []
    with pytest.raises(NotFound, match="repository 'nope' is not in the catalog; there are: ops, tiny"):
        show_repository(team.call, "nope")


def test_the_catalog_says_what_a_repository_may_have(team: Any, git: Any) -> None:
    team.decide({
        "opsroom/variables.yaml": "apiVersion: opsroom.dev/v1\nkind: Variables\nmetadata: {name: v}\n"
        "spec: {values: {PORT: 80, ON: true, NAME: shop}}\n"
    })  # fmt: skip
    commit = git.push(
        "tiny", {PATH: PIPELINE, ".github/workflows/other.yml": BY_HAND, ".opsroom/workflows/notes.md": "no"}
    )
    watch(team.plane)
    found = repository_of(team.plane, "tiny")
    assert found.network == ("pypi.org", "files.example") and found.service == "tiny"
    assert found.variables == {"PORT": "80", "ON": "true", "NAME": "shop"}
    assert services_of(team.plane, "tiny") == ("tiny",) and services_of(team.plane, "ops") == ()
    assert [path for path, _ in workflows_of(team.plane, "tiny", commit)] == [PATH]
    team.decide(
        {
            "catalog-info.yaml": team.ops["catalog-info.yaml"].replace(
                "opsroom.dev/network", "opsroom.dev/engine: opsroom, opsroom.dev/network"
            )
        }
    )
    assert [path for path, _ in workflows_of(team.plane, "tiny", commit)] == [".github/workflows/other.yml", PATH]


def test_a_push_starts_the_workflows_of_its_commit_once(team: Any, git: Any) -> None:
    commit = git.push("tiny", {PATH: PIPELINE, "src/a": "1"})
    watch(team.plane)
    for _ in range(2):
        start_runs(team.plane, pushes(team)[0])
    [run] = list_runs(team.call, commit=commit).items
    assert (run.workflow, run.repository, run.service, run.event) == (PATH, "tiny", "tiny", "push")
    git.push("tiny", {"README.md": "elsewhere"})
    watch(team.plane)
    start_runs(team.plane, pushes(team)[1])
    assert len(list_runs(team.call).items) == 1
    queued = team.plane.ledger.get(run.queued)
    assert [one.type for one in team.plane.ledger.chain(queued.id)] == ["run.queued", "change.pushed"]


def test_a_deleted_branch_and_a_commit_that_is_gone_start_nothing(team: Any, git: Any) -> None:
    git.push("tiny", {PATH: PIPELINE, "src/a": "1"})
    watch(team.plane)
    git.push("tiny", {"src/a": "2"}, branch="feature")
    watch(team.plane)
    git.run(git.folder / "tiny-work", "push", "--quiet", "origin", ":refs/heads/feature")
    watch(team.plane)
    start_runs(team.plane, pushes(team)[-1])
    with team.plane.store.begin() as tx:
        gone = team.plane.ledger.record(
            tx, "change.pushed", actor="git:x", subjects=["repository:tiny"],
            data={"ref": "refs/heads/main", "before": "", "after": "f" * 40},
        )  # fmt: skip
    start_runs(team.plane, gone)
    assert list_runs(team.call).items == []


def test_an_event_starts_the_workflows_that_name_it_and_no_circle(team: Any, git: Any) -> None:
    commit = git.push("ops", {".opsroom/workflows/on-failure.yml": ON_FAILURE})
    watch(team.plane)
    team.decide({}, commit)
    failed = _record(team.plane, "deployment.failed", data={"error": "no"})
    for _ in range(2):
        dispatch(team.plane, failed)
    dispatch(team.plane, _record(team.plane, "deployment.finished"))
    [run] = list_runs(team.call).items
    assert (run.event, run.trigger, run.commit) == ("repository_dispatch", failed.id, commit)
    dispatch(team.plane, _record(team.plane, "run.finished", cause=run.queued))
    assert len(list_runs(team.call).items) == 1
    dispatch(team.plane, _record(team.plane, "run.finished"))
    assert len(list_runs(team.call).items) == 2


def test_a_chain_of_runs_ends(team: Any, git: Any) -> None:
    commit = git.push("ops", {".opsroom/workflows/on-failure.yml": ON_FAILURE})
    watch(team.plane)
    team.decide({}, commit)
    cause = ""
    for number in range(10):
        subjects = ["repository:other", f"workflow:w{number}"]
        cause = _record(team.plane, "run.queued", cause=cause, subjects=subjects).id
    dispatch(team.plane, _record(team.plane, "deployment.failed", cause=cause))
    assert list_runs(team.call).items == []


def test_dispatch_by_hand_with_typed_inputs(team: Any, git: Any) -> None:
    git.push(
        "tiny",
        {".opsroom/workflows/count.yml": BY_HAND, PATH: PIPELINE, ".opsroom/workflows/bad.yml": "on: push\njobs: 3\n"},
    )
    watch(team.plane)
    path = ".opsroom/workflows/count.yml"
    listed = {one.path: one for one in list_workflows(team.call)}
    assert [one.dispatch for one in listed.values()] == [False, True, False] and listed[
        ".opsroom/workflows/bad.yml"
    ].problems
    shown = show_workflow(team.call, repository="tiny", workflow=path)
    assert [(one.name, one.type, one.required, one.default) for one in shown.inputs] == [
        ("product", "string", True, None), ("pieces", "number", False, 10), ("strict", "boolean", False, False),
    ]  # fmt: skip
    runs = [
        dispatch_workflow(team.call, repository="tiny", workflow=path, inputs={"product": "tea", "pieces": "3"}).run
        for _ in range(2)
    ]
    assert len(set(runs)) == 2
    event = team.events("workflow.dispatched")[0]
    assert event.data["inputs"] == {"product": "tea", "pieces": "3", "strict": "false"}
    chain = team.plane.ledger.chain(list_runs(team.call).items[0].queued)
    assert [one.type for one in chain] == ["run.queued", "workflow.dispatched", "change.pushed"]
    for inputs, message in (
        ({}, "'product' is required"),
        ({"product": "a", "pieces": "x"}, "write a number"),
        ({"nope": "1"}, "unknown input"),
    ):
        with pytest.raises(Invalid, match=message):
            dispatch_workflow(team.call, repository="tiny", workflow=path, inputs=inputs)
    with pytest.raises(Invalid, match="has no workflow_dispatch"):
        dispatch_workflow(team.call, repository="tiny", workflow=PATH)
    with pytest.raises(NotFound, match="no workflow 'x.yml' in tiny at"):
        dispatch_workflow(team.call, repository="tiny", workflow="x.yml")
    with pytest.raises(Invalid, match="bad.yml"):
        dispatch_workflow(team.call, repository="tiny", workflow=".opsroom/workflows/bad.yml")
    assert len(list_runs(team.call).items) == 2 and len(team.events("workflow.dispatched")) == 2


def test_an_empty_repository_is_no_error(team: Any) -> None:
    assert poll_repositories(team.call).events == []
    assert list_workflows(team.call) == []
    with pytest.raises(Conflict, match="no commit on its default branch yet"):
        list_workflows(team.call, repository="tiny")


def _record(plane: Plane, type: str, *, cause: str = "", subjects: Any = (), data: Any = None) -> Any:
    with plane.store.begin() as tx:
        return plane.ledger.record(tx, type, actor="system:test", cause=cause, subjects=subjects, data=data)
