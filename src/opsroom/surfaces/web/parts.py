"""Helpers for views: small drawings, sorted tables, chart descriptions. In templates they are `parts.NAME`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["ok", "running", "waiting", "failed", "unknown", "skipped"]

WORDS: dict[str, State] = {
    "ok": "ok", "success": "ok", "succeeded": "ok", "passed": "ok", "healthy": "ok", "up": "ok", "resolved": "ok", "done": "ok",
    "active": "ok", "closed": "ok", "delivered": "ok", "allowed": "ok", "verified": "ok", "in sync": "ok", "finished": "ok",
    "running": "running", "in_progress": "running", "deploying": "running", "started": "running", "applying": "running",
    "waiting": "waiting", "queued": "waiting", "pending": "waiting", "blocked": "waiting", "suspended": "waiting",
    "acknowledged": "waiting", "warning": "waiting", "paused": "waiting", "planned": "waiting", "drifted": "waiting",
    "failed": "failed", "failure": "failed", "error": "failed", "firing": "failed", "down": "failed", "open": "failed",
    "rejected": "failed", "denied": "failed", "critical": "failed", "exceeded": "failed", "broken": "failed",
    "skipped": "skipped", "cancelled": "skipped", "inactive": "skipped", "superseded": "skipped", "none": "skipped",
    "unknown": "unknown", "not checked": "unknown", "": "unknown",
}  # fmt: skip
"""The field's words for the states a badge can show; a word that is not here is drawn as unknown."""


def state_of(word: object) -> State:
    """The shape and colour of a word such as `success`, `queued`, `firing`; enums count by their value."""
    return WORDS.get(str(getattr(word, "value", word) or "").lower(), "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A table's column. `sort` is the attribute (or key) rows are sorted by ("" : not sortable); `end` aligns numbers right;
    `wide` lets the text wrap; `low` hides the column on narrow screens."""

    title: str
    sort: str = ""
    end: bool = False
    wide: bool = False
    low: bool = False
    help: str = ""


def column(title: str, sort: str = "", **options: Any) -> Column:
    return Column(title=title, sort=sort, **options)


def sort_rows(rows: Iterable[Any], columns: Sequence[Column], sort: str) -> list[Any]:
    """Rows by `sort` (`name`, or `-name` for falling), if a column allows it; None always comes last."""
    name, falling = sort.removeprefix("-"), sort.startswith("-")
    found = list(rows)
    if not name or name not in {one.sort for one in columns}:
        return found
    known = [row for row in found if _value(row, name) is not None]
    known.sort(key=lambda row: _comparable(_value(row, name)), reverse=falling)
    return known + [row for row in found if _value(row, name) is None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparkline:
    """A line in a box of `width` x `height`: SVG path data, one subpath for each run without gaps, and the last point."""

    line: str
    area: str
    width: int
    height: int
    last: tuple[float, float] | None
    low: float
    high: float


def sparkline(values: Sequence[float | None], width: int = 80, height: int = 20) -> Sparkline | None:
    """None where there are fewer than two values to draw. A None among them is a gap, not a zero."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    low, high = min(known), max(known)
    span, step, edge = (high - low) or 1.0, width / max(1, len(values) - 1), 2.0
    flat = high == low
    line, area, last, run = [], [], None, []
    for index, value in enumerate([*values, None]):
        if value is not None:
            y = height / 2 if flat else height - edge - (value - low) / span * (height - 2 * edge)
            last = (round(index * step, 1), round(y, 1))
            run.append(last)
        elif run:
            points = "L".join(f"{x},{y}" for x, y in run)
            line.append(f"M{points}" + ("h.1" if len(run) == 1 else ""))
            area.append(f"M{run[0][0]},{height}L{points}L{run[-1][0]},{height}Z")
            run = []
    return Sparkline(line="".join(line), area="".join(area), width=width, height=height, last=last, low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a small bar drawing, in its box; `value` None is drawn as a gap."""

    x: float
    y: float
    width: float
    height: float
    value: float | None
    label: str
    state: str


def bars(
    values: Sequence[float | None],
    *,
    labels: Sequence[str] = (),
    states: Sequence[str] = (),
    width: int = 120,
    height: int = 24,
) -> tuple[Bar, ...]:
    """Bars from zero; the highest fills the box. `states` colours each (`ok`, `failed`, …); default: the accent."""
    top = max((value for value in values if value is not None), default=0.0) or 1.0
    slot = width / max(1, len(values))
    drawn = []
    for index, value in enumerate(values):
        tall = 0.0 if value is None else max(1.0 if value else 0.0, round(value / top * height, 1))
        drawn.append(
            Bar(
                x=round(index * slot, 1), y=height - tall, width=round(max(1.0, slot - 1), 1), height=tall, value=value,
                label=labels[index] if index < len(labels) else "", state=states[index] if index < len(states) else "",
            )
        )  # fmt: skip
    return tuple(drawn)


def ticks(count: int, most: int = 5) -> tuple[int, ...]:
    """Which of `count` bars are named under the axis: the first, the last, and what lies evenly between."""
    steps = min(most, count) - 1
    return tuple(round(step * (count - 1) / steps) for step in range(steps + 1)) if steps > 0 else tuple(range(count))


def chart(
    *,
    queries: Sequence[Mapping[str, str]] = (),
    data: Mapping[str, Any] | None = None,
    unit: str = "",
    kind: Literal["line", "area", "bars", "stack"] = "line",
    thresholds: Sequence[Mapping[str, Any]] = (),
    marks: bool = True,
    height: int = 160,
    step: float = 0,
) -> str:
    """The JSON that static/charts.js draws. `queries`: {"query": PromQL, "name": "{{service}}", "colour"?: "failed"}, or `data`:
    {"times": [Unix seconds], "series": [{"name", "values": [number or null]}], "until"?: where its axis ends}. `unit`: s, B, %, req/s, … `thresholds`:
    {"value", "label"}. `marks`: draw the changes of the scope."""
    description = {
        "queries": list(queries), "data": data, "unit": unit, "kind": kind, "thresholds": list(thresholds), "marks": marks,
        "height": height, "step": step,
    }  # fmt: skip
    return json.dumps({key: value for key, value in description.items() if value not in (None, [], 0, "")})


def _value(row: Any, name: str) -> Any:
    return row.get(name) if isinstance(row, Mapping) else getattr(row, name, None)


def _comparable(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value
