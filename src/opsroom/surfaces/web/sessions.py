"""Signing in by a link that works once, and signing out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool

from opsroom.kernel.errors import Unauthenticated, UserError
from opsroom.surfaces.web.security import COOKIE, check_csrf, check_origin, own_path, read_form

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from opsroom.contracts.plane import Plane
    from opsroom.kernel.actors import Actor
    from opsroom.surfaces.web.frame import Identify, Web


class SignInPages:
    """GET /sign-in?link=TEXT shows a form that holds the link and sends itself: a program that merely looks at addresses does not
    use the link up. POST /sign-in redeems it."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def show(self, request: Request) -> Response:
        return self._page(request, link=request.query_params.get("link", ""), error="")

    async def sign_in(self, request: Request) -> Response:
        from starlette.responses import RedirectResponse

        link = ""
        try:
            check_origin(request)
            form = await read_form(request)
            link = (form.get("link") or [""])[-1].strip()
            address = request.client.host if request.client else ""
            session = await run_in_threadpool(self._web.plane.actors.redeem, _only_text(link), address)
        except UserError as error:
            return self._page(request, link="", error=str(error), status=error.status)
        response = RedirectResponse(own_path((form.get("next") or ["/"])[-1]), 303)
        response.set_cookie(
            COOKIE,
            session.text,
            max_age=int((session.expires - self._web.plane.clock.now()).total_seconds()),
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        from starlette.responses import RedirectResponse

        form = {name: values[-1] for name, values in (await read_form(request)).items()}
        try:
            check_csrf(request, form)
        except UserError as error:
            return await run_in_threadpool(self._web.error, request, error)
        await run_in_threadpool(self._web.plane.actors.sign_in.end, request.cookies.get(COOKIE, ""))
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE)
        return response

    def _page(self, request: Request, *, link: str, error: str, status: int = 200) -> Response:
        from starlette.responses import HTMLResponse

        values: dict[str, Any] = {
            "link": link,
            "error": error,
            "next": own_path(request.query_params.get("next", "/")),
            "nonce": request.state.nonce,
        }
        return HTMLResponse(self._web.templates.bare("sign_in.html", values), status)


def signed_in(plane: Plane) -> Identify:
    """Who sends a request: by the session's cookie, or by `Authorization: Bearer`; None where nobody proves to be anyone."""

    def identify(request: Request) -> Actor | None:
        address = request.client.host if request.client else ""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        proof = token.strip() if kind.lower() == "bearer" else ""
        try:
            return plane.actors.authenticate(token=proof, session=request.cookies.get(COOKIE, ""), address=address)
        except Unauthenticated:
            return None

    return identify


def _only_text(link: str) -> str:
    """People paste the whole address as well as its last part."""
    return link.rpartition("link=")[2].partition("&")[0]
