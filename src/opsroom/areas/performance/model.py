"""What performance speaks of: a load test's result, its verdict, and the windows of steady traffic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from opsroom.areas.performance.buckets import BOUNDS, quantile

LATE_SHARE = 0.01
"""Above this share of requests that left late the generator was saturated, and the figures say more of it than of the service."""
LATE_FEW = 3
"""So many are one hiccup of the machine, however short the test; their latency counts from their planned time, so they hide nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a generator counted: `buckets` as in `buckets.BOUNDS`, `reasons` why requests failed."""

    requests: int = 0
    failed: int = 0
    late: int = 0
    resent: int = 0
    buckets: Mapping[int, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)

    def plus(self, window: Mapping[str, Any]) -> Counts:
        """With one window of the generator added."""
        return Counts(
            requests=self.requests + window["sent"],
            failed=self.failed + window["failed"],
            late=self.late + window["late"],
            resent=self.resent + window["resent"],
            buckets=_sum(self.buckets, {int(key): value for key, value in window["buckets"].items()}),
            reasons=_sum(self.reasons, window["reasons"]),
        )

    @property
    def error_share(self) -> float:
        return self.failed / self.requests if self.requests else 0.0

    def latency(self, q: float) -> float | None:
        """Seconds that a share `q` of the requests did not exceed, within 4 %; None without requests."""
        return quantile(self.buckets, q)

    @property
    def slowest(self) -> float | None:
        return BOUNDS[max(self.buckets)] if self.buckets else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One finished load test. `verdict`: passed, failed, or not measured (nothing was sent, or the generator was saturated);
    `broken` says by which threshold and figures."""

    id: str
    key: str
    test: str
    service: str
    environment: str
    digest: str
    run: str
    verdict: str
    rate: float
    counts: Counts
    broken: tuple[str, ...]
    started: datetime
    finished: datetime
    event: str


def judge(
    counts: Counts, thresholds: Any, baseline: Counts | None, *, disturbed: str = ""
) -> tuple[str, tuple[str, ...]]:
    """The verdict and its reasons. `baseline` is the last passed run of the same test there; without one growth is not looked at.
    `disturbed` says why the figures are not those of one version ("" : they are)."""
    if not counts.requests:
        return "not measured", ("no request was sent",)
    if disturbed:
        return "not measured", (disturbed,)
    if counts.late > max(counts.requests * LATE_SHARE, LATE_FEW):
        return "not measured", (f"the generator was saturated: {counts.late} of {counts.requests} requests left late",)
    broken = [
        f"{name} {_ms(value)} is over {_ms(limit)}"
        for name, value, limit in (
            ("p50", counts.latency(0.5), thresholds.p50),
            ("p95", counts.latency(0.95), thresholds.p95),
            ("p99", counts.latency(0.99), thresholds.p99),
            ("max", counts.slowest, thresholds.max),
        )
        if limit is not None and value is not None and value > limit
    ]
    if thresholds.error_share is not None and counts.error_share > thresholds.error_share:
        broken.append(f"{counts.failed} of {counts.requests} requests failed ({_reasons(counts)})")
    broken += _growth(counts, thresholds.p95_growth, baseline)
    return ("failed", tuple(broken)) if broken else ("passed", ())


def _growth(counts: Counts, limit: float | None, baseline: Counts | None) -> list[str]:
    if limit is None or baseline is None:
        return []
    before, now = baseline.latency(0.95), counts.latency(0.95)
    if before is None or now is None or now <= before * (1 + limit):
        return []
    return [f"p95 grew from {_ms(before)} to {_ms(now)}, over {limit:.0%}"]


def _reasons(counts: Counts) -> str:
    most = sorted(counts.reasons.items(), key=lambda item: -item[1])[:3]
    return ", ".join(f"{name}: {count}" for name, count in most)


def _sum(one: Mapping[Any, int], other: Mapping[Any, int]) -> dict[Any, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}


def _ms(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds * 1000:.1f} ms"
