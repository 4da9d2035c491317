"""The events of `on:`: their activity types and filters.

Source: "Events that trigger workflows" of the GitHub Actions documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

from opsroom.workflows.syntax.shapes import Boolean, Fields, Scalar, Sequence, Shape, Text

_REFS = ("branches", "branches-ignore", "tags", "tags-ignore")
_PATHS = ("paths", "paths-ignore")
_BRANCHES = _REFS[:2]
_CHANGED = ("created", "edited", "deleted")
_PULL_REQUEST = (
    *("assigned", "unassigned", "labeled", "unlabeled", "opened", "edited", "closed", "reopened", "synchronize"),
    *("converted_to_draft", "locked", "unlocked", "enqueued", "dequeued", "milestoned", "demilestoned"),
    *("ready_for_review", "review_requested", "review_request_removed", "auto_merge_enabled", "auto_merge_disabled"),
    "stacked",
)
PULL_REQUEST_DEFAULT = ("opened", "synchronize", "reopened")
"""The activity types a pull_request trigger means when it names none."""


@dataclass(frozen=True, slots=True)
class EventSyntax:
    """What an event of `on:` may be narrowed by: activity types, and filter keys that take patterns."""

    types: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()


EVENTS: dict[str, EventSyntax] = {
    "branch_protection_rule": EventSyntax(_CHANGED),
    "check_run": EventSyntax(("created", "rerequested", "completed", "requested_action")),
    "check_suite": EventSyntax(("completed",)),
    "create": EventSyntax((), _REFS),
    "delete": EventSyntax((), _REFS),
    "deployment": EventSyntax(),
    "deployment_status": EventSyntax(),
    "discussion": EventSyntax(
        (
            *(*_CHANGED, "transferred", "pinned", "unpinned", "labeled", "unlabeled", "locked", "unlocked"),
            *("category_changed", "answered", "unanswered"),
        )
    ),
    "discussion_comment": EventSyntax(_CHANGED),
    "fork": EventSyntax(),
    "gollum": EventSyntax(),
    "image_version": EventSyntax(("created", "ready", "deleted"), ("names", "versions")),
    "issue_comment": EventSyntax(_CHANGED),
    "issues": EventSyntax(
        (
            *("opened", "edited", "deleted", "transferred", "pinned", "unpinned", "closed", "reopened", "assigned"),
            *("unassigned", "labeled", "unlabeled", "locked", "unlocked", "milestoned", "demilestoned"),
            *("field_added", "field_removed", "typed", "untyped"),
        )
    ),
    "label": EventSyntax(_CHANGED),
    "merge_group": EventSyntax(("checks_requested",), _BRANCHES),
    "milestone": EventSyntax(("created", "closed", "opened", "edited", "deleted")),
    "page_build": EventSyntax(),
    "project": EventSyntax(("created", "closed", "reopened", "edited", "deleted")),
    "project_card": EventSyntax(("created", "moved", "converted", "edited", "deleted")),
    "project_column": EventSyntax(("created", "updated", "moved", "deleted")),
    "public": EventSyntax(),
    "pull_request": EventSyntax(_PULL_REQUEST, (*_BRANCHES, *_PATHS)),
    "pull_request_comment": EventSyntax(_CHANGED),
    "pull_request_review": EventSyntax(("submitted", "edited", "dismissed")),
    "pull_request_review_comment": EventSyntax(_CHANGED),
    "pull_request_target": EventSyntax(_PULL_REQUEST, (*_BRANCHES, *_PATHS)),
    "push": EventSyntax((), (*_REFS, *_PATHS)),
    "registry_package": EventSyntax(("published", "updated")),
    "release": EventSyntax(("published", "unpublished", "created", "edited", "deleted", "prereleased", "released")),
    "repository_dispatch": EventSyntax(),
    "schedule": EventSyntax(),
    "status": EventSyntax(),
    "watch": EventSyntax(("started",)),
    "workflow_call": EventSyntax(),
    "workflow_dispatch": EventSyntax(),
    "workflow_run": EventSyntax(("requested", "completed", "in_progress"), ("workflows", *_BRANCHES)),
}

_PATTERNS = Sequence(item=Text(filled=True), or_one=True)
_TYPED = Scalar()


def event_shape(event: str) -> Shape:
    """What may stand under the event's key of `on:`."""
    if event == "schedule":
        entry = Fields(
            noun="schedule", keys={"cron": Text(filled=True), "timezone": Text(filled=True)}, required=("cron",)
        )
        return Sequence(item=entry)
    if event == "workflow_dispatch":
        inputs = Fields(noun="inputs", others=_dispatch_input(), or_null=True)
        return Fields(noun=event, keys={"inputs": inputs}, or_null=True)
    if event == "workflow_call":
        return _call()
    if event == "repository_dispatch":
        return Fields(noun=event, keys={"types": _PATTERNS}, or_null=True)
    syntax = EVENTS[event]
    keys: dict[str, Shape] = dict.fromkeys(syntax.filters, _PATTERNS)
    if syntax.types:
        keys["types"] = Sequence(item=Text(one_of=syntax.types), or_one=True)
    return Fields(noun=event, keys=keys, or_null=True)


def _dispatch_input() -> Fields:
    keys: dict[str, Shape] = {
        "description": Text(),
        "deprecationMessage": Text(),
        "type": Text(one_of=("string", "boolean", "number", "environment", "choice")),
        "required": Boolean(),
        "default": _TYPED,
        "options": Sequence(item=Text()),
    }
    return Fields(noun="the input", keys=keys, or_null=True)


def _call() -> Fields:
    inputs = Fields(
        noun="the input",
        keys={
            "description": Text(),
            "deprecationMessage": Text(),
            "type": Text(one_of=("string", "boolean", "number")),
            "required": Boolean(),
            "default": Scalar(contexts=("github", "inputs", "vars")),
        },
        required=("type",),
    )
    secret = Fields(noun="the secret", keys={"description": Text(), "required": Boolean()}, or_null=True)
    output = Fields(
        noun="the output",
        keys={"description": Text(), "value": Text(contexts=("github", "inputs", "vars", "jobs"))},
        required=("value",),
    )
    keys: dict[str, Shape] = {
        "inputs": Fields(noun="inputs", others=inputs, or_null=True),
        "secrets": Fields(noun="secrets", others=secret, or_null=True),
        "outputs": Fields(noun="outputs", others=output, or_null=True),
    }
    return Fields(noun="workflow_call", keys=keys, or_null=True)
