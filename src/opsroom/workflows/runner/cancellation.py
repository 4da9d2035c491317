"""A request to stop that both a flag and a file descriptor tell, so that one can ask for it and wait for it."""

from __future__ import annotations

import os


class Cancellation:
    """Set once, never taken back. `set` may be called from a signal handler or another thread."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._set = False

    def set(self) -> None:
        if not self._set:
            self._set = True
            os.write(self._writer, b"x")

    def is_set(self) -> bool:
        return self._set

    def fileno(self) -> int:
        """Readable from the moment of `set` on; nobody reads it."""
        return self._reader

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)
