"""The embedded store behind the port: write-ahead spool here, tables and queries in the supervised child process."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from opsroom.kernel.clock import Clock
from opsroom.kernel.errors import Invalid, Unavailable
from opsroom.kernel.journal import Journal
from opsroom.kernel.settings import Settings
from opsroom.telemetry import records
from opsroom.telemetry.client import Client
from opsroom.telemetry.feeder import Feeder
from opsroom.telemetry.limits import Limits
from opsroom.telemetry.port import (
    Health,
    Labels,
    Lane,
    LogCount,
    LogPage,
    LogRecord,
    Metadata,
    Points,
    QueryResult,
    Refusal,
    Sample,
    Written,
    metric_name,
)
from opsroom.telemetry.promql.matchers import Alternatives
from opsroom.telemetry.registry import Refused, Registry
from opsroom.telemetry.spool import Spool
from opsroom.telemetry.supervisor import Supervisor, resident_bytes

_FLUSH_SECONDS = 2.0
_START_SECONDS = 20.0
_AHEAD_MS = 3_600_000
_METADATA_MS = 6 * 3_600_000


def limits_of(settings: Settings) -> Limits:
    """The limits that a server's settings ask for."""
    return Limits(memory=settings.telemetry_memory_mb * 1_000_000, threads=settings.telemetry_threads)


