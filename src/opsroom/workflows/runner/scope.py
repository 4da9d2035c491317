"""What the expressions of a list of steps see: a job's, or those of a composite action, which have inputs and steps of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsroom.workflows.protocol import StepResult


@dataclass(slots=True, kw_only=True)
class Scope:
    """`contexts` without `steps`, `env` and `job`; `env` is what the scope's steps inherit. `depth` counts composite actions."""

    contexts: Mapping[str, Any]
    env: dict[str, str] = field(default_factory=dict)
    steps: dict[str, Any] = field(default_factory=dict)
    status: str = "success"
    depth: int = 0
    action_path: str = ""

    def see(self, env: Mapping[str, str], *, job_status: str) -> dict[str, Any]:
        """The contexts as they stand now, with this `env`."""
        return {**self.contexts, "env": dict(env), "steps": self.steps, "job": {"status": job_status}}

    def remember(self, result: StepResult) -> None:
        """The step is visible to those after it. Ids that were generated stay out, as at GitHub."""
        if not result.id.startswith("__"):
            self.steps[result.id] = {
                "outputs": dict(result.outputs),
                "outcome": result.outcome,
                "conclusion": result.conclusion,
            }
        if result.conclusion == "failure" and self.status == "success":
            self.status = "failure"
