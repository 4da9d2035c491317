"""Values that hold `${{ }}`: taken apart, put together again, walked.

Source of the rules: GitHub Docs, "Contexts reference" and "Evaluate expressions"; the words of errors are GitHub's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from opsroom.workflows.expressions.errors import ExpressionError, Flaw, evaluation_error
from opsroom.workflows.expressions.evaluate import TEMPLATE_BYTES, Functions, evaluate
from opsroom.workflows.expressions.values import Value, fold, kind, to_text

OPEN = "${{"
INSERT = "insert"
"""`${{ insert }}` as a key takes over all members of the mapping that is its value."""

MAX_LEVELS = 100
"""Levels of the dicts and lists that `resolve` walks."""

_NOT_CLOSED = (
    "The expression is not closed. An unescaped ${{ sequence was found, but the closing }} sequence was not found."
)
_QUOTED_OR_CLOSE = re.compile(r"'[^']*+'|'|\}\}")


class Part(NamedTuple):
    """Literal text, or an expression without `${{ }}` and the spaces around it; `offset` is where that begins in the whole text."""

    text: str
    is_expression: bool
    offset: int


def parts(text: str) -> tuple[Part, ...]:
    """The pieces of a text in order. Error: ExpressionError where an expression is not closed, or empty."""
    return _parts_cached(text) if len(text) <= 1000 else _parts(text)


def interpolate(
    text: str,
    contexts: Mapping[str, Value],
    *,
    functions: Functions | None = None,
    allowed: Iterable[str] | None = None,
    max_bytes: int = TEMPLATE_BYTES,
) -> str:
    """The text with each `${{ }}` replaced by its value as text.

    Error: ExpressionError, also where the whole text is one expression that gives an array or an object.
    """
    if OPEN not in text:
        return text
    pieces = parts(text)
    texts: list[str] = []
    size = 0
    for piece in pieces:
        if not piece.is_expression:
            texts.append(piece.text)
        else:
            value = evaluate(piece.text, contexts, functions=functions, allowed=allowed, max_bytes=max_bytes)
            if len(pieces) == 1 and (name := kind(value)) in ("Array", "Object"):
                what = "sequence" if name == "Array" else "mapping"
                raise evaluation_error(f"A {what} was not expected", f"write toJSON({piece.text}) for its text")
            texts.append(to_text(value))
        size += len(texts[-1]) * 2
        if size > max_bytes:
            raise evaluation_error(
                "The maximum allowed memory size was exceeded", f"a value may use {max_bytes:,} bytes"
            )
    return "".join(texts)


def resolve(
    raw: Any,
    contexts: Mapping[str, Value],
    *,
    functions: Functions | None = None,
    allowed: Iterable[str] | None = None,
    max_bytes: int = TEMPLATE_BYTES,
) -> Value:
    """A raw value with every expression in it evaluated; dicts and lists are walked, keys too.

    A string that is one `${{ }}` and nothing else becomes the expression's value, of whatever kind.
    Error: ExpressionError, also where two keys become one.
    """
    names = None if allowed is None else frozenset(allowed)
    return _Resolver(contexts, functions, names, max_bytes).walk(raw, 0)


def as_expression(text: str) -> str | None:
    """The one expression that a text with `${{ }}` stands for, `format('…{0}', x)` where it is mixed; None where it has none.

    Error: ExpressionError where an expression is not closed, or empty.
    """
    if OPEN not in text:
        return None
    pieces = parts(text)
    if len(pieces) == 1 and pieces[0].is_expression:
        return pieces[0].text
    pattern = ""
    arguments: list[str] = []
    for piece in pieces:
        if piece.is_expression:
            pattern += f"{{{len(arguments)}}}"
            arguments.append(piece.text)
        else:
            pattern += piece.text.replace("'", "''").replace("{", "{{").replace("}", "}}")
    return f"format('{pattern}', {', '.join(arguments)})"


def expressions_in(raw: Any) -> Iterator[Part]:
    """Every expression in a raw value, keys too, in order. Error: ExpressionError."""
    waiting = [raw]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if OPEN in value:
                yield from (part for part in parts(value) if part.is_expression)
        elif isinstance(value, Mapping):
            for key, member in reversed(list(value.items())):
                waiting.append(member)
                if not (isinstance(key, str) and is_insert(key)):
                    waiting.append(key)
        elif isinstance(value, (list, tuple)):
            waiting += reversed(value)


def _parts(text: str) -> tuple[Part, ...]:
    found: list[Part] = []
    at = 0
    while (start := text.find(OPEN, at)) >= 0:
        end = _closing(text, start + len(OPEN))
        if end < 0:
            raise ExpressionError(Flaw(kind="parsing", message=_NOT_CLOSED, offset=start))
        if start > at:
            found.append(Part(text[at:start], False, at))
        inside = text[start + len(OPEN) : end]
        expression = inside.strip()
        if not expression:
            raise ExpressionError(Flaw(kind="parsing", message="An expression was expected", offset=start))
        found.append(Part(expression, True, start + len(OPEN) + len(inside) - len(inside.lstrip())))
        at = end + 2
    if at < len(text) or not found:
        found.append(Part(text[at:], False, at))
    return tuple(found)


_parts_cached = lru_cache(maxsize=2048)(_parts)


def _closing(text: str, at: int) -> int:
    """Where the `}}` stands that closes the expression, -1 where none does; one inside a quoted string does not."""
    for match in _QUOTED_OR_CLOSE.finditer(text, at):
        if match.group() == "}}":
            return match.start()
        if match.group() == "'":
            return -1
    return -1


class _Resolver:
    def __init__(
        self, contexts: Mapping[str, Value], functions: Functions | None, allowed: frozenset[str] | None, max_bytes: int
    ) -> None:
        self.contexts = contexts
        self.functions = functions
        self.allowed = allowed
        self.max_bytes = max_bytes

    def walk(self, raw: Any, level: int) -> Value:
        if isinstance(raw, str):
            return self.text(raw)
        if level >= MAX_LEVELS and isinstance(raw, (Mapping, list, tuple)):
            raise evaluation_error(f"Exceeded max depth {MAX_LEVELS}", "nest the value less")
        if isinstance(raw, Mapping):
            return self.mapping(raw, level)
        if isinstance(raw, (list, tuple)):
            return [self.walk(one, level + 1) for one in raw]
        return raw

    def text(self, raw: str) -> Value:
        if OPEN not in raw:
            return raw
        pieces = parts(raw)
        if len(pieces) > 1 or not pieces[0].is_expression:
            return self.interpolated(raw)
        return evaluate(
            pieces[0].text, self.contexts, functions=self.functions, allowed=self.allowed, max_bytes=self.max_bytes
        )

    def interpolated(self, raw: str) -> str:
        return interpolate(raw, self.contexts, functions=self.functions, allowed=self.allowed, max_bytes=self.max_bytes)

    def mapping(self, raw: Mapping[Any, Any], level: int) -> dict[Any, Value]:
        made: dict[Any, Value] = {}
        taken: set[str] = set()
        for key, value in raw.items():
            walked = self.walk(value, level + 1)
            if not isinstance(key, str) or OPEN not in key:
                taken.add(fold(str(key)))
                made[key] = walked
            elif not is_insert(key):
                _add(made, taken, self.interpolated(key), walked)
            elif kind(walked) != "Object":
                raise evaluation_error("A mapping was expected", f"${{{{ insert }}}} was given {kind(walked)}")
            else:
                for inner, member in walked.items():
                    _add(made, taken, inner, member)
        return made


def _add(made: dict[Any, Value], taken: set[str], key: str, value: Value) -> None:
    folded = fold(str(key))
    if folded in taken:
        raise evaluation_error(f"'{key}' is already defined", "write the key once")
    taken.add(folded)
    made[key] = value


def is_insert(key: str) -> bool:
    """Whether a key is `${{ insert }}`."""
    return key.startswith(OPEN) and key.endswith("}}") and key[len(OPEN) : -2].strip() == INSERT
