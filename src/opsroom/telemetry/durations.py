"""Durations as Prometheus writes them: 1h30m, 500ms, 2w; units from long to short, each at most once."""

from __future__ import annotations

import re

from opsroom.kernel.errors import Invalid

_UNITS = (
    ("y", 31_536_000.0),
    ("w", 604_800.0),
    ("d", 86_400.0),
    ("h", 3_600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("ms", 0.001),
)
_FORM = re.compile("".join(rf"(?:(\d+){unit})?" for unit, _ in _UNITS))


def parse_duration(text: str) -> float:
    """Seconds. Raises Invalid where the text is no duration; a bare 0 is one."""
    found = _FORM.fullmatch(text)
    if text == "0":
        return 0.0
    if not found or not text:
        raise Invalid(f"{text!r} is no duration; write one such as 30s, 5m or 1h30m")
    return sum(int(count) * seconds for count, (_, seconds) in zip(found.groups(), _UNITS, strict=True) if count)


def format_duration(seconds: float) -> str:
    """The shortest such text, to the millisecond."""
    rest, parts = round(seconds * 1000), []
    for unit, size in _UNITS:
        count, rest = divmod(rest, round(size * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
