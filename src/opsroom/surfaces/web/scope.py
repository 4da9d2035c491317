"""The scope every page obeys, read from the URL and carried by every link."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from opsroom.contracts.pages import Scope
from opsroom.kernel.clock import parse_stamp
from opsroom.kernel.errors import Invalid

KEYS = ("since", "until", "environment", "service", "team")
DEFAULT_SINCE = "1h"
RANGES = (
    ("5m", "Last 5 minutes"),
    ("15m", "Last 15 minutes"),
    ("30m", "Last 30 minutes"),
    ("1h", "Last hour"),
    ("6h", "Last 6 hours"),
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
    ("90d", "Last 90 days"),
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST = timedelta(days=3660)


def read_scope(query: Mapping[str, str], now: datetime, default: str = DEFAULT_SINCE) -> Scope:
    """`since` and `until` are RFC 3339 or a time before now such as `15m`, `6h`, `7d`; without them `default` until now. Error: Invalid."""
    until = _moment("until", query.get("until", ""), now) or now
    since = _moment("since", query.get("since", ""), now) or _moment("since", default, until) or now
    if since >= until:
        raise Invalid(f"since={query.get('since', '')!r} is not before until={query.get('until', '')!r}; swap them")
    return Scope(
        since=since,
        until=until,
        environment=query.get("environment", ""),
        service=query.get("service", ""),
        team=query.get("team", ""),
    )


def default_since(born: datetime | None, now: datetime) -> str:
    """The shortest of the ranges up to an hour that holds everything since `born`, when the first event was recorded."""
    age = (now - born).total_seconds() if born else 0.0
    short = (value for value, _ in RANGES if _seconds(value) >= age)
    return next((value for value in short if _seconds(value) <= _seconds(DEFAULT_SINCE)), DEFAULT_SINCE)


def scope_query(query: Mapping[str, str]) -> dict[str, str]:
    """The part of a query that is the scope, without what is empty."""
    return {key: query[key] for key in KEYS if query.get(key)}


def with_query(path: str, *queries: Mapping[str, object]) -> str:
    """`path` with these queries, later ones winning; a value that is None or "" removes its key. Keeps a query `path` has."""
    base, _, fragment = path.partition("#")
    base, _, own = base.partition("?")
    merged: dict[str, object] = {}
    for query in queries:
        merged.update(query)
    text = urlencode({key: value for key, value in merged.items() if value is not None and value != ""})
    joined = "&".join(part for part in (own, text) if part)
    return base + (f"?{joined}" if joined else "") + (f"#{fragment}" if fragment else "")


def _seconds(span: str) -> int:
    return int(span[:-1]) * _UNITS[span[-1]]


def _moment(name: str, text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    if match := re.fullmatch(r"(\d{1,7})([smhdw])", text):
        back = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
        if back <= _LONGEST:
            return now - back
    try:
        return parse_stamp(text)
    except ValueError:
        raise Invalid(
            f"{name}={text!r} is no time; write 15m, 6h or 7d for a time before now, or RFC 3339 such as 2026-11-23T14:02:00Z"
        ) from None
