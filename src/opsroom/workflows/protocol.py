"""What scheduler and runner say to each other: a job goes in as a `JobOrder`, `RunnerEvent`s come out.

A runner carries out the steps of one job from `order.start_at` on. It ends by saying `job.finished`, or `job.suspended`
when it reaches a step whose `uses:` runs in the plane (opsroom/NAME); the plane runs that and sends a new order whose
`done` holds the results so far. Resuming after a crash is the same: one mechanism for actions, waits and recovery.

On disk a job is a folder: `order.json` (no secret values), `events.jsonl` (one RunnerEvent a line, fsynced when it ends a
step), `log.jsonl` (one LogLine a line), `workspace/` and `runner.pid`. Secret values reach the runner on its standard input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["success", "failure", "cancelled", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What a finished step left. `outcome` is before continue-on-error, `conclusion` after it. Seconds of CPU of all its processes."""

    index: int
    id: str
    outcome: Outcome
    conclusion: Outcome
    outputs: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    state: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    cpu_seconds: float = 0.0
    started: str = ""
    finished: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where actions/checkout takes the code: a local Git directory (bare or not) and the commit; or a folder copied as it is."""

    git: str = ""
    commit: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOrder:
    """Everything a runner needs. `steps` are plain dicts in workflow syntax plus `id` and `place`; `contexts` holds github, needs,
    matrix, strategy, inputs, vars, env as the expression language sees them (never `secrets`). `network`: hosts the job may reach. `inner` is how far the composite action at `start_at` came when it
    reached a step of the plane, as `job.suspended` said it, with what that step gave."""

    run: str
    job: str
    attempt: int
    name: str
    steps: tuple[Mapping[str, Any], ...]
    contexts: Mapping[str, Any]
    env: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    source: Source = Source()
    timeout_minutes: float = 60.0
    sandbox: bool = True
    network: tuple[str, ...] = ()
    start_at: int = 0
    done: tuple[StepResult, ...] = ()
    inner: tuple[Mapping[str, Any], ...] = ()
    step_attempt: int = 1
    artifacts: str = ""
    caches: str = ""
    output_bytes: int = 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a step's output, secrets already masked. `stream`: out, err, group, endgroup, command, notice, warning, error, debug."""

    at: str
    step: int
    text: str
    stream: str = "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerEvent:
    """`type` and `data`:

    job.started {pid, sandbox: "bubblewrap"|"none"} · step.started {index, id, name} · step.finished {StepResult as a dict} ·
    annotation {step, level, message, file?, line?, column?, title?} · summary {step, markdown} ·
    artifact {name, digest, size, files} · job.suspended {index, uses, inputs, env, inner} (the step's `if` was true; `inner` is empty but in a composite action, where it has
    for each action around the step {at, id, done, state}: the step it is at, that step's id, results before it, ends to be done) ·
    job.finished {conclusion, outputs, cpu_seconds, error?}.
    `seq` counts from 1 within one job folder over all its runners.
    """

    seq: int
    at: str
    type: str
    data: Mapping[str, Any]
