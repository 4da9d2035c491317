"""One operation as one endpoint: arguments checked, authorised, done once, answered as redacted JSON."""

from __future__ import annotations

import inspect
import json
import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import Body, Header, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, TypeAdapter, create_model
from starlette.responses import Response

from opsroom.contracts import scopes
from opsroom.contracts.operations import Model, Page, Started
from opsroom.contracts.plane import Call, Plane
from opsroom.kernel.errors import Invalid, UserError
from opsroom.surfaces.api.replays import Answer, replayed
from opsroom.surfaces.derived import PREFIX, Derived, Parameter, optional

MAX_LIMIT = 200
_BIGGEST = 2**63 - 1
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# Conditional writes are few: one at a time makes the comparison and the write one step within this process.
_CONDITIONAL = threading.Lock()


class Changed(UserError):
    """If-Match names a version that is no longer the current one (412)."""

    status = 412
    title = "Precondition failed"


class Inputs(BaseModel):
    """Base of the derived query and body models: an unknown name is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


def endpoint(plane: Plane, derived: Derived, show: Derived | None) -> Callable[..., Response]:
    """A function whose signature tells the framework what to read. `show` is the noun's reading operation, for If-Match."""
    model = _inputs(derived)
    adapter: TypeAdapter[Any] = TypeAdapter(derived.result)

    def respond(**given: Any) -> Response:
        request: Request = given["request"]
        call = Call(plane=plane, actor=request.state.actor)
        arguments = _arguments(derived, given, request)
        if not derived.operation.reads:  # what reads asks for itself
            scopes.require(call, derived.operation, arguments)

        def do() -> Answer:
            return _do(call, derived, arguments, adapter, show, request)

        key = given.get("idempotency_key")
        if key is None:
            return _response(do())
        return _response(replayed(plane, call.actor.id, key, _identity(derived, arguments), do))

    respond.__signature__ = _signature(derived, model)  # type: ignore[attr-defined]
    respond.__name__ = derived.operation.name.replace(".", "_").replace("-", "_")
    respond.__doc__ = derived.operation.function.__doc__
    return respond


def _inputs(derived: Derived) -> type[BaseModel] | None:
    fields: dict[str, Any] = {}
    for parameter in derived.parameters:
        if parameter.name != "if_match":
            fields[parameter.name] = (
                _field_type(parameter, reads=derived.operation.reads),
                ... if parameter.required else parameter.default,
            )
    if not fields:
        return None
    kind = "Query" if derived.operation.reads else "Body"
    name = "".join(part.title() for part in derived.operation.name.replace("-", ".").split("."))
    return create_model(f"{name}{kind}", __base__=Inputs, **fields)


def _field_type(parameter: Parameter, *, reads: bool) -> Any:
    """The type as JSON or a query says it, and nothing near it: no numbers for times, no "yes" for true, no "5" for 5."""
    bare, nullable = optional(parameter.type)
    if bare is datetime:
        bare = Annotated[AwareDatetime, BeforeValidator(_rfc_3339)]
    elif bare is bool:
        bare = Annotated[bool, BeforeValidator(_true_or_false)] if reads else Annotated[bool, Field(strict=True)]
    elif bare is int:
        low, high = (1, MAX_LIMIT) if parameter.name == "limit" else (-_BIGGEST, _BIGGEST)
        bare = Annotated[int, Field(strict=not reads, ge=low, le=high)]
    elif bare is float:
        bare = Annotated[float, Field(strict=not reads, allow_inf_nan=False)]
    return bare | None if nullable else bare


def _rfc_3339(value: Any) -> Any:
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("not a time; write it as RFC 3339, such as 2026-11-23T14:02:00Z")
    return value


def _true_or_false(value: Any) -> Any:
    if isinstance(value, str) and value not in ("true", "false"):
        raise ValueError("neither true nor false")
    return value


def _signature(derived: Derived, model: type[BaseModel] | None) -> inspect.Signature:
    wanted: list[tuple[str, Any]] = [("request", Request)]
    defaults: dict[str, Any] = {}
    if derived.has_id:
        wanted.append(("id", Annotated[str, Path(min_length=1, max_length=300)]))
    if model is not None and derived.operation.reads:
        wanted.append(("inputs", Annotated[model, Query()]))
    elif model is not None:
        needed = any(parameter.required for parameter in derived.parameters)
        wanted.append(("inputs", Annotated[model, Body()] if needed else Annotated[model | None, Body()]))
        if not needed:
            defaults["inputs"] = None
    if not derived.operation.reads:
        wanted.append(("idempotency_key", Annotated[str | None, Header(max_length=200)]))
        defaults["idempotency_key"] = None
    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation,
            default=defaults.get(name, inspect.Parameter.empty) if name in defaults else inspect.Parameter.empty,
        )
        for name, annotation in wanted
    ]  # fmt: skip
    return inspect.Signature(parameters, return_annotation=Response)


