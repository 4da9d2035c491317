"""Processes that outlive the server: started detached, known by pid and start time, ended politely."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opsroom.kernel.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of this machine. `started` is the kernel's start time in ticks (proc(5), field 22), so a pid used again is another."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid=pid, started=_start_ticks(pid))

    @classmethod
    def read(cls, file: Path) -> Process | None:
        """The process a file names; None when there is no such file, or it was cut off while being written."""
        try:
            value = json.loads(file.read_text())
            return cls(pid=value["pid"], started=value["started"])
        except (OSError, ValueError, KeyError):
            return None

    def write(self, file: Path) -> None:
        partial = file.with_name(f".{file.name}.part")
        partial.write_text(json.dumps({"pid": self.pid, "started": self.started}))
        partial.replace(file)

    def terminate(self, *, within: float) -> bool:
        """Asks it to end (SIGTERM), and ends it (SIGKILL, with its group) when it has not after `within` seconds. True: it ended by itself."""
        if not probe(self):
            return True
        _signal(self.pid, signal.SIGTERM)
        ends = time.monotonic() + within
        while time.monotonic() < ends:
            if not probe(self):
                return True
            time.sleep(0.02)
        _signal_group(self.pid, signal.SIGKILL)
        return False


def probe(process: Process) -> bool:
    """Whether it still runs; one that ended and waits to be collected does not."""
    _collect(process.pid)
    try:
        return _state(process.pid) not in {"Z", "X"} and _start_ticks(process.pid) == process.started
    except ProcessLookupError:
        return False


def start(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: Path, pid_file: Path
) -> Process:
    """Starts a command detached in `folder`, its output appended to `log`. The pid file is written before this returns."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        try:
            child = subprocess.Popen(
                list(command), cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise Invalid(
                f"command {command[0]!r} cannot be started: {error.strerror}; check `command` of the environment"
            ) from None
    process = Process.of(child.pid)
    process.write(pid_file)
    return process


def find(marker: str) -> Process | None:
    """The oldest process whose environment holds `marker` ("NAME=value"): one started just before its pid file could be written.
    Its own children hold it too, and are younger."""
    found = list(_holding(marker.encode()))
    return min(found, key=lambda process: process.started, default=None)


def _holding(marker: bytes) -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if marker in (entry / "environ").read_bytes().split(b"\0"):
                yield Process.of(int(entry.name))
        except (OSError, ProcessLookupError):
            continue  # Another user's process, or one that has just ended.


def _collect(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass  # It is not ours to collect: it was started by a server that is gone.


def _state(pid: int) -> str:
    return _stat(pid)[0]


def _start_ticks(pid: int) -> int:
    return int(_stat(pid)[19])


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        raise ProcessLookupError(f"no process {pid}") from None
    # The name stands in brackets and may hold anything; what follows it is fixed.
    return text.rpartition(")")[2].split()


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # It ended in the meantime, as was wanted.


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass  # It ended in the meantime, as was wanted.
