"""What telemetry is to everybody else: frozen values, and the one protocol that every store of it answers.

Times are seconds since the Unix epoch as floats, kept to the millisecond for samples and to the microsecond for logs.
A series is its labels: a tuple of (name, value) pairs sorted by name, no empty value, the metric's name as `__name__`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from opsroom.telemetry.promql.matchers import Alternatives

Labels = tuple[tuple[str, str], ...]
Lane = Literal["pages", "rules"]
ResultKind = Literal["scalar", "string", "vector", "matrix"]

STALE: float = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""Prometheus's staleness marker: the one NaN (0x7ff0000000000002) that says "this series ended here"."""


def labels(pairs: Mapping[str, str]) -> Labels:
    """The canonical form: sorted by name, empty values left out (an empty label is an absent one)."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


def metric_name(of: Labels) -> str:
    """The `__name__` of a series; "" where it has none."""
    return next((value for name, value in of if name == "__name__"), "")


def is_stale(value: float) -> bool:
    """True for the staleness marker only; any other NaN is a value."""
    return math.isnan(value) and struct.pack("<d", value) == struct.pack("<d", STALE)


class Sample(NamedTuple):
    """One value of one series at one time."""

    labels: Labels
    time: float
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One log line. `id` is given by the store, unique, and grows in the order of writing; 0 before that."""

    time: float
    message: str
    service: str = ""
    environment: str = ""
    level: str = ""
    trace_id: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    id: int = 0


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a metric says of itself. `type` is one of Prometheus's: counter, gauge, histogram, summary, unknown, …"""

    metric: str
    type: str
    help: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that was not taken in, and why, in one line that names it."""

    metric: str
    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch: `accepted` is acknowledged and survives the death of any process; the rest was refused."""

    accepted: int
    refused: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Points:
    """One series of a result: `times` and `values` have the same length; a step without a value is left out."""

    labels: Labels
    times: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def latest(self) -> float:
        """The last value; NaN where there is none."""
        return self.values[-1] if self.values else math.nan


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The answer to a PromQL expression.

    `vector` and `scalar`: every series has exactly one point (a scalar is one series without labels). `matrix`: any number
    of points. `string`: `text`, and no series. Warnings doubt the answer, infos only remark on it.
    """

    kind: ResultKind
    series: tuple[Points, ...] = ()
    text: str = ""
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()

    def by(self, *names: str) -> dict[tuple[str, ...], float]:
        """The latest value for each combination of these labels, for callers that know the result's labels."""
        found = {}
        for one in self.series:
            at_hand = dict(one.labels)
            found[tuple(at_hand.get(name, "") for name in names)] = one.latest
        return found

    @property
    def value(self) -> float | None:
        """The latest value of the only series; None where there is no series, or more than one."""
        return self.series[0].latest if len(self.series) == 1 and self.series[0].values else None


@dataclass(frozen=True, slots=True)
class LogPage:
    """Log lines, newest first, and the cursor of the page that follows ("" : there is none)."""

    records: tuple[LogRecord, ...]
    before: str = ""


@dataclass(frozen=True, slots=True)
class LogCount:
    """How many lines of `group` fell into the bucket that starts at `time`."""

    time: float
    group: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the store is. `up`: answers. `starting`, `down`: `reason` says why and what happens next. `idle`: not needed yet.

    `memory_bytes` is the resident size of its process; `spooled_bytes` is acknowledged and not yet in the tables.
    """

    state: Literal["up", "starting", "down", "idle"]
    reason: str = ""
    memory_bytes: int = 0
    series: int = 0
    samples: int = 0
    lines: int = 0
    spooled_bytes: int = 0
    restarts: int = 0


class Telemetry(Protocol):
    """Any store of metrics and logs. Errors are UserErrors: Invalid (what was asked), TooLarge (a limit), Unavailable.

    What was acknowledged before a question is seen by its answer, unless the store says that it lags.
    `matchers` are PromQL series selectors, any of which may match; an empty sequence matches all. `within` holds every
    selection of a question to the series that match any of its groups of matchers; empty: no series is left out.
    """

    def write_samples(self, batch: Sequence[Sample]) -> Written: ...
    def write_logs(self, records: Sequence[LogRecord]) -> Written: ...
    def write_metadata(self, items: Sequence[Metadata]) -> None: ...

    def query(self, promql: str, at: float, *, lane: Lane = "pages", within: Alternatives = ()) -> QueryResult: ...
    def query_range(
        self, promql: str, start: float, end: float, step: float, *, lane: Lane = "pages", within: Alternatives = ()
    ) -> QueryResult: ...
    def series(
        self, matchers: Sequence[str], start: float, end: float, *, within: Alternatives = ()
    ) -> tuple[Labels, ...]: ...
    def labels(self, matchers: Sequence[str], start: float, end: float) -> tuple[str, ...]: ...
    def label_values(self, name: str, matchers: Sequence[str], start: float, end: float) -> tuple[str, ...]: ...
    def metadata(self, metric: str = "") -> tuple[Metadata, ...]: ...

    def search_logs(self, query: str, start: float, end: float, *, limit: int = 100, before: str = "") -> LogPage:
        """Lines with start <= time < end that match, newest first; `before` is the cursor of the page before."""
        ...

    def log_histogram(
        self, query: str, start: float, end: float, *, buckets: int = 60, by: str = "level"
    ) -> tuple[LogCount, ...]:
        """Counts in `buckets` equal slices of [start, end), one per value of `by` (service, environment or level)."""
        ...

    def health(self) -> Health: ...
    def start(self) -> None:
        """Gets ready ahead of the first need; returns at once."""

    def close(self) -> None: ...
