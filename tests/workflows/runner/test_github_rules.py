"""What GitHub documents and workflows rely on, through `opsroom run`: each rule names the page it comes from where it surprises."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opsroom.workflows.runner.place import sweep_scripts

Opsroom = Callable[..., "subprocess.CompletedProcess[str]"]
JOB = "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n"


def jobs(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """The report's jobs by name."""
    assert done.stdout, done.stderr
    return {job["name"]: job for job in json.loads(done.stdout)["jobs"]}


def test_each_job_of_a_matrix_may_give_an_output_of_its_own(opsroom: Opsroom) -> None:
    """The example of "Using job outputs in a matrix job": what a job leaves empty blanks nothing."""
    done = opsroom(
        """
on: push
jobs:
  a:
    runs-on: x
    strategy: {matrix: {v: [1, 2, 3]}}
    outputs:
      one: ${{ steps.s.outputs.v1 }}
      two: ${{ steps.s.outputs.v2 }}
      three: ${{ steps.s.outputs.v3 }}
    steps:
      - {id: s, run: 'echo "v${{ matrix.v }}=val${{ matrix.v }}" >> $GITHUB_OUTPUT'}
  b:
    needs: a
    runs-on: x
    outputs: {all: "${{ join(needs.a.outputs.*, ' ') }}"}
    steps: [{run: echo}]
""",
        "--unsandboxed",
        "--json",
    )
    assert sorted(jobs(done)["b"]["outputs"]["all"].split()) == ["val1", "val2", "val3"]


def test_a_summary_that_is_too_large_is_left_out_and_fails_nothing(opsroom: Opsroom) -> None:
    """ "Upload failures for job summaries do not affect the overall status of a step or a job." """
    script = "head -c 1200000 /dev/zero | tr '\\0' x >> $GITHUB_STEP_SUMMARY; echo v=1 >> $GITHUB_OUTPUT"
    done = opsroom(
        f"{JOB}      - id: s\n        run: {script}\n      - run: echo got ${{{{ steps.s.outputs.v }}}}\n",
        "--unsandboxed",
    )
    assert done.returncode == 0, done.stdout
    assert "Error: GITHUB_STEP_SUMMARY holds 1171 KiB" in done.stdout and "got 1" in done.stdout


COMPOSITE = """
name: inner
inputs: {key: {required: true}}
runs:
  using: composite
  steps:
    - uses: actions/cache@v4
      id: c
      with: {path: deps, key: "${{ inputs.key }}"}
    - {shell: bash, run: 'mkdir -p deps; echo "hit=[${{ steps.c.outputs.cache-hit }}]"; echo kept > deps/f'}
"""


