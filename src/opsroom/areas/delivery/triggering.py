"""Starting runs: a push starts the workflows of its commit, any other event those of the ops repo that name its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from opsroom.contracts.area import Subscription
from opsroom.contracts.repositories import ops_repository, read_workflow_of, repository_of, watched, workflows_of
from opsroom.kernel.errors import NotFound
from opsroom.workflows.planning import TriggerEvent

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.ledger import Event
    from opsroom.kernel.resources import Catalog

CHAIN_LIMIT = 10
"""How many runs may have led to an event that starts yet another."""

Wanted = Mapping[str, tuple[tuple[str, str], ...]]
"""Path and text of the workflows that an event type starts."""

_wanted: WeakKeyDictionary[Catalog, Wanted] = WeakKeyDictionary()


def start_runs(plane: Plane, event: Event) -> None:
    """Starts the workflows that a push sets off, as they stand at its commit. A deleted ref starts nothing."""
    data, name = event.data, event.subject("repository")
    after, before = str(data.get("after") or ""), str(data.get("before") or "")
    if not after:
        return
    try:
        workflows, repository = workflows_of(plane, name, after), repository_of(plane, name)
        changed = _changed(plane, name, before, after)
        branch = plane.repos.default_branch(name)
    except NotFound as gone:
        plane.journal.warning("a push can start nothing any more", repository=name, commit=after, reason=str(gone))
        return
    push = TriggerEvent(
        name="push", ref=str(data["ref"]), commit=after, before=before or "0" * 40, changed_paths=changed,
        payload=_push_payload(data), actor=event.actor, repository=name, cause=event.id, default_branch=branch or "main",
    )  # fmt: skip
    plane.engine.trigger(push, workflows, repository)


def dispatch(plane: Plane, event: Event) -> None:
    """Starts the workflows of the ops repo that name the event's type under `repository_dispatch: types:`; not in a circle."""
    workflows = wanted_types(plane).get(event.type)
    if not workflows or event.type == "change.pushed":
        return
    chain = plane.ledger.chain(event.id)
    runs = [one for one in chain if one.type == "run.queued"]
    if len(runs) >= CHAIN_LIMIT:
        plane.journal.warning("a chain of runs was ended", event=event.id, type=event.type, runs=len(runs))
        return
    name = ops_repository(plane)
    before = {one.subject("workflow") for one in runs if one.subject("repository") == name}
    fresh = [(path, text) for path, text in workflows if path not in before]
    if not fresh:
        return
    repository, commit = repository_of(plane, name), plane.catalogs.current().commit
    branch = plane.repos.default_branch(name) or "main"
    asked = TriggerEvent(
        name="repository_dispatch", ref=f"refs/heads/{branch}", commit=commit, type=event.type, payload=_payload(event),
        actor=event.actor, repository=name, cause=event.id, default_branch=branch,
    )  # fmt: skip
    plane.engine.trigger(asked, fresh, repository)


def wanted_types(plane: Plane) -> Wanted:
    """Which event types start which workflows of the ops repo, read once for each commit in force."""
    catalog = plane.catalogs.current()
    if catalog not in _wanted:
        _wanted[catalog] = _read_wanted(plane, catalog.commit) if catalog.commit else {}
    return _wanted[catalog]


START_RUNS = Subscription(name="start-runs", types=("change.pushed",), handle=start_runs)
DISPATCH = Subscription(name="dispatch", types=(), handle=dispatch)


def _read_wanted(plane: Plane, commit: str) -> Wanted:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for path, text in workflows_of(plane, ops_repository(plane), commit):
        workflow, _ = read_workflow_of(plane, path, text)
        triggers = workflow.on if workflow else ()
        for type in {type for one in triggers if one.event == "repository_dispatch" for type in one.types}:
            found[type] = (*found.get(type, ()), (path, text))
    return found


def _changed(plane: Plane, name: str, before: str, after: str) -> tuple[str, ...] | None:
    """The paths that differ; None where there is nothing to compare with, upon which path filters let the push pass."""
    if not before:
        return None
    try:
        return tuple(plane.repos.changed_paths(watched(plane, name), before, after))
    except NotFound:
        return None  # A forced push took the commit before away.


def _push_payload(data: Mapping[str, Any]) -> dict[str, Any]:
    """What `github.event` has of a push (GitHub's webhook payload), of the fields that are known here."""
    commits = [
        {"id": one["commit"], "message": one["message"], "timestamp": one["time"], "author": {"name": one["author"]}}
        for one in data.get("commits", ())
    ]
    return {
        "ref": data["ref"], "after": data["after"], "created": not data.get("before"), "deleted": False,
        "forced": bool(data.get("forced")), "commits": commits, "head_commit": commits[0] if commits else None,
        "pusher": {"name": data.get("author", "")},
    }  # fmt: skip


def _payload(event: Event) -> dict[str, Any]:
    return {"event": event.id, "type": event.type, "subjects": list(event.subjects), "data": dict(event.data)}
