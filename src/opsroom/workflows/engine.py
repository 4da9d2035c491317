"""The engine as the areas use it: start, look at, stop and repeat runs, and follow what they do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from opsroom.kernel.clock import Clock, parse_stamp
from opsroom.kernel.errors import Conflict, NotFound, UserError
from opsroom.kernel.journal import Journal
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.queue import Queue
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store
from opsroom.workflows import moves as m
from opsroom.workflows import sandbox, views
from opsroom.workflows import store as rows
from opsroom.workflows.actions import ActionHost
from opsroom.workflows.planning import TriggerEvent, dispatch_inputs, matches
from opsroom.workflows.run import JobState, Node, RunState, StepState, Wait, waits
from opsroom.workflows.scheduler.expiring import Expired, Expiring
from opsroom.workflows.scheduler.files import WorkflowFiles
from opsroom.workflows.scheduler.folders import JobFolder, read_log
from opsroom.workflows.scheduler.groups import GROUPS, scoped
from opsroom.workflows.scheduler.launching import Launcher, MaskKey, SecretSource
from opsroom.workflows.scheduler.loop import Scheduler
from opsroom.workflows.scheduler.nursery import RUNNER, Nursery
from opsroom.workflows.scheduler.plans import WorkflowPlanner
from opsroom.workflows.scheduler.schedules import Scheduled, Schedules
from opsroom.workflows.scheduler.transitions import Transitions
from opsroom.workflows.starting import Policy, Repository, Starter
from opsroom.workflows.state import SLOT

__all__ = ["Engine", "Log", "Policy", "Repository", "Scheduled", "TriggerEvent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Lines of a job's log (protocol.LogLine as dicts). Pass `next` as `after` to go on; `ended`: no more will come."""

    lines: tuple[Mapping[str, Any], ...]
    next: int
    ended: bool