class EmbeddedTelemetry:
    """`Telemetry` over chDB in a child process; `folder` holds its tables, its spool and its socket.

    A write returns once it is in the spool, so it survives the death of this process and of the child. The child starts
    with the first write or question.
    """

    def __init__(self, folder: Path, limits: Limits, clock: Clock, journal: Journal, *, durable: bool = False) -> None:
        self._limits, self._clock = limits, clock
        self._registry = Registry(limits)
        self._writing = threading.Lock()
        self._closed = False
        self._told: dict[str, tuple[Metadata, int]] = {}
        self._spool = Spool(folder / "spool", limit=limits.spool, durable=durable)
        self._supervisor = Supervisor(
            folder, limits, journal, spool=self._spool.name, durable=durable, on_up=self._connected
        )
        self._client = Client(self._supervisor.connect, seconds=limits.query_seconds)
        self._feeder = Feeder(
            self._spool, self._client, self._supervisor.wait_up, folder / "rejected", journal, batch=limits.batch
        )

    def start(self) -> None:
        """Starts the child process ahead of the first need; returns at once."""
        self._supervisor.start()
        self._feeder.start()

    def write_samples(self, batch: Sequence[Sample]) -> Written:
        """Acknowledges what is within the limits; the rest is refused with the metric's name."""
        ids, times, values = array("Q"), array("q"), array("d")
        definitions: dict[int, bytes] = {}
        refused: dict[str, Refusal] = {}
        now = self._now_ms()
        oldest = now - self._limits.sample_days * 86_400_000 if self._limits.sample_days else -math.inf
        with self._writing:
            for labels, time, value in batch:
                try:
                    moment = _moment(time, oldest, now)
                    identity, row = self._registry.admit(labels, now)
                except Refused as refusal:
                    name = metric_name(labels)
                    refused.setdefault(f"{name} {refusal}", Refusal(name, f"{name or 'a series'}: {refusal}"))
                    continue
                ids.append(identity)
                times.append(moment)
                values.append(value)
                if row is not None:
                    definitions[identity] = row
            if ids:
                try:
                    self._append(records.SAMPLES, records.encode_samples(definitions.values(), ids, times, values))
                except Unavailable:
                    self._registry.withdraw(definitions)
                    raise
        return Written(len(ids), tuple(refused.values()))

    def write_logs(self, lines: Sequence[LogRecord]) -> Written:
        """Acknowledges the lines; what is too long is cut, and says so in the attribute `cut`."""
        for start in range(0, len(lines), records.MAX_LINES):
            part = [self._trimmed(line) for line in lines[start : start + records.MAX_LINES]]
            self._spool.append_numbered(records.LOGS, partial(records.encode_logs, part))
        self.start()
        return Written(len(lines))

    def write_metadata(self, items: Sequence[Metadata]) -> None:
        """Keeps what metrics say of themselves; what is already known is not written again."""
        now = self._now_ms()
        with self._writing:
            fresh = [
                item
                for item in items
                if (known := self._told.get(item.metric)) is None or known[0] != item or now - known[1] > _METADATA_MS
            ]
            if fresh:
                self._append(records.METADATA, records.encode_metadata(fresh, now // 1000))
                if len(self._told) > self._limits.series:
                    self._told.clear()
                self._told.update({item.metric: (item, now) for item in fresh})

    def query(self, promql: str, at: float, *, lane: Lane = "pages", within: Alternatives = ()) -> QueryResult:
        return _decoded(*self._ask({"op": "query", "lane": lane, "query": promql, "at": at, "within": _plain(within)}))

    def query_range(
        self, promql: str, start: float, end: float, step: float, *, lane: Lane = "pages", within: Alternatives = ()
    ) -> QueryResult:
        span = {"start": start, "end": end, "step": step}
        return _decoded(
            *self._ask({"op": "query_range", "lane": lane, "query": promql, **span, "within": _plain(within)})
        )

    def series(
        self, matchers: Sequence[str], start: float, end: float, *, within: Alternatives = ()
    ) -> tuple[Labels, ...]:
        asked = {"op": "series", "matchers": list(matchers), "start": start, "end": end, "within": _plain(within)}
        answer, _ = self._ask(asked)
        return tuple(_labels(one) for one in answer["series"])

    def labels(self, matchers: Sequence[str], start: float, end: float) -> tuple[str, ...]:
        return tuple(sorted({name for one in self.series(matchers, start, end) for name, _ in one}))

    def label_values(self, name: str, matchers: Sequence[str], start: float, end: float) -> tuple[str, ...]:
        found = {value for one in self.series(matchers, start, end) for label, value in one if label == name}
        return tuple(sorted(found))

    def metadata(self, metric: str = "") -> tuple[Metadata, ...]:
        answer, _ = self._ask({"op": "metadata", "metric": metric})
        return tuple(Metadata(*one) for one in answer["metadata"])

    def search_logs(self, query: str, start: float, end: float, *, limit: int = 100, before: str = "") -> LogPage:
        asked = {"op": "search_logs", "query": query, "start": start, "end": end, "limit": limit, "before": before}
        answer, _ = self._ask(asked)
        return LogPage(tuple(LogRecord(**one) for one in answer["records"]), answer["before"])

    def log_histogram(
        self, query: str, start: float, end: float, *, buckets: int = 60, by: str = "level"
    ) -> tuple[LogCount, ...]:
        asked = {"op": "log_histogram", "query": query, "start": start, "end": end, "buckets": buckets, "by": by}
        answer, _ = self._ask(asked)
        return tuple(LogCount(*one) for one in answer["counts"])

    def health(self) -> Health:
        """Never fails and never starts anything: what does not answer is `down` with the reason."""
        state, reason = self._supervisor.state
        counts: dict[str, int] = {}
        if state == "up":
            try:
                counts, _ = self._client.ask({"op": "health"})
            except Unavailable as error:
                state, reason = "down", str(error)
        return Health(
            state=cast(Any, state),
            reason=reason or self._feeder.lag,
            memory_bytes=resident_bytes(self._supervisor.pid) if self._supervisor.pid else 0,
            series=len(self._registry),
            samples=counts.get("samples", 0),
            lines=counts.get("logs", 0),
            spooled_bytes=self._spool.pending_bytes,
            restarts=max(0, self._supervisor.restarts),
        )

    def flush(self, timeout: float = _START_SECONDS) -> bool:
        """Waits until everything acknowledged is in the tables; False when that takes longer."""
        self.start()
        return self._feeder.flush(timeout)

    def close(self, *, stop: bool = True) -> None:
        """Ends the threads; `stop` ends the child too, otherwise it lingers for the next server. Again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._feeder.close()
        self._client.close()
        self._supervisor.close(stop=stop)
        self._spool.close()

    def _ask(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytearray]:
        self.start()
        self._supervisor.wait_up(_START_SECONDS)
        self._feeder.flush(_FLUSH_SECONDS)
        return self._client.ask(header)

    def _append(self, kind: int, payload: bytes) -> None:
        self._spool.append(kind, payload)
        self.start()

    def _connected(self, applied: int, ids: bytes) -> None:
        stored = array("Q")
        stored.frombytes(ids)
        with self._writing:
            self._registry.reset(stored, applied)
        self._client.reset()
        self._feeder.at(applied)

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)

    def _trimmed(self, line: LogRecord) -> LogRecord:
        limits = self._limits
        if not math.isfinite(line.time):
            raise Invalid(f"a log line's time {line.time} is not a time in seconds")
        attributes, cut = dict(line.attributes), []
        if len(line.message) > limits.message:
            cut.append("message")
        if len(attributes) > limits.attributes:
            attributes = dict(list(attributes.items())[: limits.attributes])
            cut.append("attributes")
        if any(len(value) > limits.label_value for value in attributes.values()):
            attributes = {name: value[: limits.label_value] for name, value in attributes.items()}
            cut.append("values")
        if not cut:
            return line
        return LogRecord(
            time=line.time,
            message=line.message[: limits.message],
            service=line.service,
            environment=line.environment,
            level=line.level,
            trace_id=line.trace_id,
            attributes=attributes | {"cut": ",".join(cut)},
        )


def _moment(time: float, oldest: float, now: int) -> int:
    if not math.isfinite(time):
        raise Refused(f"its time {time} is not a time in seconds")
    moment = round(time * 1000)
    if moment < oldest:
        raise Refused("its time lies before what is kept")
    if moment > now + _AHEAD_MS:
        raise Refused("its time lies more than an hour ahead of this machine's clock")
    return moment


def _labels(pairs: list[list[str]]) -> Labels:
    return tuple((name, value) for name, value in pairs)


def _plain(within: Alternatives) -> list[list[tuple[str, str, str]]]:
    """Matchers as they cross the wire."""
    return [[(one.name, one.op, one.value) for one in group] for group in within]


def _decoded(header: dict[str, Any], body: bytearray) -> QueryResult:
    """The inverse of the child's encode_result."""
    numbers = array("d")
    numbers.frombytes(bytes(body))
    series, at = [], 0
    for pairs, count in header["series"]:
        times, values = numbers[at : at + count], numbers[at + count : at + 2 * count]
        series.append(Points(_labels(pairs), tuple(times), tuple(values)))
        at += 2 * count
    return QueryResult(header["kind"], tuple(series), header["text"], tuple(header["warnings"]), tuple(header["infos"]))
