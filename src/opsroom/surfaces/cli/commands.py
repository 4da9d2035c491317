"""Derived commands: one for every operation, its options from the signature, its work done by the server."""

from __future__ import annotations

import enum
import importlib
import inspect
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import SecretStr

from opsroom.contracts.operations import Operation
from opsroom.kernel.settings import load_settings
from opsroom.surfaces.cli.client import Client
from opsroom.surfaces.cli.tables import show
from opsroom.surfaces.cli.values import JsonValue, Moment, read_secret
from opsroom.surfaces.derived import Derived, Parameter, derive, optional


def noun_group(noun: str, modules: Sequence[str]) -> click.Group:
    """`opsroom NOUN`, with a command for each of its verbs."""
    group = click.Group(noun, help=f"Verbs of {noun}.", no_args_is_help=True)
    for module in modules:
        for operation in operations_in(module):
            if operation.noun == noun and not operation.local:
                group.add_command(command_of(derive(operation)))
    return group


def operations_in(module: str) -> tuple[Operation, ...]:
    """The operations that an area, or the kernel, declares."""
    loaded = importlib.import_module(module)
    area = getattr(loaded, "AREA", None)
    found: tuple[Operation, ...] = area.operations if area is not None else loaded.KERNEL_OPERATIONS
    return found


def command_of(derived: Derived) -> click.Command:
    """One operation as a command: ID where it takes one, options, and --json."""
    options: list[click.Parameter] = [click.Argument(["id"], metavar="ID")] if derived.has_id else []
    taken = {parameter.name for parameter in derived.parameters} | {"json"}
    options += [_option(parameter, taken) for parameter in derived.parameters]
    options.append(click.Option(["--json", "as_json"], is_flag=True, help="Print the answer as JSON."))
    text = inspect.cleandoc(derived.operation.function.__doc__ or "")
    return click.Command(
        derived.operation.verb,
        params=options,
        callback=_asking(derived),
        help=text,
        short_help=derived.operation.summary,
    )


def _asking(derived: Derived) -> Callable[..., None]:
    def ask(*, as_json: bool, id: str = "", **given: Any) -> None:
        if derived.has_id and not id:
            raise click.UsageError("ID is empty")
        values = _given(derived, given)
        reads = derived.operation.reads
        client = Client(load_settings())
        sent = {"query": _query(values)} if reads else {"body": values if derived.parameters else None}
        answer = client.ask(derived.method, derived.path, id=id, **sent)
        show(answer, derived, as_json=as_json)

    return ask


def _given(derived: Derived, given: dict[str, Any]) -> dict[str, Any]:
    """What was given on the command line; a secret that was not is read from a prompt or standard input."""
    values: dict[str, Any] = {}
    for parameter in derived.parameters:
        value = given.get(parameter.name)
        if parameter.required and value is None and optional(parameter.type)[0] is SecretStr:
            value = read_secret(parameter.name)
        if value is not None and value != ():
            values[parameter.name] = list(value) if isinstance(value, tuple) else value
    return values


def _query(values: dict[str, Any]) -> list[tuple[str, str]]:
    listed = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
    return [
        (name, str(item).lower() if isinstance(item, bool) else str(item))
        for name, items in listed.items()
        for item in items
    ]


def _option(parameter: Parameter, taken: set[str]) -> click.Option:
    bare, _ = optional(parameter.type)
    flag = f"--{parameter.name.replace('_', '-')}"
    if bare is SecretStr:
        return click.Option(
            [flag, parameter.name], help="Read from a hidden prompt, or from standard input.", hidden=True
        )
    if bare is bool:
        default = bool(parameter.default)
        named = f"{flag}/--no-{flag[2:]}"
        return click.Option(
            [named, parameter.name], default=None, help="" if parameter.default is None else _default(default)
        )
    multiple = get_origin(bare) in (list, tuple)
    names = [flag, parameter.name]
    single = parameter.name.removesuffix("es" if parameter.name.endswith("sses") else "s")
    if multiple and single not in taken and single != parameter.name:
        names.insert(0, f"--{single.replace('_', '-')}")
    return click.Option(
        names,
        type=_type_of(get_args(bare)[0] if multiple and get_args(bare) else bare),
        required=parameter.required,
        multiple=multiple,
        help="May be repeated." if multiple else _default(parameter.default),
    )


def _default(value: Any) -> str:
    if value is None or value == "" or value == ():
        return ""
    return f"Default: {str(value).lower() if isinstance(value, bool) else value}."


def _type_of(bare: Any) -> Any:
    if get_origin(bare) is Literal:
        return click.Choice([str(choice) for choice in get_args(bare)])
    if isinstance(bare, type) and issubclass(bare, enum.Enum):
        return click.Choice([str(member.value) for member in bare])
    if bare is datetime:
        return Moment()
    if bare in (int, float, str):
        return bare
    return JsonValue()
