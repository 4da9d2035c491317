"""An expression's tree evaluated over contexts, within a bounded memory.

Memory is counted as GitHub counts it: 26 bytes and 2 a character of every text made, 24 and 8 an element of every array
made; what a primitive result was made from is free again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from opsroom.workflows.expressions.errors import ExpressionError, evaluation_error
from opsroom.workflows.expressions.functions import BUILTINS
from opsroom.workflows.expressions.names import MOST, Arity, flaw_of
from opsroom.workflows.expressions.parser import (
    CallNode,
    CompareNode,
    ContextNode,
    IndexNode,
    LiteralNode,
    LogicNode,
    Node,
    NotNode,
    parse,
)
from opsroom.workflows.expressions.values import (
    MISSING,
    Filtered,
    Value,
    equal,
    is_primitive,
    item,
    kind,
    less,
    lookup,
    plain,
    to_text,
    truthy,
)

EXPRESSION_BYTES = 1024 * 1024
"""The memory of one expression by itself."""

TEMPLATE_BYTES = 10 * 1024 * 1024
"""The memory of an expression that is part of a workflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function the caller adds: `call` gets the values of its arguments, in order, and returns a value."""

    call: Callable[..., Value]
    least: int = 0
    most: int = MOST


Functions = Mapping[str, Function]


def evaluate(
    text: str,
    contexts: Mapping[str, Value],
    *,
    functions: Functions | None = None,
    allowed: Iterable[str] | None = None,
    max_bytes: int = EXPRESSION_BYTES,
) -> Value:
    """The value of an expression (without `${{ }}`); an empty one is None.

    `contexts` are found ignoring case, and so are `functions`, which come beside the built-in ones. `allowed` names the contexts
    that may be used (default: those given); one that is allowed and not given is None. Whole numbers come back as int.
    Error: ExpressionError.
    """
    parsed = parse(text)
    given = {name.lower(): value for name, value in contexts.items()}
    called = {name.lower(): function for name, function in functions.items()} if functions else {}
    names: Collection[str] = given if allowed is None else {name.lower() for name in allowed}
    if flaw := flaw_of(parsed, names, {name: Arity(one.least, one.most) for name, one in called.items()}):
        raise ExpressionError(flaw)
    if parsed.root is None:
        return None
    return plain(Evaluation(text, given, called, max_bytes).value(parsed.root))


class Evaluation:
    """One evaluation of a text: the contexts and functions by lower-case name, and the memory used so far."""

    __slots__ = ("contexts", "functions", "max_bytes", "text", "used")

    def __init__(self, text: str, contexts: Mapping[str, Value], functions: Functions, max_bytes: int) -> None:
        self.text = text
        self.contexts = contexts
        self.functions = functions
        self.max_bytes = max_bytes
        self.used = 0

    def value(self, node: Node) -> Value:
        """The value of a part of the tree."""
        return _RULES[type(node)](self, node)

    def check(self, characters: int) -> None:
        """Raises where a text of that length is more than the memory."""
        if characters * 2 + 26 > self.max_bytes:
            raise self.exceeded()

    def made(self, value: Value, before: int) -> Value:
        """Counts a value just made, of which the making began with `before` bytes in use."""
        if is_primitive(value):
            self.used = before + (len(value) * 2 + 26 if isinstance(value, str) else 24)
        else:
            self.used += 24 + (len(value) * 8 if isinstance(value, list) else 0)
        if self.used > self.max_bytes:
            raise self.exceeded()
        return value

    def exceeded(self) -> ExpressionError:
        return evaluation_error(
            f"The maximum allowed memory size was exceeded while evaluating the following expression: {self.text}",
            f"an expression may use {self.max_bytes:,} bytes; make less text at once",
        )


def _literal(_: Evaluation, node: LiteralNode) -> Value:
    return node.value


def _context(evaluation: Evaluation, node: ContextNode) -> Value:
    return evaluation.contexts.get(node.name)


def _index(evaluation: Evaluation, node: IndexNode) -> Value:
    base = evaluation.value(node.base)
    name = kind(base)
    if name not in ("Array", "Object"):
        return Filtered() if node.key is None else None
    if node.key is None:
        return evaluation.made(_wildcard(base, name, evaluation.max_bytes // 8), evaluation.used)
    key = evaluation.value(node.key)
    if type(base) is Filtered:
        members = (_member(one, kind(one), key) for one in base)
        return evaluation.made(Filtered(one for one in members if one is not MISSING), evaluation.used)
    found = _member(base, name, key)
    return None if found is MISSING else found


def _wildcard(base: Value, name: str, most: int) -> Filtered:
    """All members; of a filtered array the members of its members. No more than just exceed the memory."""
    if type(base) is not Filtered:
        return Filtered(islice(base.values() if name == "Object" else base, most))
    members = (
        member
        for one in base
        if (inner := kind(one)) in ("Array", "Object")
        for member in (one.values() if inner == "Object" else one)
    )
    return Filtered(islice(members, most))


def _member(base: Value, name: str, key: Value) -> Value:
    if name == "Object":
        return lookup(base, to_text(key)) if is_primitive(key) else MISSING
    return item(base, key) if name == "Array" else MISSING


def _not(evaluation: Evaluation, node: NotNode) -> bool:
    return not truthy(evaluation.value(node.operand))


def _compare(evaluation: Evaluation, node: CompareNode) -> bool:
    before = evaluation.used
    left, right = evaluation.value(node.left), evaluation.value(node.right)
    evaluation.used = before
    return _COMPARISONS[node.operator](left, right)


_COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": less,
    "<=": lambda left, right: equal(left, right) or less(left, right),
    ">": lambda left, right: less(right, left),
    ">=": lambda left, right: equal(left, right) or less(right, left),
}


def _logic(evaluation: Evaluation, node: LogicNode) -> Value:
    stop_at = node.operator == "||"
    value = None
    for part in node.parts:
        value = evaluation.value(part)
        if truthy(value) is stop_at:
            break
    return value


def _call(evaluation: Evaluation, node: CallNode) -> Value:
    before = evaluation.used
    builtin = BUILTINS.get(node.name)
    if builtin is not None:
        return evaluation.made(builtin(evaluation, node.arguments), before)
    arguments = [evaluation.value(argument) for argument in node.arguments]
    return evaluation.made(evaluation.functions[node.name].call(*arguments), before)


_RULES: dict[type, Callable[[Evaluation, Any], Value]] = {
    LiteralNode: _literal,
    ContextNode: _context,
    IndexNode: _index,
    NotNode: _not,
    CompareNode: _compare,
    LogicNode: _logic,
    CallNode: _call,
}
