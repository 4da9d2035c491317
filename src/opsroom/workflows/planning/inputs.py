"""The inputs of a workflow_dispatch: what was given, checked against what the workflow declares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from opsroom.kernel.errors import Invalid
from opsroom.workflows.expressions import to_number, to_text
from opsroom.workflows.model import Input, Workflow
from opsroom.workflows.syntax.shapes import suggestion

MAX_INPUTS_CHARACTERS = 65_535


class BadInputs(Invalid):
    """Inputs of a run are unknown, missing or of the wrong type; one line names them all."""

    title = "Bad inputs"


def dispatch_inputs(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every declared input with its value in its type: text, bool, int or float; what is not given has its default.

    An input without a default is "" (text, choice, environment), False (boolean) or 0 (number). Text that spells a boolean or a
    number is taken for one, since forms and command lines have only text. BadInputs: the workflow cannot be dispatched, or some
    input is unknown, missing or wrong.
    """
    trigger = next((trigger for trigger in workflow.on if trigger.event == "workflow_dispatch"), None)
    if trigger is None:
        raise BadInputs(f"{workflow.path} has no workflow_dispatch; add it to 'on:' to start it by hand")
    declared = {entry.name.lower(): entry for entry in trigger.inputs}
    wrong = [
        f"unknown input {name!r} ({suggestion(name, [entry.name for entry in trigger.inputs]) or 'it takes none'})"
        for name in given
        if name.lower() not in declared
    ]
    values: dict[str, Any] = {}
    taken = {name.lower(): value for name, value in given.items()}
    for entry in trigger.inputs:
        value, error = _value(entry, taken.get(entry.name.lower()))
        values[entry.name] = value
        if error:
            wrong.append(error)
    if sum(len(to_text(value)) for value in values.values()) > MAX_INPUTS_CHARACTERS:
        wrong.append(f"the inputs have more than {MAX_INPUTS_CHARACTERS:,} characters together")
    if wrong:
        raise BadInputs(f"{workflow.path}: {'; '.join(wrong)}")
    return values


def _value(entry: Input, given: Any) -> tuple[Any, str]:
    value = given
    if value is None or value == "":
        value = entry.default
        if entry.required and (value is None or value == "") and given is None:
            return None, f"input {entry.name!r} is required"
        if entry.required and given == "" and entry.type != "boolean" and not value:
            return None, f"input {entry.name!r} is required and was empty"
    if value is None:
        return {"boolean": False, "number": 0}.get(entry.type, ""), ""
    if isinstance(value, dict | list | tuple):
        return None, f"input {entry.name!r} is not a single value"
    return _CONVERT.get(entry.type, _text)(entry, value)


def _text(entry: Input, value: Any) -> tuple[Any, str]:
    return to_text(value), ""


def _boolean(entry: Input, value: Any) -> tuple[Any, str]:
    text = to_text(value).strip().lower()
    if text not in {"true", "false"}:
        return None, f"input {entry.name!r} is {to_text(value)!r}; write true or false"
    return text == "true", ""


def _number(entry: Input, value: Any) -> tuple[Any, str]:
    number = math.nan if isinstance(value, bool) else to_number(value)
    if not math.isfinite(number):
        return None, f"input {entry.name!r} is {to_text(value)!r}; write a number"
    return (int(number) if number.is_integer() and abs(number) < 2**53 else number), ""


def _choice(entry: Input, value: Any) -> tuple[Any, str]:
    text = to_text(value)
    if text not in entry.options:
        return None, f"input {entry.name!r} is {text!r} ({suggestion(text, entry.options)})"
    return text, ""


_CONVERT = {"boolean": _boolean, "number": _number, "choice": _choice}
