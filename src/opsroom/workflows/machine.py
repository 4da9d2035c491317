"""One step of the state machine while it is taken: the run so far, the commands so far, and the moves that events are made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from opsroom.kernel.clock import parse_stamp, stamp
from opsroom.workflows import moves as m
from opsroom.workflows.protocol import StepResult
from opsroom.workflows.run import Conclusion, JobState, Node, RunState, StepState, encode

KILL_SECONDS = 300.0
"""How long a cancelled job's remaining steps may take before its runner is killed (GitHub: five minutes)."""
SLOT = "a free slot"


class Machine:
    """One step being taken: the run as it is so far, and the commands so far."""

    def __init__(self, run: RunState, now: datetime) -> None:
        self.run = run
        self.now = now
        self.commands: list[m.Command] = []

    @property
    def stamp(self) -> str:
        return stamp(self.now)

    def say(self, *commands: m.Command) -> None:
        self.commands.extend(commands)

    def set(self, **changes: Any) -> None:
        self.run = replace(self.run, **changes)

    def put_node(self, node: Node) -> None:
        self.set(nodes=tuple(node if old.id == node.id else old for old in self.run.nodes))

    def put(self, job: JobState) -> None:
        node = self.run.node(job.node)
        assert node is not None
        self.put_node(replace(node, jobs=tuple(job if old.key == job.key else old for old in node.jobs)))

    def at_work(self, key: str, attempt: int) -> JobState | None:
        """The job, when it is of this attempt and unfinished."""
        job = self.run.job(key)
        return job if job is not None and job.attempt == attempt and job.status != "finished" else None


def launch(machine: Machine, job: JobState) -> None:
    """Asks for a runner: the first, or the next one, from the first step that has no result."""
    job = replace(job, status="queued", waiting=SLOT, launch=job.launch + 1)
    machine.put(job)
    if job.launch == 1:
        machine.say(m.StartJob(job=job.key, attempt=job.attempt, launch=1))
    else:
        machine.say(m.DropTimer(name=timeout_name(replace(job, launch=job.launch - 1))))
        machine.say(m.ResumeJob(job=job.key, attempt=job.attempt, launch=job.launch, start_at=job.next_step))


def stop(machine: Machine, job: JobState, reason: str, *, force: bool = False) -> None:
    """Begins to cancel a job; one that has no runner and no action is cancelled at once."""
    if job.status == "waiting":
        finish_job(machine, job.key, "cancelled", error=reason)
        return
    job = replace(job, stopping=job.stopping or reason)
    machine.put(job)
    held = next((step for step in job.steps if step.status == "in_action"), None)
    if force:
        machine.say(m.CancelJob(job=job.key, attempt=job.attempt, launch=job.launch, force=True))
        finish_job(machine, job.key, "cancelled", error=reason)
    elif held is not None and held.waiting:
        give_up_waiting(machine, job, held)
    else:
        machine.say(m.CancelJob(job=job.key, attempt=job.attempt, launch=job.launch))
        machine.say(m.SetTimer(name=kill_name(job), seconds=KILL_SECONDS))


def give_up_waiting(machine: Machine, job: JobState, held: StepState) -> None:
    result = plane_result(held, "cancelled", error=job.stopping, at=machine.stamp)
    machine.say(m.DropTimer(name=again_name(job, held)))
    launch(machine, with_step(job, replace(held, status="finished", waiting="", result=result)))


def finish_job(
    machine: Machine, key: str, conclusion: Conclusion, *, error: str = "", outputs: dict[str, str] | None = None
) -> None:
    """Closes a job with all its steps, and gives back what it held."""
    job = job_of(machine, key)
    error = error or (job.stopping if conclusion == "cancelled" else "")
    job = replace(
        job, status="finished", waiting="", conclusion=conclusion, error=error, outputs=outputs or {}, finished=machine.stamp,
        steps=tuple(_closed(step, machine.stamp, error) for step in job.steps),
    )  # fmt: skip
    machine.put(job)
    if job.launch:
        machine.say(m.DropTimer(name=timeout_name(job)), m.DropTimer(name=kill_name(job)))
    if job.asked:
        machine.say(m.ReleaseConcurrency(job=key, attempt=job.attempt, group=job.group))
    if error and (conclusion == "failure" or not machine.run.stopping):
        machine.say(m.Keep(kind="annotation", job=key, data={"step": -1, "level": "error", "message": error}))
    if conclusion != "skipped":
        machine.say(m.Record(type="job.finished", job=key, data=_job_facts(job)))


