"""Which workflow an event starts: a trigger's event, activity types, and filters on branches, tags and paths.

Source: "Events that trigger workflows" and `on.<event>` of "Workflow syntax for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opsroom.workflows.model import Trigger, Workflow
from opsroom.workflows.syntax.events import PULL_REQUEST_DEFAULT
from opsroom.workflows.syntax.patterns import matches_any

_PULL_REQUESTS = ("pull_request", "pull_request_target")


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerEvent:
    """What happened. `ref` is full (refs/heads/main, refs/tags/v1, refs/pull/7/merge), `commit` the one to run on.

    `changed_paths` are all paths that differ from `before`; None: not known, and path filters let it pass. `type` is the activity
    type, or the event type of a repository_dispatch, such as `alert.fired`. `inputs` are those of a workflow_dispatch, checked.
    `payload` is the webhook's payload; of a repository_dispatch the client payload; of a schedule it may hold `schedule`, the cron
    that is due. `base_ref` and `head_ref` are branch names of a pull request. `cause` is the ledger event behind it.
    """

    name: str
    ref: str = ""
    commit: str = ""
    before: str = ""
    changed_paths: tuple[str, ...] | None = None
    type: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)
    actor: str = ""
    repository: str = ""
    cause: str = ""
    base_ref: str = ""
    head_ref: str = ""
    default_branch: str = "main"


def matches(workflow: Workflow, event: TriggerEvent) -> Trigger | None:
    """The trigger of `workflow` that this event sets off, or None."""
    for trigger in workflow.on:
        if (
            trigger.event == event.name
            and _type_fits(trigger, event)
            and _refs_fit(trigger, event)
            and _paths_fit(trigger, event)
        ):
            return trigger
    return None


def _type_fits(trigger: Trigger, event: TriggerEvent) -> bool:
    if event.name == "schedule":
        due = event.payload.get("schedule")
        return due is None or due in trigger.cron
    if event.name == "workflow_run" and trigger.workflows and _workflow_run(event).get("name") not in trigger.workflows:
        return False
    wanted = trigger.types
    if not wanted and event.name in _PULL_REQUESTS:
        wanted = PULL_REQUEST_DEFAULT
    return not wanted or not event.type or event.type in wanted


def _refs_fit(trigger: Trigger, event: TriggerEvent) -> bool:
    """A filter on branches alone leaves tags out, and the other way round; no filter takes both."""
    if not (trigger.branches or trigger.branches_ignore or trigger.tags or trigger.tags_ignore):
        return True
    if event.ref.startswith("refs/tags/"):
        return _included(event.ref.removeprefix("refs/tags/"), trigger.tags, trigger.tags_ignore)
    return _included(_branch(event), trigger.branches, trigger.branches_ignore)


def _branch(event: TriggerEvent) -> str:
    if event.name in _PULL_REQUESTS:
        return event.base_ref
    if event.name == "workflow_run":
        return str(_workflow_run(event).get("head_branch", ""))
    return event.ref.removeprefix("refs/heads/")


def _workflow_run(event: TriggerEvent) -> Mapping[str, Any]:
    found = event.payload.get("workflow_run")
    return found if isinstance(found, Mapping) else {}


def _included(name: str, wanted: tuple[str, ...], ignored: tuple[str, ...]) -> bool:
    if wanted:
        return matches_any(wanted, name)
    return bool(ignored) and not matches_any(ignored, name)


def _paths_fit(trigger: Trigger, event: TriggerEvent) -> bool:
    """One changed path that is wanted, or not ignored, is enough. Pushes of tags have no paths."""
    if event.changed_paths is None or event.ref.startswith("refs/tags/"):
        return True
    if trigger.paths:
        return any(matches_any(trigger.paths, path) for path in event.changed_paths)
    if trigger.paths_ignore:
        return any(not matches_any(trigger.paths_ignore, path) for path in event.changed_paths)
    return True
