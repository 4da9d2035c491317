"""An HTTP/1.1 client connection for load: one request at a time, its answer framed as RFC 9112 section 6 says."""

from __future__ import annotations

import asyncio
import re
import select
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, cast

HEAD_LIMIT = 65_536
LINE_LIMIT = 8_192
CLOSED = "connection closed before the answer"
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: |$)")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;|$)")

Outcome = Callable[[int, str], None]
"""Called once a request with its status (0: none) and the reason it failed ("" : an answer came)."""


class Connection(asyncio.Protocol):
    """Sends a request and calls back with its outcome. `usable` while another request may be sent along it; `kept` once one was
    answered."""

    def __init__(self) -> None:
        self.usable = False
        self.kept = False
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._answered: Outcome | None = None
        self._buffer = bytearray()
        self._left = 0
        self._status = 0
        self._phase: Literal["head", "body", "chunks", "trailers", "until close"] = "head"
        self._close = False
        self._without_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are of no asyncio class.
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self.usable = True

    def fresh(self) -> bool:
        """Whether a kept connection may still be used. What can be read along an idle one is its end, or nothing that was asked for."""
        if self.usable and self._poll.poll(0):
            self.close()
        return self.usable

    def send(self, request: bytes, answered: Outcome, *, head: bool = False) -> None:
        """Sends one whole request; no other may be on its way. `head`: its answer has no body, whatever the headers say."""
        if self._transport is None or not self.usable:
            answered(0, CLOSED)
            return
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
        if self._answered is None:
            self.close()  # Nothing was asked.
            return
        self._buffer += data
        try:
            self._advance()
        except ValueError as error:
            self._close = True
            self._done(0, f"malformed answer: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self._answered is None:
            return
        if self._phase == "until close" and exc is None:
            self._done(self._status, "")
        else:
            began = self._phase != "head" or self._buffer
            self._done(0, "connection closed within the answer" if began else CLOSED)

    def _advance(self) -> None:
        while self._answered is not None and getattr(self, _STEPS[self._phase])():
            pass

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > HEAD_LIMIT:
                raise ValueError(f"head over {HEAD_LIMIT} bytes")
            return False
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        first = _STATUS_LINE.match(lines[0])
        if not first:
            raise ValueError("no HTTP/1 status line")
        self._status = int(first[2])
        if self._status == 101:
            raise ValueError("status 101, and no other protocol was asked for")
        if self._status < 200:
            return True  # An interim answer; the next head follows.
        headers = _headers(lines[1:])
        self._close = b"close" in _tokens(headers, b"connection") or first[1] == b"0"
        self._frame(headers)
        return True

    def _frame(self, headers: Mapping[bytes, Sequence[bytes]]) -> None:
        """How long the body is (RFC 9112 section 6.3)."""
        codings, lengths = _tokens(headers, b"transfer-encoding"), set(_tokens(headers, b"content-length"))
        if self._without_body or self._status in {204, 304}:
            self._phase, self._left = "body", 0
        elif codings:
            self._phase = "chunks" if codings[-1] == b"chunked" else "until close"
        elif lengths:
            length = lengths.pop()
            if lengths or not length.isdigit() or len(length) > 18:
                raise ValueError("no single content-length")
            self._phase, self._left = "body", int(length)
        else:
            self._phase = "until close"

    def _read_body(self) -> bool:
        taken = min(self._left, len(self._buffer))
        del self._buffer[:taken]
        self._left -= taken
        if self._left:
            return False
        self._done(self._status, "")
        return True

    def _read_chunk(self) -> bool:
        if self._left:
            # The chunk and the line end after it.
            taken = min(self._left, len(self._buffer))
            del self._buffer[:taken]
            self._left -= taken
            return not self._left
        line = self._line()
        if line is None:
            return False
        found = _CHUNK_SIZE.match(line)
        if not found:
            raise ValueError("no chunk size")
        size = int(found[1], 16)
        self._left = size + 2 if size else 0
        self._phase = "chunks" if size else "trailers"
        return True

    def _read_trailers(self) -> bool:
        line = self._line()
        if line == b"":
            self._done(self._status, "")
        return line is not None

    def _read_until_close(self) -> bool:
        self._buffer.clear()
        return False

    def _line(self) -> bytes | None:
        """The next line without its end, taken out of the buffer; None while it is not whole."""
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > LINE_LIMIT:
                raise ValueError(f"line over {LINE_LIMIT} bytes")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _done(self, status: int, reason: str) -> None:
        answered, self._answered, self._phase = self._answered, None, "head"
        self.kept = self.kept or status > 0
        if self._close or self._buffer:  # What is left over belongs to no request.
            self.close()
        if answered is not None:
            answered(status, reason)


_STEPS = {
    "head": "_read_head", "body": "_read_body", "chunks": "_read_chunk", "trailers": "_read_trailers",
    "until close": "_read_until_close",
}  # fmt: skip
"""What reads each phase: True where it made a step, False where it waits for more."""


def _headers(lines: Sequence[bytes]) -> Mapping[bytes, Sequence[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        found.setdefault(name.lower(), []).append(value)
    return found


def _tokens(headers: Mapping[bytes, Sequence[bytes]], name: bytes) -> list[bytes]:
    """The comma-separated members of a header's lines, in lower case."""
    members = b",".join(headers.get(name, ())).split(b",")
    return [one.strip().lower() for one in members if one.strip()]
