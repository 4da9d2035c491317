"""Steps carried out by the real runner: shells, conditions, files, commands, limits, cancellation."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from opsroom.workflows.protocol import StepResult
from opsroom.workflows.runner.cancellation import Cancellation

Run = Any


def test_a_job_with_outputs_env_path_and_summary(run: Run) -> None:
    said = run(
        [
            {
                "id": "first",
                "run": """
                    echo "sum=$((X + 2))" >> "$GITHUB_OUTPUT"
                    { echo 'LINES<<EOF'; printf 'a\\nb\\n'; echo EOF; } >> "$GITHUB_ENV"
                    mkdir -p tools; printf '#!/bin/sh\\necho from-tool' > tools/mine; chmod +x tools/mine
                    echo "$PWD/tools" >> "$GITHUB_PATH"
                    echo '# Done' >> "$GITHUB_STEP_SUMMARY"
                """,
            },
            {"id": "second", "run": 'mine; echo "${{ steps.first.outputs.sum }} $LINES ${{ env.LINES }}"'},
        ],
        env={"X": "${{ 40 }}"},
        outputs={"sum": "${{ steps.first.outputs.sum }}"},
    )
    assert said.end["conclusion"] == "success", said.log
    assert said.end["outputs"] == {"sum": "42"}
    assert said.out.split() == ["from-tool", "42", "a", "b", "a", "b"]
    assert said.of("summary") == [{"step": 0, "markdown": "# Done\n"}]
    assert said.end["cpu_seconds"] > 0 and said.end["peak_bytes"] > 0


def test_shells(run: Run) -> None:
    said = run(
        [
            {"id": "default", "run": "false | true; echo no-pipefail", "continue-on-error": True},
            {"id": "bash", "shell": "bash", "run": "false | true; echo never", "continue-on-error": True},
            {"id": "sh", "shell": "sh", "run": "echo $0 | grep -q '\\.sh$' && [ -z \"$BASH_VERSION\" ]"},
            {"id": "python", "shell": "python", "run": "import os\nprint(os.environ['GITHUB_JOB'], 6 * 7)"},
            {"id": "own", "shell": "env OWN=1 bash -u {0}", "run": "echo own $OWN"},
        ],
        contexts={"github": {"job": "build", "repository": "team/shop"}},
    )
    outcomes = {id: step["outcome"] for id, step in said.steps.items()}
    assert outcomes == {"default": "success", "bash": "failure", "sh": "success", "python": "success", "own": "success"}
    assert said.out.split("\n") == ["no-pipefail", "build 42", "own 1"]


def test_an_unknown_shell_fails_its_step(run_plain: Run) -> None:
    said = run_plain([{"id": "a", "shell": "pwsh", "run": "x", "place": "w.yml:3:9"}])
    assert said.steps["a"]["error"].startswith("w.yml:3:9: shell 'pwsh' is not run here; use bash, sh, python")


def test_conditions_outcomes_and_conclusions(run: Run) -> None:
    said = run(
        [
            {"id": "soft", "run": "exit 3", "continue-on-error": "${{ true }}"},
            {"id": "after", "run": "echo ${{ steps.soft.outcome }}/${{ steps.soft.conclusion }} ${{ job.status }}"},
            {"id": "hard", "run": "exit 4"},
            {"id": "skipped", "run": "echo no"},
            {"id": "on_failure", "if": "failure()", "run": "echo ${{ job.status }}"},
            {"id": "always", "if": "always() && steps.hard.outcome == 'failure'", "run": "echo always"},
        ]
    )
    shown = {id: (step["outcome"], step["conclusion"], step["exit_code"]) for id, step in said.steps.items()}
    assert shown == {
        "soft": ("failure", "success", 3),
        "after": ("success", "success", 0),
        "hard": ("failure", "failure", 4),
        "skipped": ("skipped", "skipped", None),
        "on_failure": ("success", "success", 0),
        "always": ("success", "success", 0),
    }
    assert said.out.split("\n") == ["failure/success success", "failure", "always"]
    assert said.end["conclusion"] == "failure"


def test_nothing_of_the_server_is_inherited_but_path_and_lang(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSROOM_TOKEN", "plane-token")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "server-key")
    said = run(["env -0 | tr '\\0' '\\n' | cut -d= -f1 | sort -u"])
    names = set(said.out.split())
    assert not names & {"OPSROOM_TOKEN", "AWS_SECRET_ACCESS_KEY", "OPSROOM_STATE", "VIRTUAL_ENV"}
    wanted = {
        "CI",
        "HOME",
        "PATH",
        "GITHUB_ACTIONS",
        "GITHUB_WORKSPACE",
        "GITHUB_ENV",
        "RUNNER_TEMP",
        "RUNNER_OS",
        "GITHUB_SHA",
    }
    assert wanted <= names


def test_secrets_are_masked_and_dropped_from_outputs(run: Run, tmp_path: Path) -> None:
    said = run(
        [
            {
                "id": "leak",
                "env": {"T": "${{ secrets.TOKEN }}"},
                "run": 'echo "$T"; echo -n "$T" | base64; echo "::error::got $T"; echo "::add-mask::found-later"; echo found-later\n'
                'echo "t=$T" >> $GITHUB_OUTPUT; echo "E=$T" >> $GITHUB_ENV; echo $T >> $GITHUB_STEP_SUMMARY; echo ${{ secrets.TOKEN }}',
            },
            {
                "id": "use",
                "run": '[ "$E" = "${{ secrets.TOKEN }}" ] && [ "${{ steps.leak.outputs.t }}" = "$E" ] && exit 3',
            },
        ],
        secrets={"TOKEN": "hush-hush-42"},
        outputs={"bad": "x ${{ steps.leak.outputs.t }}", "good": "fine"},
    )
    assert "hush-hush-42" not in said.everything and "found-later" not in said.out
    assert said.steps["use"]["exit_code"] == 3
    assert said.end["outputs"] == {"good": "fine"}
    assert any("Skip output 'bad'" in one["message"] for one in said.of("annotation"))
    for path in (tmp_path / "job").rglob("*"):
        if path.is_file():
            assert b"hush-hush-42" not in path.read_bytes(), path


def test_workflow_commands(run_plain: Run) -> None:
    said = run_plain(
        [
            {
                "id": "a",
                "run": "\n".join(
                    [
                        "echo '::group::Build'",
                        "echo plain",
                        "echo '::endgroup::'",
                        "echo '::notice file=app.py,line=3,col=7,title=Look::hello'",
                        "echo '::set-output name=old::style'",
                        "echo '::stop-commands::t0ken'",
                        "echo '::error::not a command'",
                        "echo '::t0ken::'",
                        "echo '::debug::unseen'",
                        "printf 'no newline'",
                    ]
                ),
            },
            {"id": "b", "run": "echo '::set-env name=X::y'"},
        ]
    )
    notice = said.of("annotation")[0]
    assert notice == {
        "step": 0,
        "level": "notice",
        "message": "hello",
        "file": "app.py",
        "line": 3,
        "column": 7,
        "title": "Look",
    }
    assert said.steps["a"]["outputs"] == {"old": "style"}
    assert (0, "group", "Build") in said.log
    assert said.out.split("\n") == ["plain", "::error::not a command", "::t0ken::", "no newline"]
    assert said.steps["b"]["outcome"] == "failure" and "set-env" in said.steps["b"]["error"]


@pytest.mark.parametrize(
    ("line", "error"),
    [("NODE_OPTIONS=--require x", "NODE_OPTIONS may not be set"), ("nonsense", "invalid format 'nonsense'")],
)
def test_bad_env_files_fail_the_step(run_plain: Run, line: str, error: str) -> None:
    said = run_plain([{"id": "a", "run": f"echo '{line}' >> $GITHUB_ENV"}])
    assert said.steps["a"]["outcome"] == "failure" and error in said.steps["a"]["error"]


def test_the_runners_own_names_win(run_plain: Run) -> None:
    said = run_plain(
        [
            "echo GITHUB_SHA=evil >> $GITHUB_ENV",
            {"env": {"GITHUB_REPOSITORY": "evil"}, "run": "echo [$GITHUB_SHA] $GITHUB_REPOSITORY"},
        ],
        contexts={"github": {"sha": "abc", "repository": "team/shop"}},
    )
    assert said.out == "[abc] team/shop"


def test_a_link_in_place_of_a_command_file_is_not_followed(run: Run) -> None:
    said = run([{"id": "a", "run": "ln -sf /etc/passwd $GITHUB_OUTPUT"}])
    assert said.steps["a"]["outcome"] == "failure" and "no ordinary file" in said.steps["a"]["error"]


def test_limits_of_output_and_of_lines(run_plain: Run) -> None:
    said = run_plain(
        [{"id": "a", "run": "yes 0123456789 | head -20000; head -c 200000 /dev/zero | tr '\\0' x"}], output_bytes=20_000
    )
    assert sum(len(text) for _, _, text in said.log) < 25_000
    assert said.log[-1][2].startswith("[log cut: this step wrote more than 20,000 bytes]")
    long = run_plain(["head -c 200000 /dev/zero | tr '\\0' x; echo; echo end"])
    assert max(len(text) for _, _, text in long.log) < 70_000 and long.out.endswith("end")


def test_a_million_lines_are_quick(run_plain: Run) -> None:
    began = time.process_time()
    said = run_plain(["seq 200000"])
    assert len(said.out.split("\n")) == 200_000
    assert time.process_time() - began < 3


def test_a_step_that_takes_too_long_fails(run: Run) -> None:
    began = time.monotonic()
    said = run(
        [
            {"id": "slow", "run": "trap 'echo asked' INT TERM; sleep 60 & wait; sleep 60", "timeout-minutes": 0.005},
            {
                "id": "stubborn",
                "if": "always()",
                "run": "trap '' INT TERM; sleep 61; sleep 61",
                "timeout-minutes": "${{ 0.005 }}",
            },
            {"id": "last", "if": "always()", "run": "echo still here"},
        ]
    )
    assert time.monotonic() - began < 8
    assert [step["outcome"] for step in said.steps.values()] == ["failure", "failure", "success"]
    assert "exceeded its limit of 0.005 minutes" in said.steps["slow"]["error"]
    assert said.end["conclusion"] == "failure"


def test_a_step_without_environment_is_stopped_too(run: Run) -> None:
    said = run(
        [
            {
                "id": "bare",
                "run": "exec env -i sh -c 'trap \"\" INT TERM; sleep 62; sleep 62'",
                "timeout-minutes": 0.005,
            },
            {"id": "last", "if": "always()", "run": "echo a new shell"},
        ]
    )
    assert said.steps["bare"]["outcome"] == "failure"
    assert said.out == "a new shell"


def test_a_job_that_takes_too_long_is_cancelled(run: Run) -> None:
    said = run(
        [
            {"id": "slow", "run": "sleep 60"},
            {"id": "next", "run": "echo no"},
            {"id": "tidy", "if": "cancelled()", "run": "echo tidy"},
        ],
        timeout_minutes=0.005,
    )
    assert said.steps["slow"]["outcome"] == "cancelled"
    assert said.out == "tidy"
    assert said.end["conclusion"] == "cancelled" and "exceeded its limit" in said.end["error"]


def test_a_job_finds_signals_as_any_process_does(run: Run) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        said = run(["grep SigIgn /proc/self/status; yes | head -1"])
    finally:
        signal.signal(signal.SIGINT, before)
    # `yes` may say that its pipe was closed: that it noticed is what this is about.
    words = said.out.split()
    assert not int(words[1], 16) & 0x7FFFFFFF and words[2] == "y"


def test_cancellation(run: Run, heard: Any) -> None:
    cancellation = Cancellation()
    said = heard()
    said.hear = lambda type, data: cancellation.set() if type == "lines" and "working" in data["texts"] else None
    run(
        [
            {"id": "slow", "run": "echo working; sleep 60"},
            {"id": "next", "run": "echo no"},
            {"id": "tidy", "if": "always()", "run": "echo tidy ${{ job.status }}"},
        ],
        said=said,
        runner={"cancellation": cancellation},
    )
    assert [step["conclusion"] for step in said.steps.values()] == ["cancelled", "skipped", "success"]
    # The signal may come before `sleep` is there to get it; the shell then waits, and says how the next signal ended it.
    assert said.out.replace("Terminated\n", "") == "working\ntidy cancelled"
    assert said.end["conclusion"] == "cancelled"


def test_processes_left_behind_live_until_the_job_ends(run: Run, tmp_path: Path) -> None:
    said = run(
        [
            "setsid sleep 2 >/dev/null 2>&1 & (while :; do date +%N > beat.new; mv beat.new beat; sleep 0.02; done) & until [ -e beat ]; do sleep 0.01; done",
            {
                "id": "later",
                "run": 'a=$(cat beat); for i in $(seq 500); do sleep 0.02; [ "$a" = "$(cat beat)" ] || exit 0; done; exit 1',
            },
        ]
    )
    assert said.steps["later"]["outcome"] == "success"
    beat = tmp_path / "job" / "workspace" / "beat"
    time.sleep(0.05)  # A killed process may still be on a processor for a moment.
    before = beat.stat().st_mtime_ns
    time.sleep(0.1)
    assert beat.stat().st_mtime_ns == before


def test_a_step_that_kills_the_shared_shell_fails_and_the_job_goes_on(run_plain: Run) -> None:
    said = run_plain([{"id": "bad", "run": "kill -9 $PPID"}, {"id": "next", "if": "always()", "run": "echo on"}])
    assert said.steps["bad"]["outcome"] == "failure" and "shell ended" in said.steps["bad"]["error"]
    assert said.out == "on"


def test_it_goes_on_where_another_runner_stopped(run: Run) -> None:
    done = (
        StepResult(
            index=0,
            id="a",
            outcome="success",
            conclusion="success",
            outputs={"x": "\ue0000:T\ue001!"},
            env={"E": "kept"},
            path=("/usr/games",),
        ),
        StepResult(index=1, id="b", outcome="failure", conclusion="failure"),
    )
    said = run(
        [
            {"id": "a", "run": "echo again"},
            {"id": "b", "run": "echo again"},
            {"id": "c", "if": "failure()", "run": "echo $E ${PATH%%:*} ${#X}"},
        ],
        start_at=2,
        done=done,
        env={"X": ""},
        secrets={"T": "abcd"},
        outputs={"x": "${{ steps.a.outcome }}"},
    )
    assert said.out == "kept /usr/games 0"
    assert list(said.steps) == ["c"]
    assert said.end["conclusion"] == "failure" and said.end["outputs"] == {"x": "success"}


def test_a_step_of_the_plane_suspends_the_job(run: Run) -> None:
    said = run(
        [
            "echo before",
            {"id": "deploy", "uses": "opsroom/deploy", "with": {"to": "${{ env.WHERE }}", "key": "${{ secrets.K }}"}},
            "echo after",
        ],
        env={"WHERE": "staging"},
        secrets={"K": "key-value"},
    )
    assert said.events[-1][0] == "job.suspended"
    assert said.end["index"] == 1 and said.end["uses"] == "opsroom/deploy" and said.end["inputs"]["to"] == "staging"
    assert said.end["env"] == {"WHERE": "staging"}
    assert "key-value" not in said.everything and said.out == "before"


def test_steps_of_the_plane_where_there_is_none(run_plain: Run) -> None:
    refused = run_plain([{"id": "d", "uses": "opsroom/deploy"}], runner={"plane_steps": "refuse"})
    assert "needs a plane" in refused.steps["d"]["error"] and "--skip-plane-actions" in refused.steps["d"]["error"]
    skipped = run_plain([{"id": "d", "uses": "opsroom/deploy"}, "echo on"], runner={"plane_steps": "skip"})
    assert skipped.steps["d"]["conclusion"] == "skipped" and skipped.out == "on"


def test_composite_actions(run: Run, tmp_path: Path) -> None:
    action = tmp_path / "job" / "workspace" / "actions" / "greet" / "action.yml"
    action.parent.mkdir(parents=True)
    action.write_text(
        """
