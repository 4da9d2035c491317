"""Actions of the plane as the engine sees them: a port that the app fills with what the areas contribute.

The engine stores the intent and the key before it calls `run`. After a crash, and before it calls an action that waited
again, it asks `recover` first: that looks the effect up by the key, and None means that nothing happened yet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class ActionError(Exception):
    """The step fails, with this one line as its reason; not a bug."""


class ActionCancelled(Exception):
    """The action stopped because it was told to; what it had done by then stays done."""


class ActionWaiting(Exception):
    """The action waits for something outside, such as an approval: call it again after `seconds`. Text: what it waits for."""

    def __init__(self, reason: str, *, seconds: float = 5.0) -> None:
        self.seconds = seconds
        super().__init__(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRequest:
    """One use of an action. `key` is the same at every call for this step of this attempt of the run. `cause` is the event that
    queued the run; `step` counts from 0; `workspace` is the job's working folder. The three functions may be called from any thread."""

    uses: str
    inputs: Mapping[str, str]
    env: Mapping[str, str] = field(default_factory=dict)
    key: str
    run: str
    job: str
    step: int
    attempt: int
    repository: str
    workflow: str
    service: str
    commit: str
    ref: str
    event: str
    cause: str
    workspace: Path
    log: Callable[[str], None]
    summary: Callable[[str], None]
    cancelled: Callable[[], bool]


class ActionHost(Protocol):
    """Finds and runs actions by what stands after `uses:`."""

    def permission(self, uses: str) -> tuple[str, str] | None:
        """The scope and level the workflow must grant, such as ("deployments", "write"). NotFound: there is no such action."""

    def run(self, request: ActionRequest) -> Mapping[str, str]:
        """Carries the action out and returns its outputs. ActionError, ActionCancelled or ActionWaiting where it does not end well."""

    def recover(self, request: ActionRequest) -> Mapping[str, str] | None:
        """The outputs of the effect that an earlier call with this key had; None: it had none, or may safely be run again."""


LEVELS = {"none": 0, "read": 1, "write": 2}


def missing_permission(needed: tuple[str, str] | None, granted: Mapping[str, str], uses: str) -> str:
    """The one-line error when `permissions:` does not grant what the action needs; "" when it does."""
    if needed is None:
        return ""
    scope, level = needed
    if LEVELS.get(granted.get(scope, "none"), 0) >= LEVELS[level]:
        return ""
    return f"{uses} needs the permission {scope}: {level}, and the workflow grants {scope}: {granted.get(scope, 'none')}; add `{scope}: {level}` under `permissions:`"
