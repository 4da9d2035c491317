"""What every answer carries to keep a page its own: a content security policy with a nonce, and the headers beside it; forms' tokens."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from opsroom.kernel.actors import csrf_token
from opsroom.kernel.errors import Forbidden, Invalid, TooLarge

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "opsroom_session"
FORM_BYTES = 1_000_000
CSRF_FIELD = "_csrf"
CSRF_HEADER = "x-csrf-token"

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)


def policy(nonce: str) -> str:
    """Nothing from another host, no inline script or style, no plug-in, in nobody's frame. Scripts start from ours by nonce."""
    return "; ".join((
        "default-src 'self'", f"script-src 'nonce-{nonce}' 'strict-dynamic'", "style-src 'self'", "img-src 'self' data:",
        "font-src 'self'", "connect-src 'self'", "frame-src 'self'", "object-src 'none'", "base-uri 'none'",
        "form-action 'self'", "frame-ancestors 'none'",
    ))  # fmt: skip


DIAGRAM_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; font-src 'self'; frame-ancestors 'self'; "
    "sandbox allow-scripts"
)
"""For the one document that draws Mermaid: it may style itself, and has an origin of its own, without our cookies."""


class SecurityHeaders:
    """ASGI middleware: a fresh nonce in `request.state.nonce`, and the headers; what a handler set itself is left alone, but for the referrer: forms need it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", []) if pair[0].lower() != b"referrer-policy"]
                message["headers"] = headers
                present = {name.lower() for name, _ in headers}
                headers.extend(pair for pair in _HEADERS if pair[0] not in present)
                if b"content-security-policy" not in present:
                    headers.append((b"content-security-policy", policy(nonce).encode()))
                if b"cache-control" not in present:
                    headers.append((b"cache-control", b"no-store"))
            await send(message)

        await self._app(scope, receive, secured)


def check_csrf(request: Request, form: Mapping[str, str]) -> None:
    """Forbidden unless this write comes from one of our own pages of the same session."""
    check_origin(request)
    given = form.get(CSRF_FIELD) or request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(given.encode(), csrf_token(request.cookies.get(COOKIE, "")).encode()):
        raise Forbidden("the form is not of this session (signed in again since?); load the page again and repeat")


def check_origin(request: Request) -> None:
    """Forbidden where the browser says that another site sent this: by Sec-Fetch-Site, or by Origin where that is not sent."""
    site = request.headers.get("sec-fetch-site", "")
    origin = request.headers.get("origin", "")
    foreign = site not in {"", "same-origin", "none"}
    if not site and origin:
        foreign = urlsplit(origin).netloc != request.headers.get("host", "")
    if foreign:
        raise Forbidden(f"the request came from another site ({site or origin}); use the page itself")


def own_path(path: str) -> str:
    """The path if it is one of ours, else `/`: a sign-in must not forward to another site."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


async def read_form(request: Request) -> dict[str, list[str]]:
    """The fields of an urlencoded form, each with all its values. Errors: TooLarge; Invalid for another content type."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in {"", "application/x-www-form-urlencoded"}:
        raise Invalid(f"content type {kind!r} is no form; send application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise TooLarge(f"the form is over {FORM_BYTES:,} bytes; send less")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise Invalid(f"the form cannot be read: {error}") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value)
    return fields
