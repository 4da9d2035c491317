"""How the server and the telemetry process talk: frames over a Unix socket.

A frame is two little-endian 32-bit lengths (header, body), a JSON header, and a raw body. A request's header names `op`;
an answer's header has `error` {kind, message} where it failed.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

from opsroom.kernel.errors import Invalid, NotFound, TooLarge, Unavailable, UserError

VERSION = 2
MAX_HEADER = 64_000_000
MAX_BODY = 1_000_000_000

_LENGTHS = struct.Struct("<II")
_ERRORS: dict[str, type[UserError]] = {kind.__name__: kind for kind in (Invalid, NotFound, TooLarge, Unavailable)}


class Closed(Exception):
    """The other side is gone; `str()` says where in the conversation."""


class ChildFault(Exception):
    """A bug in the telemetry process: `str()` is its traceback."""


def send(sock: socket.socket, header: dict[str, Any], body: bytes | bytearray | memoryview = b"") -> None:
    """Writes one frame. Raises Closed when the other side is gone, TimeoutError past the socket's timeout."""
    text = json.dumps(header, separators=(",", ":")).encode()
    try:
        sock.sendall(_LENGTHS.pack(len(text), len(body)) + text)
        if body:
            sock.sendall(body)
    except TimeoutError:
        raise
    except OSError as error:
        raise Closed(f"the connection broke while sending: {error.strerror or error}") from error


def receive(sock: socket.socket) -> tuple[dict[str, Any], bytearray]:
    """Reads one frame. Raises Closed at the end of the connection or on a frame that cannot be one, TimeoutError as above."""
    header_size, body_size = _LENGTHS.unpack(_read(sock, _LENGTHS.size))
    if header_size > MAX_HEADER or body_size > MAX_BODY:
        raise Closed(f"a frame of {header_size}+{body_size} bytes is over the protocol's limit")
    header = json.loads(_read(sock, header_size))
    return header, _read(sock, body_size)


def error_header(error: Exception, traceback_text: str = "") -> dict[str, Any]:
    """The answer that carries an exception to the other side."""
    kind = next((name for name, known in _ERRORS.items() if type(error) is known), "")
    return {"error": {"kind": kind or "bug", "message": str(error) if kind else traceback_text}}


def raise_error(header: dict[str, Any]) -> None:
    """Raises what an answer carries, if it carries an error."""
    if error := header.get("error"):
        raise _ERRORS.get(error["kind"], ChildFault)(error["message"])


def _read(sock: socket.socket, size: int) -> bytearray:
    buffer = bytearray(size)
    view, got = memoryview(buffer), 0
    while got < size:
        try:
            count = sock.recv_into(view[got:])
        except TimeoutError:
            raise
        except OSError as error:
            raise Closed(f"the connection broke while reading: {error.strerror or error}") from error
        if not count:
            raise Closed("the other side closed the connection")
        got += count
    return buffer
