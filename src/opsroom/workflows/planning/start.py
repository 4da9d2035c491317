"""A job about to start: its `if` and matrix decided, and everything evaluated that a runner needs.

Values that the runner evaluates (steps, env, defaults, outputs) stay raw: what an expression gave is never read as an
expression again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opsroom.kernel.errors import UserError
from opsroom.workflows.expressions import (
    ExpressionError,
    Status,
    condition,
    interpolate,
    references_in,
    resolve,
    to_text,
)
from opsroom.workflows.expressions.templates import INSERT
from opsroom.workflows.model import Job, Step
from opsroom.workflows.planning.coerce import as_boolean, as_count, as_minutes
from opsroom.workflows.planning.contexts import strategy_context
from opsroom.workflows.planning.matrix import Combination, combinations
from opsroom.workflows.planning.plan import RunPlan
from opsroom.workflows.protocol import JobOrder, Source, StepResult
from opsroom.workflows.syntax.jobs import OTHER_SYSTEMS

if TYPE_CHECKING:
    from opsroom.workflows.moves import JobDecided

DEFAULT_PERMISSIONS: Mapping[str, str] = {"contents": "read"}
MAX_TIMEOUT_MINUTES = 35 * 24 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedResult:
    """How a job ended: `result` is success, failure, cancelled or skipped."""

    result: str
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInstance:
    """One job to run. `index` counts the combinations of its matrix from 0; `label` is that in words ("" without a matrix).

    `steps`, `env`, `defaults` and `outputs` are raw. `environment` is the name of what it deploys to ("" : none),
    `environment_url` raw, since it may come from a step.
    """

    job: str
    index: int
    name: str
    label: str = ""
    matrix: Mapping[str, Any] = field(default_factory=dict)
    contexts: Mapping[str, Any] = field(default_factory=dict)
    runs_on: tuple[str, ...] = ()
    continue_on_error: bool = False
    timeout_minutes: float = 60.0
    group: str = ""
    group_cancels: bool = False
    outlives_cancel: bool = False
    environment: str = ""
    environment_url: str = ""
    permissions: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Mapping[str, Any], ...] = ()
    step_names: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The job's key in the state of its run: the id, with `.1`, `.2`, … for the combinations of a matrix."""
        return f"{self.job}.{self.index + 1}" if self.matrix else self.job


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDecision:
    """Exactly one of: `skipped`, `error` (one line, the job fails with it), or `instances`. `max_parallel` 0: no limit."""

    job: str
    skipped: bool = False
    error: str = ""
    fail_fast: bool = True
    max_parallel: int = 0
    instances: tuple[JobInstance, ...] = ()

    def decided(self, attempt: int) -> JobDecided:
        """What the state machine is told."""
        from opsroom.workflows.moves import JobDecided, JobPlan

        plans = tuple(
            JobPlan(
                name=one.name,
                matrix=one.matrix,
                continue_on_error=one.continue_on_error,
                timeout_minutes=one.timeout_minutes,
                group=one.group,
                group_cancels=one.group_cancels,
                outlives_cancel=one.outlives_cancel,
                step_names=one.step_names,
            )
            for one in self.instances
        )
        return JobDecided(
            node=self.job,
            attempt=attempt,
            jobs=plans,
            skipped=self.skipped,
            error=self.error,
            fail_fast=self.fail_fast,
            max_parallel=self.max_parallel,
        )


