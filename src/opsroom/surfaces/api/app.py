"""The API as one application: a route for every operation, OpenAPI 3.1, and identity on all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from opsroom import __version__
from opsroom.contracts.operations import Needs, Operation
from opsroom.contracts.plane import Plane
from opsroom.kernel.actors import Actor, Resource
from opsroom.surfaces.api import problems
from opsroom.surfaces.api.endpoints import endpoint
from opsroom.surfaces.api.guards import SAFE_METHODS, BodyLimit, ErrorBoundary, HostCheck, Identity, own_names
from opsroom.surfaces.derived import PREFIX, Derived, derive_all

_PROBLEM = {"content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


@dataclass(frozen=True, kw_only=True)
class ExtraRoute:
    """A route whose shape is someone else's (the Prometheus HTTP API), served beside the derived ones and with the same identity.

    `needs` "" : reading for GET and HEAD, operating for the rest. `kind` names the resource in the decision. `sifts`: it leaves out by
    itself what the actor may not read; else it is for who may so everywhere."""

    route: Route | Mount
    kind: str
    sifts: bool = False
    needs: Needs | None = None


def build_api(plane: Plane, operations: Sequence[Operation], *, extra_routes: Sequence[ExtraRoute] = ()) -> FastAPI:
    """`app.state.stopping` is an asyncio.Event that streams wait for; `server.serve` sets it."""
    app = FastAPI(
        title="Opsroom",
        version=__version__,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(ErrorBoundary, plane=plane),
            Middleware(HostCheck, names=own_names(plane.settings)),
            Middleware(BodyLimit, limit=plane.settings.request_bytes),
            Middleware(Identity, plane=plane),
        ],
    )
    app.state.stopping = asyncio.Event()
    app.add_api_route("/health", _health, methods=["GET"], include_in_schema=False)
    _add_operations(app, plane, operations)
    for extra in extra_routes:
        extra.route.app = Authorised(extra.route.app, plane=plane, extra=extra)
        app.router.routes.append(extra.route)
    _handle_errors(app, plane)
    _describe(app)
    return app


class Authorised:
    """Asks whether the actor may, before an extra route runs."""

    def __init__(self, app: ASGIApp, *, plane: Plane, extra: ExtraRoute) -> None:
        self._app = app
        self._plane = plane
        self._extra = extra

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needs: Needs = self._extra.needs or ("read" if scope["method"] in SAFE_METHODS else "operate")
        actor = scope["state"]["actor"]
        await run_in_threadpool(self._allow, actor, needs)
        await self._app(scope, receive, send)

    def _allow(self, actor: Actor, needs: Needs) -> None:
        actors, resource = self._plane.actors, Resource(kind=self._extra.kind)
        if self._extra.sifts:
            actors.require_somewhere(actor, needs, resource)
        else:
            actors.require(actor, needs, resource)


async def _health() -> Response:
    """Whether the process answers; the one thing served without identity."""
    return JSONResponse({"status": "ok"})


def _add_operations(app: FastAPI, plane: Plane, operations: Sequence[Operation]) -> None:
    derived = derive_all(tuple(operations))
    shows = {one.operation.noun: one for one in derived if one.operation.verb == "show" and one.has_id}
    for one in derived:
        app.add_api_route(
            PREFIX + one.path,
            endpoint(plane, one, shows.get(one.operation.noun)),
            methods=[one.method],
            operation_id=one.operation.name,
            summary=one.operation.summary,
            tags=[one.operation.noun],
            response_model=None if one.result is type(None) else one.result,
            status_code=_status(one),
            responses={"default": {"description": "An error", **_PROBLEM}, 422: {"description": "Invalid", **_PROBLEM}},
        )


def _status(derived: Derived) -> int:
    if derived.result is type(None):
        return 204
    if derived.starts:
        return 202
    return 201 if derived.creates else 200


def _handle_errors(app: FastAPI, plane: Plane) -> None:
    redact = plane.secrets.redact

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return problems.of_http(error, redact, request, app.router.routes)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return problems.of_validation(error, redact, request.url.path, request.scope.get("endpoint"))

    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_validation)


def _describe(app: FastAPI) -> None:
    """Adds to the framework's description what it does not know: problems, and that every route needs a token."""
    derived = app.openapi

    def openapi() -> dict[str, Any]:
        schema = derived()
        parts = schema.setdefault("components", {})
        parts.setdefault("schemas", {})["Problem"] = problems.SCHEMA
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"token": []}]
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
