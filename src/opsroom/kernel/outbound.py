"""The one way out to a tool: guarded addresses, credentials, ETags, pages, rate budget, retries; read-only when asked to be."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from opsroom.kernel.errors import Forbidden, Invalid, Unavailable

if TYPE_CHECKING:
    import httpx2

ATTEMPTS = 4
ETAGS = 500
ANSWER_LIMIT = 64_000_000
LONGEST_WAIT = 60.0
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
IDEMPOTENT = SAFE | {"PUT", "DELETE"}

Resolve = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One request a read-only client may send: method, path as a regular expression, and for reads by POST a check of the body."""

    method: str
    path: str
    body: Callable[[bytes], bool] | None = None

    def allows(self, method: str, path: str, body: bytes) -> bool:
        if method != self.method or not re.fullmatch(self.path, path):
            return False
        if method in SAFE:
            return True
        return self.body is not None and self.body(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: status, headers with lower-case names, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        import json

        try:
            return json.loads(self.body)
        except ValueError:
            raise Unavailable(f"the answer with status {self.status} is not JSON: {self.body[:80]!r}") from None


class Guard:
    """Resolves a host and refuses internal addresses, unless they are in the allowed networks. The address that was checked is the
    one connected to, so a name cannot change its mind in between."""

    def __init__(self, allow: str = "", resolve: Resolve | None = None) -> None:
        try:
            self._allow = [ipaddress.ip_network(part.strip()) for part in allow.split(",") if part.strip()]
        except ValueError as error:
            raise Invalid(
                f"outbound_allow {allow!r}: {error}; write networks such as 127.0.0.0/8,10.1.0.0/16"
            ) from None
        self._resolve = resolve or _resolve

    def address(self, host: str, port: int) -> str:
        """An address of the host that may be reached; Forbidden when any of its addresses is internal and not allowed."""
        found = self._resolve(host, port)
        if not found:
            raise Unavailable(f"host {host!r} has no address; check the name")
        for text in found:
            address = ipaddress.ip_address(text.partition("%")[0])
            mapped = getattr(address, "ipv4_mapped", None) or address
            if not mapped.is_global and not any(mapped in network for network in self._allow):
                raise Forbidden(
                    f"{host} is the internal address {mapped}; an admin can allow it with OPSROOM_OUTBOUND_ALLOW={mapped}"
                )
            if mapped.is_multicast:
                raise Forbidden(f"{host} is the multicast address {mapped}, which no tool has")
        return found[0]


class Client:
    """Requests to one base URL. Retries what failed in passing (connection, 429, 502, 503, 504) as long as that is safe, honours
    Retry-After, asks again with ETags, and with `reads` refuses everything that is not on the list."""

    def __init__(
        self, base_url: str, http: httpx2.Client, *, guard: Guard | None, reads: Sequence[Read] | None,
        headers: Mapping[str, str], sleep: Callable[[float], None],
    ) -> None:  # fmt: skip
        self.base_url = base_url.rstrip("/")
        self._http = http
        self._guard = guard
        self._reads = reads
        self._headers = dict(headers)
        self._sleep = sleep
        self._etags: OrderedDict[str, tuple[str, Reply]] = OrderedDict()
        self.requests = 0
        self.remaining: int | None = None

    def request(
        self, method: str, path: str, *, json: Any = None, body: bytes | None = None,
        query: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None, idempotent: bool | None = None,
    ) -> Reply:  # fmt: skip
        """Sends one request and returns the answer whatever its status. `idempotent` says a POST may be sent again."""
        import httpx2

        built = self._http.build_request(
            method, self._url(path), json=json, content=body, params=query, headers={**self._headers, **(headers or {})}
        )
        self._permit(method, built.url.path, built.read())
        again = idempotent if idempotent is not None else method in IDEMPOTENT
        known = self._etags.get(str(built.url)) if method == "GET" else None
        if known:
            built.headers["If-None-Match"] = known[0]
        for attempt in range(1, ATTEMPTS + 1):
            try:
                reply = self._send(built)
            except (httpx2.TransportError, OSError) as error:
                if attempt == ATTEMPTS or not again:
                    raise Unavailable(
                        f"{method} {self.base_url}{built.url.path}: {error or type(error).__name__}"
                    ) from None
                self._sleep(0.2 * 2**attempt)
                continue
            wait = _pause(reply, attempt)
            if wait is None or not (again or reply.status == 429) or attempt == ATTEMPTS:
                return self._remember(method, str(built.url), reply, known)
            self._sleep(min(wait, LONGEST_WAIT))
        raise AssertionError("the last attempt returns or raises")

    def pages(self, path: str, *, query: Mapping[str, Any] | None = None, limit: int = 1000) -> Iterator[Reply]:
        """GETs a page and those its `Link: …; rel="next"` names (RFC 8288), at most `limit`, on the same host only."""
        reply = self.request("GET", path, query=query)
        for _ in range(limit):
            yield reply
            following = re.search(r'<([^>]+)>\s*;[^,]*rel="?next"?', reply.headers.get("link", ""))
            if not following:
                return
            reply = self.request("GET", following.group(1))
        raise Unavailable(f"{path} has more than {limit} pages; narrow the question")

    def close(self) -> None:
        self._http.close()

    def _url(self, path: str) -> str:
        if not path.startswith(("http://", "https://")):
            return self.base_url + (path if path.startswith(("/", "?")) or not path else f"/{path}")
        if urlsplit(path)[:2] != urlsplit(self.base_url)[:2]:
            raise Forbidden(f"{path} is not on {self.base_url}; credentials go to the host they were given for only")
        return path

    def _permit(self, method: str, path: str, body: bytes) -> None:
        if self._reads is None or any(read.allows(method, path, body) for read in self._reads):
            return
        raise Forbidden(
            f"{method} {path} is not a listed read of {self.base_url}; a plan, a check and a dry run cannot write"
        )

    def _send(self, request: httpx2.Request) -> Reply:
        url = request.url
        if self._guard is not None:
            port = url.port or (443 if url.scheme == "https" else 80)
            address = self._guard.address(url.host, port)
            request.extensions = {**request.extensions, "sni_hostname": url.host}
            request.headers["Host"] = url.netloc.decode()
            request.url = url.copy_with(host=address)
        self.requests += 1
        try:
            answer = self._http.send(request, stream=True)
        finally:
            request.url = url
        try:
            parts, size = [], 0
            for chunk in answer.iter_bytes():
                size += len(chunk)
                if size > ANSWER_LIMIT:
                    raise Unavailable(f"the answer of {url} is over the limit of {ANSWER_LIMIT} bytes")
                parts.append(chunk)
        finally:
            answer.close()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if (left := headers.get("x-ratelimit-remaining", "")).isdigit():
            self.remaining = int(left)
        return Reply(status=answer.status_code, headers=headers, body=b"".join(parts))

    def _remember(self, method: str, url: str, reply: Reply, known: tuple[str, Reply] | None) -> Reply:
        if known and reply.status == 304:
            self._etags.move_to_end(url)
            return known[1]
        if method == "GET" and reply.status == 200 and (etag := reply.headers.get("etag")):
            self._etags[url] = (etag, reply)
            if len(self._etags) > ETAGS:
                self._etags.popitem(last=False)
        return reply


class Outbound:
    """Opens clients. What a user supplied as an address is guarded; what an admin set up by settings is not."""

    def __init__(
        self, *, allow: str = "", sleep: Callable[[float], None] = time.sleep, resolve: Resolve | None = None,
        transport: Any = None,
    ) -> None:  # fmt: skip
        self._guard = Guard(allow, resolve)
        self._sleep = sleep
        self._transport = transport

    def open(
        self, url: str, *, user_supplied: bool = True, reads: Sequence[Read] | None = None,
        headers: Mapping[str, str] | None = None, timeout: float = 10.0,
    ) -> Client:  # fmt: skip
        """A client for a base URL; `reads` makes it read-only. A URL that is not http(s), or that holds a password, is Invalid."""
        import httpx2

        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Invalid(f"{url!r} is no address; write http:// or https:// and a host")
        if parts.password:
            raise Invalid(
                f"{urlunsplit(parts._replace(netloc=parts.hostname))!r} holds a password; give it as a secret reference"
            )
        http = httpx2.Client(timeout=timeout, follow_redirects=False, trust_env=False, transport=self._transport)
        guard = self._guard if user_supplied else None
        return Client(url, http, guard=guard, reads=reads, headers=headers or {}, sleep=self._sleep)

    def address(self, host: str, port: int) -> str:
        """The guarded address of a user-supplied host, for protocols other than HTTP (SMTP)."""
        return self._guard.address(host, port)


def graphql_reads_only(body: bytes) -> bool:
    """Whether a GraphQL request (GraphQL over HTTP, October 2021 spec) holds queries and fragments only."""
    import json

    try:
        document = json.loads(body)["query"]
    except (ValueError, KeyError, TypeError):
        return False
    if not isinstance(document, str):
        return False
    bare = re.sub(r'"""(?:\\"""|.)*?"""|"(?:\\.|[^"\\\n])*"|#[^\n]*', " ", document, flags=re.DOTALL)
    depth = 0
    for word in re.findall(r"[{}()\[\]]|\w+", bare):
        if word in "{([":
            depth += 1
        elif word in "})]":
            depth -= 1
        elif depth == 0 and word in {"mutation", "subscription"}:
            return False
    return depth == 0


def _pause(reply: Reply, attempt: int) -> float | None:
    """Seconds to wait before trying again, or None when the answer stands."""
    limited = reply.status == 403 and reply.headers.get("x-ratelimit-remaining") == "0"
    if reply.status not in {429, 502, 503, 504} and not limited:
        return None
    after = reply.headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    reset = reply.headers.get("x-ratelimit-reset", "")
    if limited and reset.isdigit():
        return max(0.0, float(reset) - time.time())
    return float(0.2 * 2**attempt)


def _resolve(host: str, port: int) -> Sequence[str]:
    try:
        return list(dict.fromkeys(str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except socket.gaierror as error:
        raise Unavailable(f"host {host!r} cannot be resolved: {error.strerror}") from None
