"""What every request passes before a route sees it: errors caught, host, size, identity. The web pages use the same."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opsroom.kernel.actors import Actor, csrf_token
from opsroom.kernel.errors import Forbidden, TooLarge, Unauthenticated, UserError
from opsroom.surfaces.api import problems

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.settings import Settings

COOKIE = "opsroom_session"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS = frozenset({"/health"})


class Misdirected(UserError):
    """The Host header names a server this is not (421)."""

    status = 421
    title = "Misdirected request"


class ErrorBoundary:
    """Turns whatever is raised further in into a problem, and keeps a bug's traceback in the journal under an id."""

    def __init__(self, app: ASGIApp, *, plane: Plane) -> None:
        self._app = app
        self._plane = plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("Referrer-Policy", "no-referrer")
            await send(message)

        redact = self._plane.secrets.redact
        try:
            await self._app(scope, receive, sending)
        except UserError as error:
            if begun:
                raise
            await problems.of_user_error(error, redact, scope["path"])(scope, receive, sending)
        except Exception as bug:
            id = self._plane.clock.new_id("bug")
            self._plane.journal.error(
                "a request failed by a bug", bug=bug, id=id, path=scope["path"], method=scope["method"]
            )
            if begun:
                raise
            await problems.of_bug(id, redact, scope["path"])(scope, receive, sending)


class HostCheck:
    """Refuses a Host that is neither an address nor a name of ours: a page elsewhere whose name was re-bound to this
    address (DNS rebinding) sends its own name."""

    def __init__(self, app: ASGIApp, *, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower().rstrip(".") for name in names if name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = Headers(scope=scope).getlist("host")
            if len(given) != 1 or not self._ours(given[0]):
                raise Misdirected(
                    f"Host {', '.join(given)[:100]!r} is not this server; set OPSROOM_URL to the name it is reached by"
                )
        await self._app(scope, receive, send)

    def _ours(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self._names or name.endswith(".localhost") or _is_address(name)


class BodyLimit:
    """Refuses a body over the limit: by its Content-Length before a byte is read, else as soon as it passes the limit."""

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "0")
        if said.isdecimal() and int(said) > self._limit:
            raise TooLarge(
                f"a body of {said} bytes is over the limit of {self._limit}; send less, or raise OPSROOM_REQUEST_BYTES"
            )
        read = 0

        async def counting() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                # The framework passes this kind on from the middle of reading a body, and makes any other a 400.
                raise HTTPException(413, f"the body is over the limit of {self._limit} bytes; send less")
            return message

        await self._app(scope, counting, send)


class Identity:
    """Lets nobody pass who is not known, but for `open_paths`; the actor stands in `scope["state"]["actor"]`."""

    def __init__(self, app: ASGIApp, *, plane: Plane, open_paths: Iterable[str] = OPEN_PATHS) -> None:
        self._app = app
        self._plane = plane
        self._open = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            raise Unauthenticated("no WebSocket is served here")
        if scope["type"] == "http" and not (scope["path"] in self._open and scope["method"] in SAFE_METHODS):
            actor = await anyio.to_thread.run_sync(identify, self._plane, scope)
            scope.setdefault("state", {})["actor"] = actor
        await self._app(scope, receive, send)


def identify(plane: Plane, scope: Scope) -> Actor:
    """Who sends this request: by `Authorization: Bearer`, else by the session cookie, whose writes must carry the CSRF token.

    Unauthenticated, TooManyFailures or Forbidden say what is missing."""
    headers = Headers(scope=scope)
    client = scope.get("client")
    address = client[0] if client else "a local socket"
    if given := headers.get("authorization", ""):
        kind, _, token = given.partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise Unauthenticated("Authorization is not `Bearer TOKEN`; `opsroom tokens create` makes a token")
        return plane.actors.authenticate(token=token.strip(), address=address)
    session = session_of(headers)
    actor = plane.actors.authenticate(session=session, address=address)
    if scope["method"] not in SAFE_METHODS:
        sent = headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(sent.encode(), csrf_token(session).encode()):
            raise Forbidden(f"this write came without the page's {CSRF_HEADER}; load the page again")
    return actor


def session_of(headers: Headers) -> str:
    """The value of the session cookie, or ""."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def own_names(settings: Settings) -> tuple[str, ...]:
    """The names this server may be addressed by: localhost, its host and URL, and the machine's name where it listens to others."""
    names = ["localhost", settings.host, urlsplit(settings.base_url).hostname or ""]
    return (*names, socket.gethostname(), socket.getfqdn()) if not is_loopback(settings.host) else tuple(names)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
