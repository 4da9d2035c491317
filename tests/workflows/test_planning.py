"""Planning: which events start a workflow, typed inputs, matrices, and what a job becomes when it starts."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsroom.kernel.errors import Invalid, Problems
from opsroom.workflows.model import Workflow
from opsroom.workflows.planning import (
    BadInputs,
    BadMatrix,
    JobDecision,
    NeedResult,
    TriggerEvent,
    dispatch_inputs,
    expand_matrix,
    make_order,
    matches,
    plan_run,
    start_job,
)
from opsroom.workflows.protocol import Source
from opsroom.workflows.syntax import read_workflow
from opsroom.workflows.syntax.patterns import check_pattern, matches_any, matches_pattern

JOB = "jobs: {build: {runs-on: x, steps: [{run: a}]}}\n"
PUSH = TriggerEvent(name="push", ref="refs/heads/main", commit="c0ffee", actor="maria", repository="shop/storefront")
OK = NeedResult(result="success")


def read(text: str) -> Workflow:
    workflow, problems = read_workflow(textwrap.dedent(text), "w.yml")
    assert problems == []
    assert workflow is not None
    return workflow


def fires(on: str, **event: Any) -> bool:
    return (
        matches(read(f"on: {on}\n{JOB}"), TriggerEvent(**{"name": "push", "ref": "refs/heads/main", **event}))
        is not None
    )


# What the cheat sheet says of each pattern (branches, then paths).
@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        ("feature/*", ["feature/my-branch"], ["feature/a/b", "feature"]),
        ("feature/**", ["feature/beta-a/my-branch", "feature/your-branch", "feature/"], ["feature"]),
        ("main", ["main"], ["mainx", "ma"]),
        ("*", ["main", "releases"], ["all/the/branches"]),
        ("**", ["all/the/branches", "every/tag", ""], []),
        ("*feature", ["mona-feature", "feature"], ["a/feature"]),
        ("v2*", ["v2", "v2.0", "v2.9"], ["v1", "v2/a"]),
        ("v[12].[0-9]+.[0-9]+", ["v1.10.1", "v2.0.0"], ["v1.x.1", "v3.0.0", "v1..1"]),
        ("*.jsx?", ["page.js", "page.jsx"], ["a/page.js", "page.jsxx"]),
        ("**.js", ["index.js", "js/index.js", "src/js/app.js"], ["index.jsx"]),
        ("docs/*", ["docs/README.md"], ["docs/a/b.md"]),
        ("docs/**/*.md", ["docs/README.md", "docs/mona/hello-world.md"], ["docs/a.txt"]),
        ("**/docs/**", ["docs/hello.md", "dir/docs/my-file.txt", "a/b/docs/c/d"], ["docsx/a"]),
        ("**/README.md", ["README.md", "js/README.md"], ["js/xREADME.md"]),
        ("**/*src/**", ["a/src/app.js", "my-src/code/js/app.js"], ["srcs/a"]),
        ("**/migrate-*.sql", ["migrate-10909.sql", "db/sept/migrate-v1.sql"], ["migrate-.txt"]),
        (r"a\*b\[", ["a*b["], ["axb["]),
    ],
)
def test_filter_patterns(pattern: str, fitting: list[str], other: list[str]) -> None:
    assert [text for text in fitting if not matches_pattern(pattern, text)] == []
    assert [text for text in other if matches_pattern(pattern, text)] == []


@given(st.text(alphabet="ab/*?+[]!-\\", max_size=12), st.text(alphabet="ab/", max_size=12))
def test_any_pattern_is_checked_or_matched(pattern: str, text: str) -> None:
    if not check_pattern(pattern):
        assert matches_any([pattern], text) in (True, False)


@given(st.text(alphabet="abc/.-_", max_size=20))
def test_plain_patterns_match_themselves_alone(text: str) -> None:
    assert matches_pattern(text, text)
    assert not matches_pattern(text, text + "x")


def test_hostile_patterns_take_no_exponential_time() -> None:
    assert not matches_pattern("**a" * 100, "a" * 300 + "b" * 50)


def test_the_last_fitting_pattern_decides() -> None:
    assert not matches_any(["releases/**", "!releases/**-alpha"], "releases/10-alpha")
    assert matches_any(["releases/**", "!releases/**-alpha", "releases/11-alpha"], "releases/11-alpha")


@pytest.mark.parametrize(
    ("on", "event", "expected"),
    [
        ("push", {}, True),
        ("[pull_request, push]", {}, True),
        ("pull_request", {}, False),
        ("{push: {branches: [main]}}", {"ref": "refs/tags/v1"}, False),
        ("{push: {tags: ['v*']}}", {}, False),
        ("{push: {tags: ['v*']}}", {"ref": "refs/tags/v1"}, True),
        ("{push: {branches-ignore: [main]}}", {}, False),
        ("{push: {branches-ignore: [dev]}}", {}, True),
        ("{push: {tags-ignore: [v1]}}", {"ref": "refs/tags/v2"}, True),
        ("{push: {paths: ['src/**']}}", {"changed_paths": ("docs/a", "src/b")}, True),
        ("{push: {paths: ['src/**']}}", {"changed_paths": ("docs/a",)}, False),
        ("{push: {paths: ['src/**', '!src/x/**']}}", {"changed_paths": ("src/x/a",)}, False),
        ("{push: {paths: ['src/**']}}", {"changed_paths": None}, True),
        ("{push: {paths: ['src/**'], tags: ['v*']}}", {"ref": "refs/tags/v1", "changed_paths": ("docs/a",)}, True),
        ("{push: {paths-ignore: ['docs/**']}}", {"changed_paths": ("docs/a",)}, False),
        ("{push: {paths-ignore: ['docs/**']}}", {"changed_paths": ("docs/a", "b")}, True),
        ("{push: {branches: [main], paths: [a]}}", {"ref": "refs/heads/dev", "changed_paths": ("a",)}, False),
        ("pull_request", {"name": "pull_request", "type": "opened"}, True),
        ("pull_request", {"name": "pull_request", "type": "closed"}, False),
        ("{pull_request: {types: closed}}", {"name": "pull_request", "type": "closed"}, True),
        ("{pull_request: {branches: [main]}}", {"name": "pull_request", "type": "opened", "base_ref": "main"}, True),
        ("{pull_request: {branches: [main]}}", {"name": "pull_request", "type": "opened", "base_ref": "dev"}, False),
        ("repository_dispatch", {"name": "repository_dispatch", "type": "alert.fired"}, True),
        ("{repository_dispatch: {types: [alert.fired]}}", {"name": "repository_dispatch", "type": "alert.fired"}, True),
        ("{repository_dispatch: {types: [alert.fired]}}", {"name": "repository_dispatch", "type": "alert"}, False),
        ("{schedule: [{cron: '0 1 * * *'}]}", {"name": "schedule", "payload": {"schedule": "0 1 * * *"}}, True),
        ("{schedule: [{cron: '0 1 * * *'}]}", {"name": "schedule", "payload": {"schedule": "0 2 * * *"}}, False),
        (
            "{workflow_run: {workflows: [CI], branches: [main]}}",
            {
                "name": "workflow_run",
                "type": "completed",
                "payload": {"workflow_run": {"name": "CI", "head_branch": "main"}},
            },
            True,
        ),
    ],
)
def test_triggers(on: str, event: dict[str, Any], expected: bool) -> None:
    assert fires(on, **event) is expected


INPUTS = f"""
on:
  workflow_dispatch:
    inputs:
      version: {{required: true}}
      level: {{type: choice, options: [low, high], default: low}}
      dry: {{type: boolean, default: true}}
      count: {{type: number, default: 3}}
      note: {{}}
{JOB}"""


def test_dispatch_inputs_come_typed_with_defaults() -> None:
    values = dispatch_inputs(read(INPUTS), {"version": 1.5, "COUNT": "2.5", "dry": "false"})
    assert values == {"version": "1.5", "level": "low", "dry": False, "count": 2.5, "note": ""}
    assert dispatch_inputs(read(f"on: workflow_dispatch\n{JOB}"), {}) == {}


def test_bad_dispatch_inputs_are_told_together() -> None:
    with pytest.raises(BadInputs) as caught:
        dispatch_inputs(read(INPUTS), {"levle": "low", "level": "middle", "dry": "yes", "count": "many"})
    line = str(caught.value)
    assert "\n" not in line
    for part in (
        "unknown input 'levle' (did you mean 'level'?",
        "input 'version' is required",
        "'middle' (allowed: low, high)",
        "'yes'; write true or false",
        "'many'; write a number",
    ):
        assert part in line, line
    with pytest.raises(BadInputs, match="has no workflow_dispatch"):
        dispatch_inputs(read(f"on: push\n{JOB}"), {})


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["version", "level", "dry", "count", "x"]), st.text() | st.booleans() | st.floats() | st.none()
    )
)
def test_any_inputs_are_typed_or_refused(given_inputs: dict[str, Any]) -> None:
    try:
        values = dispatch_inputs(read(INPUTS), given_inputs)
    except BadInputs:
        return
    assert [type(values[name]) for name in ("version", "level", "dry")] == [str, str, bool]


def test_matrix_documentation_example() -> None:
    found = expand_matrix(
        {
            "fruit": ["apple", "pear"],
            "animal": ["cat", "dog"],
            "include": [
                {"color": "green"},
                {"color": "pink", "animal": "cat"},
                {"fruit": "apple", "shape": "circle"},
                {"fruit": "banana"},
                {"fruit": "banana", "animal": "cat"},
            ],
        },
        {},
    )
    assert found == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]


def test_matrix_exclude_comes_before_include_and_compares_as_expressions_do() -> None:
    raw = {
        "os": ["linux", "mac"],
        "version": [12, 14],
        "deep": [{"a": 1, "b": 2}],
        "exclude": [{"os": "LINUX", "version": "12"}, {"deep": {"b": 3}}],
        "include": [{"os": "linux", "version": 12, "late": True}],
    }
    assert expand_matrix(raw, {}) == [
        {"os": "linux", "version": 14, "deep": {"a": 1, "b": 2}},
        {"os": "mac", "version": 12, "deep": {"a": 1, "b": 2}},
        {"os": "mac", "version": 14, "deep": {"a": 1, "b": 2}},
        {"os": "linux", "version": 12, "late": True},
    ]


def test_matrix_from_expressions() -> None:
    contexts = {"needs": {"a": {"outputs": {"m": '{"v": [1, 2]}', "list": '["x"]'}}}}
    assert expand_matrix("${{ fromJSON(needs.a.outputs.m) }}", contexts) == [{"v": 1}, {"v": 2}]
    assert expand_matrix({"n": "${{ fromJSON(needs.a.outputs.list) }}"}, contexts) == [{"n": "x"}]
    assert expand_matrix(None, contexts) == [{}]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"a": []}, "the list 'a' of the matrix is empty"),
        ({"a": list(range(17)), "b": list(range(17))}, "makes 289 jobs, the limit is 256"),
        ({str(n): list(range(50)) for n in range(40)}, "the limit is 256"),
        ({"a": [1], "exclude": [{"a": 1}]}, "excludes every combination"),
        ({"include": []}, "the matrix has no values"),
        ("${{ 'x' }}", "not a mapping of lists"),
        ({"a": "${{ 1 }}"}, "not a list"),
        ({"a": [1], "include": [2]}, "not a list of mappings"),
    ],
)
def test_bad_matrices(raw: Any, says: str) -> None:
    with pytest.raises(BadMatrix, match=says):
        expand_matrix(raw, {})


LISTS = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True), min_size=1
)
ENTRIES = st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3), min_size=1), max_size=4)


@given(LISTS, ENTRIES, ENTRIES)
def test_matrix_sizes(
    lists: dict[str, list[int]], include: list[dict[str, int]], exclude: list[dict[str, int]]
) -> None:
    size = 1
    for values in lists.values():
        size *= len(values)
    try:
        found = expand_matrix({**lists, "include": include, "exclude": exclude}, {})
    except BadMatrix:
        assert exclude
        return
    assert len(found) <= size + len(include)
    if not exclude:
        assert len(found) >= size
        for combination in found[:size]:
            assert all(combination[name] in values for name, values in lists.items())


CHAIN = """
on: push
run-name: 'Release ${{ github.ref_name }}'
concurrency: {group: 'ship-${{ github.ref }}', cancel-in-progress: true}
env: {LEVEL: low, TOKEN: '${{ secrets.TOKEN }}'}
defaults: {run: {shell: sh}}
jobs:
  ship:
    needs: [test, lint]
    runs-on: x
    environment: {name: 'production-${{ github.ref_name }}', url: '${{ steps.a.outputs.url }}'}
    permissions: {deployments: write}
    steps: [{uses: opsroom/deploy, name: 'Deploy ${{ github.sha }}'}]
  lint: {runs-on: x, steps: [{run: lint}]}
  test:
    needs: lint
    runs-on: '${{ matrix.os }}'
    strategy: {matrix: {os: [ubuntu, debian], python: [3.11]}, max-parallel: 1, fail-fast: false}
    env: {LEVEL: '${{ matrix.os }}'}
    timeout-minutes: 5
    continue-on-error: ${{ matrix.os == 'debian' }}
    concurrency: test-${{ matrix.os }}
    defaults: {run: {working-directory: src}}
    outputs: {digest: '${{ steps.pack.outputs.digest }}'}
    steps:
      - run: |
          make test
          make pack
        id: pack
        if: env.LEVEL
  notify: {needs: ship, if: always(), runs-on: x, steps: [{run: a, name: 'Say ${{ env.LEVEL }} ${{ secrets.A }}'}]}
