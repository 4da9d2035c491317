"""The scheduler: one thread that watches runners and claims durable commands, and a few that carry them out."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa

from opsroom.kernel.clock import Clock
from opsroom.kernel.errors import Conflict, NotFound, UserError
from opsroom.kernel.journal import Journal
from opsroom.kernel.queue import Item, Queue
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store
from opsroom.workflows import moves as m
from opsroom.workflows import store as rows
from opsroom.workflows.actions import ActionHost
from opsroom.workflows.run import JobState, RunState
from opsroom.workflows.scheduler.acting import Actions, Work
from opsroom.workflows.scheduler.launching import Launcher, MaskKey, SecretSource, stop_runner
from opsroom.workflows.scheduler.planner import Planner
from opsroom.workflows.scheduler.transitions import CLEAR, RESUME, START, TIMER, Transitions
from opsroom.workflows.scheduler.watching import Watch, Watches
from opsroom.workflows.store import RunRecord

HOLDER = "engine"
ALWAYS = ("engine.action", "engine.cancel", CLEAR, TIMER)
RUNNERS = (RESUME, START)
LOOK_SECONDS = 0.02
LOOK_SECONDS_WHEN_LIVELY = 0.008
LIVELY_SECONDS = 0.5
IDLE_SECONDS = 0.2
LAUNCH_THREADS = 4
LEASE_SECONDS = 60.0
LAUNCH_ATTEMPTS = 10


class Scheduler:
    """Makes runs go on. `sandbox_problem` says why jobs cannot be sandboxed here ("" : they can)."""

    def __init__(
        self,
        *,
        store: Store,
        queue: Queue,
        clock: Clock,
        journal: Journal,
        settings: Settings,
        planner: Planner,
        transitions: Transitions,
        launcher: Launcher,
        host: ActionHost,
        secrets: SecretSource,
        mask_key: MaskKey,
        redact: Callable[[str], str],
        sandbox_problem: Callable[[], str],
    ) -> None:
        self._store, self._queue, self._clock, self._journal = store, queue, clock, journal
        self._settings, self._planner, self._transitions, self._launcher = settings, planner, transitions, launcher
        self._sandbox_problem = sandbox_problem
        self._watches = Watches()
        self._actions = Actions(
            host=host, secrets=secrets, mask_key=mask_key, clock=clock, journal=journal, redact=redact, ended=self._action_ended
        )  # fmt: skip
        self._launching = ThreadPoolExecutor(LAUNCH_THREADS, thread_name_prefix="launch")
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock: int | None = None
        self._next_claim = 0.0
        self._next_extension = 0.0
        self._lively_until = 0.0

    def holders(self) -> list[str]:
        """Who has the slots now, as RUN/JOB."""
        return self._watches.names()

    def start(self) -> None:
        """Takes up everything that was running, then goes on in a thread. Conflict: another process serves this state."""
        self._lock = _only_one(self._settings.state / "jobs")
        self._queue.reclaim(HOLDER)
        self._take_up()
        self._launching.submit(self._launcher.prepare)
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; runners live on and are taken up at the next start."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._launching.shutdown(wait=True)
        self._launcher.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def notify(self) -> None:
        """Something may be due now."""
        self._next_claim = 0.0
        self._wake.set()

    # -- the loop

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._wake.wait(self._pause())
                self._wake.clear()
                self._look()
                self._claim()
            except (
                Exception
            ) as bug:  # The scheduler must outlive any one fault; what was claimed comes back by its lease.
                self._journal.error("the scheduler stumbled", bug=bug)
                time.sleep(IDLE_SECONDS)

    def _pause(self) -> float:
        """A runner that has just spoken will likely speak again; one that is busy is looked at less often."""
        if not len(self._watches):
            return IDLE_SECONDS
        return LOOK_SECONDS_WHEN_LIVELY if time.monotonic() < self._lively_until else LOOK_SECONDS

    def _look(self) -> None:
        for watch, events in self._watches.look():
            self._lively_until = time.monotonic() + LIVELY_SECONDS
            try:
                self._transitions.apply(watch.run, *events)
            except Exception:
                self._watches.again(watch)
                raise
            if self._watches.taken(watch, events):
                self.notify()

    def _claim(self) -> None:
        now = time.monotonic()
        if now < self._next_claim:
            return
        self._next_claim = now + IDLE_SECONDS
        self._extend(now)
        while item := self._next_item():
            try:
                self._handle(item)
            except NotFound:
                self._done(item)  # Its run is gone, and so is its purpose.
            except Exception as bug:  # One bad item must not keep the others waiting.
                self._journal.error("a command could not be carried out", bug=bug, kind=item.kind, payload=item.payload)
                self._give_back(item, f"{type(bug).__name__}: {bug}")

    def _next_item(self) -> Item | None:
        free = len(self._watches) < self._settings.job_slots
        return self._queue.claim((*ALWAYS, *RUNNERS) if free else ALWAYS, HOLDER, LEASE_SECONDS)

    def _extend(self, now: float) -> None:
        if now >= self._next_extension:
            self._next_extension = now + LEASE_SECONDS / 3
            for item in self._actions.items():
                self._queue.extend(item, LEASE_SECONDS)

    def _handle(self, item: Item) -> None:
        run = str(item.payload["run"])
        if item.kind == TIMER:
            self._transitions.apply(run, m.TimerFired(name=str(item.payload["name"])), item=item)
            return
        with self._store.read() as tx:
            record, state = rows.load(tx, run)
        if item.kind == CLEAR:
            self._launching.submit(self._clear, item, state)
            return
        job = state.job(str(item.payload["job"]))
        if job is None or job.attempt != int(item.payload["attempt"]):
            self._done(item)
        elif item.kind in (START, RESUME):
            self._begin(item, record, state, job)
        elif item.kind == "engine.action":
            self._act(item, record, state, job)
        else:
            self._cancel(item, record, job)

    # -- commands

    def _begin(self, item: Item, record: RunRecord, state: RunState, job: JobState) -> None:
        if job.status != "queued" or job.launch != int(item.payload["launch"]):
            self._done(item)
        elif job.stopping and item.kind == START:
            lost = m.RunnerLost(job=job.key, attempt=job.attempt, launch=job.launch)
            self._transitions.apply(record.id, lost, item=item)
        else:
            known = self._watches.get(record.id, job.key)
            folder = self._launcher.folder(record.id, job)
            watch = (
                known
                if known and known.launch == job.launch
                else self._watches.add(record.id, job, folder, started=False)
            )
            self._launching.submit(self._launch, item, record, state, job, watch)

    def _launch(self, item: Item, record: RunRecord, state: RunState, job: JobState, watch: Watch) -> None:
        """In a thread of its own: a secret may take a moment, and a runner before this one may still be ending."""
        try:
            sandbox = self._sandbox(record)
            self._launcher.launch(record, job, self._planner.order(record, state, job, sandbox=sandbox))
            watch.started = True
        except UserError as refused:
            self._refuse(item, record, job, watch, str(refused))
        except OSError as lack:
            self._postpone(item, record, job, watch, lack)
        except Exception as bug:  # A job that cannot be started must say so, and not hold its slot for ever.
            self._journal.error("a job could not be started", bug=bug, run=record.id, job=job.key)
            self._refuse(item, record, job, watch, f"the engine could not start it: {type(bug).__name__}: {bug}")
        else:
            self._done(item)
        self._wake.set()

    def _postpone(self, item: Item, record: RunRecord, job: JobState, watch: Watch, lack: OSError) -> None:
        """What the machine lacks now it may have soon; after a while the job fails with what it lacked."""
        if item.attempts >= LAUNCH_ATTEMPTS:
            self._refuse(item, record, job, watch, f"this machine could not start it: {lack}")
            return
        self._journal.warning("a job could not be started yet", run=record.id, job=job.key, error=str(lack))
        self._watches.remove(watch)
        self._give_back(item, str(lack))

    def _refuse(self, item: Item, record: RunRecord, job: JobState, watch: Watch, reason: str) -> None:
        self._watches.remove(watch)
        refused = m.JobRefused(job=job.key, attempt=job.attempt, launch=job.launch, reason=" ".join(reason.split()))
        self._transitions.apply(record.id, refused, item=item)
        self.notify()

    def _sandbox(self, record: RunRecord) -> bool:
        problem = self._sandbox_problem()
        if not problem:
            return True
        allowed = [path.strip() for path in self._settings.unsandboxed.split(",")]
        if "*" in allowed or record.workflow in allowed:
            return False
        raise Conflict(
            f"no sandbox on this machine ({problem}), and {record.workflow} may not run without; "
            "an admin may list it in OPSROOM_UNSANDBOXED"
        )

    def _act(self, item: Item, record: RunRecord, state: RunState, job: JobState) -> None:
        index, asked = int(item.payload["index"]), (int(item.payload["tries"]), int(item.payload.get("call", 0)))
        held = next((step for step in job.steps if step.index == index and step.status == "in_action"), None)
        if held is None or (held.tries, held.calls) != asked or held.waiting or job.status != "in_action":
            self._done(item)
        else:
            permissions, folder = self._planner.permissions(record, state, job), self._launcher.folder(record.id, job)
            self._actions.begin(
                Work(item=item, record=record, job=job, held=held, permissions=permissions, folder=folder)
            )

    def _action_ended(self, run: str, event: m.Event, item: Item) -> None:
        """In the action's thread. A database that is busy for long must not lose an outcome, so it is tried until it is told."""
        while not self._stopping.is_set():
            try:
                self._transitions.apply(run, event, item=item)
                return
            except sa.exc.OperationalError as busy:
                self._journal.warning("an action's outcome could not be stored yet", run=run, error=str(busy))
                time.sleep(IDLE_SECONDS)

    def _cancel(self, item: Item, record: RunRecord, job: JobState) -> None:
        number = signal.SIGKILL if item.payload.get("force") else signal.SIGTERM
        self._actions.cancel(record.id, job.key)
        stopped = self._watches.request_stop(record.id, job.key, number)
        if not stopped and number == signal.SIGKILL:
            stop_runner(self._launcher.folder(record.id, job), number)
        if not stopped and job.status == "queued" and job.launch == 1:
            lost = m.RunnerLost(job=job.key, attempt=job.attempt, launch=job.launch)
            self._transitions.apply(record.id, lost, item=item)
        else:
            self._done(item)

    def _clear(self, item: Item, state: RunState) -> None:
        for job in state.jobs():
            self._launcher.clear(state.id, job)
        self._done(item)

    def _done(self, item: Item) -> None:
        with self._store.begin() as tx:
            self._queue.done(tx, item)

    def _give_back(self, item: Item, error: str) -> None:
        with self._store.begin() as tx:
            self._queue.retry(tx, item, delay=min(60.0, 0.1 * 2**item.attempts), error=error)

    # -- start

    def _take_up(self) -> None:
        """Watches every runner that was started by the server before this one, dead or alive; its folder tells the rest."""
        with self._store.read() as tx:
            states = [rows.load(tx, run)[1] for run in rows.unfinished(tx)]
        for state in states:
            for job in state.jobs():
                folder = self._launcher.folder(state.id, job)
                if job.status == "running" or (job.status == "queued" and folder.launched().launch >= job.launch):
                    self._watches.add(state.id, job, folder, started=True)


def _only_one(folder: Path) -> int:
    """Holds a lock that ends with the process, so that one state folder has one scheduler."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "scheduler.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Conflict(f"another Opsroom process already runs the jobs of {folder}; stop it first") from None
    return lock
