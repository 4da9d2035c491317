"""A local composite action unfolded into the step that uses it, so that a runner can carry out its steps in a scope of their own.

Source: "Creating a composite action" and "Metadata syntax for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from opsroom.kernel.errors import Invalid, Problems
from opsroom.workflows.expressions import Functions, Value, resolve, to_text
from opsroom.workflows.planning.start import step_dict
from opsroom.workflows.syntax.actions import Action

MAX_DEPTH = 10
"""Composite actions that use one another, from the job's step down."""
ACTION_FILES = ("action.yml", "action.yaml")


class BadAction(Invalid):
    """A local action cannot be used: not there, outside of the workspace, not composite, or nested too deep."""

    title = "Bad action"


def action_files(uses: str) -> tuple[str, ...]:
    """Where the file of `uses: ./path` may be, relative to the workspace. BadAction: the path leaves the workspace."""
    path = PurePosixPath(uses.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise BadAction(
            f"uses: {uses!r} leaves the workspace; name a folder of the repository, such as ./actions/build"
        )
    return tuple(str(path / name) for name in ACTION_FILES)


def expand_composite(
    step: Mapping[str, Any],
    action: Action,
    contexts: Mapping[str, Value],
    *,
    functions: Functions | None = None,
    depth: int = 1,
) -> dict[str, Any]:
    """The step with `composite`: {"inputs", "outputs", "steps", "warnings"}; `id`, `uses` and `place` stay.

    `inputs` are evaluated text: the step's `with` over the contexts of its own scope, the action's defaults over theirs
    (without `inputs`, `steps`, `env`, `needs`, `secrets`). `steps` and `outputs` are raw and belong to the inner scope, whose contexts are
    those of the step with `inputs` replaced, `steps` empty and no `secrets`. `depth` counts from 1. BadAction: nested too deep;
    Problems: the action cannot be run here; ExpressionError: an input cannot be evaluated.
    """
    if depth > MAX_DEPTH:
        raise BadAction(
            f"{step.get('uses')!r} is nested more than {MAX_DEPTH} composite actions deep; does it use itself?"
        )
    if action.unsupported:
        raise Problems(action.unsupported)
    given = resolve(dict(step.get("with") or {}), contexts, functions=functions)
    inputs, warnings = _inputs(action, given, contexts, functions)
    kept = {key: value for key, value in step.items() if key != "composite"}
    steps = [step_dict(inner) for inner in action.steps]
    composite = {"inputs": inputs, "outputs": dict(action.outputs), "steps": steps, "warnings": warnings}
    return {**kept, "composite": composite}


def inner_contexts(contexts: Mapping[str, Value], inputs: Mapping[str, str]) -> dict[str, Value]:
    """The contexts that a composite action's first step sees, from those of the step that uses it."""
    kept = {name: value for name, value in contexts.items() if name not in {"secrets", "needs", "vars"}}
    return {**kept, "inputs": dict(inputs), "steps": {}}


def _inputs(
    action: Action, given: Mapping[str, Value], contexts: Mapping[str, Value], functions: Functions | None
) -> tuple[dict[str, str], list[str]]:
    declared = {name.lower(): name for name in action.inputs}
    warnings = []
    values: dict[str, str] = {}
    for name, value in given.items():
        known = declared.get(name.lower())
        if known is None:
            warnings.append(_unknown(action, name))
        else:
            values[known] = to_text(value)
    outer = {name: contexts[name] for name in ("github", "strategy", "matrix", "job", "runner") if name in contexts}
    for name, declaration in action.inputs.items():
        if name in values:
            continue
        if declaration.default is None and declaration.required:
            warnings.append(f"input {name!r} of {action.path} is required and was not given")
        values[name] = to_text(resolve(declaration.default, outer, functions=functions))
    return {name: values[name] for name in action.inputs}, warnings


def _unknown(action: Action, name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, list(action.inputs), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(action.inputs) or 'none'}"
    return f"{action.path} has no input {name!r}; {hint}"
