"""The command line's way to the server: its API over HTTP, with the token of the settings or of the keys folder."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from opsroom.kernel.actors import ADMIN_TOKEN
from opsroom.kernel.errors import Invalid, Unauthenticated, Unavailable, UserError
from opsroom.kernel.settings import Settings
from opsroom.surfaces.derived import PREFIX

TIMEOUT_SECONDS = 60


class Refused(UserError):
    """The server's own words for why it did not."""


class Client:
    """Asks the server that `settings.url` (or host and port) names."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.base_url.rstrip("/")
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise Invalid(f"OPSROOM_URL={self._url!r} is no address; write it as http://HOST:PORT")

    def ask(self, method: str, path: str, *, id: str = "", query: Any = None, body: Any = None) -> Any:
        """The answer's JSON (None: it has none). `{id}` in the path is filled in. Refused: an answer of 400 or more."""
        import httpx2

        address = f"{self._url}{PREFIX}{path.replace('{id}', quote(id, safe=''))}"
        local = urlsplit(self._url).hostname in ("127.0.0.1", "localhost", "::1")
        try:
            # A proxy of the environment is for other hosts.
            with httpx2.Client(timeout=TIMEOUT_SECONDS, trust_env=not local, headers=self._headers()) as http:
                answer = http.request(method, address, params=query, json=body)
        except httpx2.ConnectError:
            raise Unavailable(f"no server answers at {self._url}; start it with: opsroom serve") from None
        except httpx2.TimeoutException:
            raise Unavailable(f"{self._url} did not answer within {TIMEOUT_SECONDS} seconds; see its journal") from None
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            raise Unavailable(f"{self._url}: {error or type(error).__name__}") from None
        if answer.status_code >= 400:
            raise Refused(_words(answer.status_code, answer.text, answer.headers.get("content-type", ""), self._url))
        return answer.json() if answer.content else None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token()}", "Accept": "application/json"}

    def _token(self) -> str:
        if self._settings.token:
            return self._settings.token
        file = self._settings.keys / ADMIN_TOKEN
        try:
            return file.read_text().strip()
        except FileNotFoundError:
            raise Unauthenticated(
                f"there is no token: set OPSROOM_TOKEN, or OPSROOM_KEYS to the folder with {ADMIN_TOKEN} ({file} is not there; "
                "the first `opsroom serve` writes it)"
            ) from None
        except OSError as error:
            raise Unauthenticated(f"{file} cannot be read ({error.strerror}); set OPSROOM_TOKEN") from None


def _words(status: int, text: str, content_type: str, url: str) -> str:
    import json

    if not content_type.startswith("application/problem+json"):
        return f"{url} answered {status} and is no Opsroom; set OPSROOM_URL to the server's address"
    problem = json.loads(text)
    errors = problem.get("errors") or []
    if len(errors) < 2:
        return str(problem["detail"])
    return "\n".join([problem["detail"], *(f"  {one['place']}: {one['message']}" for one in errors)])