def _arguments(derived: Derived, given: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """The operation's arguments by name, times in UTC. Invalid: a text or number that no store can keep."""
    arguments: dict[str, Any] = {"id": given["id"]} if derived.has_id else {}
    inputs = given.get("inputs")
    for parameter in derived.parameters:
        if parameter.name == "if_match":
            arguments["if_match"] = _unquoted(request.headers.get("if-match", ""))
        elif inputs is not None:
            arguments[parameter.name] = getattr(inputs, parameter.name)
        else:
            arguments[parameter.name] = parameter.default
    return {name: _storable(name, value) for name, value in arguments.items()}


def _storable(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise Invalid(f"{name}: {value} is outside the years 1 to 9999") from None
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= character <= "\udfff" for character in value)):
        raise Invalid(f"{name} holds a NUL or half a surrogate pair, which text cannot hold; remove it")
    if isinstance(value, SecretStr):
        _storable(name, value.get_secret_value())
    elif isinstance(value, BaseModel):
        for field in type(value).model_fields:
            _storable(f"{name}.{field}", getattr(value, field))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _storable(name, key)
            _storable(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        for item in value:
            _storable(name, item)
    return value


def _do(
    call: Call,
    derived: Derived,
    arguments: dict[str, Any],
    adapter: TypeAdapter[Any],
    show: Derived | None,
    request: Request,
) -> Answer:
    wanted = request.headers.get("if-match", "")
    if not wanted or derived.operation.reads or derived.conditional or not derived.has_id or show is None:
        return _answer(call, derived, _run(call, derived, arguments), adapter, request)
    with _CONDITIONAL:
        current = _etag(_run(call, show, {"id": arguments["id"]}))
        if wanted != "*" and current not in [part.strip() for part in wanted.split(",")]:
            raise Changed(
                f"{derived.operation.noun} {arguments['id']} is at version {current or 'none'}, not {wanted}; read it again"
            )
        return _answer(call, derived, _run(call, derived, arguments), adapter, request)


def _run(call: Call, derived: Derived, arguments: dict[str, Any]) -> Any:
    rest = dict(arguments)
    positional = [rest.pop("id")] if derived.has_id else []
    return derived.operation.function(call, *positional, **rest)


def _answer(call: Call, derived: Derived, result: Any, adapter: TypeAdapter[Any], request: Request) -> Answer:
    if result is None:
        return Answer(status=HTTPStatus.NO_CONTENT)
    headers = {"Content-Type": "application/json"}
    status = HTTPStatus.CREATED if derived.creates else HTTPStatus.OK
    if isinstance(result, Started):
        status = HTTPStatus.ACCEPTED
        headers["Location"] = f"{PREFIX}/{result.noun}/{quote(result.id, safe='')}"
    elif derived.creates and (id := getattr(result, "id", "")):
        headers["Location"] = f"{PREFIX}/{derived.operation.noun}/{quote(str(id), safe='')}"
    elif isinstance(result, Page) and result.next:
        query = [(key, value) for key, value in request.query_params.multi_items() if key != "after"]
        headers["Link"] = f'<{request.url.path}?{urlencode([*query, ("after", result.next)])}>; rel="next"'
    if (etag := _etag(result)) and derived.has_id:
        headers["ETag"] = etag
        if derived.operation.reads and etag in request.headers.get("if-none-match", ""):
            return Answer(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    return Answer(status=status, body=_body(call.plane, result, adapter), headers=headers)


def _body(plane: Plane, result: Any, adapter: TypeAdapter[Any]) -> bytes:
    octets = adapter.dump_json(result)
    text = octets.decode()
    if plane.secrets.redact(text) == text:
        return octets
    kept = {name: getattr(result, name) for name in result.reveals} if isinstance(result, Model) else {}
    data = plane.secrets.redactor.redact_data(adapter.dump_python(result, mode="json"))
    return json.dumps({**data, **kept} if kept else data, ensure_ascii=False).encode()


def _etag(result: Any) -> str:
    version = getattr(result, "version", None) if isinstance(result, BaseModel) else None
    return "" if version is None else f'"{version}"'


def _unquoted(etag: str) -> str:
    return etag.strip().removeprefix("W/").strip('"')


def _identity(derived: Derived, arguments: Mapping[str, Any]) -> str:
    return json.dumps([derived.operation.name, arguments], sort_keys=True, default=_revealed)


def _revealed(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    return str(value)


def _response(answer: Answer) -> Response:
    return Response(answer.body or None, answer.status, answer.headers)
