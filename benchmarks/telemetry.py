"""The embedded telemetry store through its port: samples and lines written into its tables, and questions asked of them."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.rows import row
from opsroom.kernel.clock import SystemClock
from opsroom.kernel.journal import Journal
from opsroom.telemetry.embedded import EmbeddedTelemetry
from opsroom.telemetry.limits import Limits
from opsroom.telemetry.port import LogRecord, Sample, labels

SERIES = 2_000
SCRAPES = 240
STEP = 15.0
LINES = 200_000
BATCH = 5_000
ROUNDS = 5


def measure() -> list[dict[str, Any]]:
    """An hour of 2,000 series at 15 s, and 200,000 log lines: written, then asked about."""
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="ob-") as folder:
        store = EmbeddedTelemetry(Path(folder), Limits(), clock, Journal(clock))
        try:
            store.start()
            end = time.time()
            return [*_metrics(store, end), *_logs(store, end)]
        finally:
            store.close()


def _metrics(store: EmbeddedTelemetry, end: float) -> list[dict[str, Any]]:
    start = end - SCRAPES * STEP
    series = [
        labels(
            {
                "__name__": "http_requests_total",
                "service": f"s{n % 20}",
                "instance": f"i{n // 20}",
                "code": str(200 + n % 3),
            }
        )
        for n in range(SERIES)
    ]
    store.write_samples([Sample(one, start, 0.0) for one in series])
    _settle(store)
    began = time.perf_counter()
    for scrape in range(1, SCRAPES):
        store.write_samples(
            [Sample(one, start + scrape * STEP, float(scrape * 3 + n % 7)) for n, one in enumerate(series)]
        )
    _settle(store)
    rate = SERIES * (SCRAPES - 1) / (time.perf_counter() - began)
    asked = {
        "metrics.query": lambda: store.query("sum by (service) (rate(http_requests_total[5m]))", end),
        "metrics.query_range": lambda: store.query_range("sum by (service) (rate(http_requests_total[5m]))", start + 300, end, 15.0),
    }  # fmt: skip
    return [
        row("metrics.write", "observability", "samples/s", rate),
        *(row(id, "observability", "ms", _milliseconds(ask)) for id, ask in asked.items()),
    ]


def _logs(store: EmbeddedTelemetry, end: float) -> list[dict[str, Any]]:
    start = end - 3600
    words = ("order confirmed", "stock looked up", "payment timed out", "session started", "cart emptied")
    lines = [
        LogRecord(
            time=start + n * 3600 / LINES, message=f"{words[n % 5]} for customer {n % 9973}", service=f"s{n % 20}",
            environment="production", level=("info", "info", "info", "warning", "error")[n % 5],
            attributes={"path": f"/orders/{n % 101}"},
        )
        for n in range(LINES)
    ]  # fmt: skip
    began = time.perf_counter()
    for at in range(0, LINES, BATCH):
        store.write_logs(lines[at : at + BATCH])
    _settle(store)
    rate = LINES / (time.perf_counter() - began)
    asked = {"logs.search_word": 'customer AND "timed out"', "logs.search_field": "service:s7 AND level:error"}
    return [
        row("logs.write", "observability", "lines/s", rate),
        *(
            row(id, "observability", "ms", _milliseconds(lambda query=query: store.search_logs(query, start, end)))  # type: ignore[misc]
            for id, query in asked.items()
        ),
    ]


def _settle(store: EmbeddedTelemetry) -> None:
    """Until what was acknowledged is in the tables."""
    while store.health().spooled_bytes:
        time.sleep(0.005)


def _milliseconds(ask: Callable[[], Any]) -> float:
    ask()
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
