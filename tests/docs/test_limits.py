"""Each figure of docs/reference/limits.md is that of the constant named beside it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "limits.md"
UNITS = {
    "": 1, "kB": 1000, "MB": 1_000_000, "GB": 1_000_000_000, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
    "s": 1, "min": 60, "h": 3600, "days": 86_400,
}  # fmt: skip
OWN_UNIT = {
    "LINK_MINUTES": 60, "session_hours": 3600, "sample_days": 86_400, "log_days": 86_400, "MAX_DAYS": 86_400,
    "run_log_days": 86_400, "artifact_days": 86_400, "cache_days": 86_400, "LOG_DAYS": 86_400, "ORPHAN_HOURS": 3600,
}  # fmt: skip
"""Seconds of what a constant counts, where that is not seconds."""


def rows() -> Iterator[tuple[str, str, str]]:
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and ":" in cells[2] and cells[2].startswith("`"):
            yield cells[0], cells[1], cells[2].strip("`")


ROWS = list(rows())


@pytest.mark.parametrize(("what", "limit", "constant"), ROWS, ids=[row[2] for row in ROWS])
def test_the_figure_is_the_constants(what: str, limit: str, constant: str) -> None:
    number, _, unit = limit.partition(" ")
    assert float(number.replace(",", "")) * UNITS[unit] == value_of(constant), (
        f"{what}: docs/reference/limits.md says {limit}, {constant} is another"
    )


def value_of(constant: str) -> float:
    """The value in bytes, seconds, or as it is."""
    module, _, name = constant.partition(":")
    found: Any = import_module(f"opsroom.{module}")
    first, *rest = re.split(r"[.\[]", name.rstrip("]"))
    found = getattr(found, first)
    for part in rest:
        found = found[part] if isinstance(found, dict) else default_of(found, part)
    seconds = OWN_UNIT.get(rest[-1] if rest else first) or OWN_UNIT.get(first, 1)
    return found.total_seconds() if isinstance(found, timedelta) else float(found) * seconds


def default_of(declared: Any, field: str) -> Any:
    return next(one.default for one in dataclasses.fields(declared) if one.name == field)
