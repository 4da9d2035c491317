"""The types that fields of resources are made of: how each is written, and what code is given."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from difflib import get_close_matches
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from opsroom.kernel.clock import parse_stamp


class Spec(BaseModel):
    """Base of what stands under `spec`: frozen, camelCase in YAML and snake_case in code, unknown fields refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


class OpenSpec(Spec):
    """A `Spec` of a format that lets others add fields; these are kept in `model_extra`."""

    model_config = ConfigDict(extra="allow")


_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?")
_MILLION = 1_000_000
_AMOUNT = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,6}))?")
_SECRET = re.compile(r"\$\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def parse_duration(text: Any) -> float:
    """Seconds of a duration such as `250ms`, `5s`, `1h30m` or `28d`; anything else is a ValueError."""
    if not isinstance(text, str) or not text or not _DURATION.fullmatch(text):
        raise ValueError("not a duration; write it as 250ms, 5s, 1m, 2h, 7d, 4w or 1h30m")
    parts = re.findall(r"([0-9]+)(ms|[smhdw])", text)
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def format_duration(seconds: float) -> str:
    """The shortest text that `parse_duration` reads back, to the millisecond."""
    left, parts = round(seconds * 1000), []
    for unit, size in sorted(_SECONDS.items(), key=lambda item: -item[1]):
        count, left = divmod(left, round(size * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_money(value: Any) -> int:
    """Micro-units of a decimal text such as `"12.50"`; anything else, or more than six decimals, is a ValueError."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not (found := _AMOUNT.fullmatch(text)):
        raise ValueError('not an amount with at most six decimals; write it in quotes, as "12.50"')
    return int(found[1]) * _MILLION + int((found[2] or "").ljust(6, "0"))


def format_money(micros: int) -> str:
    """Decimal text of micro-units with at least two decimals."""
    whole, micro = divmod(abs(micros), _MILLION)
    sign, decimals = "-" if micros < 0 else "", f"{micro:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{decimals}"


def fill_secrets(text: str, resolve: Callable[[str], str]) -> str:
    """`text` with every `${{ secrets.NAME }}` replaced by what `resolve("secret:NAME")` gives."""
    return _SECRET.sub(lambda found: resolve(f"secret:{found[1]}"), text)


def _time(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse_stamp(value)
    except ValueError:
        raise ValueError("not a time; write it as RFC 3339 with an offset, as 2026-01-05T09:00:00+01:00") from None


def _day(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError("not a day; write it as 2026-01-31") from None


def _timezone(value: Any) -> Any:
    if isinstance(value, str) and value not in available_timezones():
        near = get_close_matches(value, available_timezones(), n=1)
        raise ValueError(
            f"not an IANA time zone; {f'did you mean {near[0]}?' if near else 'write it as Europe/Berlin'}"
        )
    return value


def _cron(value: Any) -> Any:
    from cronsim import CronSim, CronSimError

    try:
        if not isinstance(value, str) or len(value.split()) != 5:
            raise ValueError("not a cron line of five fields, such as 30 2 * * *")
        CronSim(value, datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")))
    except CronSimError as error:
        raise ValueError(f"{error}; a cron line is minute, hour, day, month, weekday, such as 30 2 * * *") from None
    return value


def _address(value: Any) -> Any:
    if isinstance(value, str):
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise ValueError("not an address; write it as host:port")
    return value


def _pattern(text: str) -> dict[str, Any]:
    return {"type": "string", "pattern": text}


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
Text = Annotated[str, Field(min_length=1)]
Duration = Annotated[
    float, BeforeValidator(lambda v: v if isinstance(v, float) else parse_duration(v)),
    WithJsonSchema(_pattern(r"^([0-9]+(ms|s|m|h|d|w))+$")),
]  # fmt: skip
"""Seconds. Code may give a float."""
Money = Annotated[int, BeforeValidator(parse_money), WithJsonSchema(_pattern(r"^[0-9]+(\.[0-9]{1,6})?$"))]
"""Micro-units, not negative. Code gives text too."""
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Address = Annotated[str, BeforeValidator(_address), WithJsonSchema(_pattern(r"^.+:[0-9]{1,5}$"))]
Time = Annotated[datetime, BeforeValidator(_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
TimeZone = Annotated[str, BeforeValidator(_timezone), WithJsonSchema({"type": "string"})]
Cron = Annotated[str, BeforeValidator(_cron), WithJsonSchema({"type": "string"})]
SecretText = str
"""May hold `${{ secrets.NAME }}`: name the field in `Kind.secrets` too, and fill it in by `fill_secrets` upon use."""
