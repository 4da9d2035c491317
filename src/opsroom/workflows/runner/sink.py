"""Where a runner tells what happens: events that count, and log lines that people read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol


class Sink(Protocol):
    """Takes what one job says, in order. Text arrives masked."""

    def event(self, type: str, data: Mapping[str, Any]) -> None:
        """One RunnerEvent; the sink gives it its time and number."""

    def lines(self, step: int, texts: Iterable[str], stream: str = "out") -> None:
        """Lines of one step's log; `stream` as in `LogLine`."""