def _closed(step: StepState, at: str, error: str) -> StepState:
    """A step that was still open when its job ended was cancelled with it."""
    if step.status == "finished":
        return step
    return replace(step, status="finished", waiting="", result=plane_result(step, "cancelled", error=error, at=at))


def finish_run(machine: Machine, conclusion: Conclusion) -> None:
    run = machine.run
    machine.set(status="finished", waiting="", conclusion=conclusion, finished=machine.stamp)
    if run.group:
        machine.say(m.ReleaseConcurrency(job="", attempt=run.attempt, group=run.group))
    machine.say(m.Record(type="run.finished", data=_run_facts(machine.run)), m.FinishRun(conclusion=conclusion))


def _job_facts(job: JobState) -> dict[str, Any]:
    return {
        "job": job.key, "name": job.name, "attempt": job.attempt, "conclusion": job.conclusion, "error": job.error,
        "seconds": _seconds(job.started, job.finished), "cpu_seconds": round(job.cpu_seconds, 6),
        "cut_off_steps": sum(step.cuts for step in job.steps),
    }  # fmt: skip


def _run_facts(run: RunState) -> dict[str, Any]:
    jobs = [job for job in run.jobs() if job.attempt == run.attempt]
    return {
        "attempt": run.attempt, "conclusion": run.conclusion, "reason": run.stopping, "stopped_by": run.stopped_by,
        "seconds": _seconds(run.started, run.finished), "cpu_seconds": round(sum(job.cpu_seconds for job in jobs), 6),
        "cut_off_steps": sum(step.cuts for job in jobs for step in job.steps),
        "jobs": {job.key: job.conclusion for job in run.jobs()},
    }  # fmt: skip


def _seconds(start: str, end: str) -> float:
    if not start or not end:
        return 0.0
    return max(0.0, round((parse_stamp(end) - parse_stamp(start)).total_seconds(), 6))


def plane_result(
    step: StepState,
    outcome: Conclusion,
    *,
    error: str,
    at: str,
    outputs: dict[str, str] | None = None,
    cpu: float = 0.0,
) -> StepResult:
    assert outcome != ""
    tolerated = outcome == "failure" and step.continue_on_error
    return StepResult(
        index=step.index, id=step.id, outcome=outcome, conclusion="success" if tolerated else outcome, outputs=outputs or {},
        started=step.started or at, finished=at, error=error, cpu_seconds=cpu,
    )  # fmt: skip


def inner_done(step: StepState, result: StepResult) -> StepState:
    """The composite action goes on behind the plane's action that gave `result`. CPU time is counted with the job, not twice."""
    around, frame = step.inner[:-1], step.inner[-1]
    done = encode(replace(result, index=frame["at"], id=frame["id"], cpu_seconds=0.0))
    return replace(
        step, status="running", waiting="", uses="", inputs={}, env={}, tries=0, continue_on_error=False, calls=step.calls + 1,
        inner=(*around, {**frame, "done": [*frame["done"], done]}),
    )  # fmt: skip


def timeout_name(job: JobState) -> str:
    return f"timeout/{job.key}/{job.attempt}/{job.launch}"


def kill_name(job: JobState) -> str:
    return f"kill/{job.key}/{job.attempt}/{job.launch}"


def again_name(job: JobState, step: StepState) -> str:
    call = f".{step.calls}" if step.calls else ""
    return f"again/{job.key}/{job.attempt}/{step.index}{call}/{step.tries}"


def job_of(machine: Machine, key: str) -> JobState:
    job = machine.run.job(key)
    assert job is not None
    return job


def step_of(job: JobState, index: int) -> StepState | None:
    return next((step for step in job.steps if step.index == index), None)


def with_step(job: JobState, step: StepState) -> JobState:
    others = [old for old in job.steps if old.index != step.index]
    return replace(job, steps=tuple(sorted([*others, step], key=lambda one: one.index)))
