"""Takes events to a run: the new state, its rows, its ledger events and its commands become durable in one transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from opsroom.kernel.clock import Clock
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.queue import Item, Queue
from opsroom.kernel.store import Store, Tx
from opsroom.workflows import moves as m
from opsroom.workflows import store as rows
from opsroom.workflows.run import RunState, encode
from opsroom.workflows.scheduler import groups
from opsroom.workflows.scheduler.planner import Planner
from opsroom.workflows.state import fold
from opsroom.workflows.store import RunRecord

START, RESUME = "engine.start", "engine.resume"
KINDS: dict[type[Any], str] = {
    m.StartJob: START,
    m.ResumeJob: RESUME,
    m.RunAction: "engine.action",
    m.CancelJob: "engine.cancel",
}
"""Commands with effects outside the database, and the kind of the durable item each becomes."""
TIMER = "engine.timer"
CLEAR = "engine.clear"
FIRST = datetime(1970, 1, 1, tzinfo=UTC)
"""Due before everything else: a job that has begun goes before one that has not."""
CLEAR_AFTER = timedelta(seconds=5)
"""When the working files of a finished run are removed: once its runners have surely ended."""


@dataclass
class _Open:
    """A run being changed in this transaction."""

    record: RunRecord
    before: RunState
    now: RunState


class Transitions:
    """The only writer of run states. Any thread may call it; `changed` is called after each commit with the runs it changed."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        queue: Queue,
        clock: Clock,
        planner: Planner,
        changed: Callable[[list[RunState]], None],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._queue = queue
        self._clock = clock
        self._planner = planner
        self._changed = changed

    def apply(self, run: str, *events: m.Event, item: Item | None = None) -> RunState:
        """Takes the events to the run and returns its state after them. `item` is finished in the same transaction."""
        with self._store.begin() as tx:
            state = self.apply_in(tx, run, *events)
            if item is not None:
                self._queue.done(tx, item)
        return state

    def apply_in(self, tx: Tx, run: str, *events: m.Event) -> RunState:
        """The same within a transaction of the caller's. NotFound: no such run."""
        work = _Work(self, tx)
        work.take(run, *events)
        changed = work.finish()
        if changed:
            tx.after_commit(lambda: self._changed(changed))
        return work.open[run].now


class _Work:
    """The events of one transaction: a concurrency group may carry them from one run to another."""

    def __init__(self, parts: Transitions, tx: Tx) -> None:
        self.parts = parts
        self.tx = tx
        self.open: dict[str, _Open] = {}
        self._waiting: deque[tuple[str, m.Event]] = deque()

    def take(self, run: str, *events: m.Event) -> None:
        self._waiting.extend((run, event) for event in events)
        while self._waiting:
            id, event = self._waiting.popleft()
            held = self._opened(id)
            held.now, commands = fold(held.now, (event,), self.parts._clock.now(), self._decider(held))
            for command in commands:
                self._obey(held, command)

    def _decider(self, held: _Open) -> Callable[[RunState, m.DecideJob], m.JobDecided]:
        return lambda state, asked: self.parts._planner.decide(held.record, state, asked.node)

    def finish(self) -> list[RunState]:
        """Writes every run that changed."""
        changed = [held for held in self.open.values() if held.now is not held.before]
        for held in changed:
            rows.save(self.tx, held.record, held.before, held.now)
        return [held.now for held in changed]

    def _opened(self, run: str) -> _Open:
        if run not in self.open:
            record, state = rows.load(self.tx, run, lock=True)
            self.open[run] = _Open(record, state, state)
        return self.open[run]

    def _obey(self, held: _Open, command: m.Command) -> None:
        queue, tx, run = self.parts._queue, self.tx, held.record.id
        match command:
            case m.Record():
                self._record(held, command)
            case m.Keep():
                self._keep(held, command)
            case m.SetTimer():
                due = self.parts._clock.now() + timedelta(seconds=command.seconds)
                queue.put(tx, TIMER, {"run": run, "name": command.name}, at=due, key=f"{run}/{command.name}")
            case m.DropTimer():
                queue.drop(tx, f"{run}/{command.name}")
            case m.AcquireConcurrency():
                member = groups.Member(run, command.job, command.attempt)
                self._groups(
                    command.group,
                    member,
                    groups.request(
                        tx,
                        groups.scoped(held.record.repository, command.group),
                        member,
                        cancel_in_progress=command.cancel_in_progress,
                    ),
                )
            case m.ReleaseConcurrency():
                member = groups.Member(run, command.job, command.attempt)
                name = groups.scoped(held.record.repository, command.group)
                self._groups(command.group, member, groups.release(tx, name, member))
            case m.StartJob() | m.ResumeJob() | m.RunAction() | m.CancelJob():
                first = FIRST if isinstance(command, m.ResumeJob) else None
                payload = {"run": run, **encode(command)}
                queue.put(tx, KINDS[type(command)], payload, at=first, cause=held.record.queued_event)
            case m.FinishRun():
                queue.put(tx, CLEAR, {"run": run}, at=self.parts._clock.now() + CLEAR_AFTER)
            case _:
                pass

    def _groups(self, group: str, who: groups.Member, answer: groups.Answer) -> None:
        if answer.granted is not None:
            granted = m.ConcurrencyGranted(job=answer.granted.job, attempt=answer.granted.attempt)
            self._waiting.append((answer.granted.run, granted))
        for member, reason in (
            (answer.replaced, f"a newer run ({who.run}) took its place in concurrency group {group}"),
            (answer.cancelled, f"a newer run ({who.run}) of concurrency group {group} cancels what is in progress"),
        ):
            if member is not None:
                asked = m.CancelAsked(attempt=member.attempt, job=member.job, reason=reason, by=f"run:{who.run}")
                self._waiting.append((member.run, asked))

    def _record(self, held: _Open, command: m.Record) -> None:
        record, attempt = held.record, held.now.attempt
        queued = command.type == "run.queued"
        event = self.parts._ledger.record(
            self.tx,
            command.type,
            actor=str(command.data.get("by") or record.actor) if queued else f"run:{record.id}",
            cause=record.trigger_event if queued and attempt == 1 else record.queued_event,
            subjects=record.subjects,
            data={**command.data, "workflow_name": record.name, "number": record.number, "event": record.event},
            key=f"{command.type}/{record.id}/{attempt}/{command.job}",
        )
        if queued:
            held.record = replace(record, queued_event=event.id)

    def _keep(self, held: _Open, command: m.Keep) -> None:
        job, record, now = held.now.job(command.job), held.record, self.parts._clock.now()
        assert job is not None
        if command.kind == "annotation":
            rows.keep_annotation(self.tx, record.id, job, command.data)
        elif command.kind == "summary":
            rows.keep_summary(self.tx, record.id, job, command.data)
        else:
            rows.keep_artifact(self.tx, record.id, job, command.data, now)
