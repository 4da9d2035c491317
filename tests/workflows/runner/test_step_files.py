"""The files of GITHUB_OUTPUT and its like: each script's own, though an empty one may have been another's before."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opsroom.workflows.runner.step_files import SpareFiles

Opsroom = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def spare() -> Iterator[SpareFiles]:
    before = signal.getsignal(signal.SIGIO)
    SpareFiles.ready()
    yield SpareFiles()
    signal.signal(signal.SIGIO, before)


def test_a_file_left_as_it_was_is_taken_again_under_its_new_name(spare: SpareFiles, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    spare.take(old)
    inode = old.stat().st_ino
    spare.give(old)
    spare.take(new)
    assert new.stat().st_ino == inode and not old.exists()


def test_a_file_that_was_written_to_is_gone_at_once(spare: SpareFiles, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    spare.take(old)
    old.write_text("KEY=hunter2\n")
    spare.give(old)
    assert not old.exists()
    spare.take(new)
    assert new.read_text() == ""


@pytest.mark.parametrize("kind", ["open", "linked", "replaced", "gone", "written"])
def test_what_somebody_may_still_write_to_is_nobody_elses(spare: SpareFiles, tmp_path: Path, kind: str) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    spare.take(old)
    spare.give(old)
    with old.open("a") as held:
        if kind == "linked":
            (tmp_path / "link").hardlink_to(old)
        if kind in ("replaced", "gone"):
            old.unlink()
        if kind == "replaced":
            old.symlink_to(tmp_path / "elsewhere")
        if kind == "written":
            print("late=1", file=held, flush=True)
        if kind != "open":
            held.close()
        spare.take(new)
        if kind == "open":
            print("late=1", file=held, flush=True)
    assert new.read_text() == "" and new.stat().st_nlink == 1
    assert not old.exists() and not old.is_symlink()


def test_what_is_written_after_a_script_ended_is_no_output_of_the_next(opsroom: Opsroom) -> None:
    text = """
on: push
jobs:
  a:
    runs-on: x
    outputs: {late: "${{ steps.s.outputs.late }}", own: "${{ steps.s.outputs.own }}"}
    steps:
      - run: |
          (touch open; until [ -e go ]; do sleep 0.05; done; echo late=1; touch gone) >> $GITHUB_OUTPUT &
          until [ -e open ]; do sleep 0.05; done
      - id: s
        run: touch go; until [ -e gone ]; do sleep 0.05; done; echo own=1 >> $GITHUB_OUTPUT
"""
    for words in ((), ("--unsandboxed",)):
        [job] = json.loads(opsroom(text, *words, "--json").stdout)["jobs"]
        assert (job["conclusion"], job["outputs"]) == ("success", {"own": "1"})


def test_a_folder_in_the_place_of_a_file_fails_the_step_and_nothing_else(opsroom: Opsroom) -> None:
    text = """
on: push
jobs:
  a:
    runs-on: x
    steps:
      - run: rm "$GITHUB_OUTPUT"; mkdir "$GITHUB_OUTPUT"
      - if: always()
        run: echo next
"""
    for words in ((), ("--unsandboxed",)):
        [job] = json.loads(opsroom(text, *words, "--json").stdout)["jobs"]
        assert [step["conclusion"] for step in job["steps"]] == ["failure", "success"]
        assert "GITHUB_OUTPUT" in job["steps"][0]["error"] and "is no ordinary file" in job["steps"][0]["error"]
