"""Builds the web: the areas' pages in their frame, the frame's own pages, the live stream, the static files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route

import opsroom.areas
from opsroom.kernel.errors import NotFound, UserError
from opsroom.surfaces.api.guards import BodyLimit, ErrorBoundary, HostCheck, own_names
from opsroom.surfaces.derived import derive_all
from opsroom.surfaces.web import assets, navigation
from opsroom.surfaces.web.data import DataPages
from opsroom.surfaces.web.diagrams import diagram_document
from opsroom.surfaces.web.frame import Identify, Web
from opsroom.surfaces.web.live import Live, Looker, as_types
from opsroom.surfaces.web.pages.changes import ChangesPages
from opsroom.surfaces.web.pages.look import LookPage
from opsroom.surfaces.web.pages.overview import OverviewPage
from opsroom.surfaces.web.pages.search import SearchPage
from opsroom.surfaces.web.pages.services import ServicesPages
from opsroom.surfaces.web.security import SecurityHeaders
from opsroom.surfaces.web.sentences import Sentences
from opsroom.surfaces.web.sessions import SignInPages, signed_in
from opsroom.surfaces.web.templates import Templates
from opsroom.surfaces.web.verbs import VerbPages

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from opsroom.contracts.area import Area
    from opsroom.contracts.events import EventType
    from opsroom.contracts.operations import Operation
    from opsroom.contracts.pages import PageDeclaration
    from opsroom.contracts.plane import Plane

Handler = Callable[["Request"], Awaitable["Response"]]
_LIVE_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}


def build_web(
    plane: Plane,
    areas: Sequence[Area],
    *,
    identify: Identify | None = None,
    operations: Sequence[Operation] = (),
    events: Sequence[EventType] = (),
    folders: Mapping[str, Path] | None = None,
) -> Starlette:
    """The pages as an ASGI application, to be mounted at `/` after the API.

    `identify` says who sends a request (None: nobody); by default the session's cookie does, or a bearer token. `operations` and `events` are those of the kernel, beside the areas' own.
    `folders` are template folders by prefix, for areas that do not live in `opsroom.areas`. `app.state.live.stop()` ends the
    streams: call it when the server is told to stop. Unavailable where front-end files are missing.
    """
    assets.check_assets()
    declared = [page for area in areas for page in area.pages]
    own_paths = ("/", "/services", "/services/{name}", "/changes", "/changes/{id}")
    sentences = Sentences(
        [*events, *(one for area in areas for one in area.events)], [*own_paths, *(page.path for page in declared)]
    )
    verbs = (*operations, *(one for area in areas for one in area.operations))
    web = Web(
        plane=plane,
        identify=identify or signed_in(plane),
        sentences=sentences,
        templates=Templates(sentences, _folders(areas) | dict(folders or {})),
        operations={one.operation.name: one for one in derive_all(verbs)},
        parts=sorted((part for area in areas for part in area.parts), key=lambda part: part.order),
    )
    pages = [
        *OverviewPage(web).pages, *ServicesPages(web).pages, *ChangesPages(web).pages, *declared,
        *SearchPage(web).pages, *LookPage(web).pages,
    ]  # fmt: skip
    web.entries = navigation.menu(pages)
    live = Live(plane.ledger, plane.journal)
    app = Starlette(
        routes=[*_frame_routes(web, live), *(_route(web, page) for page in pages), Route("/{path:path}", _lost(web))],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(ErrorBoundary, plane=plane),
            Middleware(HostCheck, names=own_names(plane.settings)),
            Middleware(BodyLimit, limit=plane.settings.request_bytes),
        ],
    )
    app.state.live = live
    app.state.web = web
    return app


def _frame_routes(web: Web, live: Live) -> list[Route | Mount]:
    sign_in, verbs, data = SignInPages(web), VerbPages(web), DataPages(web)
    return [
        Mount("/static", assets.static_files()),
        Route("/diagram", _diagram(web)),
        Route("/sign-in", sign_in.show, methods=["GET"]),
        Route("/sign-in", sign_in.sign_in, methods=["POST"]),
        Route("/sign-out", sign_in.sign_out, methods=["POST"]),
        Route("/live", _live(web, live)),
        Route("/data/series", data.series),
        Route("/data/changes", data.changes),
        Route("/verbs", verbs.listing),
        Route("/verbs/{name}", verbs.run, methods=["POST"]),
        _route(web, verbs.page),
    ]


def _route(web: Web, page: PageDeclaration) -> Route:
    async def show(request: Request) -> Response:
        return await run_in_threadpool(web.answer, request, page)

    return Route(page.path, show, methods=["GET"])


def _lost(web: Web) -> Handler:
    async def lost(request: Request) -> Response:
        error = NotFound(f"there is no page {request.url.path}; press / to search, or Ctrl-K for every page and verb")
        return await run_in_threadpool(web.error, request, error)

    return lost


def _live(web: Web, live: Live) -> Handler:
    async def stream(request: Request) -> Response:
        try:
            asked = await run_in_threadpool(web.page_request, request)
        except UserError as error:
            return PlainTextResponse(str(error), error.status)
        looker = Looker(web.plane, asked.call.actor)
        types = as_types(request.query_params.get("types", ""))
        events = live.stream(types, request.headers.get("last-event-id", ""), looker.shows)
        return StreamingResponse(events, media_type="text/event-stream", headers=_LIVE_HEADERS)

    return stream


def _diagram(web: Web) -> Handler:
    async def document(request: Request) -> Response:
        if await run_in_threadpool(web.identify, request) is None:
            return PlainTextResponse("nobody is signed in", 401)
        return diagram_document()

    return document


def _folders(areas: Sequence[Area]) -> dict[str, Path]:
    root = Path(next(iter(opsroom.areas.__path__)))
    return {area.name: folder for area in areas if (folder := root / area.name / "templates").is_dir()}
