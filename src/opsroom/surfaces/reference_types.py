"""Types and fields in words, for the reference: what a parameter takes, what a verb answers, what a kind's spec holds."""

from __future__ import annotations

import enum
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

_WORDS: dict[Any, str] = {
    str: "text", int: "whole number", float: "number", bool: "yes or no", datetime: "time", date: "day", SecretStr: "secret",
    Any: "any", type(None): "nothing",
}  # fmt: skip


def value_of(annotation: Any) -> str:
    """A type as a person would say it, without the `| None` of what may be left out."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _either([f"`{one}`" for one in inner])
    if origin in (Union, types.UnionType):
        return _either([value_of(one) for one in inner if one is not type(None)])
    if origin in (list, tuple):
        return f"list of {value_of(inner[0])}" if inner else "list"
    if origin is not None and issubclass(origin, Mapping):
        return "map"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _either([f"`{one.value}`" for one in annotation])
    return str(getattr(annotation, "__name__", annotation))


def said(result: Any) -> str:
    """What an operation answers, with the fields of one."""
    if result in (None, type(None)):
        return "nothing"
    if get_origin(result) in (list, tuple):
        return f"a list of {_fields(get_args(result)[0])}"
    if isinstance(result, type) and issubclass(result, BaseModel):
        items = result.model_fields.get("items")
        if items is not None and "next" in result.model_fields:
            return f"a page of {_fields(get_args(items.annotation)[0])}"
        return _fields(result)
    return value_of(result)


def _fields(model: Any) -> str:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return value_of(model)
    return " ".join(f"`{name}`" for name in model.model_fields) or "an empty object"


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field as in YAML: `path` from the spec on, such as `services[].env`; `default` is "required" or what stands without it."""

    path: str
    type: str
    default: str


def field_rows(model: type[BaseModel]) -> Iterator[FieldRow]:
    """Every field of a model and of the models within it, in the order declared."""
    schema = model.model_json_schema(by_alias=True)
    yield from _rows(schema, schema.get("$defs", {}), "", ())


def _rows(
    schema: Mapping[str, Any], known: Mapping[str, Any], prefix: str, above: tuple[str, ...]
) -> Iterator[FieldRow]:
    required = set(schema.get("required", ()))
    for name, given in schema.get("properties", {}).items():
        one, inner = _without_null(given), ""
        path = f"{prefix}{name}"
        default = "required" if name in required else _default(given)
        yield FieldRow(path, _type(one, known), default)
        if "items" in one:
            one, inner = _without_null(one["items"]), "[]"
        target = str(one.get("$ref", "")).rpartition("/")[2]
        if target and target not in above:
            yield from _rows(known[target], known, f"{path}{inner}.", (*above, target))


def _type(schema: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return _either([f"`{one}`" for one in schema["enum"]])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "anyOf" in schema:
        return _either([_type(one, known) for one in schema["anyOf"]])
    if "$ref" in schema:
        target = known[str(schema["$ref"]).rpartition("/")[2]]
        return _type(target, known) if "enum" in target else "map"
    return _plain(schema, known)


def _plain(schema: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    match schema.get("type"):
        case "array":
            return f"list of {_type(_without_null(schema['items']), known)}" if schema.get("items") else "list"
        case "object":
            values = schema.get("additionalProperties")
            return f"map of {_type(values, known)}" if isinstance(values, dict) and values else "map"
        case "string" if schema.get("pattern", "").startswith("^([0-9]+(ms|s"):
            return "duration"
        case "string" if schema.get("pattern", "").startswith("^[0-9]+(\\.[0-9]{1,6})"):
            return "money"
        case "string":
            return {"date-time": "time", "date": "day"}.get(schema.get("format", ""), "text")
        case "integer":
            return "whole number" + _bounds(schema)
        case "number":
            return "number" + _bounds(schema)
        case "boolean":
            return "yes or no"
    return "any"


def _bounds(schema: Mapping[str, Any]) -> str:
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return "".join(f" {word} {schema[name]}" for name, word in words.items() if name in schema)


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    rest = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return rest[0] if len(rest) == 1 else schema


def _default(schema: Mapping[str, Any]) -> str:
    value = schema.get("default")
    if value in (None, "", [], {}) or isinstance(value, dict):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{', '.join(map(str, value)) if isinstance(value, list) else value}`"


def _either(words: list[str]) -> str:
    words = list(dict.fromkeys(words))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
