"""The planner over real workflow files: a run's stored source and trigger give the same decisions whenever they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from threading import Lock
from typing import Any

from opsroom.kernel.errors import Invalid, UserError
from opsroom.kernel.settings import Settings
from opsroom.workflows.moves import JobDecided
from opsroom.workflows.planning import (
    JobDecision,
    JobInstance,
    NeedResult,
    RunPlan,
    TriggerEvent,
    make_order,
    plan_run,
    start_job,
)
from opsroom.workflows.protocol import JobOrder, Source
from opsroom.workflows.run import JobState, RunState
from opsroom.workflows.scheduler.files import WorkflowFiles
from opsroom.workflows.store import RunRecord

KEPT_PLANS = 200


class WorkflowPlanner:
    """Plans from `RunRecord.source` and `.context`. `data` is the folder below which artefacts and caches lie."""

    def __init__(self, settings: Settings, files: WorkflowFiles, *, data: Path) -> None:
        self._settings = settings
        self._files = files
        self._data = data
        self._plans: OrderedDict[tuple[str, int], RunPlan] = OrderedDict()
        self._lock = Lock()

    def decide(self, record: RunRecord, run: RunState, node: str) -> JobDecided:
        return self._decision(record, run, node, cancelled=bool(run.stopping)).decided(run.attempt)

    def order(self, record: RunRecord, run: RunState, job: JobState, *, sandbox: bool) -> JobOrder:
        instance = self._instance(record, run, job)
        cut = next((step.cuts for step in job.steps if step.status == "cut_off"), 0)
        return make_order(
            instance,
            run=record.id,
            attempt=job.attempt,
            source=Source(git=str(record.context.get("git", "")), commit=record.commit),
            sandbox=sandbox,
            network=tuple(record.context.get("network", ())),
            start_at=job.next_step,
            done=job.done,
            inner=next((step.inner for step in job.steps if step.index == job.next_step), ()),
            step_attempt=cut + 1,
            artifacts=str(self._data / "artifacts" / record.id),
            caches=str(self._data / "caches" / record.repository.replace("/", "_")),
            output_bytes=self._settings.job_output_bytes,
        )

    def permissions(self, record: RunRecord, run: RunState, job: JobState) -> Mapping[str, str]:
        return self._instance(record, run, job).permissions

    def _instance(self, record: RunRecord, run: RunState, job: JobState) -> JobInstance:
        """A job that runs in spite of a cancellation may hold only under it, so both are asked."""
        for cancelled in (False, True):
            decision = self._decision(record, run, job.node, cancelled=cancelled)
            if found := next((one for one in decision.instances if one.key == job.key), None):
                return found
        raise Invalid(f"job {job.key!r} of run {record.id}: {decision.error or 'it is not in the plan any more'}")

    def _decision(self, record: RunRecord, run: RunState, node: str, *, cancelled: bool) -> JobDecision:
        results = {one.id: NeedResult(result=one.result, outputs=one.outputs) for one in run.nodes if one.result}
        try:
            plan = self._plan(record, run.attempt)
        except UserError as error:
            return JobDecision(job=node, error="; ".join(str(error).splitlines()))
        minutes = float(self._settings.job_timeout_minutes)
        return start_job(plan, node, results, cancelled=cancelled, default_timeout_minutes=minutes)

    def _plan(self, record: RunRecord, attempt: int) -> RunPlan:
        key = (record.id, attempt)
        with self._lock:
            if key in self._plans:
                self._plans.move_to_end(key)
                return self._plans[key]
        plan = plan_run(
            self._files.read(record.source, record.workflow),
            trigger_from(record.context["trigger"]),
            run_id=record.id,
            number=record.number,
            attempt=attempt,
            variables=record.context.get("variables", {}),
            server_url=str(record.context.get("server_url", "")),
        )
        with self._lock:
            self._plans[key] = plan
            if len(self._plans) > KEPT_PLANS:
                self._plans.popitem(last=False)
        return plan


def trigger_as_json(event: TriggerEvent) -> dict[str, Any]:
    """A trigger as the run's row keeps it."""
    return asdict(event)


def trigger_from(data: Mapping[str, Any]) -> TriggerEvent:
    """Reads what `trigger_as_json` wrote; fields of a newer version are ignored."""
    known = {field.name for field in fields(TriggerEvent)}
    values = {name: value for name, value in data.items() if name in known}
    paths = values.get("changed_paths")
    return TriggerEvent(**{**values, "changed_paths": None if paths is None else tuple(paths)})