def test_a_cache_inside_a_composite_action_is_saved_at_the_end_of_the_job(
    opsroom: Opsroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    outer = "name: o\nruns:\n  using: composite\n  steps: [{uses: ./inner, with: {key: 'k-${{ github.job }}'}}]\n"
    text = f"{JOB}      - uses: actions/checkout@v4\n      - uses: ./outer\n      - run: rm -r inner outer\n"
    given = {"inner/action.yml": COMPOSITE, "outer/action.yml": outer}
    first = opsroom(text, files=given)
    assert "hit=[]" in first.stdout and "cache saved with key k-a (1 files" in first.stdout, first.stdout
    second = opsroom(text, files=given)
    assert "hit=[true]" in second.stdout and "cache saved" not in second.stdout, second.stdout


def test_a_composite_action_keeps_to_the_time_of_its_step(opsroom: Opsroom) -> None:
    slow = "name: s\nruns:\n  using: composite\n  steps:\n    - {run: sleep 30, shell: bash}\n    - {run: echo late, shell: bash, if: always()}\n"
    text = f"{JOB}      - uses: actions/checkout@v4\n      - {{uses: ./slow, timeout-minutes: \"${{{{ fromJSON('0.005') }}}}\"}}\n"
    began = time.monotonic()
    done = opsroom(text, "--unsandboxed", files={"slow/action.yml": slow})
    assert done.returncode == 1 and time.monotonic() - began < 15
    assert done.stdout.count("the step exceeded its limit of 0.005 minutes") == 1, done.stdout
    assert "late" not in done.stdout


def test_a_failure_inside_a_composite_action_is_told_once(opsroom: Opsroom) -> None:
    text = f"{JOB}      - uses: actions/checkout@v4\n      - uses: ./bad\n"
    bad = "name: b\nruns:\n  using: composite\n  steps: [{run: exit 5, shell: bash}]\n"
    done = opsroom(text, "--unsandboxed", files={"bad/action.yml": bad})
    assert done.stdout.count("Error: Process completed with exit code 5.") == 1, done.stdout


def test_a_step_that_was_left_out_keeps_its_name(opsroom: Opsroom) -> None:
    done = opsroom(
        f"{JOB}      - {{name: Only on release, if: false, run: echo}}\n      - run: echo b\n",
        "--unsandboxed",
        "--json",
    )
    assert [step["name"] for step in jobs(done)["a"]["steps"]] == ["Only on release", "Run echo b"]


def test_text_that_says_false_tolerates_nothing(opsroom: Opsroom) -> None:
    done = opsroom(f"{JOB}      - {{run: exit 1, continue-on-error: \"${{{{ 'false' }}}}\"}}\n", "--unsandboxed")
    assert done.returncode == 1


def test_inputs_that_an_action_does_not_know_are_named(opsroom: Opsroom) -> None:
    text = f"{JOB}      - {{uses: actions/checkout@v4, with: {{fetch-deph: 0}}}}\n"
    text += "      - {uses: actions/setup-python@v5, with: {cache: pip, update-environment: false}}\n"
    text += "      - run: echo location=[$pythonLocation]\n"
    done = opsroom(text, "--unsandboxed")
    assert "actions/checkout has no input 'fetch-deph'; it takes clean, fetch-depth" in done.stdout, done.stdout
    assert "actions/setup-python: cache has no effect here" in done.stdout and "location=[]" in done.stdout


def commit(repository: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    subprocess.run(["git", "add", "-A"], cwd=repository, check=True)
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "two"], cwd=repository, check=True
    )


def test_checkout_takes_part_of_the_tree_and_says_what_it_does_not_do(opsroom: Opsroom, repository: Path) -> None:
    commit(repository, {"docs/a.md": "a", "src/b.py": "b", "top.txt": "c"})
    text = f"{JOB}      - {{uses: actions/checkout@v4, with: {{sparse-checkout: docs}}}}\n"
    text += "      - run: ls -d top.txt docs/a.md; test ! -e src\n"
    text += "      - {uses: actions/checkout@v4, with: {lfs: true}, continue-on-error: true}\n"
    text += "      - {uses: actions/checkout@v4, with: {clean: false}, continue-on-error: true}\n"
    text += "      - {uses: actions/checkout@v4, with: {clean: false, path: new}}\n"
    done = opsroom(text, "--unsandboxed")
    assert done.returncode == 0, done.stdout
    assert "Git LFS are not fetched here" in done.stdout and "clean: false: what is in the workspace" in done.stdout


def test_a_working_directory_that_is_not_there_is_named(opsroom: Opsroom) -> None:
    done = opsroom(f"{JOB}      - {{run: pwd, working-directory: nope}}\n", "--unsandboxed")
    assert done.returncode == 1
    assert "/nope' is not there; make it in an earlier step, or check the path" in done.stdout


def test_machines_that_are_not_here_are_refused_before_anything_runs(opsroom: Opsroom) -> None:
    text = "on: push\njobs:\n  a: {runs-on: x, steps: [{run: echo ran}]}\n  b:\n    runs-on: windows-latest\n    steps: [{run: x}]\n"
    done = opsroom(text, "--unsandboxed")
    assert done.returncode != 0 and "ran" not in done.stdout
    assert "ci.yml:5:5: runs-on 'windows-latest': runners here are Linux machines; use ubuntu-latest" in done.stderr


GROUPS = """
on: push
jobs:
  first: {runs-on: x, concurrency: deploy, steps: [{run: sleep 0.5}]}
  second: {runs-on: x, concurrency: Deploy, steps: [{run: echo}]}
  third: {runs-on: x, concurrency: {group: DEPLOY}, steps: [{run: echo}]}
  after: {runs-on: x, needs: second, if: always(), steps: [{run: echo}], outputs: {was: "${{ needs.second.result }}"}}
"""


