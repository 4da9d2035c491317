"""What CLI and API derive from an operation's signature: its route and its typed parameters."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from opsroom.contracts.operations import Operation, Page, Started

PREFIX = "/api/v1"
_EMPTY = inspect.Parameter.empty


class BadOperation(TypeError):
    """An operation whose signature breaks the rules of contracts/operations.py: our bug, found at start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One keyword-only parameter with its type resolved."""

    name: str
    type: Any
    required: bool
    default: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """An operation as the surfaces see it. `path` is below /api/v1, such as "/incidents/{id}/acknowledge"."""

    operation: Operation
    method: Literal["GET", "POST"]
    path: str
    has_id: bool
    parameters: tuple[Parameter, ...]
    result: Any

    @property
    def conditional(self) -> bool:
        """Whether it takes If-Match itself, by a parameter of that name, and so checks it in its own transaction."""
        return any(parameter.name == "if_match" for parameter in self.parameters)

    @property
    def paged(self) -> bool:
        return isinstance(self.result, type) and issubclass(self.result, Page)

    @property
    def starts(self) -> bool:
        return isinstance(self.result, type) and issubclass(self.result, Started)

    @property
    def creates(self) -> bool:
        return self.operation.verb == "create" and not self.starts


def derive(operation: Operation) -> Derived:
    """BadOperation names the operation and what is wrong with its signature."""
    function = operation.function
    try:
        # `Call` is usually imported for type checkers alone, and it is never needed here.
        hints = get_type_hints(function, localns={"Call": object}, include_extras=True)
    except NameError as error:
        raise BadOperation(f"{operation.name}: {error}; import it at run time, not under TYPE_CHECKING") from error
    if "return" not in hints:
        raise BadOperation(f"{operation.name} does not say what it returns")
    positional, parameters = _split(operation, list(inspect.signature(function).parameters.values())[1:], hints)
    if positional not in ([], ["id"]):
        raise BadOperation(f"{operation.name}: positional parameters are {positional}; at most one is allowed, `id`")
    return Derived(
        operation=operation,
        method="GET" if operation.reads else "POST",
        path=_path(operation, bool(positional)),
        has_id=bool(positional),
        parameters=tuple(parameters),
        result=hints["return"],
    )


def derive_all(operations: tuple[Operation, ...]) -> tuple[Derived, ...]:
    """All that are on every surface, in order. BadOperation: two would share a route."""
    found = tuple(derive(operation) for operation in operations if not operation.local)
    taken: dict[tuple[str, str], str] = {}
    for derived in found:
        route = (derived.method, derived.path)
        if route in taken:
            raise BadOperation(f"{derived.operation.name} and {taken[route]} are both {' '.join(route)}")
        taken[route] = derived.operation.name
    return found


def optional(annotation: Any) -> tuple[Any, bool]:
    """The type without `| None`, and whether it had it."""
    arguments = get_args(annotation)
    if type(None) in arguments and get_origin(annotation) is not Literal:
        rest = [argument for argument in arguments if argument is not type(None)]
        if len(rest) == 1:
            return rest[0], True
    return annotation, False


def _split(
    operation: Operation, given: list[inspect.Parameter], hints: dict[str, Any]
) -> tuple[list[str], list[Parameter]]:
    positional, named = [], []
    for parameter in given:
        if parameter.name not in hints:
            raise BadOperation(f"{operation.name}: parameter {parameter.name!r} has no type")
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            positional.append(parameter.name)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            required = parameter.default is _EMPTY
            default = None if required else parameter.default
            named.append(Parameter(name=parameter.name, type=hints[parameter.name], required=required, default=default))
        else:
            raise BadOperation(f"{operation.name}: parameter {parameter.name!r} is of a kind that cannot be derived")
    return positional, named


def _path(operation: Operation, has_id: bool) -> str:
    base = f"/{operation.noun}"
    if operation.verb == "list" and operation.reads and not has_id:
        return base
    if operation.verb == "create" and not operation.reads and not has_id:
        return base
    if operation.verb == "show" and operation.reads and has_id:
        return f"{base}/{{id}}"
    return f"{base}/{{id}}/{operation.verb}" if has_id else f"{base}/{operation.verb}"
