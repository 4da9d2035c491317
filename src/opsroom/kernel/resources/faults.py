"""What a Pydantic model refuses, as problems with a place and a way out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from opsroom.kernel.documents import Node, Path
from opsroom.kernel.errors import Problem
from opsroom.kernel.resources.fields import OpenSpec

LISTED = 20
"""How many known words an error lists."""


def validate(model: type[BaseModel], value: Any, node: Node, root: Path) -> tuple[Any, list[Problem]]:
    """`value`, which stands at `root` of `node`, as a `model`; or None and everything wrong with it."""
    try:
        found = model.model_validate(value, by_alias=True, by_name=False)
    except ValidationError as error:
        return None, _problems(error, model, value, node, root)
    return found, list(_misspelt(found, node, root))


def dotted(path: Path) -> str:
    """A path as people write it: `spec.services[0].address`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def meant(word: str, known: list[str] | tuple[str, ...], *, what: str = "known here") -> str:
    """The way out for a word that is not among `known`: the nearest one, and all of them, or as many as a line takes."""
    near = get_close_matches(word, known, n=1, cutoff=0.6) or get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    listed = ", ".join(sorted(known)[:LISTED])
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    return f"{hint}{what}: {listed}{more}" if listed else f"{hint}{what}: none"


def shown(value: Any) -> str:
    """A value in a message: short, on one line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _problems(error: ValidationError, model: type[BaseModel], value: Any, node: Node, root: Path) -> list[Problem]:
    problems: dict[tuple[Path, bool], Problem] = {}
    for one in error.errors(include_url=False):
        if _only_below(one, value):
            continue
        path = _cleaned(one["loc"], value, keep_last=one["type"] in {"missing", "extra_forbidden"})
        key = (path, one["type"] == "missing")
        if key not in problems:
            problems[key] = _problem(one, model, path, value, node, root)
    return list(problems.values())


def _only_below(one: Any, value: Any) -> bool:
    """Whether a list is called too short only because items of it, which are told of themselves, were refused."""
    if one["type"] != "too_short":
        return False
    for part in _cleaned(one["loc"], value, keep_last=False):
        value = value[part]
    return isinstance(value, list) and len(value) >= one["ctx"]["min_length"]


def _cleaned(loc: tuple[int | str, ...], value: Any, *, keep_last: bool) -> Path:
    """The location without the names of union branches that Pydantic puts between."""
    path: list[int | str] = []
    for number, part in enumerate(loc, 1):
        if _has(value, part):
            value = value[part]
        elif not (keep_last and number == len(loc)):
            continue
        path.append(part)
    return tuple(path)


def _has(value: Any, part: int | str) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _written(given: Any, value: Any, path: Path) -> Any:
    """What stands in the file at `path`; a field that turns a text into a number is refused by its number."""
    for part in path:
        value = value[part]
    return value if isinstance(value, str) else given


def _problem(one: Any, model: type[BaseModel], path: Path, value: Any, node: Node, root: Path) -> Problem:
    kind, name, full = one["type"], dotted((*root, *path)), (*root, *path)
    if kind == "missing":
        return Problem(node.place(full[:-1]), f"{name} is missing", _example(model, path) or f"add {path[-1]}:")
    if kind == "extra_forbidden":
        word = str(path[-1])
        return Problem(node.key_place(full), f"unknown field {name}", meant(word, _fields_at(model, path[:-1])))
    message, way_out = _said(one)
    if "[key]" in one["loc"]:
        return Problem(node.key_place(full), f"the key {name} {message}", way_out)
    return Problem(node.place(full), f"{name} {shown(_written(one['input'], value, path))} {message}", way_out)


def _said(one: Any) -> tuple[str, str]:
    kind, given, context = one["type"], one["input"], one.get("ctx", {})
    if kind == "value_error":
        message, _, way_out = str(context["error"]).partition("; ")
        return (f"is {message}" if message.startswith("not ") else f"is refused: {message}"), way_out
    if kind in {"literal_error", "enum"}:
        allowed = [word.strip("' ") for word in context["expected"].replace(" or ", ", ").split(", ")]
        return "is not allowed", meant(str(given), allowed, what="allowed")
    if kind == "string_type":
        plain = isinstance(given, bool | int | float)
        text = str(given).lower() if isinstance(given, bool) else given
        return "is not text", f'write it in quotes: "{text}"' if plain else "write one text"
    if kind == "string_pattern_mismatch":
        return "is not of the right form", f"it must match {context['pattern']}"
    if kind == "string_too_short":
        return "is empty", "write at least one character" if context["min_length"] == 1 else ""
    if kind in _BOUNDS:
        message, way_out, bound = _BOUNDS[kind]
        return message, f"{way_out} {context[bound]:g}"
    for words, message, way_out in _TYPES:
        if kind in words:
            return message, way_out
    return f"is refused: {one['msg'][:1].lower()}{one['msg'][1:]}", ""


_BOUNDS = {
    "greater_than": ("is too small", "write a number above", "gt"),
    "greater_than_equal": ("is too small", "write at least", "ge"),
    "less_than": ("is too large", "write a number below", "lt"),
    "less_than_equal": ("is too large", "write at most", "le"),
}  # fmt: skip
_TYPES: tuple[tuple[frozenset[str], str, str], ...] = (
    (frozenset({"tuple_type", "list_type", "set_type", "frozen_set_type"}), "is not a list", "write it as [one, two]"),
    (frozenset({"dict_type", "mapping_type", "model_type", "model_attributes_type"}), "is not a map", "write fields below it"),
    (frozenset({"int_type", "int_parsing", "int_from_float"}), "is not a whole number", "write digits alone, as 3"),
    (frozenset({"float_type", "float_parsing"}), "is not a number", "write it as 5 or 0.5"),
    (frozenset({"bool_type", "bool_parsing"}), "is not true or false", "write one of the two"),
    (frozenset({"too_short"}), "has too few items", "list at least one"),
)  # fmt: skip


def _example(model: type[BaseModel], path: Path) -> str:
    """What may be written for a missing field: its allowed words, where it has them."""
    words = sorted({word for schema in _schemas_at(model, path) for word in _words(schema)})
    return f"allowed: {', '.join(words)}" if words else ""


def _words(schema: Mapping[str, Any]) -> list[str]:
    return [word for word in (*schema.get("enum", ()), schema.get("const")) if isinstance(word, str)]


def _fields_at(model: type[BaseModel], path: Path) -> list[str]:
    return sorted({name for schema in _schemas_at(model, path) for name in schema.get("properties", ())})


def _schemas_at(model: type[BaseModel], path: Path) -> list[dict[str, Any]]:
    whole = _schema(model)
    here = _expanded([whole], whole)
    for part in path:
        below: list[dict[str, Any]] = []
        for schema in here:
            if isinstance(part, int):
                below += [schema["items"]] if isinstance(schema.get("items"), dict) else []
            elif part in schema.get("properties", {}):
                below.append(schema["properties"][part])
            elif isinstance(schema.get("additionalProperties"), dict):
                below.append(schema["additionalProperties"])
        here = _expanded(below, whole)
    return here


def _expanded(schemas: list[dict[str, Any]], whole: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for schema in schemas:
        if "$ref" in schema:
            found += _expanded([whole["$defs"][schema["$ref"].rpartition("/")[2]]], whole)
        elif "anyOf" in schema or "oneOf" in schema:
            found += _expanded([*schema.get("anyOf", ()), *schema.get("oneOf", ())], whole)
        else:
            found.append(schema)
    return found


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(by_alias=True)


def _misspelt(found: Any, node: Node, path: Path) -> Iterator[Problem]:
    """Fields of an open model that nobody knows and that look like one that is not set."""
    if isinstance(found, tuple | list):
        for index, item in enumerate(found):
            yield from _misspelt(item, node, (*path, index))
    if not isinstance(found, BaseModel):
        return
    aliases = {name: field.alias or name for name, field in type(found).model_fields.items()}
    if isinstance(found, OpenSpec):
        free = [alias for name, alias in aliases.items() if name not in found.model_fields_set]
        for word in found.model_extra or ():
            if near := get_close_matches(word, free, n=1, cutoff=0.85):
                full = (*path, word)
                yield Problem(node.key_place(full), f"unknown field {dotted(full)}", f"did you mean {near[0]}?")
    for name, alias in aliases.items():
        yield from _misspelt(getattr(found, name), node, (*path, alias))
