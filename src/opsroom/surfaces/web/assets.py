"""Static files: where they are, whether the fetched ones are there, and their addresses, which change with their content."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from opsroom.kernel.errors import Unavailable

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

STATIC = Path(__file__).parent / "static"
VENDORED = ("htmx.js", "htmx-sse.js", "uplot.js", "uplot.css", "mermaid.js", "icons.svg", "inter.woff2")
YEAR = 31_536_000


def missing_assets() -> tuple[str, ...]:
    """The fetched front-end files that are not there, by name."""
    return tuple(name for name in VENDORED if not (STATIC / "vendor" / name).is_file())


def check_assets() -> None:
    """Unavailable, with the command that fetches them, where front-end files are missing. Called when the server starts."""
    if missing := missing_assets():
        raise Unavailable(
            f"front-end files are missing ({', '.join(missing)}); run `python hatch_build.py` in the source tree, "
            "or install the package again with a registry in reach"
        )


@cache
def version() -> str:
    """Twelve hex digits that change when any static file does; part of every address, so that files may be cached for a year."""
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file() and path.name != ".stamp":
            digest.update(path.relative_to(STATIC).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def address(name: str) -> str:
    """The path of a static file: `app.css` -> `/static/3f2a1c…/app.css`."""
    return f"/static/{version()}/{name}"


def static_files() -> ASGIApp:
    """Serves `/static/VERSION/NAME`, compressed, cacheable for a year; an address of another version is answered uncached."""
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.staticfiles import StaticFiles

    files = StaticFiles(directory=STATIC)

    async def versioned(scope: Scope, receive: Receive, send: Send) -> None:
        prefix = scope.get("root_path", "")
        asked, _, rest = scope["path"].removeprefix(prefix).lstrip("/").partition("/")
        inner = {**scope, "path": f"{prefix}/{rest}"}

        async def with_cache(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                how = f"public, max-age={YEAR}, immutable" if asked == version() else "no-cache"
                headers = message["headers"]
                assert isinstance(headers, list)
                headers.append((b"cache-control", how.encode()))
                # The diagram document has an origin of its own and loads its scripts from here.
                headers.append((b"cross-origin-resource-policy", b"cross-origin"))
            await send(message)

        await files(inner, receive, with_cache)  # type: ignore[arg-type]

    return GZipMiddleware(versioned, minimum_size=1000)
