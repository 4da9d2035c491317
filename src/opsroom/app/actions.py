"""The engine's port to actions, filled with what the areas contribute: finds them by name, checks inputs, runs, recovers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opsroom.contracts.actions import Action, ActionCall, ActionFailed
from opsroom.contracts.area import Area
from opsroom.contracts.plane import Call, Plane
from opsroom.kernel.actors import Actor
from opsroom.kernel.errors import NotFound, UserError
from opsroom.workflows.actions import ActionError, ActionRequest


class AreaActions:
    """`uses: opsroom/NAME` by the areas' declarations. Bound to the plane once that is built."""

    def __init__(self, areas: Sequence[Area]) -> None:
        self._actions = {action.name: action for area in areas for action in area.actions}
        self._plane: Plane | None = None

    @property
    def names(self) -> frozenset[str]:
        """What may follow `uses: opsroom/`."""
        return frozenset(name.removeprefix("opsroom/") for name in self._actions)

    def bind(self, plane: Plane) -> None:
        self._plane = plane

    def permission(self, uses: str) -> tuple[str, str] | None:
        return self._find(uses).permission

    def run(self, request: ActionRequest) -> Mapping[str, str]:
        action = self._find(request.uses)
        try:
            return action.run(self._call(action, request))
        except (ActionFailed, UserError) as failure:
            raise ActionError(str(failure)) from None

    def recover(self, request: ActionRequest) -> Mapping[str, str] | None:
        action = self._find(request.uses)
        if action.recover is None:
            return None
        try:
            return action.recover(self._call(action, request))
        except (ActionFailed, UserError) as failure:
            raise ActionError(str(failure)) from None

    def _find(self, uses: str) -> Action:
        name = uses.partition("@")[0]
        if name not in self._actions:
            raise NotFound(f"{uses} is no action of this plane; there are {', '.join(sorted(self._actions))}")
        return self._actions[name]

    def _call(self, action: Action, request: ActionRequest) -> ActionCall:
        if self._plane is None:
            raise AssertionError("actions were asked for before the plane was built")
        call = Call(plane=self._plane, actor=Actor.run(request.run), cause=request.cause)
        return ActionCall(
            call=call, inputs=_inputs(action, request.inputs), key=request.key, run=request.run, job=request.job,
            step=request.step, repository=request.repository, commit=request.commit, ref=request.ref,
            workspace=request.workspace, port=_Port(request),
        )  # fmt: skip


class _Port:
    """What a running step may do, told to the engine."""

    def __init__(self, request: ActionRequest) -> None:
        self._request = request

    def log(self, text: str) -> None:
        self._request.log(text)

    def summary(self, markdown: str) -> None:
        self._request.summary(markdown)

    def cancelled(self) -> bool:
        return self._request.cancelled()


def _inputs(action: Action, given: Mapping[str, str]) -> dict[str, str]:
    known = {one.name: one for one in action.inputs}
    for name in given:
        if name not in known:
            raise ActionError(f"{action.name} has no input {name!r}; it has {', '.join(known) or 'none'}")
    values = {one.name: given.get(one.name) or one.default for one in action.inputs}
    missing = [one.name for one in action.inputs if one.required and not values[one.name]]
    if missing:
        raise ActionError(f"{action.name} needs the input {', '.join(missing)} under `with:`")
    return values
