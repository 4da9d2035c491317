"""What configuration does by itself: plans when a commit comes into force, and looks for drift. It applies nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.areas.configuration.drift import ACTOR, sweep
from opsroom.areas.configuration.planning import make_plan, store_plan
from opsroom.areas.configuration.wanted import targets
from opsroom.contracts.area import Duty, Subscription

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.ledger import Event

SWEEP_SECONDS = 3.0


def plan_commit(plane: Plane, event: Event) -> None:
    """Stores a plan for every host that the commit in force would change; a commit that another has replaced is left out."""
    if event.data.get("commit") != plane.catalogs.current().commit:
        return
    for target in targets(plane):
        plan = make_plan(plane, target)
        if not plan.empty:
            store_plan(plane, plan, actor=ACTOR, cause=event.id)


SUBSCRIPTIONS = (Subscription(name="plan-commits", types=("catalog.changed",), handle=plan_commit),)
DUTIES = (Duty(name="sweep", seconds=SWEEP_SECONDS, run=sweep),)
