"""A job's folder as its runner uses it: the order read, one runner at a time, events and log written so that a kill loses none."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from io import FileIO
from pathlib import Path
from typing import Any

from opsroom.kernel.clock import Clock, SystemClock, stamp
from opsroom.kernel.errors import Conflict, Invalid
from opsroom.workflows.protocol import JobOrder, RunnerEvent, Source, StepResult
from opsroom.workflows.runner.processes import start_time

_DURABLE = frozenset({"step.finished", "job.suspended", "job.finished"})
_LOCK = "lock"
_PID = "runner.pid"


class FolderSink:
    """Appends to events.jsonl and log.jsonl; each line is flushed, and what ends a step is on disk before `event` returns.

    `seq` goes on where the runner before it stopped. A line that a kill tore in two is cut off first.
    """

    def __init__(self, folder: Path, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.before = read_events(folder)
        self._seq = self.before[-1].seq if self.before else 0
        self._events = _append(folder / "events.jsonl")
        self._log = _append(folder / "log.jsonl")

    def event(self, type: str, data: Mapping[str, Any]) -> None:
        self._seq += 1
        line = {"seq": self._seq, "at": self._now(), "type": type, "data": data}
        self._events.write(_line(line))
        if type in _DURABLE:
            os.fsync(self._events.fileno())

    def lines(self, step: int, texts: Iterable[str], stream: str = "out") -> None:
        at, rest = self._now(), "" if stream == "out" else f',"stream":{json.dumps(stream)}'
        head = f'{{"at":"{at}","step":{step},"text":'
        text = "".join(f"{head}{json.dumps(one, ensure_ascii=False)}{rest}}}\n" for one in texts)
        self._log.write(text.encode("utf-8", "replace"))

    def close(self) -> None:
        self._events.close()
        self._log.close()

    def _now(self) -> str:
        return stamp(self._clock.now())


def read_order(folder: Path) -> JobOrder:
    """The order in `folder`. Invalid: it is missing or not one."""
    path = folder / "order.json"
    try:
        data = json.loads(path.read_text())
        order: JobOrder = _made(JobOrder, data)
        return replace(
            order,
            source=_made(Source, data.get("source") or {}),
            done=tuple(decode_result(one) for one in data.get("done") or ()),
            inner=tuple(data.get("inner") or ()),
            steps=tuple(data["steps"]),
            network=tuple(data.get("network") or ()),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Invalid(f"{path} cannot be read as a job order: {error}; write it with the engine") from error


def read_events(folder: Path, *, after: int = 0) -> list[RunnerEvent]:
    """The events with a number above `after`; a line that is not whole is left out."""
    try:
        lines = (folder / "events.jsonl").read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    events = [RunnerEvent(**json.loads(line)) for line in lines if line]
    return [event for event in events if event.seq > after]


def decode_result(data: Mapping[str, Any]) -> StepResult:
    """A StepResult from its JSON."""
    result: StepResult = _made(StepResult, data)
    return replace(result, path=tuple(data.get("path") or ()))


def taken_up(order: JobOrder, before: Iterable[RunnerEvent]) -> JobOrder:
    """The order with every step in `done` that an earlier runner finished here, though the engine did not see it yet."""
    known = {result.index for result in order.done}
    found = [decode_result(event.data) for event in before if event.type == "step.finished"]
    missing = {result.index: result for result in found if result.index not in known}
    if not missing:
        return order
    done = sorted([*order.done, *missing.values()], key=lambda result: result.index)
    return replace(order, done=tuple(done))


def lock(folder: Path, *, seconds: float = 2.0) -> int:
    """Becomes the one runner of the folder; the descriptor holds the lock until it is closed. Conflict: there is another.

    The engine may have taken the lock already and passed it on to this process.
    """
    inherited = _inherited(folder / _LOCK)
    if inherited is not None:
        return inherited
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                os.close(descriptor)
                raise Conflict(f"{folder} has a runner already; wait for it to end, or stop it") from None
            time.sleep(0.01)
        else:
            return descriptor


def write_pid(folder: Path) -> None:
    """Notes who runs here: the process id, and when it started, so that a reused id is seen."""
    new = folder / f"{_PID}.new"
    new.write_text(f"{os.getpid()} {start_time(os.getpid())}\n")
    new.replace(folder / _PID)


def probe(folder: Path) -> bool:
    """Whether the runner that noted itself here is alive. It never takes the lock, so it disturbs nobody."""
    try:
        pid, _, started = (folder / _PID).read_text().strip().partition(" ")
    except FileNotFoundError:
        return False
    return bool(started) and start_time(int(pid)) == started


def _made(kind: Any, data: Mapping[str, Any]) -> Any:
    """A value of the dataclass from what of `data` it knows: a newer engine may say more."""
    names = {one.name for one in fields(kind)}
    return kind(**{key: value for key, value in data.items() if key in names})


def _inherited(path: Path) -> int | None:
    """The descriptor of the lock file that the engine left open for us. Our own children must not inherit it in turn."""
    try:
        sought = path.stat()
    except FileNotFoundError:
        return None
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            found = os.fstat(int(name))
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (sought.st_dev, sought.st_ino):
            os.set_inheritable(int(name), False)
            fcntl.flock(int(name), fcntl.LOCK_EX | fcntl.LOCK_NB)
            return int(name)
    return None


def _append(path: Path) -> FileIO:
    """The file opened for appending, without the half line a kill may have left at its end."""
    file = path.open("ab+", buffering=0)
    size = file.seek(0, os.SEEK_END)
    if size:
        tail_at = max(0, size - (1 << 20))
        file.seek(tail_at)
        tail = file.read()
        if not tail.endswith(b"\n"):
            file.truncate(tail_at + tail.rfind(b"\n") + 1)
    return file


def _line(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n").encode("utf-8", "replace")
