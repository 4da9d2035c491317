"""The functions that every expression may call. Arguments come unevaluated, since GitHub evaluates only those it needs.

Source of the rules: GitHub Docs, "Evaluate expressions in workflows and actions", section Functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol

from opsroom.workflows.expressions.errors import ExpressionError, evaluation_error
from opsroom.workflows.expressions.json_text import read_json, write_json
from opsroom.workflows.expressions.names import MOST
from opsroom.workflows.expressions.parser import Node
from opsroom.workflows.expressions.values import Value, equal, fold, is_primitive, kind, to_text

_SHOWN = 1000
"""Characters of a format string that an error repeats."""

_PIECE = re.compile(r"\{\{|\}\}|\{([0-9]+)(?::((?:[^}]|\}\})*+))?\}|[{}]|[^{}]+")


class Evaluator(Protocol):
    """What a function needs of the evaluation it is part of."""

    def value(self, node: Node) -> Value:
        """The value of an argument."""

    def check(self, characters: int) -> None:
        """Raises where a text of that length would exceed the memory of the evaluation."""


Arguments = tuple[Node, ...]
Builtin = Callable[[Evaluator, Arguments], Value]


def case(evaluator: Evaluator, arguments: Arguments) -> Value:
    """The value after the first predicate that is true, else the last argument. Error: a predicate that is no boolean."""
    for at in range(0, len(arguments) - 1, 2):
        predicate = evaluator.value(arguments[at])
        if kind(predicate) != "Boolean":
            raise evaluation_error(
                "case predicate must evaluate to a boolean value", f"argument {at + 1} is {kind(predicate)}; compare it"
            )
        if predicate:
            return evaluator.value(arguments[at + 1])
    return evaluator.value(arguments[-1])


def contains(evaluator: Evaluator, arguments: Arguments) -> bool:
    """Whether a string holds a text (ignoring case), or an array an element equal to it."""
    searched = evaluator.value(arguments[0])
    if is_primitive(searched):
        wanted = evaluator.value(arguments[1])
        return is_primitive(wanted) and fold(to_text(wanted)) in fold(to_text(searched))
    if kind(searched) == "Object" or not searched:
        return False
    wanted = evaluator.value(arguments[1])
    return any(equal(wanted, element) for element in searched)


def starts_with(evaluator: Evaluator, arguments: Arguments) -> bool:
    """Whether a string begins with a text, ignoring case; false for arrays and objects."""
    folded = _folded_pair(evaluator, arguments)
    return folded is not None and folded[0].startswith(folded[1])


def ends_with(evaluator: Evaluator, arguments: Arguments) -> bool:
    """Whether a string ends with a text, ignoring case; false for arrays and objects."""
    folded = _folded_pair(evaluator, arguments)
    return folded is not None and folded[0].endswith(folded[1])


def format_text(evaluator: Evaluator, arguments: Arguments) -> str:
    """The format string with `{N}` replaced by argument N, `{{` and `}}` by a brace. Error: malformed; N not given."""
    pattern = to_text(evaluator.value(arguments[0]))
    given = arguments[1:]
    texts: dict[int, str] = {}
    pieces: list[str] = []
    size = 0
    for piece in list(_format_pieces(pattern, len(given))):
        if isinstance(piece, int):
            if piece not in texts:
                texts[piece] = to_text(evaluator.value(given[piece]))
            pieces.append(texts[piece])
        elif isinstance(piece, tuple):
            found = kind(evaluator.value(given[piece[0]]))
            raise evaluation_error(f"The format specifiers '{piece[1]}' are not valid for objects of type '{found}'")
        else:
            pieces.append(piece)
        size += len(pieces[-1])
        evaluator.check(size)
    return "".join(pieces)


def join(evaluator: Evaluator, arguments: Arguments) -> str:
    """The elements of an array as text with a separator (`,`) between; a primitive as text; of an object nothing."""
    items = evaluator.value(arguments[0])
    if is_primitive(items):
        return to_text(items)
    if kind(items) == "Object" or not items:
        return ""
    separator = ","
    if len(arguments) > 1 and len(items) > 1:
        given = evaluator.value(arguments[1])
        separator = to_text(given) if is_primitive(given) else ","
    texts = list(map(to_text, items))
    evaluator.check(sum(map(len, texts)) + len(separator) * (len(texts) - 1))
    return separator.join(texts)


def to_json(evaluator: Evaluator, arguments: Arguments) -> str:
    """The value as JSON text, two spaces a level."""
    return write_json(evaluator.value(arguments[0]), evaluator.check)


def from_json(evaluator: Evaluator, arguments: Arguments) -> Value:
    """The value of a JSON text. Error: not JSON; nested too deep."""
    return read_json(to_text(evaluator.value(arguments[0])))


BUILTINS: dict[str, Builtin] = {
    "case": case,
    "contains": contains,
    "endswith": ends_with,
    "format": format_text,
    "fromjson": from_json,
    "join": join,
    "startswith": starts_with,
    "tojson": to_json,
}


def _folded_pair(evaluator: Evaluator, arguments: Arguments) -> tuple[str, str] | None:
    searched, wanted = evaluator.value(arguments[0]), evaluator.value(arguments[1])
    if not (is_primitive(searched) and is_primitive(wanted)):
        return None
    return fold(to_text(searched)), fold(to_text(wanted))


def _format_pieces(pattern: str, given: int) -> Iterator[str | int | tuple[int, str]]:
    """Literal text, an argument's number, or a number with format specifiers (none of which is valid)."""
    for match in _PIECE.finditer(pattern):
        text, digits, specifiers = match.group(), match[1], match[2]
        if digits is None:
            if text in ("{", "}"):
                raise _malformed(pattern)
            yield text[0] if text in ("{{", "}}") else text
            continue
        number = int(digits[-4:]) if not digits[:-4].strip("0") else MOST + 1
        if number > MOST:
            raise _malformed(pattern)
        if number >= given:
            raise evaluation_error(
                f"The following format string references more arguments than were supplied: {pattern[:_SHOWN]}"
            )
        yield (number, specifiers.replace("}}", "}")) if specifiers else number


def _malformed(pattern: str) -> ExpressionError:
    return evaluation_error(
        f"The following format string is invalid: {pattern[:_SHOWN]}", "a brace that is meant as text is written twice"
    )
