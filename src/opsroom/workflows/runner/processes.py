"""Processes of a job found by what they carry: a variable in their environment, which children inherit and setsid does not lose."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

MARKER = "OPSROOM_PROCESS"
"""Set in every process of a job to `JOB:STEP`, where JOB is unique on this machine."""


def marked(prefix: str) -> list[int]:
    """Process ids, other than our own, whose marker begins with `prefix`. Zombies have no environment and are not found."""
    sought = f"\0{MARKER}={prefix}".encode()
    return [pid for pid, environment in _environments() if sought in environment]


def kill_marked(prefix: str, number: int = signal.SIGKILL) -> int:
    """Sends a signal to every process marked with `prefix`; how many there were."""
    found = marked(prefix)
    for pid in found:
        send(pid, number)
    return len(found)


def sweep(prefix: str, *, seconds: float = 2.0) -> None:
    """Kills marked processes until none is left: one that forks while it is looked for is met in a later round."""
    end = time.monotonic() + seconds
    while kill_marked(prefix) and time.monotonic() < end:
        time.sleep(0.005)


def send(pid: int, number: int) -> None:
    """Sends a signal; a process that is gone, or became someone else's, is nothing to do."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def start_time(pid: int) -> str:
    """When the process started, in ticks since boot and the boot it was; "" when it is gone or a zombie (proc(5), field 22)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] in "ZX" else f"{fields[19]}@{boot}"


def _environments() -> Iterator[tuple[int, bytes]]:
    own = os.getpid()
    for name in os.listdir("/proc"):  # noqa: PTH208 - names alone, and this runs while a job waits to be stopped
        if name.isdigit() and int(name) != own:
            try:
                with open(f"/proc/{name}/environ", "rb", buffering=0) as file:  # noqa: PTH123
                    yield int(name), b"\0" + file.read()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
