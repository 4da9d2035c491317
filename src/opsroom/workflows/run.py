"""The state of a run as a frozen value with a version, and its JSON: all that the pure machine (state.py) knows.

A *node* is a job as written in the workflow; a *job* is one that runs: a node gives one, or one for each combination of
its matrix. A job's `key` is the node's id, with `.1`, `.2`, … for a matrix; a dot never stands in a job id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, Literal

from opsroom.workflows.protocol import StepResult

VERSION = 1

RunStatus = Literal["requested", "waiting", "running", "finished"]
NodeStatus = Literal["waiting", "deciding", "decided"]
JobStatus = Literal["waiting", "queued", "running", "in_action", "finished"]
StepStatus = Literal["running", "cut_off", "in_action", "finished"]
Conclusion = Literal["", "success", "failure", "cancelled", "skipped"]
CutPolicy = Literal["retry", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """One step that was reached. `cuts` counts how often a crash cut it off; `waiting` says what its action waits for.
    `uses`, `inputs` and `env` are those of the plane's action while it is in one; `tries` counts its calls, and
    `after_cancel` says that the job was being cancelled already when it began, so that the cancellation does not stop it. `inner` is how far a composite
    action came (as in `JobOrder.inner`), `calls` how many of the plane's actions inside it have ended."""

    index: int
    id: str = ""
    name: str = ""
    status: StepStatus = "running"
    cuts: int = 0
    started: str = ""
    result: StepResult | None = None
    uses: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    continue_on_error: bool = False
    waiting: str = ""
    tries: int = 0
    after_cancel: bool = False
    inner: tuple[Mapping[str, Any], ...] = ()
    calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """One job. `attempt` is the run's attempt it belongs to, `launch` counts the runners started for it, `seq` is the last
    runner event taken, `losses` the runners lost since the last progress. `stopping` is why it is being cancelled, `killed` the launch that was killed for it; `waiting`
    is what it waits for while its status is waiting, queued or in_action; `asked` and `granted` tell of its concurrency group. `error` is the one-line reason of a failure."""

    key: str
    node: str
    name: str = ""
    attempt: int = 1
    matrix: Mapping[str, Any] = field(default_factory=dict)
    status: JobStatus = "waiting"
    waiting: str = ""
    conclusion: Conclusion = ""
    error: str = ""
    continue_on_error: bool = False
    timeout_minutes: float = 0.0
    group: str = ""
    group_cancels: bool = False
    outlives_cancel: bool = False
    asked: bool = False
    granted: bool = False
    launch: int = 0
    seq: int = 0
    losses: int = 0
    stopping: str = ""
    killed: int = 0
    steps: tuple[StepState, ...] = ()
    step_names: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    started: str = ""
    finished: str = ""
    cpu_seconds: float = 0.0

    @property
    def done(self) -> tuple[StepResult, ...]:
        """Results of the finished steps, in order: what a new runner is told."""
        return tuple(step.result for step in self.steps if step.result is not None)

    @property
    def next_step(self) -> int:
        """The index of the first step without a result."""
        return max((step.index + 1 for step in self.steps if step.result is not None), default=0)

    @property
    def failed(self) -> bool:
        """It failed, and nothing says that this may be overlooked."""
        return self.conclusion == "failure" and not self.continue_on_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A job as written and what became of it. `result` is what `needs.ID.result` says once all its jobs have finished."""

    id: str
    name: str = ""
    needs: tuple[str, ...] = ()
    status: NodeStatus = "waiting"
    result: Conclusion = ""
    outputs: Mapping[str, str] = field(default_factory=dict)
    fail_fast: bool = True
    max_parallel: int = 0
    jobs: tuple[JobState, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """One run. `group` is its concurrency group ("" : none), `stopping` why it is being cancelled, `step_retries` and `cut_policy`
    what happens to a step that a crash cut off; `cpu_before` is what jobs used that were run again since. Times are RFC 3339 stamps."""

    id: str
    version: int = VERSION
    attempt: int = 1
    status: RunStatus = "requested"
    waiting: str = ""
    conclusion: Conclusion = ""
    group: str = ""
    group_cancels: bool = False
    stopping: str = ""
    stopped_by: str = ""
    step_retries: int = 2
    cut_policy: CutPolicy = "retry"
    nodes: tuple[Node, ...] = ()
    started: str = ""
    finished: str = ""
    cpu_before: float = 0.0

    def jobs(self) -> Iterator[JobState]:
        """All jobs so far, in the order written."""
        return (job for node in self.nodes for job in node.jobs)

    def job(self, key: str) -> JobState | None:
        return next((job for job in self.jobs() if job.key == key), None)

    def node(self, id: str) -> Node | None:
        return next((node for node in self.nodes if node.id == id), None)

    @property
    def cpu_seconds(self) -> float:
        """Of all attempts."""
        return self.cpu_before + sum(job.cpu_seconds for job in self.jobs())


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What one part of a run waits for. `job` is a job's key, a node's id, or "" for the run itself."""

    job: str
    reason: str


