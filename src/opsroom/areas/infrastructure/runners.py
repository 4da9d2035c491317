"""The runners: this machine's own, its slots, whether it can sandbox, and what it is running."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.workflows.sandbox import SandboxState
    from opsroom.workflows.views import Run, RunJob

PROBE_SECONDS = 300.0
"""How long an answer of the sandbox probe, which starts a process, is held to be true."""

_lock = threading.Lock()
_probed: tuple[float, SandboxState] | None = None


def sandbox_state() -> SandboxState:
    """Whether jobs can be sandboxed here; tried at most every five minutes."""
    global _probed
    from opsroom.workflows.sandbox import probe

    with _lock:
        if _probed is None or time.monotonic() - _probed[0] > PROBE_SECONDS:
            _probed = (time.monotonic(), probe())
        return _probed[1]


def jobs_now(plane: Plane) -> list[tuple[Run, RunJob]]:
    """Every job that occupies or waits for a slot now, oldest run first."""
    from opsroom.workflows.views import RunFilter

    running = plane.engine.list(RunFilter(status="running"), limit=100).runs
    return [
        (run, job)
        for run in reversed(running)
        for job in plane.engine.jobs(run.id, run.attempt)
        if job.status in ("running", "in_action", "queued")
    ]
