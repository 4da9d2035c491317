"""Actions: what workflows may `uses:` from an area, run in the plane as the run's own identity.

The engine stores the intent and `call.key` before it calls `run`. After a crash it calls `recover` first: that looks the
effect up by the key and returns its outputs, or None when nothing happened, upon which `run` is called (again).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call


class ActionFailed(Exception):
    """The step fails, with this one line as its reason; not a bug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionInput:
    """One input of an action."""

    name: str
    help: str
    required: bool = False
    default: str = ""


class StepPort(Protocol):
    """What a running step may do besides its effect."""

    def log(self, text: str) -> None:
        """Write a line to the step's log."""

    def summary(self, markdown: str) -> None:
        """Add Markdown to the run's summary page."""

    def cancelled(self) -> bool:
        """Whether the run was cancelled; long actions ask at least once a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCall:
    """One use of an action. `call.actor` is the run; `call.cause` the event that started the run. `workspace` is the job's folder."""

    call: Call
    inputs: Mapping[str, str]
    key: str
    run: str
    job: str
    step: int
    repository: str
    commit: str
    ref: str
    workspace: Path
    port: StepPort


Run = Callable[[ActionCall], Mapping[str, str]]
Recover = Callable[[ActionCall], Mapping[str, str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """`name` is what stands after `uses:` (opsroom/deploy). `permission` is the scope and level the workflow must grant, such as
    ("deployments", "write"); None: needs none. `recover` None: safe to run again, its effect is idempotent by `key`."""

    name: str
    help: str
    inputs: tuple[ActionInput, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    permission: tuple[str, str] | None = None
    run: Run
    recover: Recover | None = None
