"""The engine's pure state machine: `(run, event, now) -> (run, commands)`. It reads no clock, no file and no database.

What was finished is never done again; what a crash cut off is reported and started again, or fails, by the run's policy.
Sources: "Workflow syntax for GitHub Actions" (needs, strategy, concurrency, timeout-minutes, continue-on-error) and
"Canceling a workflow" (a job whose `if` holds under cancellation goes on).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from opsroom.workflows import job_events
from opsroom.workflows import moves as m
from opsroom.workflows.machine import SLOT, Machine, finish_job, finish_run, launch, stop
from opsroom.workflows.model import deadlock
from opsroom.workflows.run import Conclusion, JobState, Node, RunState

__all__ = ["SLOT", "fold", "step"]


def step(run: RunState, event: m.Event, now: datetime) -> tuple[RunState, tuple[m.Command, ...]]:
    """The run after the event, and what is to be done. An event that says nothing new returns the same run and no command."""
    machine = Machine(run, now)
    if run.status != "finished" or isinstance(event, m.RerunAsked):
        _HANDLERS[type(event)](machine, event)
        _settle(machine)
    return machine.run, tuple(machine.commands)


def fold(
    run: RunState, events: Sequence[m.Event], now: datetime, decide: Callable[[RunState, m.DecideJob], m.JobDecided]
) -> tuple[RunState, tuple[m.Command, ...]]:
    """Takes several events at once and answers each DecideJob on the spot, since deciding needs nothing from outside."""
    commands: list[m.Command] = []
    waiting = list(events)
    while waiting:
        run, answer = step(run, waiting.pop(0), now)
        for command in answer:
            if isinstance(command, m.DecideJob):
                waiting.append(decide(run, command))
            else:
                commands.append(command)
    return run, tuple(commands)


def _settle(machine: Machine) -> None:
    """Starts what may start and closes what is complete, until nothing more follows."""
    before: RunState | None = None
    while machine.run is not before and machine.run.status == "running":
        before = machine.run
        for id in [node.id for node in machine.run.nodes]:
            _settle_node(machine, id)
        if machine.run is before and all(node.result for node in machine.run.nodes):
            finish_run(machine, _conclusion(machine.run))


def _settle_node(machine: Machine, id: str) -> None:
    node = machine.run.node(id)
    assert node is not None
    if node.status == "waiting" and all(_result(machine.run, need) for need in node.needs):
        machine.put_node(replace(node, status="deciding"))
        machine.say(m.DecideJob(node=id, attempt=machine.run.attempt))
    elif node.status == "decided" and not node.result:
        _fail_fast(machine, node)
        _start(machine, id)
        _close(machine, id)


def _fail_fast(machine: Machine, node: Node) -> None:
    failed = next((job for job in node.jobs if job.failed), None)
    if node.fail_fast and failed is not None:
        for job in node.jobs:
            if job.status != "finished" and not job.stopping:
                stop(machine, job, f"fail-fast: {failed.name} failed")


def _start(machine: Machine, id: str) -> None:
    node = machine.run.node(id)
    assert node is not None
    active = sum(job.asked or job.status in ("queued", "running", "in_action") for job in node.jobs)
    active -= sum(job.asked and job.status == "finished" for job in node.jobs)
    for job in node.jobs:
        if job.status != "waiting" or (job.asked and not job.granted):
            continue
        if job.granted:
            launch(machine, job)
        elif node.max_parallel and active >= node.max_parallel:
            _wait(machine, job, f"max-parallel {node.max_parallel} of {node.id}")
        else:
            active += 1
            _begin(machine, job)


def _begin(machine: Machine, job: JobState) -> None:
    if not job.group:
        launch(machine, job)
        return
    if job.group.lower() == machine.run.group.lower():
        stop(machine, job, deadlock(job.group))
        return
    machine.put(replace(job, asked=True, waiting=f"concurrency group {job.group}"))
    machine.say(
        m.AcquireConcurrency(job=job.key, attempt=job.attempt, group=job.group, cancel_in_progress=job.group_cancels)
    )


def _wait(machine: Machine, job: JobState, reason: str) -> None:
    if job.waiting != reason:
        machine.put(replace(job, waiting=reason))


def _close(machine: Machine, id: str) -> None:
    node = machine.run.node(id)
    assert node is not None
    if all(job.status == "finished" for job in node.jobs):
        outputs = {name: value for job in node.jobs for name, value in job.outputs.items()}
        machine.put_node(replace(node, result=_node_result(node), outputs=outputs))


# -- events


def _requested(machine: Machine, event: m.RunRequested) -> None:
    if machine.run.status == "requested" and event.attempt == machine.run.attempt:
        _queue_run(machine, by="")


def _queue_run(machine: Machine, *, by: str) -> None:
    run = machine.run
    machine.say(
        m.Record(type="run.queued", data={"attempt": run.attempt, "by": by} if by else {"attempt": run.attempt})
    )
    if not run.group:
        machine.set(status="running")
        return
    machine.set(status="waiting", waiting=f"concurrency group {run.group}")
    machine.say(
        m.AcquireConcurrency(job="", attempt=run.attempt, group=run.group, cancel_in_progress=run.group_cancels)
    )


def _granted(machine: Machine, event: m.ConcurrencyGranted) -> None:
    run = machine.run
    if event.job:
        job = machine.at_work(event.job, event.attempt)
        if job is not None and job.asked and not job.granted:
            machine.put(replace(job, granted=True, waiting=""))
    elif event.attempt == run.attempt and run.status == "waiting":
        machine.set(status="running", waiting="")


def _decided(machine: Machine, event: m.JobDecided) -> None:
    node = machine.run.node(event.node)
    if node is None or node.status != "deciding" or event.attempt != machine.run.attempt:
        return
    node = replace(node, status="decided", fail_fast=event.fail_fast, max_parallel=event.max_parallel)
    if not event.jobs:
        machine.put_node(
            replace(node, jobs=(JobState(key=node.id, node=node.id, name=node.name or node.id, attempt=event.attempt),))
        )
        error = event.error or ("" if event.skipped else f"the matrix of {node.id} has no combination")
        finish_job(machine, node.id, "failure" if error else "skipped", error=error)
        return
    single = len(event.jobs) == 1 and not event.jobs[0].matrix
    keys = [node.id] if single else [f"{node.id}.{number}" for number in range(1, len(event.jobs) + 1)]
    machine.put_node(
        replace(
            node,
            jobs=tuple(_planned(node.id, key, plan, event.attempt) for key, plan in zip(keys, event.jobs, strict=True)),
        )
    )
    if machine.run.stopping:
        for key in keys:
            job = machine.run.job(key)
            if job is not None and not job.outlives_cancel:
                stop(machine, job, machine.run.stopping)


def _planned(node: str, key: str, plan: m.JobPlan, attempt: int) -> JobState:
    return JobState(
        key=key, node=node, name=plan.name, attempt=attempt, matrix=plan.matrix, continue_on_error=plan.continue_on_error,
        timeout_minutes=plan.timeout_minutes, group=plan.group, group_cancels=plan.group_cancels,
        outlives_cancel=plan.outlives_cancel, step_names=plan.step_names,
    )  # fmt: skip


def _cancel(machine: Machine, event: m.CancelAsked) -> None:
    run = machine.run
    if event.attempt != run.attempt:
        return
    if event.job:
        job = machine.at_work(event.job, event.attempt)
        if job is not None and (event.force or not job.stopping):
            stop(machine, job, event.reason, force=event.force)
        return
    if run.stopping and not event.force:
        return
    machine.set(stopping=run.stopping or event.reason, stopped_by=run.stopped_by or event.by)
    for job in list(machine.run.jobs()):
        if job.status != "finished" and (event.force or not (job.outlives_cancel or job.stopping)):
            stop(machine, job, event.reason, force=event.force)
    if event.force or run.status in ("requested", "waiting"):
        _cancel_the_rest(machine, event.reason)
    if run.status in ("requested", "waiting"):
        finish_run(machine, "cancelled")


def _cancel_the_rest(machine: Machine, reason: str) -> None:
    for node in machine.run.nodes:
        if node.status != "decided":
            job = JobState(key=node.id, node=node.id, name=node.name or node.id, attempt=machine.run.attempt)
            machine.put_node(replace(node, status="decided", jobs=(job,), result="cancelled"))
            finish_job(machine, node.id, "cancelled", error=reason)


def _rerun(machine: Machine, event: m.RerunAsked) -> None:
    run = machine.run
    if run.status != "finished" or event.attempt != run.attempt + 1:
        return
    chosen = set(event.nodes) or {node.id for node in run.nodes}
    for _ in run.nodes:  # Written order need not be the order of dependency, so one round may not be enough.
        chosen |= {node.id for node in run.nodes if chosen.intersection(node.needs)}
    nodes = tuple(
        Node(id=node.id, name=node.name, needs=node.needs) if node.id in chosen else node for node in run.nodes
    )
    used = sum(job.cpu_seconds for job in run.jobs() if job.node in chosen)
    machine.set(
        attempt=event.attempt,
        status="requested",
        conclusion="",
        stopping="",
        stopped_by="",
        started="",
        finished="",
        nodes=nodes,
        cpu_before=run.cpu_before + used,
    )
    _queue_run(machine, by=event.by)


_HANDLERS: dict[type[Any], Callable[[Machine, Any], None]] = {
    m.RunRequested: _requested, m.ConcurrencyGranted: _granted, m.JobDecided: _decided, m.CancelAsked: _cancel,
    m.RerunAsked: _rerun, **job_events.HANDLERS,
}  # fmt: skip


def _result(run: RunState, need: str) -> Conclusion:
    node = run.node(need)
    return node.result if node is not None else "skipped"


def _node_result(node: Node) -> Conclusion:
    conclusions = {
        ("success" if job.continue_on_error and job.conclusion == "failure" else job.conclusion) for job in node.jobs
    }
    for worst in ("failure", "cancelled", "success"):
        if worst in conclusions:
            return worst
    return "skipped"


def _conclusion(run: RunState) -> Conclusion:
    results = {node.result for node in run.nodes}
    order: tuple[Conclusion, ...] = ("cancelled", "failure") if run.stopping else ("failure", "cancelled")
    return next((one for one in (*order, "success") if one in results), "skipped" if results else "success")
