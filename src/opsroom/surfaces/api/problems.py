"""Problem details (RFC 9457) for every error: the user's in one line, ours with an id under which the journal has the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from opsroom.kernel.errors import Problems, UserError
from opsroom.surfaces.api.refusals import refusals

MEDIA_TYPE = "application/problem+json"
Redact = Callable[[str], str]

SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "description": "urn:opsroom:problem:NAME"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "One line: the thing, the value, the way out."},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "id": {"type": "string", "description": "Of a bug: its id in the journal."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["place", "message"],
                "properties": {"place": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


def problem(
    redact: Redact,
    *,
    status: int,
    title: str,
    detail: str,
    instance: str,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """One problem as a response, redacted. `detail` is one line; texts in `more` are redacted too."""
    body = {
        "type": f"urn:opsroom:problem:{title.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": redact(detail),
        "instance": redact(instance),
        **json.loads(redact(json.dumps(more))),
    }
    return Response(_encoded(body), status, headers, MEDIA_TYPE)


def of_user_error(error: UserError, redact: Redact, instance: str) -> Response:
    """The error as it is; several problems at once become `errors`."""
    headers = {"WWW-Authenticate": 'Bearer realm="opsroom"'} if error.status == HTTPStatus.UNAUTHORIZED else {}
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        headers["Retry-After"] = "60"
    if not isinstance(error, Problems):
        return problem(
            redact, status=error.status, title=error.title, detail=str(error), instance=instance, headers=headers
        )
    listed = [
        {"place": str(one.place), "message": "; ".join(filter(None, (one.message, one.way_out)))}
        for one in error.problems
    ]
    detail = f"{len(listed)} problems; the first: {error.problems[0]}"
    return problem(
        redact, status=error.status, title=error.title, detail=detail, instance=instance, headers=headers, errors=listed
    )


def of_validation(error: RequestValidationError, redact: Redact, instance: str, endpoint: Any = None) -> Response:
    """What does not fit the parameters of `endpoint`; the input itself is not repeated, it may be secret."""
    listed = refusals(error.errors(), endpoint)
    first = f"{listed[0]['place']}: {listed[0]['message']}" if listed else "the request does not fit"
    return problem(redact, status=422, title="Invalid", detail=first, instance=instance, errors=listed)


def of_http(error: HTTPException, redact: Redact, request: Request, routes: Sequence[BaseRoute]) -> Response:
    """404, 405 and what else the framework answers by itself."""
    path, headers = request.url.path, dict(error.headers or {})
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {path}; /api/v1/openapi.json lists what there is"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods(request, routes))
        headers["Allow"] = allowed
        detail = f"{path} does not take {request.method}; it takes {allowed}"
    title = HTTPStatus(error.status_code).phrase
    return problem(redact, status=error.status_code, title=title, detail=detail, instance=path, headers=headers)


def of_bug(id: str, redact: Redact, instance: str) -> Response:
    """Our fault: the id, and nothing of what went wrong."""
    return problem(
        redact,
        status=500,
        title="Internal error",
        detail=f"a bug in Opsroom; its journal has the details under {id}",
        instance=instance,
        id=id,
    )


def _methods(request: Request, routes: Sequence[BaseRoute]) -> list[str]:
    found: set[str] = set()
    for route in routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found)


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
