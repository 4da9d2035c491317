"""One HTTP GET with a limit on time and size, over the standard library: a scrape needs no more, and it costs no memory."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from opsroom.kernel.errors import UserError

ACCEPT = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
_PIECE = 65_536
Address = Callable[[str, int], str]


class FetchFailed(Exception):
    """The target gave no exposition; `str()` is one line that says why."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A body, decompressed, and what it says it is."""

    body: bytes
    content_type: str = ""


def fetch(url: str, *, timeout: float, limit: int, address: Address | None = None) -> Fetched:
    """GETs `url` within `timeout` seconds and `limit` bytes (decompressed). Raises FetchFailed; follows no redirect.

    `address` gives the address of a host and port to connect to, and may refuse it by a UserError; None: as the system resolves it."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchFailed(f"{url!r} is no http or https URL")
    until = time.monotonic() + timeout
    try:
        connection = _connection(parts, timeout, address)
    except UserError as refused:
        raise FetchFailed(str(refused)) from None
    except TimeoutError:
        raise FetchFailed(f"did not answer within {timeout:g} s") from None
    except OSError as error:
        raise FetchFailed(_reason(error)) from None
    headers = {"Accept": ACCEPT, "Accept-Encoding": "gzip", "X-Prometheus-Scrape-Timeout-Seconds": f"{timeout:g}"}
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers=headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise FetchFailed(f"answered HTTP {answer.status} {answer.reason}")
        body = _body(connection, answer, until, limit)
        return Fetched(body, answer.headers.get("Content-Type", ""))
    except TimeoutError:
        raise FetchFailed(f"did not answer within {timeout:g} s") from None
    except (OSError, http.client.HTTPException, zlib.error) as error:
        raise FetchFailed(_reason(error)) from None
    finally:
        connection.close()


def _connection(parts: SplitResult, timeout: float, address: Address | None) -> http.client.HTTPConnection:
    """A connection to the address that was given, whatever the name means by the time it is opened."""
    host, secure = str(parts.hostname), parts.scheme == "https"
    connection = (http.client.HTTPSConnection if secure else http.client.HTTPConnection)(
        host, parts.port, timeout=timeout
    )
    if address is not None:
        given = (address(host, connection.port), connection.port)
        plain = socket.create_connection(given, timeout)
        try:
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain
        except BaseException:
            plain.close()
            raise
    return connection


def _body(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse, until: float, limit: int) -> bytes:
    """Reads piece by piece, so that neither a slow nor an endless nor a compressed giant gets through."""
    unzip = zlib.decompressobj(16 + zlib.MAX_WBITS) if answer.headers.get("Content-Encoding") == "gzip" else None
    body = bytearray()
    while True:
        remaining = until - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        if isinstance(connection.sock, socket.socket):
            connection.sock.settimeout(remaining)
        piece = answer.read1(_PIECE)
        if not piece:
            return bytes(body)
        body += piece if unzip is None else unzip.decompress(piece, limit + 1)
        if len(body) > limit:
            raise FetchFailed(f"exposed more than {limit:,} bytes")


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused: nothing listens there"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
