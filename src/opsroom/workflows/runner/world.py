"""What the steps of one job share and change."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from opsroom.workflows.protocol import JobOrder
from opsroom.workflows.runner.builtin import BuiltIn
from opsroom.workflows.runner.cancellation import Cancellation
from opsroom.workflows.runner.layout import Layout
from opsroom.workflows.runner.masks import Masks
from opsroom.workflows.runner.shell import JobShell
from opsroom.workflows.runner.sink import Sink
from opsroom.workflows.runner.step_files import SpareFiles

PlaneSteps = Literal["suspend", "refuse", "skip"]
"""What becomes of a step that uses opsroom/NAME: the job is handed to the plane, the step fails, or it is left out."""


@dataclass(slots=True, kw_only=True)
class World:
    """What the steps of a job share and change: environment, search path, status, masks. `scripts` is where the job finds
    its scripts' files. `cancelled` says why the job is being cancelled ("" : it is not)."""

    order: JobOrder
    layout: Layout
    sink: Sink
    masks: Masks
    shell: JobShell
    scripts: str
    defaults: Mapping[str, str]
    search_path: str
    cancellation: Cancellation
    deadline: float
    actions: Mapping[str, BuiltIn]
    sandboxed: bool
    marker: str
    debug: bool = False
    plane_steps: PlaneSteps = "suspend"
    cancelled: str = ""
    env: dict[str, str] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)
    commands: int = 0
    spare: SpareFiles = field(default_factory=SpareFiles)

    def look(self) -> None:
        """Notices that the job was cancelled, or that its time is over."""
        if self.cancelled:
            return
        if self.cancellation.is_set():
            self.cancelled = "the job was cancelled"
        elif self.deadline and time.monotonic() >= self.deadline:
            self.cancelled = f"the job exceeded its limit of {self.order.timeout_minutes:g} minutes"
