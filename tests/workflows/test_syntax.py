"""Workflow files: read as values, and every problem at once with its place and what is allowed."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsroom.workflows.model import Workflow
from opsroom.workflows.syntax import read_action, read_workflow

ONE_JOB = """
jobs:
  build:
    runs-on: ubuntu-latest
    steps:
      - run: echo hi
"""


def read(text: str, **options: object) -> Workflow:
    workflow, problems = read_workflow(textwrap.dedent(text), "w.yml", **options)  # type: ignore[arg-type]
    assert problems == []
    assert workflow is not None
    return workflow


def problems_of(text: str, **options: object) -> list[str]:
    workflow, problems = read_workflow(textwrap.dedent(text), "w.yml", **options)  # type: ignore[arg-type]
    assert workflow is None
    assert problems
    return [str(problem) for problem in problems]


def job(body: str, on: str = "push") -> str:
    return f"on: {on}\njobs:\n  build:\n    runs-on: x\n" + textwrap.indent(textwrap.dedent(body), "    ")


def test_a_whole_workflow() -> None:
    workflow = read("""
        name: CI
        run-name: by ${{ github.actor }}
        on:
          push: {branches: [main, 'release/**'], paths-ignore: docs/**}
          schedule:
            - cron: '30 2 * * 1-5'
              timezone: Europe/Berlin
          repository_dispatch: {types: [alert.fired]}
          workflow_dispatch:
            inputs:
              level: {type: choice, options: [low, high], default: low}
        env: {COUNT: 1, PI: 3.10, FLAG: true, NOTHING: null}
        permissions: {contents: read, deployments: write}
        concurrency: {group: 'ci-${{ github.ref }}', cancel-in-progress: true}
        defaults: {run: {shell: bash}}
        jobs:
          build:
            runs-on: ubuntu-latest
            strategy: {matrix: {version: [1, 2]}, fail-fast: false, max-parallel: 1}
            outputs: {digest: '${{ steps.pack.outputs.digest }}'}
            steps:
              - uses: actions/checkout@v4
                with: {fetch-depth: 0}
              - id: pack
                if: ${{ github.ref == 'refs/heads/main' }}
                run: make pack
                timeout-minutes: 5
          ship:
            needs: build
            if: always()
            environment: {name: production, url: 'https://x'}
            runs-on: [self-hosted, linux]
            timeout-minutes: 2.5
            steps:
              - uses: opsroom/deploy
    """)
    push, schedule, dispatch, by_hand = workflow.on
    assert (push.branches, push.paths_ignore) == (("main", "release/**"), ("docs/**",))
    assert (schedule.cron, schedule.timezones) == (("30 2 * * 1-5",), ("Europe/Berlin",))
    assert dispatch.types == ("alert.fired",)
    assert by_hand.inputs[0].options == ("low", "high")
    assert workflow.env == {"COUNT": "1", "PI": "3.1", "FLAG": "true", "NOTHING": ""}
    assert workflow.permissions == {"contents": "read", "deployments": "write"}
    assert workflow.concurrency is not None
    assert workflow.concurrency.cancel_in_progress is True
    build, ship = workflow.jobs["build"], workflow.jobs["ship"]
    assert build.strategy.matrix == {"version": [1, 2]}
    assert (build.strategy.fail_fast, build.strategy.max_parallel) == (False, 1)
    assert build.steps[0].id == "__actions_checkout"
    assert build.steps[0].with_ == {"fetch-depth": "0"}
    assert build.steps[1].condition == "github.ref == 'refs/heads/main'"
    assert (ship.needs, ship.condition, ship.timeout_minutes) == (("build",), "always()", 2.5)
    assert ship.runs_on == ["self-hosted", "linux"]
    assert str(ship.place) == "w.yml:29:3"
    assert not workflow.unsupported


def test_all_problems_at_once_in_order() -> None:
    found = problems_of("""\
        on:
          push: {branchs: [main]}
        jobs:
          build:
            runs-on: x
            needs: tests
            timeout-minutes: soon
            steps:
              - name: nothing to do
              - run: a
                uses: actions/checkout@v4
              - run: echo ${{ secret.X }}
          test:
            steps: []
        """)
    assert [line.split(": ")[0] for line in found] == [
        "w.yml:2:10",
        "w.yml:6:12",
        "w.yml:7:22",
        "w.yml:9:9",
        "w.yml:11:9",
        "w.yml:12:14",
        "w.yml:14:5",
    ]
    assert "did you mean 'branches'?" in found[0]
    assert "did you mean 'test'?" in found[1]
    assert "write a number" in found[2]
    assert "no 'run'" in found[3]
    assert "a step has either 'run:' or 'uses:'" in found[4]
    assert "did you mean 'secrets'?" in found[5]
    assert "no 'runs-on'" in found[6]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("on: push", "the workflow has no 'jobs'"),
        ("on: pushed" + ONE_JOB, "did you mean 'push'?"),
        ("on: []" + ONE_JOB, "'on' names no event"),
        ("on: push" + ONE_JOB.replace("build", "my.job"), "job id 'my.job' is not valid"),
        ("on: push\njobs: {}", "write at least one job"),
        ("on: {schedule: [{cron: '@daily'}]}" + ONE_JOB, "has 1 of 5 fields"),
        ("on: {schedule: [{cron: '61 * * * *'}]}" + ONE_JOB, "cron '61 * * * *' is not valid"),
        ("on: {schedule: [{cron: '0 0 31 2 *'}]}" + ONE_JOB, "cron '0 0 31 2 *'"),
        ("on: {schedule: [{cron: '0 0 * * *', timezone: Berlin}]}" + ONE_JOB, "unknown time zone 'Berlin'"),
        ("on: {push: {branches: ['a[']}}" + ONE_JOB, "pattern 'a[': '[' has no ']'"),
        ("on: {pull_request: {types: [open]}}" + ONE_JOB, "did you mean 'opened'?"),
        ("on: {workflow_dispatch: {inputs: {a: {type: choice}}}}" + ONE_JOB, "a choice without options"),
        ("on: {workflow_dispatch: {inputs: {a: {type: boolean, default: 'true'}}}}" + ONE_JOB, "without quotes"),
        (
            "on: {workflow_dispatch: {inputs: {a: {type: choice, options: [b], default: c}}}}" + ONE_JOB,
            "none of its options",
        ),
        ("on: push\npermissions: {content: read}" + ONE_JOB, "did you mean 'contents'?"),
        ("on: push\npermissions: {contents: admin}" + ONE_JOB, "allowed: read, write, none"),
        ("on: push\npermissions: {id-token: read}" + ONE_JOB, "allowed: write, none"),
        ("on: push\nname: ${{ github.ref }}" + ONE_JOB, "no expression may stand in 'name'"),
        ("on: push\nenv: {A: '${{ matrix.x }}'}" + ONE_JOB, "Unrecognized named-value: 'matrix'"),
        (job("if: steps.a.outcome"), "Unrecognized named-value: 'steps'"),
        (job("if: hashFiles('a') != ''"), "Unrecognized function: 'hashFiles'"),
        (job("if: ${{ success( }}"), "w.yml:5:9"),
        (job("needs: build"), "these jobs need each other: build → build"),
        (job("steps: [{run: a, id: x}, {run: b, id: X}]"), "already used on line 5"),
        (job("steps: [{run: a, id: 1x}]"), "step id '1x' is not valid"),
        (job("steps: [{uses: checkout}]"), "write owner/repository@ref"),
        (job("steps: [{uses: actions/checkout}]"), "write owner/repository@ref"),
        (job("strategy: {matrix: {a: []}}"), "matrix list 'a' is empty"),
        (
            job(f"strategy: {{matrix: {{a: {list(range(17))}, b: {list(range(17))}}}}}"),
            "makes 289 jobs; the limit is 256",
        ),
        (job("strategy: {matrix: {}}"), "the matrix has no values"),
        (job("concurrency: {cancel-in-progress: true}"), "has no 'group'"),
        (job("env: production"), "write a mapping"),
        (job("env: {A: 1, a: 2}"), "'a' is already defined as 'A'"),
        (job("steps: {run: a}"), "write a list"),
        ("on: push\njobs:\n  a: {uses: ./x.yml}", "write ./.github/workflows/FILE.yml"),
    ],
)
def test_problems_name_what_is_allowed(text: str, says: str) -> None:
    found = problems_of(text)
    assert any(says in line for line in found), found
    assert all(line.startswith("w.yml:") for line in found)


def test_longer_cycles_are_told_once_each() -> None:
    text = "on: push\njobs:\n"
    for name, needs in {"a": "c", "b": "a", "c": "b", "start": "", "d": "[c, start]", "x": "y", "y": "x"}.items():
        text += f"  {name}: {{runs-on: x{f', needs: {needs}' if needs else ''}}}\n"
    assert [line.split(": ", 1)[1] for line in problems_of(text)] == [
        "these jobs need each other: a → c → b → a; take one of the needs away",
        "these jobs need each other: x → y → x; take one of the needs away",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (job("container: node:20"), "containers are not run"),
        (job("services: {db: {image: postgres}}"), "service containers are not run"),
        ("on: push\njobs:\n  a: {uses: ./.github/workflows/b.yml}", "calling a workflow"),
        (job("steps: [{uses: 'docker://alpine:3'}]"), "container actions are not run"),
        (job("steps: [{uses: owner/thing@v1}]"), "action 'owner/thing' is not built in"),
        (job("steps: [{run: a, background: true}, {wait-all: }]"), "'background' is not run yet"),
        (job("steps: [{run: a, shell: pwsh}]"), "shell 'pwsh' is not run here"),
        (job("if: ${{ true }} && false"), "always be true"),
        ("on: {push: {branches: [a], branches-ignore: [b]}}" + ONE_JOB, "both 'branches' and 'branches-ignore'"),
        ("on: {push: {branches: ['!a']}}" + ONE_JOB, "only excludes"),
    ],
)
def test_what_is_valid_but_not_run_is_told_apart(text: str, says: str) -> None:
    workflow = read(text)
    assert any(says in str(problem) for problem in workflow.unsupported)
    assert all(problem.place.line and problem.way_out for problem in workflow.unsupported)


def test_permissions_may_be_all_or_of_an_area() -> None:
    workflow = read("on: push\npermissions: write-all" + ONE_JOB, extra_scopes=["incidents"])
    assert workflow.permissions is not None
    assert workflow.permissions["incidents"] == "write"
    assert workflow.permissions["models"] == "read"
    assert read("on: push\npermissions: {}" + ONE_JOB).permissions == {}
    assert read("on: push" + ONE_JOB).permissions is None
    assert "unknown key 'incidents'" in problems_of("on: push\npermissions: {incidents: read}" + ONE_JOB)[0]


def test_actions_of_the_plane_are_known_by_name() -> None:
    text = job("steps: [{uses: opsroom/deploi}]")
    assert read(text).jobs["build"].steps[0].uses == "opsroom/deploi"
    assert "did you mean 'deploy'?" in problems_of(text, plane_actions=["opsroom/deploy"])[0]


def test_a_mapping_may_come_from_an_expression() -> None:
    workflow = read(job("env: ${{ fromJSON(vars.ENV) }}\nstrategy: {matrix: '${{ fromJSON(vars.M) }}'}"))
    assert workflow.jobs["build"].env == {"${{ insert }}": "${{ fromJSON(vars.ENV) }}"}
    assert workflow.jobs["build"].strategy.matrix == "${{ fromJSON(vars.M) }}"


def test_a_flood_of_problems_ends() -> None:
    found = problems_of("on: push\njobs:\n" + "".join(f"  j{n}: {{runson: x}}\n" for n in range(5000)))
    assert len(found) == 201
    assert "more than 200 problems" in found[-1]


def test_generated_step_ids_keep_clear_of_each_other() -> None:
    steps = "steps: [{run: a}, {run: b}, {uses: ./x}, {uses: 'actions/checkout@v4'}, {run: c, id: run}]"
    assert [step.id for step in read(job(steps)).jobs["build"].steps] == [
        "__run",
        "__run_2",
        "__self",
        "__actions_checkout",
        "run",
    ]


COMPOSITE = """
name: Greet
description: Says hello
inputs:
  who: {description: whom, default: World}
  loud: {required: true}
outputs:
  text: {value: '${{ steps.say.outputs.text }}'}
runs:
  using: composite
  steps:
    - id: say
      run: echo "text=Hello ${{ inputs.who }}" >> "$GITHUB_OUTPUT"
      shell: bash
"""


def test_a_composite_action() -> None:
    action, problems = read_action(COMPOSITE, "greet/action.yml")
    assert not problems
    assert action is not None
    assert action.inputs["who"].default == "World"
    assert action.inputs["loud"].required
    assert action.outputs == {"text": "${{ steps.say.outputs.text }}"}
    assert action.steps[0].shell == "bash"
    assert not action.unsupported


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "the action has no 'name'"),
        ("name: x\nruns: {using: composite, steps: [{run: a}]}", "the step has no 'shell'"),
        ("name: x\nruns: {using: composite, steps: [{run: '${{ secrets.A }}', shell: sh}]}", "'secrets'"),
        ("name: x\nruns: {using: compost, steps: []}", "did you mean 'composite'?"),
        ("name: x\nruns: {using: node20}", "runs has no 'main'"),
    ],
)
def test_bad_actions(text: str, says: str) -> None:
    action, problems = read_action(text, "action.yml")
    assert action is None
    assert any(says in str(problem) for problem in problems), problems


def test_other_kinds_of_actions_are_refused_when_they_are_to_run() -> None:
    action, _ = read_action("name: x\nruns: {using: node20, main: index.js}", "action.yml")
    assert action is not None
    assert "node20 are not run" in str(action.unsupported[0])


WORDS = st.sampled_from(
    [
        "on",
        "jobs",
        "build",
        "runs-on",
        "steps",
        "run",
        "uses",
        "with",
        "env",
        "if",
        "needs",
        "strategy",
        "matrix",
        "include",
        "exclude",
        "push",
        "pull_request",
        "schedule",
        "cron",
        "workflow_dispatch",
        "inputs",
        "type",
        "choice",
        "options",
        "default",
        "permissions",
        "contents",
        "read",
        "concurrency",
        "group",
        "name",
        "id",
        "shell",
        "outputs",
        "container",
        "services",
        "environment",
        "url",
        "timeout-minutes",
        "branches",
        "paths",
        "types",
        "${{",
        "insert",
        "}}",
        "${{",
        "github.ref",
        "${{",
        "}}",
        "main",
        "1",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 5) | WORDS | st.just("${{ fromJSON('[1]') }}") | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=25,
)


@settings(max_examples=120, deadline=None)
@given(on=VALUES, body=VALUES, steps=VALUES)
def test_no_value_raises(on: object, body: object, steps: object) -> None:
    import json

    first = {"runs-on": "x", "steps": steps, **(body if isinstance(body, dict) else {})}
    for value in (
        {"on": on, "jobs": {"a": first, "b": body}},
        body,
        {"name": "x", "runs": {"using": "composite", "steps": steps}},
    ):
        text = json.dumps(value)
        for reader in (read_workflow, read_action):
            found, problems = reader(text, "w.yml")
            assert (found is None) == bool(problems)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_no_text_raises(text: str) -> None:
    for whole in (text, "on: push\njobs:\n  a:\n    runs-on: x\n    if: " + text, ONE_JOB + text):
        found, problems = read_workflow(whole, "w.yml")
        assert (found is None) == bool(problems)


def test_what_is_not_run_here_is_told_beside_the_problems() -> None:
    text = (
        "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: actions/chekout@v4\n      - uses: checkout\n"
    )
    assert [str(one.place) for one in read_workflow(text, "w.yml")[1]] == ["w.yml:7:15"]
    told = read_workflow(text, "w.yml", all_told=True)[1]
    assert [str(one.place) for one in told] == ["w.yml:6:15", "w.yml:7:15"]
    assert "built in are actions/cache" in told[0].way_out


@pytest.mark.parametrize("text", [b"on: push\nname: \xff\n", b"on: push\nname: \xff\n".decode("utf-8", "replace")])
def test_a_file_that_is_not_utf_8_says_where(text: str | bytes) -> None:
    found = read_workflow(text, "w.yml")[1]
    assert "w.yml:2:7: the file is not UTF-8 text; save it as UTF-8" in [str(one) for one in found]
