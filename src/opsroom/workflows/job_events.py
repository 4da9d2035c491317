"""What happens to one job: its runner speaks, dies or is refused, its action in the plane ends or waits, its time is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from opsroom.workflows import moves as m
from opsroom.workflows.machine import (
    Machine,
    again_name,
    finish_job,
    give_up_waiting,
    inner_done,
    job_of,
    kill_name,
    launch,
    plane_result,
    step_of,
    stop,
    timeout_name,
    with_step,
)
from opsroom.workflows.run import Conclusion, JobState, StepState, decode_result

FRUITLESS_RUNNERS = 5
"""A job whose runners die this often one after the other without getting anywhere fails."""
TIMEOUT_GRACE_SECONDS = 15.0
"""A runner ends its job at the timeout by itself; the engine steps in this much later, and for actions in the plane."""


def _said(machine: Machine, event: m.RunnerSaid) -> None:
    job = machine.at_work(event.job, event.attempt)
    if job is None or event.event.seq <= job.seq:
        return
    machine.put(replace(job, seq=event.event.seq))
    _RUNNER_EVENTS.get(event.event.type, _nothing)(machine, event.job, event.event.at, event.event.data)


def _nothing(machine: Machine, key: str, at: str, data: Any) -> None:
    """A newer runner may say more than this engine understands."""


def _job_started(machine: Machine, key: str, at: str, data: Any) -> None:
    job = job_of(machine, key)
    first = not machine.run.started
    machine.put(replace(job, status="running", waiting="", started=job.started or at))
    machine.say(m.SetTimer(name=timeout_name(job), seconds=job.timeout_minutes * 60 + TIMEOUT_GRACE_SECONDS))
    if first:
        machine.set(started=at)
        machine.say(m.Record(type="run.started", data={"attempt": machine.run.attempt}))
    if job.stopping:
        machine.say(m.CancelJob(job=key, attempt=job.attempt, launch=job.launch))


def _step_started(machine: Machine, key: str, at: str, data: Any) -> None:
    job, index = job_of(machine, key), int(data["index"])
    old = step_of(job, index)
    if old is not None and old.status == "finished":
        return
    begun = old or StepState(index=index)
    begun = replace(begun, id=str(data.get("id", "")), name=str(data.get("name", "")), status="running", started=at)
    machine.put(with_step(job, begun))


def _step_finished(machine: Machine, key: str, at: str, data: Any) -> None:
    job, result = job_of(machine, key), decode_result(data)
    old = step_of(job, result.index) or StepState(index=result.index, id=result.id, started=result.started)
    if old.status != "finished":
        job = with_step(job, replace(old, status="finished", result=result))
        machine.put(replace(job, losses=0, cpu_seconds=job.cpu_seconds + result.cpu_seconds))


def _suspended(machine: Machine, key: str, at: str, data: Any) -> None:
    job, index = job_of(machine, key), int(data["index"])
    old = step_of(job, index) or StepState(
        index=index, id=str(data.get("id", "")), name=str(data.get("name", "")), started=at
    )
    inputs = {str(name): str(value) for name, value in data.get("inputs", {}).items()}
    env = {str(name): str(value) for name, value in data.get("env", {}).items()}
    held = replace(
        old, status="in_action", uses=str(data["uses"]), inputs=inputs, env=env, tries=1,
        continue_on_error=bool(data.get("continue_on_error", False)), after_cancel=bool(job.stopping),
        inner=tuple(data.get("inner", ())),
    )  # fmt: skip
    machine.put(replace(with_step(job, held), status="in_action", losses=0))
    machine.say(m.RunAction(job=key, attempt=job.attempt, index=index, tries=1, call=held.calls))


def _runner_finished(machine: Machine, key: str, at: str, data: Any) -> None:
    job = job_of(machine, key)
    machine.put(replace(job, cpu_seconds=max(job.cpu_seconds, float(data.get("cpu_seconds", 0.0)))))
    outputs = {str(name): str(value) for name, value in (data.get("outputs") or {}).items()}
    finish_job(machine, key, data["conclusion"], error=str(data.get("error", "")), outputs=outputs)


def _keep(kind: str) -> Callable[[Machine, str, str, Any], None]:
    def keep(machine: Machine, key: str, at: str, data: Any) -> None:
        machine.say(m.Keep(kind=kind, job=key, data=dict(data)))

    return keep


def _lost(machine: Machine, event: m.RunnerLost) -> None:
    job = machine.at_work(event.job, event.attempt)
    if job is None or job.launch != event.launch or job.status not in ("queued", "running"):
        return
    running = next((step for step in job.steps if step.status == "running"), None)
    if running is not None:
        job = _cut_off(machine, job, running)
    else:
        job = replace(job, losses=job.losses + 1)
        machine.put(job)
    if job.stopping:
        finish_job(machine, job.key, "cancelled", error=job.stopping)
    elif job.losses >= FRUITLESS_RUNNERS:
        finish_job(machine, job.key, "failure", error=f"its runner died {job.losses} times without getting anywhere")
    else:
        launch(machine, job)


def _cut_off(machine: Machine, job: JobState, cut: StepState) -> JobState:
    """Reports the step, and lets it be started again or fail. The failed step's job goes on: `if: always()` steps still run."""
    cuts, retries = cut.cuts + 1, machine.run.step_retries if machine.run.cut_policy == "retry" else 0
    again = cuts <= retries and not job.stopping
    fate = f"it is started again ({cuts} of {retries})" if again else "it is not started again"
    text = f"step {cut.index + 1} ({cut.name or cut.id}) was cut off when its runner died; {fate}"
    machine.say(m.Keep(kind="annotation", job=job.key, data={"step": cut.index, "level": "warning", "message": text}))
    cut = replace(cut, status="cut_off", cuts=cuts)
    if not again:
        outcome: Conclusion = "cancelled" if job.stopping else "failure"
        cut = replace(cut, status="finished", result=plane_result(cut, outcome, error=text, at=machine.stamp))
    job = with_step(job, cut)
    machine.put(job)
    return job


