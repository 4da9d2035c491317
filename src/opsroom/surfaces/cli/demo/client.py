"""The story's way to Opsroom: its API, asked as any other client would."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from opsroom.kernel.errors import Unavailable, UserError

T = TypeVar("T")
POLL_SECONDS = 0.25


class NotInTime(UserError):
    """What was waited for did not happen within its time."""


class Api:
    """GETs and POSTs under /api/v1 with a token; an answer of 400 or more is a UserError with the problem's own words."""

    def __init__(self, url: str, token: str) -> None:
        import httpx2

        self.url = url
        self._http = httpx2.Client(
            base_url=f"{url}/api/v1", timeout=30, trust_env=False, headers={"Authorization": f"Bearer {token}"}
        )

    def get(self, path: str, **query: Any) -> Any:
        return self._answer("GET", path, params={key: value for key, value in query.items() if value not in (None, "")})

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._answer("POST", path, json=body or {})

    def items(self, path: str, **query: Any) -> list[Any]:
        """The first page of a list."""
        found = self.get(path, **query)
        return list(found["items"] if isinstance(found, dict) else found)

    def all_items(self, path: str, **query: Any) -> Iterator[Any]:
        """Every page of a list."""
        after = ""
        while True:
            page = self.get(path, after=after, **query)
            yield from page["items"]
            after = page["next"]
            if not after:
                return

    def close(self) -> None:
        self._http.close()

    def _answer(self, method: str, path: str, **given: Any) -> Any:
        import httpx2

        if self._http.is_closed:
            raise Unavailable(f"nobody asks {self.url} any more")
        try:
            reply = self._http.request(method, path, **given)
        except httpx2.TransportError as error:
            raise Unavailable(f"{self.url} does not answer: {error or type(error).__name__}") from None
        if reply.status_code >= 400:
            problem = reply.json() if "json" in reply.headers.get("content-type", "") else {"detail": reply.text[:200]}
            raise UserError(f"{method} {path}: {reply.status_code} {problem.get('detail') or problem.get('title')}")
        return reply.json() if reply.content else None


def wait_for(what: str, look: Callable[[], T | None], *, seconds: float) -> T:
    """Looks until there is something; NotInTime names what was missing. A server that is away for a moment is waited for."""
    ends, last = time.monotonic() + seconds, ""
    while time.monotonic() < ends:
        try:
            found = look()
        except Unavailable as error:
            found, last = None, f" ({error})"
        if found:
            return found
        time.sleep(POLL_SECONDS)
    raise NotInTime(f"{what} did not happen within {seconds:.0f} s{last}")
