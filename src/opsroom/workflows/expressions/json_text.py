"""JSON read and written as `fromJSON` and `toJSON` do it: two spaces, GitHub's numbers, and limits on depth and size."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from json.encoder import encode_basestring
from typing import Any

from opsroom.workflows.expressions.errors import ExpressionError, evaluation_error
from opsroom.workflows.expressions.values import Value, fold, kind, to_text

MAX_JSON_DEPTH = 100
"""Levels of the JSON that fromJSON reads."""

_EXACT_DIGITS = 15
_DONE: Any = object()
_BREAKS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def read_json(text: str) -> Value:
    """The value of a JSON text (RFC 8259). Of keys that differ only in case the first counts. Error: evaluation."""
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _unreadable(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > MAX_JSON_DEPTH and _depth(value) > MAX_JSON_DEPTH:
        raise _too_deep()
    return value


def write_json(value: Value, check: Callable[[int], None]) -> str:
    """The value as JSON text, two spaces a level. `check` is told the characters written so far, and may raise."""
    pieces: list[str] = []
    size = 0
    open_: list[tuple[Iterator[Any], str]] = []
    while True:
        name = kind(value)
        empty_or_flat = name not in ("Array", "Object") or not value
        if empty_or_flat:
            pieces.append(_scalar(value, name))
        else:
            open_.append((iter(value.items()), "}") if name == "Object" else (iter(value), "]"))
            pieces.append("{" if name == "Object" else "[")
        size += len(pieces[-1])
        separator = "," if empty_or_flat else ""
        while open_:
            following: Any = next(open_[-1][0], _DONE)
            if following is not _DONE:
                break
            pieces.append(f"\n{'  ' * (len(open_) - 1)}{open_.pop()[1]}")
            size += len(pieces[-1])
            separator = ","
        else:
            check(size)
            return "".join(pieces)
        head = f"{separator}\n{'  ' * len(open_)}"
        if open_[-1][1] == "}":
            key, value = following
            head += f"{_quoted(str(key))}: "
        else:
            value = following
        pieces.append(head)
        size += len(head)
        check(size)


def _scalar(value: Value, name: str) -> str:
    if name == "String":
        return _quoted(value)
    if name == "Null":
        return "null"
    if name == "Array":
        return "[]"
    return "{}" if name == "Object" else to_text(value)


def _quoted(text: str) -> str:
    quoted = str(encode_basestring(text))
    if not quoted.isascii():
        for character, escape in _BREAKS.items():
            quoted = quoted.replace(character, escape)
    return quoted


def _object(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    made = dict(pairs)
    if len({fold(key) for key in made}) == len(made):
        return made
    first: dict[str, str] = {}
    for key in made:
        first.setdefault(fold(key), key)
    return {key: made[key] for key in first.values()}


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _EXACT_DIGITS and digits != "-0" else float(digits)


def _no_constant(name: str) -> Value:
    raise _unreadable(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_whole, parse_constant=_no_constant)


def _depth(value: Value) -> int:
    depth = 0
    level = [value] if isinstance(value, (dict, list)) else []
    while level:
        depth += 1
        members = (member for one in level for member in (one.values() if isinstance(one, dict) else one))
        level = [member for member in members if isinstance(member, (dict, list))]
    return depth


def _unreadable(why: str) -> ExpressionError:
    return evaluation_error(f"Error parsing fromJson: {why}")


def _too_deep() -> ExpressionError:
    return _unreadable(f"nested deeper than {MAX_JSON_DEPTH} levels")
