"""Shapes of a file's parts: what may stand where, and which contexts its expressions may use.

A shape describes one value. Contexts add up on the way down: what a mapping allows, its parts allow too. `read_shape` checks a
document against a shape, collects every problem, and returns the value with scalars brought to the type the shape names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsroom.kernel.documents import Node, Path
from opsroom.kernel.errors import Place, Problem
from opsroom.workflows.expressions import ExpressionError, check, check_text, parts, to_text

MAX_PROBLEMS = 200
_LONGEST = 500
INSERT = "${{ insert }}"
"""The key under which a mapping takes over all keys of the mapping its expression gives (GitHub's insert directive)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """`contexts` are names; a function is written with the least and most of its arguments, `hashFiles(1,255)`. Neither on the way down from the root: no expression may stand here."""

    contexts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Shape):
    """Any scalar, as text. `one_of`: the texts allowed. `condition`: the text is an expression even without `${{ }}`."""

    filled: bool = False
    one_of: tuple[str, ...] = ()
    condition: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean(Shape):
    """true or false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Shape):
    """An integer or a decimal number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar(Shape):
    """Text, a boolean or a number, kept in its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anything(Shape):
    """Any value, its strings may hold expressions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence(Shape):
    """A list. `or_one`: a single item may stand for a list of one, and is read as that."""

    item: Shape
    or_one: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields(Shape):
    """A mapping. `keys` are the known ones, `others` the shape of any other key (None: there is no other). `ways_out` are hints
    for keys that are missing, or known and out of place here."""

    noun: str
    keys: Mapping[str, Shape] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    others: Shape | None = None
    or_null: bool = False
    ways_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Either(Shape):
    """A mapping of the first kind, or any other value of the second."""

    mapping: Fields
    other: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds(Shape):
    """A mapping of one of several kinds; the first key that only some kinds have decides, `telling` says which."""

    telling: tuple[tuple[str, Fields], ...]
    default: Fields


class EnoughProblems(Exception):  # noqa: N818
    """Reading stops; the problems say so."""


