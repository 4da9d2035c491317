"""Reads `action.yml` of a local action. Composite actions are run; JavaScript and container actions are read and refused.

Source: "Metadata syntax for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsroom.kernel.documents import load_document
from opsroom.kernel.errors import Place, Problem
from opsroom.workflows.model import Raw, Step
from opsroom.workflows.syntax.grammar import FILLED, HASH_FILES, STEP_STATUS, step_shape
from opsroom.workflows.syntax.shapes import Anything, Boolean, EnoughProblems, Fields, Reading, Sequence, Shape, Text
from opsroom.workflows.syntax.steps import BUILT_IN_ACTIONS, StepReader

_BASE = ("github", "strategy", "matrix", "job", "runner")
_STEP = (*_BASE, "inputs", "steps", "env", HASH_FILES)
_RUNTIMES = ("composite", "docker", "node12", "node16", "node20", "node24")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionInput:
    """One input of an action; `default` is raw text that may hold expressions, None where there is none."""

    name: str
    description: str = ""
    required: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A local action. `outputs` maps a name to the raw value that gives it; `unsupported` is why it cannot be run (empty: it can)."""

    path: str
    name: str
    description: str = ""
    inputs: Mapping[str, ActionInput] = field(default_factory=dict)
    outputs: Mapping[str, Raw] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    unsupported: tuple[Problem, ...] = ()


def read_action(
    text: str | bytes,
    path: str,
    *,
    built_in_actions: Collection[str] = BUILT_IN_ACTIONS,
    plane_actions: Collection[str] | None = None,
) -> tuple[Action | None, list[Problem]]:
    """The action in `text`, or None and every problem in the order of the file; never raises on bad input."""
    node, problems = load_document(text, path)
    if node is None:
        if not problems:
            problems.append(Problem(Place(path, 1, 1), "the file is empty", "write 'name:' and 'runs:'"))
        return None, problems
    reading = Reading(node, problems)
    action = None
    try:
        value = reading.read(_shape(_using(node.value)), node.value)
        if isinstance(value, dict):
            unsupported: list[Problem] = []
            steps = StepReader(reading, unsupported, built_in_actions, plane_actions)
            action = _action(reading, value, path, steps, unsupported)
    except EnoughProblems:
        action = None
    if problems:
        return None, sorted(set(problems))
    return action, []


def _action(
    reading: Reading, value: dict[str, Any], path: str, steps: StepReader, unsupported: list[Problem]
) -> Action:
    runs = value.get("runs") or {}
    using = runs.get("using")
    if using and using != "composite":
        place = reading.place(("runs", "using"))
        unsupported.append(Problem(place, f"actions that run with {using} are not run", "write a composite action"))
    found = steps.read_all(runs.get("steps"), ("runs", "steps"), unique=False)
    return Action(
        path=path,
        name=value.get("name") or "",
        description=value.get("description") or "",
        inputs=_inputs(value.get("inputs")),
        outputs={name: (output or {}).get("value") or "" for name, output in (value.get("outputs") or {}).items()},
        steps=found,
        unsupported=tuple(sorted(unsupported)),
    )


def _inputs(value: Any) -> dict[str, ActionInput]:
    found = {}
    for name, given in (value or {}).items():
        entry = given or {}
        found[name] = ActionInput(
            name=name,
            description=entry.get("description") or "",
            required=entry.get("required") is True,
            default=entry.get("default"),
        )
    return found


def _using(value: Any) -> str:
    runs = value.get("runs") if isinstance(value, dict) else None
    using = runs.get("using") if isinstance(runs, dict) else None
    return using if isinstance(using, str) else ""


def _shape(declared: str) -> Fields:
    an_input = Fields(
        noun="the input",
        keys={
            "description": Text(),
            "required": Boolean(),
            "default": Text(contexts=(*_BASE, HASH_FILES)),
            "deprecationMessage": Text(),
        },
        others=Anything(),
        or_null=True,
    )
    output = Fields(
        noun="the output",
        keys={"description": Text(), "value": Text(contexts=(*_BASE, "inputs", "steps", "env"))},
        or_null=True,
    )
    keys: dict[str, Shape] = {
        "name": FILLED,
        "author": Text(),
        "description": Text(),
        "inputs": Fields(noun="inputs", others=an_input, or_null=True),
        "outputs": Fields(noun="outputs", others=output, or_null=True),
        "runs": _runs(declared),
        "branding": Fields(noun="branding", keys={"icon": Text(), "color": Text()}),
    }
    return Fields(noun="the action", keys=keys, required=("name", "runs"))


def _runs(declared: str) -> Fields:
    using = Text(one_of=_RUNTIMES)
    hooks: dict[str, Shape] = {"using": using, "pre-if": Text(), "post-if": Text()}
    step = step_shape(_STEP, (*_STEP, *STEP_STATUS), composite=True)
    composite = Fields(noun="runs", keys={"using": using, "steps": Sequence(item=step)}, required=("using", "steps"))
    script = {**hooks, "main": FILLED, "pre": FILLED, "post": FILLED}
    container: dict[str, Shape] = {
        **hooks,
        "image": FILLED,
        "entrypoint": FILLED,
        "args": Sequence(item=Text(contexts=("inputs",))),
        "env": Fields(noun="env", others=Text(), contexts=("inputs",)),
        "pre-entrypoint": FILLED,
        "post-entrypoint": FILLED,
    }
    javascript = Fields(noun="runs", keys=script, required=("using", "main"))
    docker = Fields(noun="runs", keys=container, required=("using", "image"))
    if declared.startswith("node"):
        return javascript
    return docker if declared == "docker" else composite
