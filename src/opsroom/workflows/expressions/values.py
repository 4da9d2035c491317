"""The values of the expression language: their kinds, and how one becomes or compares with another.

Source of the rules: GitHub Docs, "Evaluate expressions in workflows and actions", sections Operators and Literals. A value
is None, bool, int, float, str, or a list or mapping (keys str) of them; every number is meant as an IEEE 754 double.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Literal

Value = Any
Kind = Literal["Null", "Boolean", "Number", "String", "Array", "Object"]

SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(map(chr, range(0x2000, 0x200B)))
"""The characters that are white space."""

MISSING = object()
"""What `lookup` and `item` give where there is nothing: null is a value."""

_WHOLE = 2**53
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?Infinity")
_HEX = re.compile(r"0x([0-9a-fA-F]+)")
_OCTAL = re.compile(r"0o([0-7]+)")


class Filtered(list[Any]):
    """What `.*` gives: an array whose next index goes to each of its members."""


_KINDS: dict[type, Kind] = {
    type(None): "Null",
    bool: "Boolean",
    int: "Number",
    float: "Number",
    str: "String",
    list: "Array",
    tuple: "Array",
    Filtered: "Array",
    dict: "Object",
}
_FAMILIES: tuple[tuple[Any, Kind], ...] = (
    (str, "String"),
    (int, "Number"),
    (float, "Number"),
    ((list, tuple), "Array"),
    (Mapping, "Object"),
)


def kind(value: Value) -> Kind:
    """The kind of a value. TypeError where a context holds what is no value of the language (the caller's bug)."""
    found = _KINDS.get(type(value))
    if found is not None:
        return found
    for family, name in _FAMILIES:
        if isinstance(value, family):
            return name
    raise TypeError(f"{type(value).__name__} is no value of the expression language")


def is_primitive(value: Value) -> bool:
    """Whether the value is null, a boolean, a number or a string."""
    return kind(value) not in ("Array", "Object")


def truthy(value: Value) -> bool:
    """false, 0, -0, NaN, '' and null are false; all else, empty arrays and objects too, is true."""
    if kind(value) in ("Array", "Object"):
        return True
    return bool(value) and value == value


def to_text(value: Value) -> str:
    """As text: null is empty, numbers have at most 15 digits, arrays are 'Array' and objects 'Object'."""
    name = kind(value)
    if name == "String":
        return str(value)
    if name == "Number":
        return _number_text(value)
    if name == "Boolean":
        return "true" if value else "false"
    return "" if name == "Null" else name


def to_number(value: Value) -> float:
    """As a number: null is 0, an empty string 0, what is no number NaN. Strings: decimal, 0x, 0o, Infinity; trimmed."""
    name = kind(value)
    if name == "String":
        return _parse_number(value)
    if name == "Number":
        return _double(value)
    if name == "Boolean":
        return 1.0 if value else 0.0
    return 0.0 if name == "Null" else math.nan


def plain(value: Value) -> Value:
    """A value as Python code would write it: whole doubles below 2**53 as int (not -0.0), a filtered array as a list."""
    if (
        type(value) is float
        and value.is_integer()
        and -_WHOLE < value < _WHOLE
        and (value or math.copysign(1, value) > 0)
    ):
        return int(value)
    return list(value) if type(value) is Filtered else value


def fold(text: str) -> str:
    """Text such that two are equal but for case exactly when their folds are equal: simple upper case, character by character.

    The dotless ı stays itself: to fold it would make it equal to I, which GitHub (ordinal comparison) does not.
    """
    upper = text.upper()
    if len(upper) == len(text) and "ı" not in text:
        return upper
    return "".join(map(_fold_character, text))


def equal(left: Value, right: Value) -> bool:
    """`==`: strings ignore case, primitives of different kinds compare as numbers, arrays and objects by identity."""
    one, other = kind(left), kind(right)
    if one != other:
        if one in ("Array", "Object") or other in ("Array", "Object"):
            return False
        return to_number(left) == to_number(right)
    if one == "String":
        return bool(left == right) or fold(left) == fold(right)
    if one == "Number":
        return _double(left) == _double(right)
    if one == "Boolean":
        return bool(left == right)
    return left is right


def less(left: Value, right: Value) -> bool:
    """`<`: as `equal` coerces; null, arrays and objects are never less than their like."""
    one, other = kind(left), kind(right)
    if one in ("Array", "Object") or other in ("Array", "Object") or one == other == "Null":
        return False
    if one == other == "String":
        return _ordinal(left) < _ordinal(right)
    return to_number(left) < to_number(right)


def lookup(mapping: Mapping[str, Value], name: str) -> Value:
    """The member of that name, else the first whose name differs only in case, else MISSING."""
    try:
        return mapping[name]
    except KeyError:
        pass
    wanted = fold(name)
    for key, value in mapping.items():
        if isinstance(key, str) and fold(key) == wanted:
            return value
    return MISSING


def item(array: list[Value] | tuple[Value, ...], index: Value) -> Value:
    """The element at the index as a number rounded down, else MISSING."""
    number = to_number(index)
    if not 0 <= number < len(array):
        return MISSING
    return array[int(number)]


def _double(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _number_text(value: int | float) -> str:
    number = _double(value)
    if not number:
        return "0"
    if math.isfinite(number):
        return f"{number:.15G}"
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _parse_number(text: str) -> float:
    trimmed = text.strip(SPACE)
    if not trimmed:
        return 0.0
    if _DECIMAL.fullmatch(trimmed):
        return float(trimmed)
    if match := _HEX.fullmatch(trimmed):
        return _double(int(match[1], 16))
    if match := _OCTAL.fullmatch(trimmed):
        return _double(int(match[1], 8))
    return math.nan


def _fold_character(character: str) -> str:
    upper = character.upper()
    return upper if len(upper) == 1 and character != "ı" else character


def _ordinal(text: str) -> bytes:
    # UTF-16 order, which differs from code points above U+FFFF.
    return fold(text).encode("utf-16-be", "surrogatepass")