def start_job(
    plan: RunPlan,
    job_id: str,
    results: Mapping[str, NeedResult],
    *,
    cancelled: bool = False,
    default_timeout_minutes: float = 60.0,
) -> JobDecision:
    """Decides a job whose needs have all ended. `results` has every job that ended so far; `cancelled`: the run is being cancelled.

    Pure: the same arguments give the same decision, so that after a crash it can be asked again.
    """
    job = plan.job(job_id)
    contexts = {**plan.contexts, "needs": _needs(job, results)}
    contexts["github"] = {**contexts["github"], "job": job_id}
    key = "if"
    try:
        if not condition(job.condition, contexts, status=_status(plan, job_id, results, cancelled=cancelled)):
            return JobDecision(job=job_id, skipped=True)
        outlives = condition(job.condition, contexts, status="cancelled")
        key = "strategy"
        fail_fast = as_boolean(resolve(job.strategy.fail_fast, contexts), "fail-fast")
        max_parallel = as_count(resolve(job.strategy.max_parallel, contexts), "max-parallel")
        found = combinations(job.strategy.matrix, contexts)
        key = "job"
        instances = []
        for index, combination in enumerate(found):
            own = {
                **contexts,
                "matrix": dict(combination.values) if job.strategy.matrix is not None else None,
                "strategy": strategy_context(
                    fail_fast=fail_fast, index=index, total=len(found), max_parallel=max_parallel
                ),
            }
            maker = _InstanceMaker(plan, job, own, combination, index)
            instances.append(maker.make(outlives=outlives, default_timeout_minutes=default_timeout_minutes))
    except UserError as error:
        where = f"{job.place}: " if job.place.line else ""
        return JobDecision(job=job_id, error=f"{where}{job_id}: {key}: {error}")
    return JobDecision(job=job_id, fail_fast=fail_fast, max_parallel=max_parallel, instances=tuple(instances))


def make_order(
    instance: JobInstance,
    *,
    run: str,
    attempt: int,
    source: Source,
    sandbox: bool = True,
    network: tuple[str, ...] = (),
    start_at: int = 0,
    done: tuple[StepResult, ...] = (),
    inner: tuple[Mapping[str, Any], ...] = (),
    step_attempt: int = 1,
    artifacts: str = "",
    caches: str = "",
    output_bytes: int = 64_000_000,
) -> JobOrder:
    """The order for a runner; the options are those of JobOrder."""
    return JobOrder(
        run=run,
        job=instance.key,
        attempt=attempt,
        name=instance.name,
        steps=instance.steps,
        contexts=instance.contexts,
        env=instance.env,
        defaults=instance.defaults,
        outputs=instance.outputs,
        source=source,
        timeout_minutes=instance.timeout_minutes,
        sandbox=sandbox,
        network=network,
        start_at=start_at,
        done=done,
        inner=inner,
        step_attempt=step_attempt,
        artifacts=artifacts,
        caches=caches,
        output_bytes=output_bytes,
    )


def step_dict(step: Step) -> dict[str, Any]:
    """A step as a runner gets it: the keys of the workflow syntax that are given, with `id` and `place` ("file:line:column")."""
    given = {
        "id": step.id,
        "name": step.name or None,
        "if": step.condition or None,
        "uses": step.uses,
        "run": step.run,
        "with": dict(step.with_) or None,
        "env": dict(step.env) or None,
        "shell": step.shell,
        "working-directory": step.working_directory,
        "continue-on-error": step.continue_on_error or None,
        "timeout-minutes": step.timeout_minutes,
        "place": str(step.place),
    }
    return {key: value for key, value in given.items() if value is not None}


def step_name(step: Step, contexts: Mapping[str, Any]) -> str:
    """What a step is called before it runs: its name where that can be known now, else what it runs."""
    if step.name:
        try:
            known = references_in(step.name) <= {name.lower() for name in contexts}
            return interpolate(step.name, contexts) if known else step.name
        except ExpressionError:  # a title only; the runner evaluates the name again and reports what is wrong with it
            return step.name
    if step.uses:
        return f"Run {step.uses}"
    lines = (step.run or "").strip().splitlines()
    return f"Run {lines[0].strip()}" if lines else step.id


def _needs(job: Job, results: Mapping[str, NeedResult]) -> dict[str, Any]:
    found = {}
    for need in job.needs:
        result = results.get(need, NeedResult(result="skipped"))
        found[need] = {"result": result.result, "outputs": dict(result.outputs)}
    return found


def _status(plan: RunPlan, job_id: str, results: Mapping[str, NeedResult], *, cancelled: bool) -> Status:
    """`success()` asks all that the job needs, directly or not: a skipped job holds back whoever comes after it."""
    if cancelled:
        return "cancelled"
    ended = {results[need].result if need in results else "skipped" for need in plan.ancestors(job_id)}
    if "failure" in ended:
        return "failure"
    return "success" if ended <= {"success"} else "skipped"


