"""opsroom/plan and opsroom/apply: a host's files compared and made as the ops repo has them, as steps of a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from opsroom.areas.configuration import store as rows
from opsroom.areas.configuration.applying import apply_plan
from opsroom.areas.configuration.planning import make_plan, store_plan
from opsroom.areas.configuration.wanted import target_of
from opsroom.contracts.actions import Action, ActionCall, ActionFailed, ActionInput
from opsroom.kernel.counting import counted

if TYPE_CHECKING:
    from opsroom.areas.configuration.model import StoredPlan

_TARGET = ActionInput(name="target", required=True, help="a Host of the ops repo")


def plan(call: ActionCall) -> Mapping[str, str]:
    """Compares and stores the plan; changes nothing."""
    return _plan_outputs(_planned(call, key=""))


def apply(call: ActionCall) -> Mapping[str, str]:
    """Plans and applies that very plan; one that this step began before it was cut off goes on."""
    plane = call.call.plane
    with plane.store.read() as tx:
        stored = rows.plan_by_key(tx, call.key)
    if stored is None:
        stored = _planned(call, key=call.key)
    risky = [f"{change.name}: {change.risk}" for change in stored.plan.changes if change.risk]
    if risky and call.inputs["risk"] != "accept":
        raise ActionFailed(f"plan {stored.id} names a risk ({risky[0]}); apply it by hand, or give `risk: accept`")
    apply_plan(plane, stored.id, stored.digest, actor=call.call.actor.id)
    return _apply_outputs(stored)


def recover(call: ActionCall) -> Mapping[str, str] | None:
    """A plan this step has applied is its effect; one that it only began is gone on with."""
    with call.call.plane.store.read() as tx:
        stored = rows.plan_by_key(tx, call.key)
    return _apply_outputs(stored) if stored is not None and stored.state in ("applied", "empty") else None


def _planned(call: ActionCall, *, key: str) -> StoredPlan:
    plane = call.call.plane
    made = make_plan(plane, target_of(plane, call.inputs["target"]))
    stored = store_plan(plane, made, actor=call.call.actor.id, key=key)
    call.port.log(made.text())
    call.port.summary(
        f"### {stored.id}: {counted(len(made.changes), 'change')} for {made.target}\n\n```diff\n{made.text()}\n```\n"
    )
    return stored


def _plan_outputs(stored: StoredPlan) -> dict[str, str]:
    changes, unknown = len(stored.plan.changes), len(stored.plan.unknown)
    return {"plan": stored.id, "digest": stored.digest, "changes": str(changes), "unknown": str(unknown)}


def _apply_outputs(stored: StoredPlan) -> dict[str, str]:
    return {"plan": stored.id, "changes": str(len(stored.plan.changes)), "unknown": str(len(stored.plan.unknown))}


ACTIONS = (
    Action(
        name="opsroom/plan",
        help="Compares a host's files with the ops repo and stores the plan; changes nothing.",
        inputs=(_TARGET,),
        outputs={"plan": "its id", "digest": "what an approval names", "changes": "how many", "unknown": "how many"},
        permission=("configuration", "read"),
        run=plan,
    ),
    Action(
        name="opsroom/apply",
        help="Plans, and applies exactly that plan to a host's files.",
        inputs=(_TARGET, ActionInput(name="risk", default="refuse", help="refuse or accept a plan that names a risk")),
        outputs={"plan": "its id", "changes": "how many were made", "unknown": "how many were left alone"},
        permission=("configuration", "write"),
        run=apply,
        recover=recover,
    ),
)
