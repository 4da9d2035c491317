"""Planning: which events start a workflow, with which inputs, and what each of its jobs becomes. Pure."""

from opsroom.workflows.planning.contexts import run_contexts
from opsroom.workflows.planning.events import TriggerEvent, matches
from opsroom.workflows.planning.inputs import BadInputs, dispatch_inputs
from opsroom.workflows.planning.matrix import BadMatrix, expand_matrix
from opsroom.workflows.planning.plan import PlannedJob, RunPlan, plan_run
from opsroom.workflows.planning.start import (
    JobDecision,
    JobInstance,
    NeedResult,
    make_order,
    start_job,
    step_dict,
    step_name,
)

__all__ = [
    "BadInputs",
    "BadMatrix",
    "JobDecision",
    "JobInstance",
    "NeedResult",
    "PlannedJob",
    "RunPlan",
    "TriggerEvent",
    "dispatch_inputs",
    "expand_matrix",
    "make_order",
    "matches",
    "plan_run",
    "run_contexts",
    "start_job",
    "step_dict",
    "step_name",
]
