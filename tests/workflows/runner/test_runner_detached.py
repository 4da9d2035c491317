"""The detached runner process: its folder, its lock, its death at any moment, and its return."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from opsroom.kernel.settings import child_environment
from opsroom.workflows import sandbox
from opsroom.workflows.protocol import JobOrder
from opsroom.workflows.runner.folder import FolderSink, probe, read_events
from opsroom.workflows.runner.processes import kill_marked, marked

SOURCES = Path(__file__).resolve().parents[3] / "src"


@pytest.fixture(params=["sandboxed", "unsandboxed"])
def order(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Writes the order of a job into a folder of its own."""
    sandboxed = request.param == "sandboxed"
    if sandboxed and not (state := sandbox.probe()).available:
        pytest.skip(f"no sandbox here: {state.reason}")
    run = f"run_{os.getpid()}_{time.monotonic_ns()}"

    def write(*scripts: str | dict[str, Any], **given: Any) -> Path:
        folder = tmp_path / "job"
        folder.mkdir(exist_ok=True)
        steps = tuple(
            {"id": f"s{number}", **({"run": one} if isinstance(one, str) else one)}
            for number, one in enumerate(scripts)
        )
        whole = JobOrder(
            run=run,
            job="build",
            attempt=1,
            name="build",
            steps=steps,
            contexts={"github": {}},
            sandbox=sandboxed,
            **given,
        )
        (folder / "order.json").write_text(json.dumps(asdict(whole)))
        return folder

    yield write
    kill_marked(f"{run}/")


def start(folder: Path, secrets: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "opsroom.workflows.runner", str(folder)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**child_environment(), "PYTHONPATH": str(SOURCES)},
        start_new_session=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"secrets": secrets or {}}).encode())
    process.stdin.close()
    process.stdin = None
    return process


