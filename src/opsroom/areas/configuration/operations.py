"""Plans: list, show, create, apply. Drift: list. Configurations: list, adopt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opsroom.areas.configuration import adoption, drift
from opsroom.areas.configuration import store as rows
from opsroom.areas.configuration.applying import apply_plan
from opsroom.areas.configuration.planning import make_plan, store_plan
from opsroom.areas.configuration.views import (
    Adoption,
    DriftObject,
    DriftView,
    ObjectView,
    PlanView,
    drift_object,
    object_view,
    plan_view,
)
from opsroom.areas.configuration.wanted import target_of, targets
from opsroom.contracts.operations import Page, operation
from opsroom.contracts.scopes import Seen
from opsroom.contracts.sight import Sight
from opsroom.kernel.actors import Resource

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call


def _of_host(call: Call, given: Mapping[str, Any]) -> Resource:
    host = call.plane.catalogs.current().find("Host", given["target"])
    labels = host.metadata.labels if host else {}
    return Resource(
        kind="host", id=given["target"], team=labels.get("team", ""), environment=labels.get("environment", "")
    )


def shows_host(sight: Sight, thing: PlanView | DriftView | ObjectView) -> bool:
    """What is on a host belongs to the team and environment of the host's labels."""
    host = sight.plane.catalogs.current().find("Host", thing.target)
    labels = host.metadata.labels if host else {}
    return sight.sees(team=labels.get("team", ""), environment=labels.get("environment", ""))


def _of_plan(call: Call, given: Mapping[str, Any]) -> Resource:
    with call.plane.store.read() as tx:
        return _of_host(call, {"target": rows.get_plan(tx, given["id"]).plan.target})


@operation("plans.list", scope=Seen(shows_host))
def list_plans(call: Call, *, target: str = "", state: str = "", after: str = "", limit: int = 50) -> Page[PlanView]:
    """Plans, newest first, of one host or all, in one state or any."""
    with call.plane.store.read() as tx:
        states = (state,) if state else ()
        found = rows.find_plans(tx, target=target, states=states, after=after, limit=limit + 1)
    items = [plan_view(stored) for stored in found[:limit]]
    return Page(items=items, next=items[-1].id if len(found) > limit else "")


@operation("plans.show", scope=Seen(shows_host))
def show_plan(call: Call, id: str) -> PlanView:
    """One plan with every change. Error: not found."""
    with call.plane.store.read() as tx:
        return plan_view(rows.get_plan(tx, id))


@operation("plans.create", needs="operate", scope=_of_host)
def create_plan(call: Call, *, target: str, paths: list[str] | None = None) -> PlanView:
    """Compare a host with the ops repo and store what would change; changes nothing there. Error: no such host or file.

    `paths` keeps it to some files. The same plan again is the one that is still open."""
    plan = make_plan(call.plane, target_of(call.plane, target), paths=paths or ())
    return plan_view(store_plan(call.plane, plan, actor=call.actor.id, whole=not paths))


@operation("plans.apply", needs="operate", scope=_of_plan)
def apply_stored_plan(call: Call, id: str, *, digest: str) -> PlanView:
    """Carry out exactly the plan with this digest. Error: another digest, a freeze, something moved since.

    A plan that names a risk needs an approver. One that was cut off goes on where it stopped."""
    with call.plane.store.read() as tx:
        stored = rows.get_plan(tx, id)
    if any(change.risk for change in stored.plan.changes):
        call.plane.actors.require(call.actor, "approve", _of_host(call, {"target": stored.plan.target}))
    done = apply_plan(call.plane, id, digest, actor=call.actor.id)
    if host := call.plane.catalogs.current().find("Host", stored.plan.target):
        drift.look(call.plane, target_of(call.plane, host.name))
    return plan_view(done)


@operation("drift.list", scope=Seen(shows_host))
def list_drift(call: Call, *, target: str = "") -> list[DriftView]:
    """What was changed outside, by host: the files, what differs, and what is known of who did it. Error: no such host."""
    plane = call.plane
    found = [target_of(plane, target)] if target else targets(plane)
    with plane.store.read() as tx:
        drifting = rows.open_drift(tx, target)
    views = []
    for one in found:
        objects, waived = list[DriftObject](), list[DriftObject]()
        for (name, path), row in drifting.items():
            if name == one.name:
                waiver = drift.accepted(plane, one, path)
                (waived if waiver else objects).append(drift_object(row, waiver[1] if waiver else None))
        unknown = {status.path: status.reason for status in drift.statuses(plane, one) if status.state == "unknown"}
        views.append(DriftView(target=one.name, objects=objects, accepted=waived, unknown=unknown))
    return views


@operation("configurations.list", scope=Seen(shows_host))
def list_configurations(call: Call, *, target: str = "", state: str = "") -> list[ObjectView]:
    """Every managed file and how it is now: in sync, drifted, not applied, unknown. Error: no such host."""
    found = [target_of(call.plane, target)] if target else targets(call.plane)
    views = [object_view(one.name, status) for one in found for status in drift.statuses(call.plane, one)]
    return [view for view in views if state in ("", view.state)]


@operation("configurations.adopt", needs="operate", scope=_of_host)
def adopt_configurations(call: Call, *, target: str, paths: list[str], branch: str = "", message: str = "") -> Adoption:
    """Take files as they are into the ops repo, so that the plan right after is empty. Error: no such host.

    A path may be a folder, for every file below it. Where nothing can be pushed, the answer holds the text to commit by hand."""
    return adoption.adopt(call, target_of(call.plane, target), paths, branch=branch, message=message)
