"""Parts that a workflow and its jobs share: defaults, permissions, concurrency."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opsroom.kernel.documents import Node, Path
from opsroom.kernel.errors import Problem
from opsroom.workflows.model import Concurrency, Defaults
from opsroom.workflows.syntax.grammar import levels_of


def read_defaults(value: Any) -> Defaults:
    """`defaults` as shaped."""
    run = value.get("run") if isinstance(value, dict) else None
    if not isinstance(run, dict):
        return Defaults()
    return Defaults(shell=run.get("shell"), working_directory=run.get("working-directory"))


def read_permissions(value: Any, scopes: Iterable[str]) -> dict[str, str]:
    """Scope to level; `read-all` and `write-all` are written out for every scope that knows the level."""
    if isinstance(value, dict):
        return {scope: level for scope, level in value.items() if level}
    wanted = "write" if value == "write-all" else "read"
    found = {}
    for scope in scopes:
        levels = levels_of(scope)
        level = wanted if wanted in levels else "read" if wanted == "write" and "read" in levels else ""
        if level:
            found[scope] = level
    return found


def read_concurrency(node: Node, value: Any, path: Path, unsupported: list[Problem]) -> Concurrency | None:
    """`concurrency` as shaped, of a workflow or a job; None where it is not given."""
    if isinstance(value, str) and value:
        return Concurrency(group=value, place=node.place(path))
    if not isinstance(value, dict) or not value.get("group"):
        return None
    if value.get("queue") == "max":
        place = node.place((*path, "queue"))
        unsupported.append(
            Problem(place, "'queue: max' is not run yet", "remove it: one newcomer waits, a later one takes its place")
        )
    return Concurrency(
        group=value["group"], cancel_in_progress=value.get("cancel-in-progress") or False, place=node.place(path)
    )
