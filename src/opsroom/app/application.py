"""API and pages as one application: `/api` and `/prometheus` answer programs, everything else answers people."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

from opsroom.contracts.area import ProgramRequest, ProgramRoute
from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.contracts.plane import Call, Plane
from opsroom.contracts.sentences import KERNEL_EVENTS
from opsroom.kernel.actors import Actor
from opsroom.kernel.errors import Unauthenticated

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from opsroom.surfaces.api.app import ExtraRoute
    from opsroom.surfaces.web.live import Live

PROGRAMS = ("/api/", "/prometheus/", "/health")


class Application:
    """The ASGI application of a plane. Setting `state.stopping` ends the streams of both sides."""

    def __init__(self, plane: Plane) -> None:
        from opsroom.surfaces.api.app import build_api
        from opsroom.surfaces.web.app import build_web

        operations = [*KERNEL_OPERATIONS, *(one for area in plane.areas for one in area.operations)]
        api = build_api(
            plane, operations, extra_routes=[_extra(plane, route) for area in plane.areas for route in area.routes]
        )
        web = build_web(
            plane, plane.areas, identify=lambda request: _identify(plane, request), operations=KERNEL_OPERATIONS,
            events=KERNEL_EVENTS,
        )  # fmt: skip
        self.state = SimpleNamespace(stopping=_Stopping(api.state.stopping, web.state.live))
        self._api: ASGIApp = api
        self._web: ASGIApp = web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        await (self._api if path.startswith(PROGRAMS) else self._web)(scope, receive, send)


class _Stopping:
    """What the server sets when it is told to stop: the streams of both sides end."""

    def __init__(self, event: asyncio.Event, live: Live) -> None:
        self._event = event
        self._live = live

    def set(self) -> None:
        self._event.set()
        self._live.stop()


def _extra(plane: Plane, declared: ProgramRoute) -> ExtraRoute:
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response
    from starlette.routing import Route

    from opsroom.surfaces.api.app import ExtraRoute

    async def answer(request: Request) -> Response:
        query: dict[str, list[str]] = {}
        for name, value in request.query_params.multi_items():
            query.setdefault(name, []).append(value)
        given = ProgramRequest(
            call=Call(plane=plane, actor=request.state.actor), method=request.method,
            params={name: str(value) for name, value in request.path_params.items()}, query=query, body=await request.body(),
        )  # fmt: skip
        reply = await run_in_threadpool(declared.answer, given)
        return Response(reply.body, status_code=reply.status, media_type=reply.media_type)

    route = Route(declared.path, answer, methods=list(declared.methods))
    return ExtraRoute(route=route, kind=declared.kind, needs=declared.needs, sifts=bool(declared.sifts))


def _identify(plane: Plane, request: Request) -> Actor | None:
    from opsroom.surfaces.api.guards import COOKIE

    address = request.client.host if request.client else ""
    try:
        return plane.actors.authenticate(session=request.cookies.get(COOKIE, ""), address=address)
    except Unauthenticated:
        return None
