"""The functions that rule templates may call, as Prometheus defines them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from opsroom.kernel.clock import stamp
from opsroom.telemetry.durations import parse_duration
from opsroom.telemetry.promql.matchers import compiled, expand
from opsroom.telemetry.promql.numbers import format_number


def _float(value: Any) -> float:
    if isinstance(value, str):
        return parse_duration(value) if re.fullmatch(r"\d+[a-z].*", value) else float(value)
    return float(value)


def _short(value: float) -> str:
    """Go's %.4g."""
    text = f"{value:.4g}"
    return re.sub(r"e([-+])(\d)$", r"e\g<1>0\2", text) if "e" in text else text


def humanize(value: Any) -> str:
    """Four digits and an SI prefix: 1234567 is 1.235M."""
    number = _float(value)
    if number == 0 or not math.isfinite(number):
        return _short(number) if math.isfinite(number) else format_number(number)
    prefix = ""
    if abs(number) >= 1:
        for name in "kMGTPEZY":
            if abs(number) < 1000:
                break
            prefix, number = name, number / 1000
    else:
        for name in "mµnpfazy":
            if abs(number) >= 1:
                break
            prefix, number = name.replace("µ", "u"), number * 1000
    return f"{_short(number)}{prefix}"


def humanize1024(value: Any) -> str:
    """As humanize, by 1024: 2048 is 2ki."""
    number = _float(value)
    if abs(number) <= 1 or not math.isfinite(number):
        return _short(number) if math.isfinite(number) else format_number(number)
    prefix = ""
    for name in ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"):
        if abs(number) < 1024:
            break
        prefix, number = name, number / 1024
    return f"{_short(number)}{prefix}"


def humanize_duration(value: Any) -> str:
    """Seconds as 1d 2h 3m 4s; below one second with an SI prefix."""
    number = _float(value)
    if not math.isfinite(number):
        return format_number(number)
    if number == 0:
        return "0s"
    if abs(number) < 1:
        return f"{humanize(number)}s"
    sign, whole = ("-" if number < 0 else ""), int(abs(number))
    days, hours, minutes, seconds = whole // 86400, whole // 3600 % 24, whole // 60 % 60, whole % 60
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{_short(abs(number))}s"


def humanize_percentage(value: Any) -> str:
    return f"{_short(_float(value) * 100)}%"


def humanize_timestamp(value: Any) -> str:
    """Seconds since the epoch as RFC 3339."""
    number = _float(value)
    return stamp(datetime.fromtimestamp(number, UTC)) if math.isfinite(number) else format_number(number)


def printf(form: str, *values: Any) -> str:
    """Go's verbs that rules use: %s %v %d %f %g %e %x %q %t %% with flags, width and precision."""
    remaining = list(values)

    def one(found: re.Match[str]) -> str:
        flags, verb = found[1], found[2]
        if verb == "%":
            return "%"
        if not remaining:
            return f"%!{verb}(MISSING)"
        value = remaining.pop(0)
        if verb in "sv":
            return ("%" + flags + "s") % (format_number(value) if isinstance(value, float) else value)
        if verb == "q":
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
        if verb == "t":
            return "true" if value else "false"
        number = _float(value)
        return str(("%" + flags + verb) % (int(number) if verb in "dxX" else number))

    return re.sub(r"%([-+ #0]*\d{0,3}(?:\.\d{1,2})?)([svdfgeExXqt%])", one, form)


def _re_replace_all(pattern: str, replacement: str, text: str) -> str:
    expression = compiled(pattern)
    return expression.sub(
        lambda found: expand(replacement, (found[0], *(g or "" for g in found.groups())), expression.groupindex), text
    )


def _strip_port(host: str) -> str:
    found = re.fullmatch(r"\[?([^\]]*?)\]?:\d+", host)
    return found[1] if found else host


def _strip_domain(host: str) -> str:
    name, colon, port = host.partition(":")
    if re.fullmatch(r"[\d.]+", name):
        return host
    return name.split(".", 1)[0] + colon + port


def _either(*values: Any) -> Any:
    return next((value for value in values if value), values[-1])


def _all(*values: Any) -> Any:
    return next((value for value in values if not value), values[-1])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "humanize": humanize,
    "humanize1024": humanize1024,
    "humanizeDuration": humanize_duration,
    "humanizePercentage": humanize_percentage,
    "humanizeTimestamp": humanize_timestamp,
    "printf": printf,
    "title": lambda text: re.sub(r"\b\w", lambda found: found[0].upper(), text),
    "toUpper": lambda text: str(text).upper(),
    "toLower": lambda text: str(text).lower(),
    "match": lambda pattern, text: re.search(pattern, text) is not None,
    "reReplaceAll": _re_replace_all,
    "parseDuration": parse_duration,
    "stripPort": _strip_port,
    "stripDomain": _strip_domain,
    "eq": lambda first, *others: first in others,
    "ne": lambda first, second: first != second,
    "lt": lambda first, second: first < second,
    "le": lambda first, second: first <= second,
    "gt": lambda first, second: first > second,
    "ge": lambda first, second: first >= second,
    "and": _all,
    "or": _either,
    "not": lambda value: not value,
    "len": len,
    "print": lambda *values: "".join(map(str, values)),
}
