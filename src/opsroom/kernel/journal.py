"""Opsroom's own log: one JSON object a line on standard error, redacted, for whoever runs it."""

from __future__ import annotations

import json
import sys
import threading
import traceback
from collections.abc import Callable
from typing import IO, Any

from opsroom.kernel.clock import Clock, stamp


class Journal:
    """Writes `{"time","level","message", …fields}`. A bug keeps its traceback in the field `traceback`."""

    def __init__(
        self, clock: Clock, *, redact: Callable[[str], str] = lambda text: text, out: IO[str] | None = None
    ) -> None:
        self._clock = clock
        self._redact = redact
        self._out = out
        self._lock = threading.Lock()

    def info(self, message: str, **fields: Any) -> None:
        self._write("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._write("warning", message, fields)

    def error(self, message: str, *, bug: BaseException | None = None, **fields: Any) -> None:
        """A failure of ours or of something we need; `bug` adds its traceback."""
        if bug is not None:
            fields["traceback"] = "".join(traceback.format_exception(bug))
        self._write("error", message, fields)

    def _write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        line = {"time": stamp(self._clock.now()), "level": level, "message": message, **fields}
        text = self._redact(json.dumps(line, default=str, ensure_ascii=False))
        out = self._out or sys.stderr
        with self._lock:
            out.write(text + "\n")
            out.flush()
