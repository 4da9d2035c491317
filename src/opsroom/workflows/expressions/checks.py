"""Expressions checked and asked about without evaluating them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from opsroom.workflows.expressions.errors import ExpressionError, Flaw
from opsroom.workflows.expressions.names import arities, flaw_of
from opsroom.workflows.expressions.parser import CONTEXT, parse
from opsroom.workflows.expressions.templates import expressions_in, parts


def check(
    text: str, *, allowed_contexts: Iterable[str] | None = None, allowed_functions: Iterable[str] = ()
) -> list[Flaw]:
    """What is wrong with an expression (without `${{ }}`): nothing, or the first thing, in GitHub's words.

    `allowed_contexts` None: any name. `allowed_functions` beside the built-in ones, as `hashFiles` or `success(0,MAX)`.
    """
    contexts = None if allowed_contexts is None else {name.lower() for name in allowed_contexts}
    flaw = flaw_of(parse(text), contexts, arities(allowed_functions))
    return [flaw] if flaw else []


def check_text(
    text: str, *, allowed_contexts: Iterable[str] | None = None, allowed_functions: Iterable[str] = ()
) -> list[Flaw]:
    """What is wrong with the expressions in a text with `${{ }}`, the first thing of each; `offset` says where each begins."""
    contexts = None if allowed_contexts is None else tuple(allowed_contexts)
    functions = tuple(allowed_functions)
    try:
        pieces = parts(text)
    except ExpressionError as error:
        return [error.flaw]
    return [
        replace(flaw, offset=piece.offset)
        for piece in pieces
        if piece.is_expression
        for flaw in check(piece.text, allowed_contexts=contexts, allowed_functions=functions)
    ]


def references(text: str) -> frozenset[str]:
    """The contexts that an expression names, in lower case. Error: ExpressionError where it cannot be read."""
    parsed = parse(text)
    if parsed.flaw:
        raise ExpressionError(parsed.flaw)
    return frozenset(one.name for one in parsed.mentions if one.arguments == CONTEXT)


def references_in(raw: Any) -> frozenset[str]:
    """The contexts that the expressions of a raw value name, in lower case. Error: ExpressionError."""
    return frozenset().union(*(references(part.text) for part in expressions_in(raw)))