name: greet
inputs:
  who: {default: world}
outputs:
  text: {value: '${{ steps.say.outputs.text }}'}
runs:
  using: composite
  steps:
    - id: say
      shell: bash
      run: |
        echo "text=hello ${{ inputs.who }} $FROM" >> "$GITHUB_OUTPUT"
        echo "SET=by-action" >> "$GITHUB_ENV"
        basename "$GITHUB_ACTION_PATH"
    - if: inputs.who == 'fail'
      shell: bash
      run: exit 7
    - shell: bash
      run: echo second
"""
    )
    said = run(
        [
            {"id": "say", "run": "echo text=outer >> $GITHUB_OUTPUT"},
            {"id": "greet", "uses": "./actions/greet", "with": {"who": "team"}, "env": {"FROM": "here"}},
            {"id": "see", "run": "echo '${{ steps.greet.outputs.text }}' $SET ${{ steps.say.outputs.text }}"},
            {"id": "bad", "uses": "./actions/greet", "with": {"who": "fail"}, "continue-on-error": True},
            {"id": "none", "uses": "./actions/none"},
        ]
    )
    assert said.out.split("\n")[:4] == ["greet", "second", "hello team here by-action outer", "greet"]
    assert said.steps["bad"]["outcome"] == "failure" and "exit code 7" in said.steps["bad"]["error"]
    assert "no actions/none/action.yml in the workspace" in said.steps["none"]["error"]


def test_expressions_that_fail_fail_their_step(run_plain: Run) -> None:
    said = run_plain(
        [
            {"id": "a", "run": "echo ${{ fromJSON('{') }}", "place": "w.yml:7:9", "continue-on-error": True},
            {"id": "b", "if": "nonsense(", "run": "x", "place": "w.yml:9:9"},
        ]
    )
    assert said.steps["a"]["error"].startswith("w.yml:7:9: ")
    assert said.steps["b"]["conclusion"] == "failure" and said.steps["b"]["error"].startswith("w.yml:9:9: ")


def test_unknown_actions_name_what_is_allowed(run_plain: Run) -> None:
    said = run_plain([{"id": "a", "uses": "docker/build-push-action@v5"}])
    assert "allowed are actions/cache" in said.steps["a"]["error"] and "opsroom/NAME" in said.steps["a"]["error"]


def test_hash_files(run_plain: Run, tmp_path: Path) -> None:
    said = run_plain(
        [
            "mkdir -p sub; printf a > one.lock; printf b > sub/two.lock; ln -s /etc/passwd evil.lock",
            "echo [${{ hashFiles('**/*.lock') }}] [${{ hashFiles('no*') }}]",
        ]
    )
    whole, none = said.out.split()
    assert len(whole) == 66 and none == "[]"


def test_no_descriptor_is_left_open(run_plain: Run) -> None:
    cancellation = Cancellation()
    run_plain(["echo x"], runner={"cancellation": cancellation})
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        run_plain(
            ["echo x", "kill -9 $PPID", {"if": "always()", "run": "echo y"}], runner={"cancellation": cancellation}
        )
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_jobs_side_by_side_do_not_meet(run_plain: Run, tmp_path: Path) -> None:
    ends: list[str] = []

    def one(number: int) -> None:
        said = run_plain([f"echo {number} > mine; sleep 0.05", "cat mine"], folder=tmp_path / f"job{number}")
        ends.append(said.out == str(number))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == [True] * 8