def wait_for(true: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
    return found


def events(folder: Path, type: str) -> list[dict[str, Any]]:
    return [dict(event.data) for event in read_events(folder) if event.type == type]


def test_a_job_from_order_to_end(order: Any) -> None:
    folder = order("echo hello ${{ secrets.T }}", "exit 3")
    process = start(folder, {"T": "top-secret-1"})
    assert process.wait(20) == 0
    said = read_events(folder)
    assert [event.seq for event in said] == list(range(1, len(said) + 1))
    assert [event.type for event in said if event.type != "annotation"] == [
        "job.started", "step.started", "step.finished", "step.started", "step.finished", "job.finished",
    ]  # fmt: skip
    assert said[-1].data["conclusion"] == "failure"
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert {"step": 0, "text": "hello ***"}.items() <= next(
        line for line in lines if line["text"].startswith("hello")
    ).items()
    assert not any(b"top-secret-1" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_killed_at_once_with_all_its_processes_and_taken_up_again(order: Any) -> None:
    folder = order(
        "echo one >> ran; echo kept=yes >> $GITHUB_ENV",
        "echo two >> ran; touch reached; [ -e again ] || { setsid sleep 986 >/dev/null 2>&1 & touch again; sleep 985; }",
        "echo $kept >> ran",
    )
    process = start(folder)
    wait_for((folder / "workspace" / "again").exists)
    assert probe(folder)
    run = json.loads((folder / "order.json").read_text())["run"]
    wait_for(lambda: len(marked(f"{run}/")) >= 2)
    process.kill()
    process.wait()
    assert not probe(folder)
    survivors = lambda: [pid for pid in marked(f"{run}/") if b"985" in Path(f"/proc/{pid}/cmdline").read_bytes()]  # noqa: E731
    wait_for(lambda: not survivors())
    second = start(folder)
    assert second.wait(20) == 0
    assert (folder / "workspace" / "ran").read_text().split() == ["one", "two", "two", "yes"]
    assert [step["id"] for step in events(folder, "step.finished")] == ["s0", "s1", "s2"]
    assert events(folder, "job.finished")[0]["conclusion"] == "success"
    assert not marked(f"{run}/"), "what had left its session is swept at the next start"
    seqs = [event.seq for event in read_events(folder)]
    assert seqs == list(range(1, len(seqs) + 1))


def test_a_finished_job_is_left_alone(order: Any) -> None:
    folder = order("echo x >> ran")
    assert start(folder).wait(20) == 0
    before = (folder / "events.jsonl").read_bytes()
    assert start(folder).wait(20) == 0
    assert (folder / "events.jsonl").read_bytes() == before


def test_two_runners_cannot_share_a_folder(order: Any) -> None:
    folder = order("touch here; sleep 30")
    first = start(folder)
    wait_for((folder / "workspace" / "here").exists)
    second = start(folder)
    assert second.wait(20) == 1
    assert second.stderr is not None and b"has a runner already" in second.stderr.read()
    first.terminate()
    assert first.wait(20) == 0
    assert events(folder, "job.finished")[0]["conclusion"] == "cancelled"


def test_sigterm_cancels_and_always_steps_still_run(order: Any) -> None:
    folder = order("touch here; sleep 30", {"if": "always()", "run": "echo ${{ job.status }} > status"}, "touch never")
    process = start(folder)
    wait_for((folder / "workspace" / "here").exists)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert time.monotonic() - began < 15
    assert (folder / "workspace" / "status").read_text() == "cancelled\n"
    assert not (folder / "workspace" / "never").exists()
    assert [step["conclusion"] for step in events(folder, "step.finished")] == ["cancelled", "success", "skipped"]


def test_suspended_and_resumed_with_the_planes_result(order: Any) -> None:
    steps = [
        "echo x=${{ secrets.T }} >> $GITHUB_OUTPUT",
        {"uses": "opsroom/deploy", "with": {"t": "${{ secrets.T }}"}},
        "[ ${{ steps.s1.outputs.url }} = u ] && test '${{ steps.s0.outputs.x }}' = $(echo secret | tr a-z b-za)-9",
    ]
    folder = order(*steps)
    assert start(folder, {"T": "tfdsfu-9"}).wait(20) == 0
    assert read_events(folder)[-1].type == "job.suspended"
    done = [
        *events(folder, "step.finished"),
        {"index": 1, "id": "s1", "outcome": "success", "conclusion": "success", "outputs": {"url": "u"}},
    ]
    whole = json.loads((folder / "order.json").read_text())
    (folder / "order.json").write_text(json.dumps({**whole, "start_at": 2, "done": done}))
    assert start(folder, {"T": "tfdsfu-9"}).wait(20) == 0
    assert events(folder, "job.finished")[-1]["conclusion"] == "success"
    assert b"tfdsfu-9" not in (folder / "events.jsonl").read_bytes()


def test_half_a_line_is_cut_off(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path)
    sink.event("job.started", {"pid": 1})
    sink.close()
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"seq":2,"at":"x","ty')
    again = FolderSink(tmp_path)
    again.event("job.finished", {"conclusion": "success"})
    again.close()
    assert [(event.seq, event.type) for event in read_events(tmp_path)] == [(1, "job.started"), (2, "job.finished")]


def test_a_reused_process_id_is_not_taken_for_the_runner(tmp_path: Path) -> None:
    (tmp_path / "runner.pid").write_text(f"{os.getpid()} 1@some-other-boot\n")
    assert not probe(tmp_path)
    assert not probe(tmp_path / "nowhere")


@pytest.mark.parametrize("given", ["{", "[]", '{"secrets": 3}'])
def test_bad_input_is_said(order: Any, given: str) -> None:
    folder = order("echo x")
    done = subprocess.run(
        [sys.executable, "-m", "opsroom.workflows.runner", str(folder)],
        input=given.encode(), capture_output=True, env={**child_environment(), "PYTHONPATH": str(SOURCES)}, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and b"standard input is not" in done.stderr