def waits(run: RunState) -> list[Wait]:
    """Everything in this run that waits, each with its reason; empty when all that is unfinished is at work."""
    if run.status == "finished":
        return []
    found = [Wait(job="", reason=run.waiting)] if run.waiting else []
    for node in run.nodes:
        if node.status == "waiting":
            missing = [need for need in node.needs if not _finished(run, need)]
            reason = f"needs {', '.join(missing)}" if missing else run.waiting or "being decided"
            found.append(Wait(job=node.id, reason=reason))
        found += [Wait(job=job.key, reason=job.waiting) for job in node.jobs if job.waiting]
    return found


def encode(value: Any) -> dict[str, Any]:
    """A frozen value of this module (or of moves.py) as a JSON object; fields at their default are left out."""
    pairs = ((name, getattr(value, name), default) for name, default in _defaults(type(value)))
    return {name: _plain(item) for name, item, default in pairs if item != default or name == "version"}


def decode_run(data: Mapping[str, Any]) -> RunState:
    """Reads what `encode` wrote, of this version or an older one. ValueError: written by a newer Opsroom."""
    if data.get("version", 0) > VERSION:
        raise ValueError(
            f"run {data.get('id')!r} has state version {data['version']}; this Opsroom reads up to {VERSION}"
        )
    return RunState(**_tuples({**data, "version": VERSION, "nodes": tuple(map(_node, data.get("nodes", ())))}))


def _node(data: Mapping[str, Any]) -> Node:
    return Node(**_tuples({**data, "jobs": tuple(map(_job, data.get("jobs", ())))}))


def _job(data: Mapping[str, Any]) -> JobState:
    return JobState(**_tuples({**data, "steps": tuple(map(_step, data.get("steps", ())))}))


def _step(data: Mapping[str, Any]) -> StepState:
    result = data.get("result")
    inner = tuple(data.get("inner", ()))
    return StepState(**{**data, "inner": inner, "result": None if result is None else decode_result(result)})


def decode_result(data: Mapping[str, Any]) -> StepResult:
    """A StepResult from its JSON object; unknown fields are ignored, so that a newer runner is understood."""
    known = {f.name for f in fields(StepResult)}
    return StepResult(**_tuples({name: value for name, value in data.items() if name in known}))


def _finished(run: RunState, need: str) -> bool:
    node = run.node(need)
    return node is not None and bool(node.result)


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    names = ("needs", "step_names", "path")
    return {name: tuple(value) if name in names else value for name, value in data.items()}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return encode(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


_DEFAULTS: dict[type[Any], tuple[tuple[str, Any], ...]] = {}


def _defaults(kind: type[Any]) -> tuple[tuple[str, Any], ...]:
    if kind not in _DEFAULTS:
        _DEFAULTS[kind] = tuple((item.name, _default(item)) for item in fields(kind))
    return _DEFAULTS[kind]


def _default(item: Field[Any]) -> Any:
    if item.default is not MISSING:
        return item.default
    return item.default_factory() if item.default_factory is not MISSING else MISSING
