"""What built-in actions have to do at the end of the job, as it is kept in the `state` of the step that used them.

A step that is such an action keeps the action's state as it is. A composite action keeps a list of those inside it, with
the inputs that each was given: its own steps and contexts are gone by then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_KEY = "posts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One action's end of the job. `inputs` None: they are the step's own."""

    action: str
    state: Mapping[str, str]
    inputs: Mapping[str, str] | None = None


def posts_of(raw: Mapping[str, Any], state: Mapping[str, str]) -> list[Post]:
    """What a step (`raw`, as in `JobOrder.steps`) left to be done, in the order it came about."""
    uses = str(raw.get("uses", ""))
    if not uses.startswith("."):
        return [Post(action=uses.partition("@")[0], state=state)] if uses else []
    return [Post(**post) for post in json.loads(state.get(_KEY, "[]"))]


def kept(posts: Iterable[Post]) -> dict[str, str]:
    """The state of a composite action in which these were used."""
    listed = [{"action": post.action, "state": dict(post.state), "inputs": dict(post.inputs or {})} for post in posts]
    return {_KEY: json.dumps(listed, ensure_ascii=False)} if listed else {}
