"""An HTTP/1.1 client connection for load: one request at a time, its answer framed as RFC 9112 section 6 says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, cast

HEAD_LIMIT = 65_536

Outcome = Callable[[int, str], None]
"""Called once a request with its status (0: none) and the reason it failed ("" : an answer came)."""


class Connection(asyncio.Protocol):
    """Sends a request and calls back with its outcome. `usable` while another request may be sent along it."""

    def __init__(self) -> None:
        self.usable = False
        self._transport: asyncio.Transport | None = None
        self._answered: Outcome | None = None
        self._buffer = bytearray()
        self._left = 0
        self._status = 0
        self._phase: Literal["head", "body", "chunks", "until close"] = "head"
        self._close = False
        self._without_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are of no asyncio class.
        self.usable = True

    def send(self, request: bytes, answered: Outcome, *, head: bool = False) -> None:
        """Sends one whole request; only while `usable` and no other is on its way."""
        assert self._transport is not None
        self._answered, self._phase, self._without_body = answered, "head", head
        self._transport.write(request)

    def abandon(self) -> None:
        """Gives a request up (it took too long): its answer can no longer be told from the next one's."""
        self._answered = None
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            self._advance()
        except ValueError as error:
            self._done(0, f"malformed answer: {error}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._phase == "until close" and self._answered is not None:
            self._done(self._status, "")
        elif self._answered is not None:
            self._done(0, "connection closed before the answer")

    def _advance(self) -> None:
        if self._phase == "head" and not self._read_head():
            return
        if self._phase == "body" and len(self._buffer) >= self._left:
            del self._buffer[: self._left]
            self._done(self._status, "")
        elif self._phase == "chunks":
            self._read_chunks()

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise ValueError(f"head over {HEAD_LIMIT} bytes")
            return False
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        version, _, rest = lines[0].partition(b" ")
        if not version.startswith(b"HTTP/1."):
            raise ValueError("no HTTP/1 status line")
        self._status = int(rest[:3])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
        self._close = headers.get(b"connection", b"").lower() == b"close" or version == b"HTTP/1.0"
        if 100 <= self._status < 200:
            return self._read_head()
        if self._without_body or self._status in {204, 304}:
            self._phase, self._left = "body", 0
        elif headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            self._phase = "chunks"
        elif b"content-length" in headers:
            self._phase, self._left = "body", int(headers[b"content-length"])
        else:
            self._phase = "until close"
        return True

    def _read_chunks(self) -> None:
        while (end := self._buffer.find(b"\r\n")) >= 0:
            size = int(bytes(self._buffer[:end]).split(b";")[0], 16)
            if len(self._buffer) < end + 2 + size + 2:
                return
            del self._buffer[: end + 2 + size + 2]
            if size == 0:
                self._done(self._status, "")
                return

    def _done(self, status: int, reason: str) -> None:
        answered, self._answered, self._phase = self._answered, None, "head"
        if self._close:
            self.close()
        if answered is not None:
            answered(status, reason)
