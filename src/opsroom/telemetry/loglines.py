"""From a line of text to a log record: JSON objects give their fields, anything else is the message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsroom.kernel.clock import parse_stamp
from opsroom.telemetry.port import LogRecord

_TIME = ("time", "timestamp", "@timestamp", "ts")
_LEVEL = ("level", "severity", "lvl", "levelname")
_MESSAGE = ("message", "msg")
_TRACE = ("trace_id", "traceId", "trace.id", "traceid")
_LEVELS = {"warn": "warning", "err": "error", "fatal": "critical", "panic": "critical", "notice": "info"}
_DEPTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where lines come from; `attributes` are added to each."""

    service: str = ""
    environment: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


def parse_line(line: str, origin: Origin, now: float) -> LogRecord:
    """Never fails. A line without a usable time is of `now`; levels are lower case, warn is warning, fatal is critical."""
    fields = _object(line)
    if fields is None:
        return LogRecord(
            time=now,
            message=line,
            service=origin.service,
            environment=origin.environment,
            attributes=dict(origin.attributes),
        )
    time, level, message, trace = (_pop(fields, names) for names in (_TIME, _LEVEL, _MESSAGE, _TRACE))
    level = _text(level).lower()
    return LogRecord(
        time=_seconds(time, now),
        message=_text(message) if message is not None else line,
        service=_text(_pop(fields, ("service",))) or origin.service,
        environment=_text(_pop(fields, ("environment",))) or origin.environment,
        level=_LEVELS.get(level, level),
        trace_id=_text(trace),
        attributes={**dict(_flat("", fields)), **origin.attributes},
    )


def _object(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _pop(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if name in fields:
            return fields.pop(name)
    return None


def _seconds(value: Any, now: float) -> float:
    """RFC 3339, or a number of seconds, milliseconds, microseconds or nanoseconds, told apart by its size."""
    if isinstance(value, str):
        try:
            return parse_stamp(value).timestamp()
        except ValueError:
            return now
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e20:
        return now
    number = float(value)
    while number > 1e11:
        number /= 1000
    return number


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _flat(prefix: str, fields: dict[str, Any], depth: int = 0) -> Iterator[tuple[str, str]]:
    """Nested objects as dotted names, to a depth; what is deeper, and lists, as JSON."""
    for name, value in fields.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and depth < _DEPTH:
            yield from _flat(f"{path}.", value, depth + 1)
        elif value is not None:
            yield path, _text(value)
