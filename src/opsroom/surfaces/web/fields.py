"""Form fields made from typed inputs: those of a workflow's `workflow_dispatch`, and those of an operation's signature."""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from opsroom.kernel.errors import Invalid
from opsroom.surfaces.derived import optional

if TYPE_CHECKING:
    from opsroom.surfaces.derived import Derived, Parameter
    from opsroom.workflows.model import Input

FieldKind = Literal["text", "number", "boolean", "choice", "time", "lines", "secret", "json"]
_TRUE = {"true", "on", "1", "yes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a form. `value` is what it starts with, as text (`true`/`false` for a boolean; one a line for `lines`)."""

    name: str
    label: str
    kind: FieldKind = "text"
    required: bool = False
    value: str = ""
    options: tuple[str, ...] = ()
    help: str = ""
    error: str = ""


def fields_of_inputs(inputs: Sequence[Input], *, environments: Sequence[str] = (), prefix: str = "") -> list[Field]:
    """Fields for the inputs of `workflow_dispatch`; `environments` are the choices of inputs of that type. With the prefix
    `inputs.` they become the parameter `inputs` of the operation that the form runs."""
    kinds: dict[str, FieldKind] = {
        "boolean": "boolean",
        "choice": "choice",
        "number": "number",
        "environment": "choice",
    }
    return [
        Field(
            name=prefix + one.name, label=_label(one.name), kind=kinds.get(one.type, "text"), required=one.required,
            value=_text(one.default), options=tuple(environments) if one.type == "environment" else one.options,
            help=one.description,
        )
        for one in inputs
    ]  # fmt: skip


def fields_of(derived: Derived, given: Mapping[str, str] | None = None) -> list[Field]:
    """Fields for the parameters of an operation; `given` values fill them in."""
    values = given or {}
    fields = [Field(name="id", label="Id", required=True, value=values.get("id", ""))] if derived.has_id else []
    for parameter in derived.parameters:
        kind, options = kind_of(parameter.type)
        default = "" if parameter.required else _text(parameter.default)
        fields.append(
            Field(
                name=parameter.name, label=_label(parameter.name), kind=kind, options=options,
                value="" if kind == "secret" else values.get(parameter.name, default),
                required=parameter.required and kind != "boolean",
            )
        )  # fmt: skip
    return fields


def arguments_of(derived: Derived, form: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The form's texts as the operation's own types, by name; `id` among them. Error: Invalid, naming the field."""
    arguments: dict[str, Any] = {}
    if derived.has_id:
        arguments["id"] = (form.get("id") or [""])[-1]
        if not arguments["id"]:
            raise Invalid(f"id is missing; {derived.operation.name} needs it")
    for parameter in derived.parameters:
        raw = _raw(kind_of(parameter.type)[0], form.get(parameter.name))
        raw = _mapped(parameter, form) if raw is None else raw
        if raw is None and parameter.required:
            raise Invalid(f"{parameter.name} is missing; {derived.operation.name} needs it")
        arguments[parameter.name] = (
            parameter.default if raw is None else _typed(derived, parameter.name, parameter.type, raw)
        )
    return arguments


def kind_of(annotation: Any) -> tuple[FieldKind, tuple[str, ...]]:
    """The field that fits a parameter's type, and its choices."""
    from pydantic import SecretStr

    inner, _ = optional(annotation)
    if typing.get_origin(inner) is Literal:
        return "choice", tuple(map(str, typing.get_args(inner)))
    if typing.get_origin(inner) in {list, tuple}:
        of = (typing.get_args(inner) or (str,))[0]
        return ("lines" if of is str else "json"), ()
    if not inspect.isclass(inner):
        return "json", ()
    if issubclass(inner, Enum):
        return "choice", tuple(str(member.value) for member in inner)
    simple: tuple[tuple[type, FieldKind], ...] = (
        (bool, "boolean"), (int, "number"), (float, "number"), (datetime, "time"), (SecretStr, "secret"), (str, "text"),
    )  # fmt: skip
    return next((kind for type_, kind in simple if issubclass(inner, type_)), "json"), ()


def _raw(kind: FieldKind, texts: Sequence[str] | None) -> Any:
    if kind == "boolean":
        return bool(texts) and texts is not None and texts[-1] in _TRUE
    if not texts or not any(texts):
        return None
    if kind == "lines":
        return [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    return texts[-1]


def _mapped(parameter: Parameter, form: Mapping[str, Sequence[str]]) -> str | None:
    """A map given as a field for each key, `inputs.product`, as JSON; None where there is none."""
    if kind_of(parameter.type)[0] != "json":
        return None
    start = f"{parameter.name}."
    found = {name.removeprefix(start): texts[-1] for name, texts in form.items() if name.startswith(start) and texts}
    return json.dumps(found) if found else None


def _typed(derived: Derived, name: str, type_: Any, raw: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    adapter: TypeAdapter[Any] = TypeAdapter(type_)
    kind = kind_of(type_)[0]
    try:
        value = adapter.validate_json(raw) if kind == "json" else adapter.validate_python(raw)
    except ValidationError as error:
        told = "" if kind == "secret" else f"={raw!r}"
        raise Invalid(
            f"{name}{told} of {derived.operation.name}: {error.errors(include_url=False)[0]['msg']}"
        ) from None
    if isinstance(value, datetime) and value.tzinfo is None:
        raise Invalid(f"{name}={raw!r} has no offset; write it as 2026-11-23T14:02:00Z")
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    return str(value.value if isinstance(value, Enum) else value)


def _label(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").strip().capitalize()
