"""A local composite action's steps, carried out in a scope of their own inside the step that uses it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opsroom.kernel.errors import Invalid, Problems
from opsroom.workflows.composite import action_files, expand_composite, inner_contexts
from opsroom.workflows.expressions import interpolate, to_text
from opsroom.workflows.protocol import StepResult
from opsroom.workflows.runner.beneath import Folder
from opsroom.workflows.runner.masks import Masks
from opsroom.workflows.runner.posts import Post, kept, posts_of
from opsroom.workflows.runner.scope import Scope
from opsroom.workflows.syntax import Action, read_action

if TYPE_CHECKING:
    from opsroom.workflows.runner.carrying import Carrier

_ACTION_BYTES = 1_000_000


def run_composite(carrier: Carrier, uses: str) -> None:
    """Carries out the action that `uses` names. Invalid: there is none, or it cannot be run here."""
    from opsroom.workflows.runner.carrying import Carrier as Inner
    from opsroom.workflows.runner.carrying import Suspended

    world, outer = carrier.world, carrier.scope
    action = _read(carrier, uses)
    depth = outer.depth + 1
    expanded = expand_composite(carrier.raw, action, carrier.contexts(), functions=carrier.functions(), depth=depth)
    composite = expanded["composite"]
    for warning in composite["warnings"]:
        carrier.output.annotate("warning", warning)
    folder = action.path.rpartition("/")[0]
    path = f"{world.layout.inside_workspace}/{folder}".rstrip("/")
    contexts = inner_contexts(carrier.contexts(), composite["inputs"])
    contexts["github"] = {**(contexts.get("github") or {}), "action_path": path}
    scope = Scope(
        contexts={key: value for key, value in contexts.items() if key not in ("steps", "env", "job")},
        env={**outer.env, **carrier.env},
        depth=depth,
        action_path=path,
    )
    before = Before(carrier)
    before.restore(carrier, scope)
    posts = before.posts
    for place, raw in enumerate(composite["steps"]):
        if place in before.done:
            continue
        if carrier.limit and time.monotonic() >= carrier.limit.at:
            carrier.left.fail(
                f"the step exceeded its limit of {carrier.limit.minutes:g} minutes", told=bool(carrier.left.error)
            )
            break
        inner = Inner(world, scope, raw, carrier.index, limit=carrier.limit, resumed=before.deeper(place))
        try:
            result = _carried(inner, place)
        except Suspended as suspended:
            frame = before.frame(world.masks, place, inner.id)
            raise Suspended({**suspended.data, "inner": [frame, *suspended.data["inner"]]}) from None
        before.done[place] = result
        _take(carrier, scope, result)
        posts += _posts(inner, result.state)
    carrier.left.state.update(kept(posts))
    seen = scope.see({}, job_status=scope.status)
    for name, value in composite["outputs"].items():
        carrier.left.outputs[name] = interpolate(to_text(value), seen, functions=carrier.functions())


def _carried(inner: Carrier, place: int) -> StepResult:
    if not inner.wanted() and not inner.resumed:
        return StepResult(index=place, id=inner.id, outcome="skipped", conclusion="skipped")
    inner.output.write(inner.name(), "group")
    result = inner.carry(started="", now=str)
    inner.output.write("", "endgroup")
    return replace(result, index=place)


def _take(carrier: Carrier, scope: Scope, result: StepResult) -> None:
    """What one inner step means for the step around it."""
    scope.remember(result)
    carrier.left.cpu_seconds += result.cpu_seconds
    carrier.left.env.update(result.env)
    carrier.left.path = (*carrier.left.path, *result.path)
    if result.conclusion == "cancelled":
        carrier.left.outcome, carrier.left.error = "cancelled", result.error
    elif result.conclusion == "failure":
        carrier.left.fail(result.error, told=True)


class Before:
    """What was done of a composite action before its runner gave way to an action of the plane; nothing, if it begins."""

    def __init__(self, carrier: Carrier) -> None:
        frame, *self._deeper = carrier.resumed or ({},)
        masks = carrier.world.masks
        self._at = int(frame.get("at", -1))
        self.done = {int(one["index"]): masks.opened(one) for one in frame.get("done", ())}
        self.posts = posts_of({"uses": "."}, masks.unseal_all(frame.get("state", {})))

    def restore(self, carrier: Carrier, scope: Scope) -> None:
        """Brings back what the steps that are done left for those after them."""
        for _, result in sorted(self.done.items()):
            carrier.world.env.update(result.env)
            carrier.world.path = [*reversed(result.path), *carrier.world.path]
            _take(carrier, scope, result)

    def deeper(self, place: int) -> Sequence[Mapping[str, Any]]:
        """What the action at this step did itself, if that is where this one was."""
        return self._deeper if place == self._at else ()

    def frame(self, masks: Masks, place: int, id: str) -> dict[str, Any]:
        """All of this for the next runner, secrets sealed."""
        done = [masks.sealed(result) for _, result in sorted(self.done.items())]
        return {"at": place, "id": id, "done": done, "state": masks.seal_all(kept(self.posts))}


def _posts(inner: Carrier, state: Mapping[str, str]) -> list[Post]:
    if inner.used is not None and state:
        return [Post(action=inner.used.name, state=state, inputs=inner.used.inputs)]
    return posts_of(inner.raw, state) if "uses" in inner.raw else []


def _read(carrier: Carrier, uses: str) -> Action:
    names = action_files(uses)
    with Folder(carrier.world.layout.workspace) as folder:
        for name in names:
            entry = folder.entry(name)
            if entry is not None and entry.kind == "file":
                with folder.open(name) as file:
                    text = file.read(_ACTION_BYTES)
                action, problems = read_action(text, name)
                if action is None:
                    raise Problems(problems)
                return action
    raise Invalid(
        f"uses: {uses!r}: no {names[0]} in the workspace; check the path, and that actions/checkout ran before"
    )