def test_one_job_of_a_group_runs_one_waits_and_a_newer_one_takes_its_place(opsroom: Opsroom) -> None:
    """ "Control the concurrency of workflows and jobs": at most one running and one pending; names are case insensitive."""
    found = jobs(opsroom(GROUPS, "--unsandboxed", "--json", "--parallel", "4"))
    ended = {name: job["conclusion"] for name, job in found.items()}
    assert ended == {"first": "success", "second": "cancelled", "third": "success", "after": "success"}
    assert "took its place" in found["second"]["error"] and found["after"]["outputs"] == {"was": "cancelled"}


def test_a_newer_job_cancels_what_is_in_progress(opsroom: Opsroom) -> None:
    group = "concurrency: {group: g, cancel-in-progress: true}"
    text = f"""
on: push
jobs:
  long: {{runs-on: x, {group}, steps: [{{run: sleep 30}}]}}
  pause: {{runs-on: x, steps: [{{run: sleep 0.3}}]}}
  new: {{runs-on: x, needs: pause, {group}, steps: [{{run: echo}}]}}
"""
    found = jobs(opsroom(text, "--unsandboxed", "--json", "--parallel", "3"))
    assert (found["long"]["conclusion"], found["new"]["conclusion"]) == ("cancelled", "success")


def test_a_job_cannot_wait_for_the_group_of_its_own_run(opsroom: Opsroom) -> None:
    text = "on: push\nconcurrency: same\njobs:\n  a: {runs-on: x, concurrency: Same, steps: [{run: echo}]}\n"
    done = opsroom(text, "--unsandboxed", "--json")
    job = jobs(done)["a"]
    assert job["conclusion"] == "cancelled" and "the run itself holds concurrency group Same" in job["error"]


def test_what_a_killed_run_left_in_memory_goes_with_the_next_run(
    opsroom: Opsroom, repository: Path, tmp_path: Path
) -> None:
    memory = Path("/dev/shm")  # noqa: S108
    if not memory.is_dir():
        pytest.skip("this machine has no /dev/shm")
    text = f"{JOB}      - run: echo $0 > {tmp_path}/script; sleep 60\n"
    (repository / ".github/workflows").mkdir(parents=True)
    (repository / ".github/workflows/ci.yml").write_text(text)
    words = [sys.executable, "-m", "opsroom", "run", "--unsandboxed"]
    running = subprocess.Popen(words, cwd=repository, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 20
    while not (tmp_path / "script").exists() or not (tmp_path / "script").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
    folder = Path((tmp_path / "script").read_text().strip()).parent
    assert folder.parent == memory
    sweep_scripts()
    assert folder.exists(), "it is in use"
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert opsroom(f"{JOB}      - run: echo\n", "--unsandboxed").returncode == 0
    assert not folder.exists()


@pytest.mark.parametrize(
    ("event", "payload", "expression", "value"),
    [
        (
            "pull_request",
            {"pull_request": {"base": {"ref": "main"}, "head": {"ref": "fix"}}},
            "github.base_ref",
            "main",
        ),
        ("pull_request", {"pull_request": {"base": {"ref": "main"}, "head": {"ref": "fix"}}}, "github.head_ref", "fix"),
        ("repository_dispatch", {"action": "a.b", "client_payload": {"x": 1}}, "github.event.client_payload.x", "1"),
        ("repository_dispatch", {"action": "a.b", "client_payload": {"x": 1}}, "github.event.action", "a.b"),
        ("repository_dispatch", {"x": 1}, "github.event.client_payload.x", "1"),
        ("schedule", {}, "github.event.schedule", "5 4 * * sun"),
        ("push", {}, "vars.REGION", "eu"),
    ],
)
def test_what_an_event_brings(
    opsroom: Opsroom, tmp_path: Path, event: str, payload: dict[str, Any], expression: str, value: str
) -> None:
    (tmp_path / "payload.json").write_text(json.dumps(payload))
    done = opsroom(
        "on: {push: , pull_request: , repository_dispatch: , schedule: [{cron: '5 4 * * sun'}]}\n"
        f"jobs:\n  a: {{runs-on: x, steps: [{{run: 'echo is=${{{{ {expression} }}}}'}}]}}\n",
        *("--unsandboxed", "--event", event, "--event-payload", str(tmp_path / "payload.json"), "--var", "REGION=eu"),
    )
    assert f"is={value}\n" in done.stdout, done.stdout + done.stderr
