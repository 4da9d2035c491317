"""`opsroom run` from its command line: a repository's workflows, run here."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsroom.workflows import sandbox

Opsroom = Callable[..., "subprocess.CompletedProcess[str]"]


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


GRAPH = """
name: graph
on: [push, workflow_dispatch]
jobs:
  build:
    strategy:
      max-parallel: 2
      matrix: {n: [1, 2, 3]}
    runs-on: ubuntu-latest
    outputs: {last: "${{ steps.a.outputs.v }}"}
    steps:
      - id: a
        run: echo v=${{ matrix.n }} >> $GITHUB_OUTPUT
  test:
    needs: build
    runs-on: ubuntu-latest
    steps:
      - run: test "${{ needs.build.result }}" = success && echo got ${{ needs.build.outputs.last }}
      - run: exit ${{ github.event_name == 'push' && '5' || '0' }}
  after:
    needs: test
    runs-on: ubuntu-latest
    steps: [{run: echo after}]
  tidy:
    needs: [test, after]
    if: always()
    runs-on: ubuntu-latest
    steps: [{run: 'echo "${{ needs.test.result }} ${{ needs.after.result }}"'}]
"""


def test_a_graph_with_a_matrix(opsroom: Opsroom) -> None:
    done = opsroom(GRAPH, "--unsandboxed", "--json")
    assert done.returncode == 1, done.stderr
    whole = report(done)
    assert whole["conclusion"] == "failure"
    conclusions = [(job["name"], job["conclusion"]) for job in whole["jobs"]]
    assert conclusions == [
        ("build (1)", "success"), ("build (2)", "success"), ("build (3)", "success"), ("test", "failure"), ("after", "skipped"), ("tidy", "success"),
    ]  # fmt: skip
    assert [step["exit_code"] for step in whole["jobs"][3]["steps"]] == [0, 5]
    assert whole["jobs"][0]["outputs"] == {"last": "1"} and whole["jobs"][0]["seconds"] > 0
    assert opsroom(GRAPH, "--unsandboxed", "--event", "workflow_dispatch").returncode == 0


def test_what_it_shows(opsroom: Opsroom) -> None:
    done = opsroom(GRAPH, "--unsandboxed", "--job", "build")
    assert done.returncode == 0
    assert "build (2) │ ▸ Run echo v=2" in done.stdout
    assert "✓ build (1) success in" in done.stdout and "graph: success (3 jobs" in done.stdout
    assert "\033[" not in done.stdout and "test" not in done.stdout


def test_a_sandboxed_run(opsroom: Opsroom, repository: Path) -> None:
    if not (state := sandbox.probe()).available:
        pytest.skip(f"no sandbox here: {state.reason}")
    (repository / "secret").write_text("x")
    workflow = f"on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: actions/checkout@v4\n      - run: ls; ! ls {repository}\n"
    done = opsroom(workflow)
    assert done.returncode == 0, done.stdout
    assert "a │ secret" in done.stdout


def test_inputs_secrets_and_payload(opsroom: Opsroom, repository: Path) -> None:
    (repository / "s.env").write_text("# secrets\nTOKEN='quoted value'\n")
    (repository / "p.json").write_text('{"client": 7}')
    workflow = """
on:
  workflow_dispatch:
    inputs:
      where: {type: choice, options: [staging, production], required: true}
jobs:
  a:
    runs-on: ubuntu-latest
    steps: [{run: 'echo ${{ inputs.where }} ${{ secrets.TOKEN }} ${{ github.event.client }} ${#T}', env: {T: '${{ secrets.TOKEN }}'}}]
"""
    done = opsroom(
        workflow, "--unsandboxed", "--input", "where=staging", "--secret-file", "s.env", "--event-payload", "p.json"
    )
    assert "a │ staging *** 7 12" in done.stdout, done
    wrong = opsroom(workflow, "--unsandboxed", "--input", "where=moon")
    assert wrong.returncode == 1 and "'moon'" in wrong.stderr


def test_errors_name_file_line_and_column(opsroom: Opsroom) -> None:
    done = opsroom("on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - rum: echo\n", "--unsandboxed")
    assert done.returncode == 1
    assert ".github/workflows/ci.yml:6:9: " in done.stderr
    late = opsroom(
        "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: echo ${{ fromJSON('{') }}\n", "--unsandboxed"
    )
    assert late.returncode == 1 and ".github/workflows/ci.yml:6:" in late.stdout


def test_actions_of_a_plane(opsroom: Opsroom) -> None:
    workflow = "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - uses: opsroom/deploy\n      - run: echo on\n"
    assert "needs a plane" in opsroom(workflow, "--unsandboxed").stdout
    assert opsroom(workflow, "--unsandboxed", "--skip-plane-actions").returncode == 0


def test_fail_fast_and_continue_on_error(opsroom: Opsroom) -> None:
    workflow = """
on: push
jobs:
  fast:
    strategy: {matrix: {n: [0, 30, 31]}}
    runs-on: ubuntu-latest
    steps: [{run: 'sleep ${{ matrix.n }}; exit 1'}]
  soft:
    strategy: {matrix: {n: [0, 0.2]}, fail-fast: true}
    continue-on-error: true
    runs-on: ubuntu-latest
    steps: [{run: 'sleep ${{ matrix.n }}; exit ${{ matrix.n == 0 }}'}]
"""
    began = time.monotonic()
    jobs = report(opsroom(workflow, "--unsandboxed", "--json", "--parallel", "5"))["jobs"]
    assert time.monotonic() - began < 15
    fast = sorted(job["conclusion"] for job in jobs if job["id"] == "fast")
    assert fast == ["cancelled", "cancelled", "failure"]
    assert report(opsroom(workflow, "--unsandboxed", "--json", "--job", "soft"))["conclusion"] == "success"


def test_concurrency_groups_take_turns(opsroom: Opsroom, tmp_path: Path) -> None:
    step = f"mkdir {tmp_path}/held && sleep 0.1 && rmdir {tmp_path}/held"
    job = f"    runs-on: x\n    concurrency: one\n    steps: [{{run: '{step}'}}]\n"
    done = opsroom(f"on: push\njobs:\n  a:\n{job}  b:\n{job}", "--unsandboxed", "--parallel", "3")
    assert done.returncode == 0, done.stdout


def test_dry_run(opsroom: Opsroom, tmp_path: Path) -> None:
    done = opsroom(GRAPH, "--dry-run")
    assert done.returncode == 0
    assert "1. build" in done.stdout and "3. after (needs test)" in done.stdout
    assert [job["turn"] for job in report(opsroom(GRAPH, "--dry-run", "--json"))["jobs"]] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-W", "none.yml"], "no workflow in none.yml"),
        (["--event", "release"], "no workflow here runs on release; they run on push, workflow_dispatch"),
        (["--job", "nope"], "no job 'nope'"),
        (["--input", "x=1", "--event", "push"], "--input is for workflow_dispatch"),
        (["--secret-file", "none"], "none: No such file"),
        (["--event-payload", ".github"], "JSON file"),
        (["--network", "a/b", "--job", "build"], "is no host"),
    ],
)
def test_bad_words(opsroom: Opsroom, words: list[str], says: str) -> None:
    done = opsroom(GRAPH, *words)
    assert done.returncode != 0
    assert says in done.stderr + done.stdout and "Traceback" not in done.stderr
