"""Asks the telemetry process: a few kept connections for each lane, a time limit on every answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from opsroom.kernel.errors import Unavailable
from opsroom.telemetry import wire

_SLACK_SECONDS = 15.0


class Client:
    """`connect` opens a connection; an answer may take `seconds`, in which the process has its own stricter limit."""

    def __init__(self, connect: Callable[[], socket.socket], *, seconds: float) -> None:
        self._connect, self._seconds = connect, seconds + _SLACK_SECONDS
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []
        self._closed = False

    def ask(self, header: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytearray]:
        """One question, one answer. Raises the UserError that the answer carries; Unavailable when the process is gone."""
        sock = self._take()
        try:
            sock.settimeout(self._seconds)
            wire.send(sock, header, body)
            answer, raw = wire.receive(sock)
        except (wire.Closed, TimeoutError) as error:
            sock.close()
            reason = "it took too long" if isinstance(error, TimeoutError) else str(error)
            raise Unavailable(f"telemetry did not answer: {reason}; it is started again by itself") from error
        except BaseException:
            sock.close()
            raise
        self._give_back(sock)
        wire.raise_error(answer)
        return answer, raw

    def reset(self) -> None:
        """Forgets connections to a process that is gone."""
        with self._lock:
            idle, self._idle = self._idle, []
        for sock in idle:
            sock.close()

    def close(self) -> None:
        self._closed = True
        self.reset()

    def _take(self) -> socket.socket:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        try:
            return self._connect()
        except wire.Closed as error:
            raise Unavailable(f"telemetry does not answer: {error}; it is started again by itself") from error

    def _give_back(self, sock: socket.socket) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < 4:
                self._idle.append(sock)
                return
        sock.close()