def _refused(machine: Machine, event: m.JobRefused) -> None:
    job = machine.at_work(event.job, event.attempt)
    if job is not None and job.launch == event.launch and job.status == "queued":
        finish_job(machine, job.key, "failure", error=event.reason)


def _action_ended(machine: Machine, event: m.ActionEnded) -> None:
    job = machine.at_work(event.job, event.attempt)
    held = None if job is None else step_of(job, event.index)
    if job is None or held is None or held.status != "in_action" or held.calls != event.call:
        return
    outcome: Conclusion = "cancelled" if event.cancelled else "failure" if event.error else "success"
    result = plane_result(
        held, outcome, error=event.error, at=machine.stamp, outputs=dict(event.outputs), cpu=event.cpu_seconds
    )
    for text in event.summaries:
        machine.say(m.Keep(kind="summary", job=job.key, data={"step": event.index, "markdown": text}))
    if event.error:
        machine.say(
            m.Keep(kind="annotation", job=job.key, data={"step": event.index, "level": "error", "message": event.error})
        )
    ended = inner_done(held, result) if held.inner else replace(held, status="finished", waiting="", result=result)
    job = with_step(job, ended)
    launch(machine, replace(job, waiting="", cpu_seconds=job.cpu_seconds + event.cpu_seconds))


def _action_waits(machine: Machine, event: m.ActionWaits) -> None:
    job = machine.at_work(event.job, event.attempt)
    held = None if job is None else step_of(job, event.index)
    if job is None or held is None or held.status != "in_action" or held.waiting:
        return
    if (held.tries, held.calls) != (event.tries, event.call):
        return
    held = replace(held, waiting=event.reason)
    machine.put(replace(with_step(job, held), waiting=event.reason))
    machine.say(m.DropTimer(name=timeout_name(job)))
    if job.stopping and not held.after_cancel:
        give_up_waiting(machine, job_of(machine, job.key), held)
    else:
        machine.say(m.SetTimer(name=again_name(job, held), seconds=event.seconds))


def _timer(machine: Machine, event: m.TimerFired) -> None:
    for job in list(machine.run.jobs()):
        if job.status == "finished":
            continue
        held = next((step for step in job.steps if step.status == "in_action"), None)
        if event.name == timeout_name(job) and not job.stopping and not (held and held.waiting):
            stop(machine, job, f"it ran longer than its timeout of {job.timeout_minutes:g} minutes")
        elif event.name == kill_name(job) and job.stopping and job.killed < job.launch:
            machine.put(replace(job, killed=job.launch))
            machine.say(m.CancelJob(job=job.key, attempt=job.attempt, launch=job.launch, force=True))
        elif held is not None and held.waiting and event.name == again_name(job, held):
            tried = replace(held, waiting="", tries=held.tries + 1)
            machine.put(replace(with_step(job, tried), waiting=""))
            machine.say(m.SetTimer(name=timeout_name(job), seconds=job.timeout_minutes * 60 + TIMEOUT_GRACE_SECONDS))
            machine.say(
                m.RunAction(job=job.key, attempt=job.attempt, index=held.index, tries=tried.tries, call=held.calls)
            )


_RUNNER_EVENTS: dict[str, Callable[[Machine, str, str, Any], None]] = {
    "job.started": _job_started, "step.started": _step_started, "step.finished": _step_finished, "job.suspended": _suspended,
    "job.finished": _runner_finished, "annotation": _keep("annotation"), "summary": _keep("summary"), "artifact": _keep("artifact"),
}  # fmt: skip

HANDLERS: dict[type[Any], Callable[[Machine, Any], None]] = {
    m.RunnerSaid: _said, m.RunnerLost: _lost, m.JobRefused: _refused, m.ActionEnded: _action_ended, m.ActionWaits: _action_waits,
    m.TimerFired: _timer,
}  # fmt: skip