class Engine:
    """Runs workflows. `secrets` gives a job's secrets when a runner starts; they are never written down; `mask_key` what
    encrypts the values that a job masks on its way. `sandbox_problem` says why jobs
    cannot be sandboxed here (None: a sandbox is tried once).
    `plane_actions` are the names that may follow `uses: opsroom/` (None: any), `extra_scopes` permission scopes beside GitHub's;
    `runner` is the folder and the module of another runner than ours."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        queue: Queue,
        clock: Clock,
        journal: Journal,
        settings: Settings,
        actions: ActionHost,
        secrets: SecretSource,
        mask_key: MaskKey = lambda job: b"",
        sandbox_problem: Callable[[], str] | None = None,
        redact: Callable[[str], str] = lambda text: text,
        price_version: Callable[[], str] = lambda: "",
        plane_actions: Collection[str] | None = None,
        extra_scopes: Collection[str] = (),
        runner: tuple[str, str] = RUNNER,
    ) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._settings = settings
        self._changed = threading.Condition()
        self._files = WorkflowFiles(plane_actions=plane_actions, extra_scopes=extra_scopes)
        planner = WorkflowPlanner(settings, self._files, data=settings.state.absolute())
        self._transitions = Transitions(
            store=store, ledger=ledger, queue=queue, clock=clock, planner=planner, changed=self._on_change
        )
        self._launcher = Launcher(
            settings.state.absolute() / "jobs", secrets=secrets, mask_key=mask_key, nursery=Nursery(runner)
        )
        self._scheduler = Scheduler(
            store=store, queue=queue, clock=clock, journal=journal, settings=settings, planner=planner,
            transitions=self._transitions, launcher=self._launcher, host=actions, secrets=secrets, mask_key=mask_key, redact=redact,
            sandbox_problem=sandbox_problem or cache(_sandbox_problem),
        )  # fmt: skip
        self._starter = Starter(
            store=store, clock=clock, files=self._files, transitions=self._transitions, step_retries=settings.step_retries,
            price_version=price_version, server_url=settings.base_url,
        )  # fmt: skip
        self._expiring = Expiring(store, settings)
        self._schedules = Schedules(
            store=store, ledger=ledger, journal=journal, files=self._files, starter=self._starter
        )

    def start(self) -> None:
        """Takes up all that was running and goes on. Without it runs are stored and wait. Conflict: another process runs this state."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stops deciding; runners go on and are taken up by the next start."""
        self._scheduler.stop()

    # -- starting

    def trigger(self, event: TriggerEvent, workflows: Sequence[tuple[str, str]], repository: Repository) -> list[str]:
        """Starts a run of every workflow (path, text) that the event sets off; the same `event.cause` never does so twice.

        A push of a malformed workflow starts a run that fails with its problems; other events pass such a file over.
        """
        event = replace(event, repository=event.repository or repository.name)
        started: list[str] = []
        for path, text in workflows:
            try:
                wanted = matches(self._files.read(text, path), event) is not None
            except UserError as problem:
                self._journal.warning("a workflow cannot be read", workflow=path, problem=str(problem))
                wanted = event.name == "push" and event.ref.startswith("refs/heads/")
            if wanted:
                started.append(self._starter.start(path, text, event, repository))
        return started

    def dispatch(
        self,
        path: str,
        text: str,
        inputs: Mapping[str, Any],
        *,
        repository: Repository,
        ref: str,
        commit: str,
        actor: str,
        cause: str = "",
    ) -> str:
        """Starts a workflow by hand (workflow_dispatch). Problems or BadInputs: it cannot be read, or the inputs do not fit."""
        workflow = self._files.read(text, path)
        event = TriggerEvent(
            name="workflow_dispatch", ref=ref, commit=commit, inputs=dispatch_inputs(workflow, inputs), actor=actor,
            repository=repository.name, cause=cause,
        )  # fmt: skip
        return self._starter.start(path, text, event, repository)

    def due_schedules(self, now: datetime, scheduled: Iterable[Scheduled]) -> list[str]:
        """Starts the scheduled workflows that are due, by the policies of their repositories. Call it at least once a minute."""
        return self._schedules.due(now, scheduled)

    # -- looking

    def get(self, run: str) -> views.RunDetail:
        """A run with its jobs, steps, annotations, summaries and artefacts. NotFound: there is none."""
        with self._store.read() as tx:
            found = views.read_run(tx, run)
            state = rows.load(tx, run)[1]
            return views.RunDetail(
                run=found, jobs=tuple(_jobs(state)), annotations=views.read_annotations(tx, run),
                summaries=views.read_summaries(tx, run), artifacts=views.read_artifacts(tx, run),
            )  # fmt: skip

    def list(self, wanted: views.RunFilter | None = None, *, cursor: str = "", limit: int = 50) -> views.RunPage:
        """Runs, newest first."""
        with self._store.read() as tx:
            return views.read_runs(tx, wanted or views.RunFilter(), cursor=cursor, limit=limit)

    def source(self, run: str) -> str:
        """The workflow file's text as this run uses it."""
        with self._store.read() as tx:
            return rows.load(tx, run)[0].source

    def jobs(self, run: str, attempt: int | None = None) -> tuple[views.RunJob, ...]:
        """The jobs of one attempt, or of all."""
        with self._store.read() as tx:
            return views.read_jobs(tx, run, attempt)

    def artifacts(self, run: str) -> tuple[views.Artifact, ...]:
        with self._store.read() as tx:
            return views.read_artifacts(tx, run)

    def log(self, run: str, job: str, *, after: int = 0, attempt: int | None = None) -> Log:
        """Lines of a job's log from the offset `after` on (0: the beginning). NotFound: no such run or job."""
        with self._store.read() as tx:
            state = rows.load(tx, run)[1]
        if any(node.id == job and not node.jobs for node in state.nodes):
            return Log(lines=(), next=after, ended=False)
        found = _job(state, job)
        folder = self._folder(run, found, attempt)
        if found.status == "finished" and found.started and not folder.path.exists():
            return Log(lines=() if after else (_no_log(found),), next=after, ended=True)
        page = read_log(folder, after=after)
        ended = found.status == "finished" and (not page.lines or page.next == after)
        return Log(lines=page.lines, next=page.next, ended=ended)

    def why_waiting(self, run: str) -> tuple[Wait, ...]:
        """Everything in the run that waits, and for what: needs, a slot and who has it, a group and who holds it, an action."""
        with self._store.read() as tx:
            record, state = rows.load(tx, run)
            explained = (self._explained(tx, record.repository, wait.reason) for wait in waits(state))
            return tuple(replace(wait, reason=reason) for wait, reason in zip(waits(state), explained, strict=True))

    def wait(self, run: str, timeout: float) -> views.Run:
        """Waits until the run has finished, at most `timeout` seconds, and returns it as it is then."""
        end = time.monotonic() + timeout
        while True:
            with self._store.read() as tx:
                found = views.read_run(tx, run)
            left = end - time.monotonic()
            if found.status == "finished" or left <= 0:
                return found
            with self._changed:
                self._changed.wait(min(left, 0.5))

    # -- keeping

    def expire(self) -> Expired:
        """Removes logs, artefacts and caches whose retention is over, a bounded number at a time; call it now and then."""
        return self._expiring.once(self._clock.now())

    # -- stopping and repeating

    def cancel(self, run: str, *, actor: str, reason: str = "", force: bool = False) -> views.Run:
        """Asks the run to stop; jobs that run in spite of it (`if: always()`) go on unless `force`. Conflict: it has finished."""
        state = self._state(run)
        if state.status == "finished":
            raise Conflict(f"run {run} has finished already ({state.conclusion}); there is nothing to cancel")
        self._transitions.apply(
            run, m.CancelAsked(attempt=state.attempt, reason=reason or f"cancelled by {actor}", by=actor, force=force)
        )
        return self._run(run)

    def rerun(self, run: str, *, actor: str, job: str = "", failed_only: bool = False) -> views.Run:
        """Runs all again; or one job, or the failed ones, and those that need them, on the same commit and artefacts.

        Conflict: the run has not finished. NotFound: no such job.
        """
        state = self._state(run)
        if state.status != "finished":
            raise Conflict(f"run {run} has not finished; cancel it first, or wait")
        nodes: tuple[str, ...] = (_job(state, job).node,) if job else ()
        if failed_only:
            nodes = tuple(node.id for node in state.nodes if node.result in ("failure", "cancelled"))
            if not nodes:
                raise Conflict(f"run {run} has no failed job; run all of it again")
        self._transitions.apply(run, m.RerunAsked(attempt=state.attempt + 1, nodes=nodes, by=actor))
        return self._run(run)

    # -- inside

    def _on_change(self, changed: Sequence[RunState]) -> None:
        with self._changed:
            self._changed.notify_all()
        self._scheduler.notify()

    def _state(self, run: str) -> RunState:
        with self._store.read() as tx:
            return rows.load(tx, run)[1]

    def _run(self, run: str) -> views.Run:
        with self._store.read() as tx:
            return views.read_run(tx, run)

    def _folder(self, run: str, job: JobState, attempt: int | None) -> JobFolder:
        return self._launcher.folder(run, job if attempt is None else replace(job, attempt=attempt))

    def _explained(self, tx: Any, repository: str, reason: str) -> str:
        if reason == SLOT:
            taken = ", ".join(self._scheduler.holders()) or "none"
            return f"{SLOT}: {self._settings.job_slots} on this machine, now taken by {taken}"
        if reason.startswith("concurrency group "):
            name = scoped(repository, reason.removeprefix("concurrency group "))
            holder = tx.scalar(sa.select(GROUPS.c.holder).where(GROUPS.c.name == name))
            return f"{reason}, held by run {str(holder).split('/')[0]}" if holder else reason
        return reason


