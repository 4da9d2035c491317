"""A job's folder as the scheduler uses it: whether a runner lives in it, what it says, and its log.

A runner holds an exclusive lock (flock) on the file `lock` from before its first instruction to its end, because it inherits
the descriptor from the engine. So "is it alive" has one answer, whoever started it, and no reused process id can deceive.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsroom.kernel.errors import Invalid
from opsroom.workflows.protocol import RunnerEvent


@dataclass(frozen=True, slots=True)
class JobFolder:
    """`state/jobs/RUN/JOB/ATTEMPT`."""

    path: Path

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "log.jsonl"

    @property
    def workspace(self) -> Path:
        return self.path / "workspace"

    def alive(self) -> bool:
        """Whether a runner lives in this folder."""
        try:
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Holds the lock and yields its descriptor, for a runner to inherit. BlockingIOError: a runner lives here."""
        self.path.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield lock
        finally:
            os.close(lock)

    def launched(self) -> Launched:
        """The last runner that was started here."""
        try:
            data = json.loads((self.path / "launched.json").read_text())
        except (FileNotFoundError, ValueError):
            return Launched()
        return Launched(launch=int(data["launch"]), pid=int(data["pid"]))

    def set_launched(self, launched: Launched) -> None:
        """Replaces the note at once, so that no crash leaves half of it."""
        new = self.path / "launched.json.new"
        new.write_text(json.dumps({"launch": launched.launch, "pid": launched.pid}))
        new.replace(self.path / "launched.json")


@dataclass(frozen=True, slots=True)
class Launched:
    """`launch` 0: no runner was ever started."""

    launch: int = 0
    pid: int = 0


@dataclass(slots=True)
class Tail:
    """Reads events.jsonl as it grows. Lines that a crash tore in two are passed over: their event never took place."""

    folder: JobFolder
    offset: int = 0
    _rest: bytes = field(default=b"")

    def read(self) -> list[RunnerEvent]:
        """What was written since the last call; a line counts once its end is there."""
        try:
            with self.folder.events.open("rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self.offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [event for line in lines if (event := _event(line)) is not None]


def _event(line: bytes) -> RunnerEvent | None:
    try:
        data = json.loads(line)
        return RunnerEvent(seq=int(data["seq"]), at=str(data["at"]), type=str(data["type"]), data=data["data"])
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """Lines of a job's log as they stand in the file, and the offset to go on from."""

    lines: tuple[Mapping[str, Any], ...]
    next: int


def read_log(folder: JobFolder, *, after: int, limit: int = 1_000_000) -> LogPage:
    """Whole lines from the byte offset `after` on, at most about `limit` bytes. Invalid: a negative offset."""
    if after < 0:
        raise Invalid(f"log offset {after} is negative; start at 0")
    try:
        with folder.log.open("rb") as file:
            file.seek(after)
            data = file.read(limit)
            if data and b"\n" not in data:
                data += file.readline()
    except FileNotFoundError:
        return LogPage(lines=(), next=after)
    whole = data[: data.rfind(b"\n") + 1]
    return LogPage(lines=tuple(_lines(whole)), next=after + len(whole))


def _lines(data: bytes) -> Iterator[Mapping[str, Any]]:
    for line in data.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found