class Reading:
    """One reading of one document: the problems found so far, and how an expression is checked."""

    def __init__(self, node: Node, problems: list[Problem]) -> None:
        self.node = node
        self.problems = problems

    def read(self, shape: Shape, value: Any, path: Path = (), allowed: tuple[str, ...] = ()) -> Any:
        """`value` as `shape` wants it; None where it is so wrong that nothing can be made of it."""
        allowed = (*allowed, *(name for name in shape.contexts if name not in allowed))
        match shape:
            case Text():
                return self._text(shape, value, path, allowed)
            case Fields():
                return self._fields(shape, value, path, allowed)
            case Sequence():
                return self._sequence(shape, value, path, allowed)
            case Either():
                return self.read(shape.mapping if isinstance(value, dict) else shape.other, value, path, allowed)
            case Kinds():
                return self.read(self._kind(shape, value), value, path, allowed)
            case Boolean() | Number() | Scalar():
                return self._typed(shape, value, path, allowed)
            case _:
                self._expressions_within(value, path, allowed)
                return value

    def problem(self, path: Path, message: str, way_out: str = "", *, key: bool = False) -> None:
        """Writes a problem down, on one line, at the value of `path` or at its key. EnoughProblems: there are too many to read."""
        place = self.place(path, key=key)
        if len(self.problems) >= MAX_PROBLEMS:
            self.problems.append(
                Problem(place, f"more than {MAX_PROBLEMS} problems; reading stopped", "mend those above first")
            )
            raise EnoughProblems
        line = " ".join(message.split())
        self.problems.append(Problem(place, line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…", way_out))

    def place(self, path: Path, *, key: bool = False) -> Place:
        return self.node.key_place(path) if key else self.node.place(path)

    def _text(self, shape: Text, value: Any, path: Path, allowed: tuple[str, ...]) -> str | None:
        if isinstance(value, dict | list):
            self._wrong(path, value, "text")
            return None
        text = to_text(value)
        if shape.filled and not text.strip():
            self.problem(path, f"{_name(path)} is empty", "give it a value")
        elif shape.condition:
            self._condition(text, path, allowed)
        elif not self._expressions(text, path, allowed) and shape.one_of and text not in shape.one_of:
            self.problem(path, f"{_name(path)} is {text!r}", suggestion(text, shape.one_of))
        return text

    def _typed(self, shape: Shape, value: Any, path: Path, allowed: tuple[str, ...]) -> Any:
        wanted, kinds = _WANTED[type(shape)]
        if isinstance(value, str) and (isinstance(shape, Scalar) or is_single_expression(value)):
            self._expressions(value, path, allowed)
            return value
        if isinstance(value, bool):
            fits = bool in kinds
        else:
            fits = isinstance(value, kinds) and not (isinstance(value, float) and math.isnan(value))
        if not fits:
            self._wrong(path, value, wanted)
            return None
        return value

    def _sequence(self, shape: Sequence, value: Any, path: Path, allowed: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [self.read(shape.item, item, (*path, index), allowed) for index, item in enumerate(value)]
        if allowed and isinstance(value, str) and is_single_expression(value):
            self._expressions(value, path, allowed)
            return [value] if shape.or_one else value
        if shape.or_one and not isinstance(value, dict):
            return [self.read(shape.item, value, path, allowed)]
        self._wrong(path, value, "a list")
        return None

    def _fields(self, shape: Fields, value: Any, path: Path, allowed: tuple[str, ...]) -> dict[str, Any] | None:
        if value is None and shape.or_null:
            return {}
        if allowed and isinstance(value, str) and is_single_expression(value):
            self._expressions(value, path, allowed)
            return {INSERT: value}
        if not isinstance(value, dict):
            self._wrong(path, value, "a mapping")
            return None
        result: dict[str, Any] = {}
        seen: dict[str, str] = {}
        for key, item in value.items():
            if key.lower() in seen:
                first = seen[key.lower()]
                self.problem(
                    (*path, key),
                    f"{key!r} is already defined as {first!r}",
                    "upper and lower case make no difference",
                    key=True,
                )
                continue
            seen[key.lower()] = key
            known = self._key(shape, key, (*path, key), allowed)
            if known is not None:
                result[key] = self.read(known, item, (*path, key), allowed)
        for key in shape.required:
            if key not in value:
                self.problem(path, f"{shape.noun} has no {key!r}", shape.ways_out.get(key, f"add '{key}:'"))
        return result

    def _key(self, shape: Fields, key: str, path: Path, allowed: tuple[str, ...]) -> Shape | None:
        if "${{" in key:
            if allowed and shape.others is not None and "".join(key.split()) == "${{insert}}":
                return Anything()
            self.problem(path, f"no expression may stand in the key {key!r}", "write the key out", key=True)
            return None
        if key in shape.keys:
            return shape.keys[key]
        if shape.others is None and key in shape.ways_out:
            self.problem(path, f"{key!r} may not stand in {shape.noun}", shape.ways_out[key], key=True)
        elif shape.others is None:
            self.problem(path, f"unknown key {key!r} in {shape.noun}", suggestion(key, shape.keys), key=True)
        return shape.others

    def _kind(self, shape: Kinds, value: Any) -> Fields:
        if isinstance(value, dict):
            telling = dict(shape.telling)
            for key in value:
                if key in telling:
                    return telling[key]
        return shape.default

    def _expressions_within(self, value: Any, path: Path, allowed: tuple[str, ...]) -> None:
        if isinstance(value, str):
            self._expressions(value, path, allowed)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._expressions_within(item, (*path, key), allowed)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._expressions_within(item, (*path, index), allowed)

    def _condition(self, text: str, path: Path, allowed: tuple[str, ...]) -> None:
        if not self._expressions(text, path, allowed) and text.strip():
            contexts, functions = _names(allowed)
            for flaw in check(text, allowed_contexts=contexts, allowed_functions=functions):
                self.problem(path, flaw.message, flaw.way_out)

    def _expressions(self, text: str, path: Path, allowed: tuple[str, ...]) -> bool:
        """Checks the expressions in `text`; whether it has any."""
        if "${{" not in text:
            return False
        if not allowed:
            self.problem(path, f"no expression may stand in {_name(path)}", "write the value out")
            return True
        contexts, functions = _names(allowed)
        for flaw in check_text(text, allowed_contexts=contexts, allowed_functions=functions):
            self.problem(path, flaw.message, flaw.way_out)
        return True

    def _wrong(self, path: Path, value: Any, wanted: str) -> None:
        self.problem(path, f"{_name(path)} is {_shown(value)}", f"write {wanted}")


_WANTED: dict[type[Shape], tuple[str, tuple[type, ...]]] = {
    Boolean: ("true or false", (bool,)),
    Number: ("a number", (int, float)),
    Scalar: ("text, a number, true or false", (str, int, float, bool, type(None))),
}


def is_single_expression(text: str) -> bool:
    """Whether `text` is one `${{ }}` and nothing else, so that its value need not be text; a broken one counts as one."""
    stripped = text.strip()
    if not stripped.startswith("${{"):
        return False
    try:
        return len(parts(stripped)) == 1
    except ExpressionError:
        return True


def suggestion(given: str, allowed: Iterable[str]) -> str:
    """What to write instead: the nearest allowed word where one is near, and all of them where they are few."""
    from difflib import get_close_matches

    words = list(allowed)
    near = get_close_matches(given, words, n=1, cutoff=0.6)
    listed = f"allowed: {', '.join(words)}" if len(words) <= 40 else ""
    return "; ".join(part for part in (f"did you mean {near[0]!r}?" if near else "", listed) if part)


def _names(allowed: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Contexts, and functions with their arguments."""
    return tuple(name for name in allowed if "(" not in name), tuple(name for name in allowed if "(" in name)


def _name(path: Path) -> str:
    keys = [part for part in path if isinstance(part, str)]
    return f"'{keys[-1]}'" if keys else "the file"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "empty"
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    return to_text(value)
