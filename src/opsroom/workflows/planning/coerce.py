"""What an expression gave, as the type that its key wants."""

from __future__ import annotations

import math
from typing import Any

from opsroom.kernel.errors import Invalid
from opsroom.workflows.expressions import to_number, to_text


def as_boolean(value: Any, key: str) -> bool:
    """true or false, or text that spells one; nothing is false. Invalid: anything else."""
    if value is None or value == "":
        return False
    text = to_text(value).strip().lower()
    if text not in {"true", "false"}:
        raise Invalid(f"{key} is {to_text(value)!r}, not true or false")
    return text == "true"


def as_minutes(value: Any, key: str) -> float:
    """A positive number of minutes. Invalid: anything else."""
    number = math.nan if isinstance(value, bool) else to_number(value)
    if not number > 0:
        raise Invalid(f"{key} is {to_text(value)!r}, not a positive number of minutes")
    return number


def as_count(value: Any, key: str) -> int:
    """A whole number from 1 on; nothing is 0, which means no limit. Invalid: anything else."""
    if value is None or value == "":
        return 0
    number = math.nan if isinstance(value, bool) else to_number(value)
    if not (math.isfinite(number) and number >= 1 and number.is_integer()):
        raise Invalid(f"{key} is {to_text(value)!r}, not a whole number from 1 on")
    return int(number)