def _sandbox_problem() -> str:
    found = sandbox.probe()
    return "" if found.available else found.reason


def _no_log(job: JobState) -> dict[str, Any]:
    text = "the log of this job is not kept any more; the setting run_log_days says how long logs are"
    return {"at": job.finished, "step": 0, "text": text, "stream": "notice"}


def _job(state: RunState, key: str) -> JobState:
    found = state.job(key) or next((job for job in state.jobs() if key in (job.node, job.name)), None)
    if found is None:
        known = ", ".join(job.key for job in state.jobs()) or "none yet"
        raise NotFound(f"run {state.id} has no job {key!r}; its jobs are {known}")
    return found


def _jobs(state: RunState) -> Iterable[views.RunJob]:
    """The jobs of a state; a node that is not decided yet stands for the jobs it will become."""
    reasons = {wait.job: wait.reason for wait in waits(state)}
    for node in state.nodes:
        if not node.jobs:
            yield _undecided(node, state, reasons.get(node.id, ""))
        for job in node.jobs:
            yield views.RunJob(
                key=job.key, node=node.id, attempt=job.attempt, name=job.name or job.key, status=job.status, waiting=job.waiting,
                conclusion=job.conclusion, error=job.error, started=_time(job.started), finished=_time(job.finished),
                cpu_seconds=job.cpu_seconds, step_names=job.step_names, steps=tuple(map(_step, job.steps)), needs=node.needs,
            )  # fmt: skip


def _undecided(node: Node, state: RunState, reason: str) -> views.RunJob:
    return views.RunJob(
        key=node.id, node=node.id, attempt=state.attempt, name=node.name or node.id, status="waiting", waiting=reason, conclusion="",
        error="", started=None, finished=None, cpu_seconds=0.0, needs=node.needs,
    )  # fmt: skip


def _step(step: StepState) -> views.RunStep:
    result = step.result
    return views.RunStep(
        position=step.index, id=step.id, name=step.name, status=step.status, outcome=result.outcome if result else "",
        conclusion=result.conclusion if result else "", cuts=step.cuts, exit_code=result.exit_code if result else None,
        error=result.error if result else "", started=_time(step.started), finished=_time(result.finished) if result else None,
        cpu_seconds=result.cpu_seconds if result else 0.0,
    )  # fmt: skip


def _time(text: str) -> datetime | None:
    return parse_stamp(text) if text else None