"""


def started(job: str, results: Mapping[str, NeedResult], text: str = CHAIN, **options: Any) -> JobDecision:
    return start_job(plan_run(read(text), PUSH, run_id="run_1"), job, results, **options)


def test_the_static_plan() -> None:
    plan = plan_run(read(CHAIN), PUSH, run_id="run_1", number=7)
    assert (plan.name, plan.group, plan.group_cancels) == ("Release main", "ship-refs/heads/main", True)
    assert [job.id for job in plan.jobs] == ["lint", "test", "ship", "notify"]
    assert plan.waves == (("lint",), ("test",), ("ship",), ("notify",))
    github = plan.contexts["github"]
    assert (github["ref_name"], github["ref_type"], github["run_number"], github["repository_owner"]) == (
        "main",
        "branch",
        "7",
        "shop",
    )
    assert github["event"]["after"] == "c0ffee"


def test_only_some_jobs_and_what_they_need() -> None:
    plan = plan_run(read(CHAIN), PUSH, run_id="r", only=["test"])
    assert [job.id for job in plan.jobs] == ["lint", "test"]
    with pytest.raises(Invalid, match="did you mean 'test'"):
        plan_run(read(CHAIN), PUSH, run_id="r", only=["tests"])


def test_unsupported_workflows_are_refused_with_every_reason() -> None:
    workflow = read("on: push\njobs: {a: {runs-on: x, container: y, services: {z: {image: z}}}}")
    with pytest.raises(Problems, match="containers are not run") as caught:
        plan_run(workflow, PUSH, run_id="r")
    assert len(caught.value.problems) == 2


def test_a_matrix_job_starts() -> None:
    decision = started("test", {"lint": OK})
    first, second = decision.instances
    assert (decision.fail_fast, decision.max_parallel, decision.error) == (False, 1, "")
    assert [one.name for one in decision.instances] == ["test (ubuntu, 3.11)", "test (debian, 3.11)"]
    assert [one.key for one in decision.instances] == ["test.1", "test.2"]
    assert [one.continue_on_error for one in decision.instances] == [False, True]
    assert (first.timeout_minutes, first.group, first.runs_on) == (5.0, "test-ubuntu", ("ubuntu",))
    assert second.contexts["strategy"] == {"fail-fast": False, "job-index": 1, "job-total": 2, "max-parallel": 1}
    assert first.env == {"LEVEL": "${{ matrix.os }}", "TOKEN": "${{ secrets.TOKEN }}"}
    assert first.contexts["env"] == {"LEVEL": "ubuntu"}
    assert first.defaults == {"shell": "sh", "working-directory": "src"}
    assert first.step_names == ("Run make test",)
    order = make_order(first, run="run_1", attempt=1, source=Source(git="/r", commit="c0ffee"))
    assert (order.job, order.timeout_minutes, order.outputs) == (
        "test.1",
        5.0,
        {"digest": "${{ steps.pack.outputs.digest }}"},
    )
    assert order.steps[0]["if"] == "env.LEVEL"
    assert order.steps[0]["place"].startswith("w.yml:")
    told = decision.decided(2)
    assert (told.node, told.attempt, told.jobs[1].matrix) == ("test", 2, {"os": "debian", "python": 3.11})


def test_a_deploying_job_starts() -> None:
    results = {"lint": OK, "test": NeedResult(result="success", outputs={"digest": "sha256:1"})}
    (one,) = started("ship", results).instances
    assert (one.environment, one.environment_url) == ("production-main", "${{ steps.a.outputs.url }}")
    assert one.permissions == {"deployments": "write"}
    assert one.contexts["needs"]["test"] == {"result": "success", "outputs": {"digest": "sha256:1"}}
    assert one.contexts["matrix"] is None
    assert one.step_names == ("Deploy c0ffee",)
    assert (one.key, one.timeout_minutes) == ("ship", 60.0)


def test_what_a_secret_decides_stays_raw() -> None:
    (one,) = started("notify", {"lint": OK, "test": OK, "ship": OK}).instances
    assert one.step_names == ("Say ${{ env.LEVEL }} ${{ secrets.A }}",)
    assert "TOKEN" not in one.contexts["env"]
    assert one.permissions == {"contents": "read"}


@pytest.mark.parametrize(
    ("condition", "results", "cancelled", "runs"),
    [
        ("", ("success", "success"), False, True),
        ("", ("failure", "skipped"), False, False),
        ("", ("skipped", "success"), False, False),
        ("always()", ("failure", "skipped"), False, True),
        ("failure()", ("failure", "skipped"), False, True),
        ("failure()", ("success", "cancelled"), False, False),
        ("cancelled()", ("success", "success"), True, True),
        ("", ("success", "success"), True, False),
        ("needs.b.result == 'skipped'", ("failure", "skipped"), False, False),
        ("!cancelled() && needs.b.result == 'skipped'", ("failure", "skipped"), False, True),
        ("github.ref_name == 'dev'", ("success", "success"), False, False),
    ],
)
def test_conditions_see_all_that_the_job_needs(
    condition: str, results: tuple[str, str], cancelled: bool, runs: bool
) -> None:
    text = f"""
    on: push
    jobs:
      a: {{runs-on: x}}
      b: {{runs-on: x, needs: a}}
      c: {{runs-on: x, needs: b, if: "{condition}"}}
    """
    ended = dict(zip("ab", (NeedResult(result=result) for result in results), strict=True))
    decision = started("c", ended, text, cancelled=cancelled)
    assert (bool(decision.instances), decision.skipped, decision.error) == (runs, not runs, "")


def test_a_job_that_outlives_cancellation_says_so() -> None:
    (one,) = started("notify", {"lint": OK, "test": OK, "ship": OK}).instances
    assert one.outlives_cancel
    assert not started("lint", {}).instances[0].outlives_cancel


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("if: fromJSON('{')", "w.yml:2:8: a: if: "),
        ("strategy: {matrix: {v: '${{ fromJSON(vars.missing) }}'}}", "a: strategy: "),
        ("timeout-minutes: ${{ github.actor }}", "timeout-minutes is 'maria', not a positive number"),
        ("continue-on-error: ${{ github.actor }}", "not true or false"),
        ("strategy: {max-parallel: 0.5, matrix: {v: [1]}}", "max-parallel is '0.5'"),
        ("runs-on: \"${{ 'windows-latest' }}\"", "runners here are Linux"),
    ],
)
def test_what_cannot_be_evaluated_fails_the_job_with_one_line(body: str, says: str) -> None:
    runs_on = "" if body.startswith("runs-on") else "runs-on: x, "
    body = body if body.startswith(("strategy", "runs-on")) else body.replace(": ", ': "', 1) + '"'
    decision = started("a", {}, f"on: push\njobs: {{a: {{{runs_on}{body}}}}}")
    assert says in decision.error
    assert "\n" not in decision.error
    assert not decision.skipped
    assert not decision.instances


def test_payloads_of_ledger_events_and_dispatches() -> None:
    event = TriggerEvent(name="repository_dispatch", type="alert.fired", payload={"alert": {"name": "Slow"}})
    plan = plan_run(
        read(f"on: repository_dispatch\nrun-name: '${{{{ github.event.client_payload.alert.name }}}}'\n{JOB}"),
        event,
        run_id="r",
    )
    assert plan.name == "Slow"
    assert plan.contexts["github"]["event"]["action"] == "alert.fired"
    by_hand = TriggerEvent(name="workflow_dispatch", ref="refs/tags/v1", inputs={"dry": True, "n": 2})
    plan = plan_run(read(f"on: workflow_dispatch\n{JOB}"), by_hand, run_id="r")
    assert plan.contexts["inputs"] == {"dry": True, "n": 2}
    assert plan.contexts["github"]["event"]["inputs"] == {"dry": "true", "n": "2"}
    assert plan.contexts["github"]["ref_type"] == "tag"


def test_values_from_outside_are_never_read_as_expressions() -> None:
    payload = {"head_commit": {"message": "Fix ${{ secrets.TOKEN }}"}}
    event = TriggerEvent(name="push", ref="refs/heads/main", payload=payload)
    text = "on: push\njobs: {a: {runs-on: x, name: '${{ github.event.head_commit.message }}', env: {M: '${{ github.event.head_commit.message }}'}}}"
    plan = plan_run(read(text), event, run_id="r")
    (one,) = start_job(plan, "a", {}).instances
    assert one.name == plan.name == "Fix ${{ secrets.TOKEN }}"
    assert one.env == {"M": "${{ github.event.head_commit.message }}"}
