"""Runs a repository's workflow here, without a server: the same runner, in this process, jobs side by side in threads.

It follows the engine's rules (needs, if, matrix, max-parallel, fail-fast, concurrency) over one run that nobody resumes, so
it keeps no state and writes nothing that must survive.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any, Protocol

from opsroom.kernel.clock import SystemClock
from opsroom.kernel.settings import child_environment
from opsroom.workflows.model import Workflow, deadlock
from opsroom.workflows.planning import JobInstance, NeedResult, RunPlan, TriggerEvent, make_order, plan_run, start_job
from opsroom.workflows.protocol import Source
from opsroom.workflows.runner.cancellation import Cancellation
from opsroom.workflows.runner.job import JobRunner
from opsroom.workflows.runner.place import sweep_scripts
from opsroom.workflows.runner.processes import sweep
from opsroom.workflows.runner.sink import Sink
from opsroom.workflows.runner.world import PlaneSteps


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run. `parallel` 0: as many jobs at once as there are processors. `only`: these jobs and what they need."""

    source: Source = Source()
    secrets: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    sandbox: bool = True
    network: tuple[str, ...] = ()
    plane_steps: PlaneSteps = "refuse"
    parallel: int = 0
    grace: tuple[float, float] = (7.5, 2.5)


@dataclass(slots=True, kw_only=True)
class JobReport:
    """One job and what became of it. `steps` are dicts of what the runner said of each."""

    id: str
    name: str
    conclusion: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    steps: list[dict[str, Any]] = field(default_factory=list)
    outputs: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


class Watcher(Protocol):
    """Who is told of a run while it goes on. It is called from several threads."""

    def started(self, job: JobReport) -> Sink:
        """A job starts; the sink takes what it says."""

    def finished(self, job: JobReport) -> None:
        """A job ended, or was skipped."""


@dataclass(slots=True)
class _Node:
    """A job as written: what it waits for, and the jobs it became."""

    id: str
    needs: set[str]
    instances: list[_Instance] = field(default_factory=list)
    active: int = 0
    left: int = 0
    fail_fast: bool = True
    max_parallel: int = 0
    stopped: bool = False


@dataclass(slots=True)
class _Instance:
    """One job to run."""

    node: _Node
    plan: JobInstance
    report: JobReport
    cancellation: Cancellation | None = None
    replaced: bool = False

    @property
    def given_up(self) -> bool:
        """It ends without having started."""
        return self.replaced or (self.node.stopped and not self.plan.outlives_cancel)


@dataclass(slots=True)
class _Group:
    """A concurrency group: who holds it, and who waits for it."""

    holder: _Instance
    pending: _Instance | None = None


