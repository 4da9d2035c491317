"""What happens to a run (events) and what is to be done next (commands), as frozen values.

Every event may arrive more than once; each names what it is about so exactly that the second time changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsroom.workflows.protocol import RunnerEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """One job that a node becomes: its matrix combination and what was evaluated for it. `outlives_cancel`: its `if` holds
    when the run is cancelled too (`always()`), so a first cancellation leaves it alone."""

    name: str
    matrix: Mapping[str, Any] = field(default_factory=dict)
    continue_on_error: bool = False
    timeout_minutes: float = 60.0
    group: str = ""
    group_cancels: bool = False
    outlives_cancel: bool = False
    step_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequested:
    """The run may begin; it first asks for its concurrency group, if it has one."""

    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcurrencyGranted:
    """The group is this holder's now: `job` is a job's key, or "" for the run."""

    job: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDecided:
    """A node's `if` and matrix were evaluated: `jobs` to run; or `skipped`; or `error`, the one-line reason why it fails."""

    node: str
    attempt: int
    jobs: tuple[JobPlan, ...] = ()
    skipped: bool = False
    error: str = ""
    fail_fast: bool = True
    max_parallel: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSaid:
    """A line of a job's events.jsonl."""

    job: str
    attempt: int
    event: RunnerEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerLost:
    """The runner of this launch is dead (or never lived), and all it wrote was read."""

    job: str
    attempt: int
    launch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRefused:
    """The job cannot be started at all, such as for want of a sandbox; `reason` is one line."""

    job: str
    attempt: int
    launch: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionEnded:
    """The plane's action of this step has ended; `error` "" : it succeeded. `cancelled`: it stopped because it was told to.
    `call` counts the actions of one step from 0: a composite action may have several."""

    job: str
    attempt: int
    index: int
    call: int = 0
    outputs: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    cancelled: bool = False
    cpu_seconds: float = 0.0
    summaries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionWaits:
    """The action waits for something outside, such as an approval, and is to be called again after `seconds`."""

    job: str
    attempt: int
    index: int
    tries: int
    reason: str
    seconds: float
    call: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAsked:
    """Stop the run, or one job (`job` its key). `force`: at once, without the steps and jobs that run in spite of it."""

    attempt: int
    reason: str
    by: str = ""
    job: str = ""
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunAsked:
    """Run again as this attempt: these nodes and all that need them (empty: all)."""

    attempt: int
    nodes: tuple[str, ...] = ()
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired:
    """The time of a SetTimer has come."""

    name: str


Event = (
    RunRequested | ConcurrencyGranted | JobDecided | RunnerSaid | RunnerLost | JobRefused | ActionEnded | ActionWaits
    | CancelAsked | RerunAsked | TimerFired
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquireConcurrency:
    """Ask for a group; answered by ConcurrencyGranted, or by CancelAsked when a newer one takes the place."""

    job: str
    attempt: int
    group: str
    cancel_in_progress: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseConcurrency:
    """The holder is through with the group, or no longer waits for it."""

    job: str
    attempt: int
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideJob:
    """Evaluate a node's `if` and matrix; answered by JobDecided."""

    node: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartJob:
    """Start the first runner of a job when a slot is free."""

    job: str
    attempt: int
    launch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeJob:
    """Start a further runner of a job, from step `start_at` on."""

    job: str
    attempt: int
    launch: int
    start_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAction:
    """Carry out the plane's action of a step; the state that holds it is the stored intent. `tries` counts from 1, `call` from 0."""

    job: str
    attempt: int
    index: int
    tries: int
    call: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJob:
    """Tell the job's runner or action to stop. `force`: kill it."""

    job: str
    attempt: int
    launch: int
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimer:
    """Answer with TimerFired after `seconds`; the name is unique within the run."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DropTimer:
    """The timer is no longer of use."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Record a ledger event in the transaction of the state. `job`: the job it is about, "" : the run."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    job: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Keep what a step left for people: `kind` is annotation, artifact or summary; `data` as in RunnerEvent."""

    kind: str
    job: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishRun:
    """The run is over."""

    conclusion: str


Command = (
    AcquireConcurrency | ReleaseConcurrency | DecideJob | StartJob | ResumeJob | RunAction | CancelJob | SetTimer | DropTimer
    | Record | Keep | FinishRun
)  # fmt: skip
