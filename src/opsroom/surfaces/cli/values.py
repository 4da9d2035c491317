"""Values on the command line: times, JSON, and secrets that never stand in the arguments."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from opsroom.kernel.clock import parse_stamp, stamp

_SPAN = re.compile(r"([+-]?)(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Moment(click.ParamType[str]):
    """RFC 3339, or a span: `2h` and `-2h` are two hours ago, `+7d` is in seven days. Gives RFC 3339 text."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if found := _SPAN.fullmatch(value):
            sign, number, unit = found.groups()
            span = timedelta(**{_UNITS[unit]: int(number)})
            try:
                return stamp(datetime.now(UTC) + (span if sign == "+" else -span))
            except OverflowError:
                self.fail(f"{value!r} is outside the years 1 to 9999", param, ctx)
        try:
            return stamp(parse_stamp(value))
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time; write 2026-11-23T14:02:00Z, or 2h (two hours ago) or +7d (in a week)",
                param,
                ctx,
            )


class JsonValue(click.ParamType[Any]):
    """JSON, or @FILE that holds it."""

    name = "json|@file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = value
        if value.startswith("@"):
            try:
                text = Path(value[1:]).read_text()
            except OSError as error:
                self.fail(f"{value[1:]} cannot be read: {error.strerror}", param, ctx)
        try:
            return json.loads(text)
        except ValueError as error:
            self.fail(f"not JSON: {error}", param, ctx)


def read_secret(name: str) -> str:
    """A secret from a hidden prompt, or from standard input where that is no terminal (without its last line break)."""
    if sys.stdin.isatty():
        answer: str = click.prompt(name.capitalize(), hide_input=True, err=True)
        return answer
    return sys.stdin.read().removesuffix("\n")