class LocalRun:
    """One run of one workflow. `cancel` may be called from a signal handler."""

    def __init__(self, workflow: Workflow, event: TriggerEvent, options: Options, watcher: Watcher) -> None:
        self._options = options
        self._watcher = watcher
        self._id = SystemClock().new_id("run")
        self._plan: RunPlan = plan_run(workflow, event, run_id=self._id, variables=options.variables, only=options.only)
        self._ended: SimpleQueue[_Instance | BaseException] = SimpleQueue()
        self._work: SimpleQueue[_Instance | None] = SimpleQueue()
        self._waiting = {job.id: _Node(job.id, set(job.needs)) for job in self._plan.jobs}
        self._open: dict[str, _Node] = {}
        self._ready: list[_Instance] = []
        self._results: dict[str, NeedResult] = {}
        self._groups: dict[str, _Group] = {}
        self._threads: list[threading.Thread] = []
        self._running = 0
        self._cancelled = False
        self.jobs: list[JobReport] = []

    @property
    def plan(self) -> RunPlan:
        return self._plan

    def run(self) -> str:
        """Runs all jobs; the run's conclusion."""
        self._root = Path(tempfile.mkdtemp(prefix="opsroom-run-"))
        sweep_scripts()
        try:
            self._begin()
            while self._waiting or self._open:
                self._dispatch()
                ended = self._ended.get()
                if isinstance(ended, BaseException):
                    raise ended
                self._take(ended)
        except BaseException:
            self.cancel()
            raise
        finally:
            for _ in self._threads:
                self._work.put(None)
            for thread in self._threads:
                thread.join()
            if not self._options.sandbox:
                sweep(f"{self._id}/")
            shutil.rmtree(self._root, ignore_errors=True)
        return self._conclusion()

    def cancel(self) -> None:
        """Stops what runs and starts nothing more but what runs in spite of cancellation."""
        self._cancelled = True
        for node in list(self._open.values()):
            self._stop(node)

    # -- deciding

    def _begin(self) -> None:
        """Decides every job whose needs have ended, until nothing more follows."""
        progress = True
        while progress:
            progress = False
            for node in list(self._waiting.values()):
                if node.needs <= self._results.keys():
                    del self._waiting[node.id]
                    self._decide(node)
                    progress = True

    def _decide(self, node: _Node) -> None:
        decision = start_job(self._plan, node.id, self._results, cancelled=self._cancelled)
        if decision.error or decision.skipped or not decision.instances:
            conclusion = "skipped" if decision.skipped else "failure"
            name = self._plan.job(node.id).name or node.id
            error = decision.error or ("" if decision.skipped else f"the matrix of {node.id} has no combination")
            report = JobReport(id=node.id, name=name, conclusion=conclusion, error=error)
            self.jobs.append(report)
            self._results[node.id] = NeedResult(result=conclusion)
            self._watcher.finished(report)
            return
        node.fail_fast, node.max_parallel = decision.fail_fast, decision.max_parallel
        for plan in decision.instances:
            report = JobReport(id=node.id, name=plan.name)
            self.jobs.append(report)
            node.instances.append(_Instance(node, plan, report))
            if plan.group and plan.group.lower() == self._plan.group.lower():
                report.error = deadlock(plan.group)
                node.instances[-1].replaced = True
        node.left = len(node.instances)
        self._open[node.id] = node
        self._ready.extend(node.instances)

    def _dispatch(self) -> None:
        """Hands every job that may start to a thread; a thread more is made while there are fewer than allowed."""
        limit = self._options.parallel or os.cpu_count() or 1
        held: list[_Instance] = []
        for instance in self._ready:
            if not instance.given_up and (not self._may_start(instance) or self._running >= limit):
                held.append(instance)
                continue
            if instance.given_up:
                instance.report.conclusion = "cancelled"
                self._ended.put(instance)
                continue
            self._running += 1
            instance.node.active += 1
            instance.cancellation = Cancellation()
            if self._running > len(self._threads):
                self._threads.append(threading.Thread(target=self._serve))
                self._threads[-1].start()
            self._work.put(instance)
        self._ready = held
        if any(instance.given_up for instance in held):
            self._dispatch()

    def _may_start(self, instance: _Instance) -> bool:
        """Whether neither max-parallel nor a concurrency group holds the job back; it takes its place in the group."""
        node = instance.node
        if node.max_parallel and node.active >= node.max_parallel:
            return False
        group = instance.plan.group.lower()
        return not group or self._has_group(instance, self._groups.setdefault(group, _Group(holder=instance)))

    def _has_group(self, instance: _Instance, group: _Group) -> bool:
        """As on the server: one holds the group, one waits for it, and who comes later takes the place of the one that waits."""
        if group.holder is instance:
            return True
        if group.pending is not instance:
            if instance.plan.group_cancels:
                self._replace(group.holder, "cancels what is in progress")
            if group.pending is not None:
                self._replace(group.pending, "took its place")
            group.pending = instance
        return False

    def _replace(self, instance: _Instance, what: str) -> None:
        """A newer job ends this one: now if it runs, else at the next look at what is ready."""
        instance.report.error = f"a newer job of concurrency group {instance.plan.group} {what}"
        if instance.cancellation is not None:
            instance.cancellation.set()
        else:
            instance.replaced = True

    def _leave_group(self, instance: _Instance) -> None:
        name = instance.plan.group.lower()
        group = self._groups.get(name)
        if group is not None and group.holder is instance:
            if group.pending is None:
                del self._groups[name]
            else:
                group.holder, group.pending = group.pending, None
        elif group is not None and group.pending is instance:
            group.pending = None

    def _take(self, instance: _Instance) -> None:
        """A job ended: what that means for its siblings, its group and the jobs after it."""
        node, report = instance.node, instance.report
        if instance.cancellation is not None:
            self._running -= 1
            node.active -= 1
            instance.cancellation.close()
            instance.cancellation = None
        if instance.plan.group:
            self._leave_group(instance)
        self._watcher.finished(report)
        if report.conclusion == "failure" and node.fail_fast and not instance.plan.continue_on_error:
            self._stop(node)
        node.left -= 1
        if not node.left:
            del self._open[node.id]
            outputs = {name: value for one in node.instances for name, value in one.report.outputs.items()}
            self._results[node.id] = NeedResult(result=_result(node), outputs=outputs)
            self._begin()

    def _stop(self, node: _Node) -> None:
        node.stopped = True
        for instance in node.instances:
            if instance.cancellation is not None:
                instance.cancellation.set()

    def _conclusion(self) -> str:
        found = {result.result for result in self._results.values()}
        if self._cancelled or "cancelled" in found:
            return "failure" if "failure" in found else "cancelled"
        return "failure" if "failure" in found else "success" if "success" in found else "skipped"

    # -- doing

    def _serve(self) -> None:
        """A thread that runs jobs until it is told that there are no more."""
        while (instance := self._work.get()) is not None:
            try:
                self._run_job(instance)
            except BaseException as error:  # noqa: BLE001 - told to the thread that waits, which raises it
                self._ended.put(error)
                return
            self._ended.put(instance)

    def _run_job(self, instance: _Instance) -> None:
        options, plan, report = self._options, instance.plan, instance.report
        order = make_order(
            plan, run=self._id, attempt=1, source=options.source, sandbox=options.sandbox,
            network=options.network, artifacts=str(self._root / "artifacts"), caches=_caches(),
        )  # fmt: skip
        folder = self._root / "jobs" / plan.key / "1"
        folder.mkdir(parents=True)
        began = monotonic()
        runner = JobRunner(
            order, folder, _Recorder(report, plan.step_names, self._watcher.started(report)), options.secrets,
            cancellation=instance.cancellation, grace=options.grace, plane_steps=options.plane_steps,
        )  # fmt: skip
        said = runner.run()
        report.seconds = round(monotonic() - began, 3)
        report.cpu_seconds = said.get("cpu_seconds", 0.0)
        report.outputs = said.get("outputs", {})
        report.error = report.error or said.get("error", "")
        report.conclusion = said["conclusion"]


class _Recorder:
    """Notes each step in the job's report and passes everything on."""

    def __init__(self, report: JobReport, names: Sequence[str], to: Sink) -> None:
        self._report = report
        self._to = to
        self._names = dict(enumerate(names))

    def event(self, type: str, data: Mapping[str, Any]) -> None:
        if type == "step.started":
            self._names[data["index"]] = data["name"]
        elif type == "step.finished":
            self._report.steps.append({"name": self._names[data["index"]], **data})
        self._to.event(type, data)

    def lines(self, step: int, texts: Any, stream: str = "out") -> None:
        self._to.lines(step, texts, stream)


def _result(node: _Node) -> str:
    """As `needs.ID.result` says it: one failure that counts makes it fail."""
    found = {
        "success" if one.report.conclusion == "failure" and one.plan.continue_on_error else one.report.conclusion
        for one in node.instances
    }
    return next(one for one in ("failure", "cancelled", "success", "skipped") if one in found)


def _caches() -> str:
    home = child_environment().get("HOME", "")
    return str(Path(home) / ".cache" / "opsroom" / "caches") if home else ""
