"""What the scheduler asks of planning: to decide a job, to write the order for its runner, and to name what it may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from opsroom.workflows.moves import JobDecided
from opsroom.workflows.protocol import JobOrder
from opsroom.workflows.run import JobState, RunState
from opsroom.workflows.store import RunRecord


class Planner(Protocol):
    """Pure: what it answers follows from its arguments alone."""

    def decide(self, record: RunRecord, run: RunState, node: str) -> JobDecided:
        """Evaluates a node's `if` and matrix, now that its needs have results. What cannot be evaluated is its `error`."""

    def order(self, record: RunRecord, run: RunState, job: JobState, *, sandbox: bool) -> JobOrder:
        """The order for the next runner of a job. UserError: it cannot be written, with the reason."""

    def permissions(self, record: RunRecord, run: RunState, job: JobState) -> Mapping[str, str]:
        """Scope to level, as `permissions:` of the job or its workflow grants them."""
