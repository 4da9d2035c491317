"""What a request's parameters got wrong, in the words of this product: the place, what is wrong, and what would be right.

The input itself is not repeated: it may be secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from opsroom.kernel.resources.faults import meant

_MOST = 50


def refusals(errors: Sequence[Mapping[str, Any]], endpoint: Any = None) -> list[dict[str, str]]:
    """Place and message of each error of Pydantic's, fifty at most. `endpoint` says which fields there are."""
    return [{"place": _place(one), "message": _said(one, endpoint)} for one in errors[:_MOST]]


def _place(one: Mapping[str, Any]) -> str:
    location = one["loc"][:1] if one["type"] == "json_invalid" else one["loc"]
    return ".".join(str(part) for part in location)


def _said(one: Mapping[str, Any], endpoint: Any) -> str:
    kind, context = one["type"], one.get("ctx") or {}
    if kind == "json_invalid":
        return f"not JSON at character {one['loc'][-1]}: {str(context.get('error', 'it ends too early')).lower()}"
    if kind == "extra_forbidden":
        known = _fields(endpoint)
        return f"there is no such field; {meant(str(one['loc'][-1]), known)}" if known else "there is no such field"
    if kind == "value_error":
        return str(context["error"])
    if kind in _TEXTS:
        return _TEXTS[kind].format(**context)
    return f"{one['msg'][:1].lower()}{one['msg'][1:]}"


def _fields(endpoint: Any) -> list[str]:
    signature = getattr(endpoint, "__signature__", None)
    inputs = signature.parameters.get("inputs") if signature is not None else None
    if inputs is None:
        return []
    found = _model_in(inputs.annotation)
    return sorted(found.model_fields) if found is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation such as Annotated[Model | None, Body()] holds."""
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    inner = getattr(annotation, "__origin__", None), *getattr(annotation, "__args__", ())
    return next((model for one in inner if one is not None and (model := _model_in(one)) is not None), None)


_NO_OBJECT = "no JSON object; send one such as {{}}, with Content-Type: application/json"
_TEXTS = {
    "missing": "is missing; it is required",
    "model_attributes_type": _NO_OBJECT,
    "model_type": _NO_OBJECT,
    "dict_type": _NO_OBJECT,
    "literal_error": "not allowed; write {expected}",
    "enum": "not allowed; write {expected}",
    "string_type": "not text; write it in quotes",
    "int_type": "not a whole number; write digits alone, without quotes",
    "int_parsing": "not a whole number; write digits alone",
    "int_from_float": "not a whole number; write digits alone",
    "float_type": "not a number; write it as 5 or 0.5, without quotes",
    "float_parsing": "not a number; write it as 5 or 0.5",
    "finite_number": "not a finite number; write it as 5 or 0.5",
    "bool_type": "neither true nor false; write one of the two, without quotes",
    "bool_parsing": "neither true nor false; write one of the two",
    "list_type": "not a list; write it in brackets",
    "greater_than": "too small; write a number above {gt}",
    "greater_than_equal": "too small; write at least {ge}",
    "less_than": "too large; write a number below {lt}",
    "less_than_equal": "too large; write at most {le}",
    "string_too_short": "too short; write at least {min_length} characters",
    "string_too_long": "too long; write at most {max_length} characters",
    "timezone_aware": "a time without its offset; write it as 2026-11-23T14:02:00Z",
}
