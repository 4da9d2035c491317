"""An expression's text taken apart into tokens.

Source of the rules: GitHub Docs, "Evaluate expressions in workflows and actions"; the kinds of errors are those of the
published cases (a character that can begin no token is a lexing error, a token in the wrong place is a parsing error).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from opsroom.workflows.expressions.errors import ExpressionError, Flaw, located
from opsroom.workflows.expressions.values import SPACE, to_number

MAX_LENGTH = 21_000
"""Characters of one expression."""

END = "end"
_LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None, "NaN": float("nan"), "Infinity": float("inf")}
_BOUNDARY = rf"{SPACE}()\[\],.!<>=&|"
_TOKEN = re.compile(
    rf"""
      (?P<space>[{SPACE}]+)
    | (?P<string>'(?:[^']+|'')*+')
    | (?P<unclosed>'.*)
    | (?P<mark>&&|\|\||[=!<>]=|[!<>()\[\],*])
    | (?P<number>[-+0-9][^{_BOUNDARY}]*(?:\.[^{_BOUNDARY}]*)*)
    | (?P<dot>\.)
    | (?P<word>.[^{_BOUNDARY}]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_DOTTED_NUMBER = re.compile(rf"(?:\.[^{_BOUNDARY}]*)+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_DEREFERENCED = frozenset({"name", "property", "]", ")", "*"})


class Token(NamedTuple):
    """`kind`: name, property, literal, end, or the mark itself. `position` counts characters from 1. `value` of a literal."""

    kind: str
    text: str
    position: int
    value: Any = None


def lex(expression: str) -> list[Token]:
    """All tokens, the last of kind `end`. Error: ExpressionError of kind lexing."""
    if len(expression) > MAX_LENGTH:
        raise ExpressionError(Flaw(kind="lexing", message=f"Exceeded max expression length {MAX_LENGTH}"))
    tokens: list[Token] = []
    at = 0
    previous = ""
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise AssertionError(f"no token at {at} of {expression!r}")
        kind, text = str(match.lastgroup), match.group()
        if kind == "dot" and previous not in _DEREFERENCED:
            kind, text = "number", _dotted_number(expression, at)
        if kind != "space":
            token = _token(kind, text, at + 1, previous, expression)
            tokens.append(token)
            previous = token.kind
        at += len(text)
    tokens.append(Token(END, "", len(expression) + 1))
    return tokens


def _token(kind: str, text: str, position: int, previous: str, expression: str) -> Token:
    if kind in ("mark", "dot"):
        return Token(text, text, position)
    if kind == "string":
        return Token("literal", text, position, text[1:-1].replace("''", "'"))
    if kind == "number":
        value = to_number(text)
        if value == value:
            return Token("literal", text, position, value)
    elif kind == "word" and _NAME.fullmatch(text):
        if previous == ".":
            return Token("property", text, position)
        if text in _LITERALS:
            return Token("literal", text, position, _LITERALS[text])
        return Token("name", text, position)
    raise ExpressionError(located("lexing", "Unexpected symbol", text, position, expression))


def _dotted_number(expression: str, at: int) -> str:
    match = _DOTTED_NUMBER.match(expression, at)
    return match.group() if match else "."