class _InstanceMaker:
    """Evaluates one combination of a job."""

    def __init__(self, plan: RunPlan, job: Job, contexts: dict[str, Any], combination: Combination, index: int) -> None:
        self.plan = plan
        self.job = job
        self.contexts = contexts
        self.combination = combination
        self.index = index

    def make(self, *, outlives: bool, default_timeout_minutes: float) -> JobInstance:
        job, contexts = self.job, self.contexts
        env = _merged(self.plan.workflow.env, job.env)
        contexts["env"] = _known(env, contexts)
        environment, url = self._environment()
        permissions = job.permissions if job.permissions is not None else self.plan.workflow.permissions
        return JobInstance(
            job=job.id,
            index=self.index,
            name=self._name(),
            label=self.combination.label,
            matrix=self.combination.values,
            contexts=contexts,
            runs_on=self._runs_on(),
            continue_on_error=as_boolean(resolve(job.continue_on_error, contexts), "continue-on-error"),
            timeout_minutes=self._timeout(default_timeout_minutes),
            group=interpolate(job.concurrency.group, contexts) if job.concurrency else "",
            group_cancels=self._group_cancels(),
            outlives_cancel=outlives,
            environment=environment,
            environment_url=url,
            permissions=permissions if permissions is not None else DEFAULT_PERMISSIONS,
            env=env,
            defaults=self._defaults(),
            outputs=job.outputs,
            steps=tuple(step_dict(step) for step in job.steps),
            step_names=tuple(step_name(step, contexts) for step in job.steps),
        )

    def _name(self) -> str:
        """A name without expressions gets the combination behind it, as GitHub shows it."""
        if "${{" in self.job.name:
            return interpolate(self.job.name, self.contexts).strip() or self.job.id
        name = self.job.name or self.job.id
        return f"{name} ({self.combination.label})" if self.combination.label else name

    def _runs_on(self) -> tuple[str, ...]:
        value = resolve(self.job.runs_on, self.contexts)
        if isinstance(value, Mapping):
            value = value.get("labels") or []
        labels = tuple(to_text(label) for label in (value if isinstance(value, list) else [value]))
        for label in labels:
            if label.lower().startswith(OTHER_SYSTEMS):
                raise _NotHere(f"runs-on {label!r}: runners here are Linux machines; use ubuntu-latest")
        return labels

    def _timeout(self, default: float) -> float:
        value = resolve(self.job.timeout_minutes, self.contexts)
        if value is None or value == "":
            return default
        return min(as_minutes(value, "timeout-minutes"), MAX_TIMEOUT_MINUTES)

    def _group_cancels(self) -> bool:
        wanted = self.job.concurrency
        if wanted is None:
            return False
        return as_boolean(resolve(wanted.cancel_in_progress, self.contexts), "cancel-in-progress")

    def _environment(self) -> tuple[str, str]:
        raw = self.job.environment
        if isinstance(raw, Mapping):
            return interpolate(to_text(raw.get("name")), self.contexts), to_text(raw.get("url"))
        value = resolve(raw, self.contexts)
        if isinstance(value, Mapping):
            return to_text(value.get("name")), ""
        return to_text(value), ""

    def _defaults(self) -> dict[str, str]:
        own, shared = self.job.defaults, self.plan.workflow.defaults
        given = {
            "shell": own.shell or shared.shell,
            "working-directory": own.working_directory or shared.working_directory,
        }
        return {key: value for key, value in given.items() if value}


class _NotHere(UserError):
    """No runner can take this job."""


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The job's env over the workflow's; each may take over a whole mapping, so the two such keys differ by a space."""
    further = f"${{{{ {INSERT}  }}}}"
    return {**shared, **{further if "${{" in key and key in shared else key: value for key, value in own.items()}}


def _known(env: Mapping[str, Any], contexts: Mapping[str, Any]) -> dict[str, Any]:
    """The part of env that needs no secret, evaluated."""
    found: dict[str, Any] = {}
    for key, value in env.items():
        if "secrets" in references_in(value):
            continue
        walked = resolve({key: value}, contexts)
        found.update({name: to_text(one) for name, one in walked.items()})
    return found
