"""What a built-in action is given and gives back; the actions themselves stand in `actions/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsroom.kernel.errors import UserError
from opsroom.workflows.protocol import JobOrder
from opsroom.workflows.runner.layout import Layout
from opsroom.workflows.runner.output import StepOutput


class ActionFailed(UserError):
    """The step fails, with this one line as its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One use of a built-in action. `inputs` are its `with`, evaluated, names in lower case; `event` tells the sink.
    `step` is the index of the job's step, `place` where the step stands ("file:line:column"), inside a composite action too."""

    name: str
    inputs: Mapping[str, str]
    order: JobOrder
    layout: Layout
    output: StepOutput
    step: int
    place: str
    environment: Mapping[str, str]
    github: Mapping[str, Any]
    sandboxed: bool
    event: Callable[[str, Mapping[str, Any]], None]
    cancelled: Callable[[], bool]

    def input(self, name: str, default: str = "") -> str:
        """An input's text, or the default where it is not given or empty."""
        return self.inputs.get(name, "").strip() or default

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean input. ActionFailed: neither true nor false."""
        text = self.input(name, "true" if default else "false").lower()
        if text not in ("true", "false"):
            raise ActionFailed(f"{self.name}: input {name!r} is {text!r}; write true or false")
        return text == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a built-in action changed for the steps after it. `state` is what its end of the job (`AtEnd`) is given."""

    outputs: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    state: Mapping[str, str] = field(default_factory=dict)


AtEnd = Callable[[Use, Mapping[str, str]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """`at_end` runs when the job's steps have succeeded, with the step's `state`; its failure is a warning. `inputs` are those
    it knows, `idle` those of them that change nothing here."""

    run: Callable[[Use], Effect]
    at_end: AtEnd | None = None
    inputs: frozenset[str] = frozenset()
    idle: frozenset[str] = frozenset()

    def warn(self, use: Use) -> None:
        """Says in the log which inputs are not of this action, and which of those given have no effect here."""
        if not self.inputs:
            return
        unknown = [name for name in use.inputs if name not in self.inputs]
        if unknown:
            known = ", ".join(sorted(self.inputs))
            use.output.annotate("warning", f"{use.name} has no input {', '.join(map(repr, unknown))}; it takes {known}")
        idle = [name for name in use.inputs if name in self.idle and use.input(name)]
        if idle:
            use.output.write(f"{use.name}: {', '.join(idle)} has no effect here", "notice")
