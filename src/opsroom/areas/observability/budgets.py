"""Error budgets, as arithmetic: what of the counters is new, and what the sums of a window say of an objective."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opsroom.telemetry.port import Labels, QueryResult

KEPT_SECONDS = 86_400.0
"""How long the last value of a series that is not seen any more is remembered."""
LEVELS = (0.5, 0.25, 0.1, 0.0)
"""Shares of the budget left; falling to one of them is told."""
RECOVERED = 0.05
"""How far above a level the budget must be for that level to be behind it: figures near one do not tell it again and again."""
_OF_A_VERSION = frozenset({"version", "deployment"})

Kept = dict[str, list[float]]
"""Series by their labels: last value, and when it was seen."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Good and all events, and for how many seconds they were counted."""

    good: float = 0.0
    total: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a window says of an objective; `left` None: not enough happened to say, and `reason` tells what is missing."""

    left: float | None
    burn_rate: float | None
    reason: str = ""


@dataclass(slots=True)
class Counters:
    """The last values of the counters behind one figure, as they are kept between evaluations."""

    series: Kept = field(default_factory=dict)
    begun: bool = False

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Counters:
        return cls({key: list(value) for key, value in kept.get("series", {}).items()}, bool(kept.get("begun")))

    def plain(self) -> dict[str, Any]:
        return {"series": self.series, "begun": self.begun}

    def increase(self, result: QueryResult, now: float) -> float:
        """How much all counters grew since the last time, and remembers where they are.

        A counter that fell began anew. One that was not there before grew from zero where its process began under our eyes: its address
        is known, or Opsroom deployed it; otherwise its past is not ours to count. At the first time nothing grew.
        """
        grown = 0.0
        known = {_instance(key) for key in self.series}
        for points in result.series:
            key, value = series_key(points.labels), points.latest
            if value - value != 0:
                continue
            before = self.series.get(key)
            if before is not None:
                grown += value - before[0] if value >= before[0] else value
            elif self.begun and (_instance(key) in known or dict(points.labels).get("deployment")):
                grown += value
            self.series[key] = [value, now]
        self.begun = True
        self.series = {key: kept for key, kept in self.series.items() if now - kept[1] <= KEPT_SECONDS}
        return grown


def series_key(labels: Labels) -> str:
    """What identifies a counter over the versions that serve at one address."""
    return "\xff".join(f"{name}={value}" for name, value in labels if name not in _OF_A_VERSION)


def figures(window: Sums, hour: Sums, target: float, *, noun: str = "events") -> Figures:
    """The budget left of a window (1: untouched, 0: spent, below: overspent), and how fast the last hour burns it (1: exactly as allowed).

    A budget smaller than one event says nothing: a single failure would have overspent it.
    """
    allowed = 1.0 - target
    if window.total <= 0:
        return Figures(left=None, burn_rate=None, reason=f"no {noun} were counted yet")
    if window.total * allowed < 1.0 - 1e-9:
        needed = round(1.0 / allowed)
        reason = f"{window.total:.0f} {noun} were counted; with {needed} the budget is one of them"
        return Figures(left=None, burn_rate=None, reason=reason)
    left = 1.0 - (1.0 - window.good / window.total) / allowed
    burn = (1.0 - hour.good / hour.total) / allowed if hour.total > 0 else 0.0
    return Figures(left=round(left, 9), burn_rate=round(burn, 9))


def level_of(left: float, before: int) -> int:
    """How many of LEVELS the budget has fallen to; one it recovers from stays until it is well behind."""
    now = sum(left <= level for level in LEVELS)
    if now >= before:
        return now
    return sum(left <= level + RECOVERED for level in LEVELS[:before])


def bucket_width(window: float, slice_seconds: float | None) -> int:
    """Seconds of the slices sums are kept in: the time slices themselves, else a fraction of the window."""
    return int(slice_seconds) if slice_seconds else max(10, min(300, int(window / 100)))


def meets(value: float, op: str, bound: float) -> bool:
    """Whether a threshold metric's value is good."""
    return {"lt": value < bound, "lte": value <= bound, "gt": value > bound, "gte": value >= bound}[op]


def total_of(results: Iterable[QueryResult]) -> float:
    """The sum of all finite values."""
    values = [points.latest for result in results for points in result.series]
    return sum(value for value in values if value - value == 0)


def _instance(key: str) -> str:
    return next((part for part in key.split("\xff") if part.startswith("instance=")), "")
