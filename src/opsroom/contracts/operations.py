"""Operations: one function per verb, from whose signature CLI and API are derived.

    @operation("incidents.acknowledge", needs="operate", scope=of_incident)
    def acknowledge(call: Call, id: str, *, note: str = "") -> Incident:
        '''Say that someone is on it. Error: not found; already resolved.'''

The name is `NOUN.VERB`. CLI: `opsroom NOUN VERB ID --note …`. API under /api/v1, derived so: `list` GET /NOUN, `show` GET
/NOUN/{id}, `create` POST /NOUN, any other reading verb GET /NOUN[/{id}]/VERB, any other verb POST /NOUN[/{id}]/VERB.
Positional parameters after `call` are path parts (at most one, `id`; write ids that hold slashes as query or body fields);
keyword-only ones are query parameters (reads) or body fields (writes). Types: str, int, float, bool, datetime, enums,
Literal, lists of str, `Model` subclasses, each optional by `| None`; `SecretStr` for what no surface may show or log. Results
are `Model`s, lists of them, `Page[Model]`, or None. A `Started` is answered by 202 and a `Location` to follow. A result whose
model has a field `version` is answered with it as ETag, and a write with `{id}` on the same noun obeys If-Match.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from opsroom.contracts import scopes

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call

Needs = Literal["read", "operate", "approve", "admin"]
T = TypeVar("T")


class Model(BaseModel):
    """A frozen value that crosses a boundary; unknown fields are refused. `reveals` names fields that hold a secret made just
    now and shown this once (a new token): only they escape redaction. `columns` names the fields that a table on a terminal shows
    of a listed model (none: all of them)."""

    reveals: ClassVar[frozenset[str]] = frozenset()
    columns: ClassVar[tuple[str, ...]] = ()
    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(Model, Generic[T]):
    """One page of a list; `next` is the cursor to pass as `after`, empty at the end."""

    items: list[T]
    next: str = ""


class Started(Model):
    """A long operation that has begun; `noun` and `id` name what tells of its progress, at /api/v1/NOUN/ID."""

    noun: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A verb as declared. `reads`: it changes nothing. `local`: why it is on no other surface ("" : it is on all). `scope` says who
    may use it on what, by the rules of `contracts/scopes.py`."""

    name: str
    function: Callable[..., Any]
    needs: Needs
    reads: bool
    local: str = ""
    scope: scopes.Scope

    @property
    def noun(self) -> str:
        return self.name.split(".")[0]

    @property
    def verb(self) -> str:
        return self.name.split(".")[1]

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.function.__doc__ or "").strip().split("\n")[0]


def operation(
    name: str, *, scope: scopes.Scope, needs: Needs = "read", local: str = ""
) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Marks a function as a verb; `needs="read"` means it changes nothing, and then the function itself, whoever calls it, gives the
    actor only what they may read. Writes are allowed by the surface that is asked, before it calls."""

    def mark(function: Callable[..., T]) -> Callable[..., T]:
        callee = _guarded(function) if needs == "read" else function
        callee.operation = Operation(  # type: ignore[attr-defined]
            name=name, function=callee, needs=needs, reads=needs == "read", local=local, scope=scope
        )
        return callee

    return mark


def _guarded(function: Callable[..., T]) -> Callable[..., T]:
    """The function, held to the scope of the operation it becomes."""
    named = [
        name for name, one in inspect.signature(function).parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD
    ]

    @functools.wraps(function)
    def read(call: Call, *positional: Any, **arguments: Any) -> T:
        declared: Operation = read.operation  # type: ignore[attr-defined]
        scopes.require(call, declared, dict(zip(named[1:], positional, strict=False)) | arguments)
        result: T = scopes.sift(call, declared, function(call, *positional, **arguments))
        return result

    return read


def operations_of(*modules: object) -> tuple[Operation, ...]:
    """All operations defined in these modules, in the order written."""
    found: list[Operation] = []
    for module in modules:
        for thing in vars(module).values():
            declared = getattr(thing, "operation", None)
            if isinstance(declared, Operation) and thing.__module__ == module.__name__:  # type: ignore[attr-defined]
                found.append(declared)
    return tuple(found)
