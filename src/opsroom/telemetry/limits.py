"""Every bound of telemetry in one place: what is over is refused in one line, and nothing dies of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes are bytes, times are seconds. The child process is given these on its command line."""

    memory: int = 400_000_000
    threads: int = 2

    series: int = 100_000
    labels: int = 40
    label_name: int = 256
    label_value: int = 2_048
    message: int = 65_536
    attributes: int = 64

    spool: int = 256_000_000
    """Acknowledged data that waits for the child; over it, writes are Unavailable."""
    batch: int = 4_000_000
    """Spooled data sent to the child at once."""

    query_seconds: float = 10.0
    query_samples: int = 8_000_000
    """Samples one query may read."""
    query_series: int = 20_000
    query_points: int = 8_000_000
    """Values (series times steps) any part of one query may hold."""
    steps: int = 11_000
    """Steps of a range query, as Prometheus has it."""
    log_lines: int = 5_000

    pages: int = 2
    """Questions of pages answered at once; rules and ingestion have one lane each."""

    sample_days: int = 15
    log_days: int = 15
    linger: float = 10.0
    """How long the child outlives its last connection, so that the next server can take it over."""
