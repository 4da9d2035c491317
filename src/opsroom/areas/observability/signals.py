"""The golden signals of a service as PromQL, over the metric names that HTTP services commonly expose."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from opsroom.telemetry.port import Points
from opsroom.telemetry.promql.numbers import format_number


@dataclass(frozen=True, slots=True)
class Signal:
    """One figure: a title, its PromQL, its unit, and how a series of it is named on a chart. A unit of % stands for a share of 1."""

    title: str
    query: str
    unit: str
    name: str = "{{environment}}"

    @property
    def charted(self) -> str:
        """The PromQL in the unit that charts write."""
        return f"100 * ({self.query})" if self.unit == "%" else self.query


def matchers(service: str, environment: str = "", *more: str) -> str:
    """PromQL matchers of a place, each value escaped."""
    named = [
        f'{name}="{_escaped(value)}"' for name, value in (("service", service), ("environment", environment)) if value
    ]
    return ",".join([*named, *more])


def rate(service: str, environment: str = "", *, window: str = "1m", by: str = "environment") -> Signal:
    """Requests a second."""
    query = f"sum by ({by}) (rate(http_requests_total{{{matchers(service, environment)}}}[{window}]))"
    return Signal("Requests", query, "req/s", f"{{{{{by}}}}}")


def error_share(service: str, environment: str = "", *, window: str = "1m", by: str = "environment") -> Signal:
    """The share of requests answered with a server error; 0 where there are requests and none of them."""
    of = f"rate(http_requests_total{{{matchers(service, environment)}}}[{window}])"
    failing = matchers(service, environment, 'code=~"5.."')
    failed = f"rate(http_requests_total{{{failing}}}[{window}])"
    query = f"(sum by ({by}) ({failed}) or 0 * sum by ({by}) ({of})) / sum by ({by}) ({of})"
    return Signal("Errors", query, "%", f"{{{{{by}}}}}")


def p95(
    service: str, environment: str = "", *, window: str = "1m", by: str = "environment", share: float = 0.95
) -> Signal:
    """The time within which 95 % of requests were answered, in seconds."""
    buckets = f"rate(http_request_duration_seconds_bucket{{{matchers(service, environment)}}}[{window}])"
    query = f"histogram_quantile({format_number(share)}, sum by (le, {by}) ({buckets}))"
    return Signal("p95", query, "s", f"{{{{{by}}}}}")


def requests_by_code(service: str = "", environment: str = "", *, window: str = "1m") -> str:
    """Requests a second of each place by status: one question for rate and error share."""
    return (
        f"sum by (service, environment, code) (rate(http_requests_total{{{matchers(service, environment)}}}[{window}]))"
    )


def rate_and_errors(series: Iterable[Points]) -> tuple[float | None, float | None]:
    """Rate and error share from the series of one place of `requests_by_code`; None: no samples, or no requests to have a share of."""
    rates = [(dict(one.labels).get("code", ""), one.latest) for one in series if math.isfinite(one.latest)]
    if not rates:
        return None, None
    total = sum(rate for _, rate in rates)
    failed = sum(rate for code, rate in rates if len(code) == 3 and code.startswith("5"))
    return total, failed / total if total > 0 else None


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
