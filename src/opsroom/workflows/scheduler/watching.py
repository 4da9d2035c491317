"""Watches the runners of jobs: what they say becomes events, and one that died without a last word is reported as lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from opsroom.workflows import moves as m
from opsroom.workflows.run import JobState
from opsroom.workflows.scheduler.folders import JobFolder, Tail
from opsroom.workflows.scheduler.launching import stop_runner

LAST_WORDS = ("job.finished", "job.suspended")


@dataclass(slots=True)
class Watch:
    """One runner. `started` False: it is being launched right now. `stop` is the signal it is to get once it lives;
    `seq` is the last event that was taken to the run."""

    run: str
    job: str
    attempt: int
    launch: int
    tail: Tail
    seq: int = 0
    started: bool = False
    stop: signal.Signals | None = None

    @property
    def folder(self) -> JobFolder:
        return self.tail.folder


@dataclass(slots=True)
class Watches:
    """All runners of this server; a watch also stands for the slot its runner takes."""

    _all: dict[tuple[str, str], Watch] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return len(self._all)

    def names(self) -> list[str]:
        """RUN/JOB of every watch."""
        with self._lock:
            return [f"{run}/{job}" for run, job in self._all]

    def add(self, run: str, job: JobState, folder: JobFolder, *, started: bool) -> Watch:
        """Begins to watch; the events file is read from its beginning, since known events change nothing."""
        watch = Watch(run, job.key, job.attempt, job.launch, Tail(folder), seq=job.seq, started=started)
        with self._lock:
            self._all[(run, job.key)] = watch
        return watch

    def get(self, run: str, job: str) -> Watch | None:
        return self._all.get((run, job))

    def remove(self, watch: Watch) -> None:
        with self._lock:
            if self._all.get((watch.run, watch.job)) is watch:
                del self._all[(watch.run, watch.job)]

    def look(self) -> Iterator[tuple[Watch, list[m.Event]]]:
        """What every runner said since the last look, with RunnerLost at the end for one that is dead."""
        with self._lock:
            watches = [watch for watch in self._all.values() if watch.started]
        for watch in watches:
            if watch.stop is not None:
                stop_runner(watch.folder, watch.stop)
                watch.stop = None
            events = _news(watch)
            if events:
                yield watch, events

    def taken(self, watch: Watch, events: list[m.Event]) -> bool:
        """The events are durable now. Where they said that the runner is through, its watch and its slot end: True."""
        watch.seq = max((event.event.seq for event in events if isinstance(event, m.RunnerSaid)), default=watch.seq)
        over = any(isinstance(event, m.RunnerLost) or _is_last(event) for event in events)
        if over:
            self.remove(watch)
        return over

    def again(self, watch: Watch) -> None:
        """The events could not be taken: the next look gives them once more."""
        watch.tail = Tail(watch.folder)

    def request_stop(self, run: str, job: str, number: signal.Signals) -> bool:
        """Signals a job's runner, or notes to do so once it has been launched; False when there is none."""
        watch = self._all.get((run, job))
        if watch is not None:
            watch.stop = number
        return watch is not None


def _news(watch: Watch) -> list[m.Event]:
    alive = watch.folder.alive()  # Asked before reading, so that a dead runner's last lines are not missed.
    said = watch.tail.read()
    new = [event for event in said if event.seq > watch.seq]
    events: list[m.Event] = [m.RunnerSaid(job=watch.job, attempt=watch.attempt, event=event) for event in new]
    if not alive:
        events.append(m.RunnerLost(job=watch.job, attempt=watch.attempt, launch=watch.launch))
    return events


def _is_last(event: m.Event) -> bool:
    return isinstance(event, m.RunnerSaid) and event.event.type in LAST_WORDS
