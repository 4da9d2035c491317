"""Telemetry held to some services and environments: every question is narrowed to them before the store answers it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from opsroom.telemetry.logquery import parse
from opsroom.telemetry.port import (
    Health,
    Labels,
    Lane,
    LogCount,
    LogPage,
    LogRecord,
    Metadata,
    QueryResult,
    Sample,
    Telemetry,
    Written,
)
from opsroom.telemetry.promql.matchers import Alternatives, Matcher, both

_NOTHING: Alternatives = ((Matcher("__name__", "=", ""),),)
"""No series is without a name and selected by it."""

Places = Sequence[tuple[Collection[str] | None, str]]
"""Pairs of services (None: all) and an environment ("" : all)."""


class Within:
    """The store as far as `places` go, by the labels `service` and `environment`; what has no such label is outside. Reads alone: what
    is written is not asked by a person."""

    def __init__(self, inner: Telemetry, places: Places) -> None:
        self._inner = inner
        self._within = selectors_of(places) or _NOTHING
        self._logs = search_of(places)

    def query(self, promql: str, at: float, *, lane: Lane = "pages", within: Alternatives = ()) -> QueryResult:
        return self._inner.query(promql, at, lane=lane, within=both(self._within, within))

    def query_range(
        self, promql: str, start: float, end: float, step: float, *, lane: Lane = "pages", within: Alternatives = ()
    ) -> QueryResult:
        return self._inner.query_range(promql, start, end, step, lane=lane, within=both(self._within, within))

    def series(
        self, matchers: Sequence[str], start: float, end: float, *, within: Alternatives = ()
    ) -> tuple[Labels, ...]:
        return self._inner.series(matchers, start, end, within=both(self._within, within))

    def labels(self, matchers: Sequence[str], start: float, end: float) -> tuple[str, ...]:
        return tuple(sorted({name for one in self.series(matchers, start, end) for name, _ in one}))

    def label_values(self, name: str, matchers: Sequence[str], start: float, end: float) -> tuple[str, ...]:
        found = {value for one in self.series(matchers, start, end) for label, value in one if label == name}
        return tuple(sorted(found))

    def metadata(self, metric: str = "") -> tuple[Metadata, ...]:
        """What metrics say of themselves; that names no service."""
        return self._inner.metadata(metric)

    def search_logs(self, query: str, start: float, end: float, *, limit: int = 100, before: str = "") -> LogPage:
        return self._inner.search_logs(joined(query, self._logs), start, end, limit=limit, before=before)

    def log_histogram(
        self, query: str, start: float, end: float, *, buckets: int = 60, by: str = "level"
    ) -> tuple[LogCount, ...]:
        return self._inner.log_histogram(joined(query, self._logs), start, end, buckets=buckets, by=by)

    def health(self) -> Health:
        return self._inner.health()

    def write_samples(self, batch: Sequence[Sample]) -> Written:
        return self._inner.write_samples(batch)

    def write_logs(self, records: Sequence[LogRecord]) -> Written:
        return self._inner.write_logs(records)

    def write_metadata(self, items: Sequence[Metadata]) -> None:
        self._inner.write_metadata(items)

    def start(self) -> None:
        self._inner.start()

    def close(self) -> None:
        """The store is closed by who opened it."""


def selectors_of(places: Places) -> Alternatives:
    """The places as matchers joined by `or`; one without a service matches nothing and is left out."""
    found: list[tuple[Matcher, ...]] = []
    for services, environment in places:
        here = (Matcher("environment", "=", environment),) if environment else ()
        named = [()] if services is None else [(Matcher("service", "=", service),) for service in sorted(services)]
        found += [service + here for service in named]
    return tuple(found)


def search_of(places: Places) -> str:
    """The places as a log search."""
    terms = []
    for services, environment in places:
        here = f"environment:{quoted(environment)}" if environment else ""
        if services is None:
            terms.append(here or "message:*")
        elif services:
            named = " OR ".join(f"service:{quoted(service)}" for service in sorted(services))
            terms.append(f"({named}) AND {here}" if here else f"({named})")
    return " OR ".join(f"({term})" for term in terms) or "(message:* AND NOT message:*)"


def joined(query: str, within: str) -> str:
    """A search that holds where both do. Invalid: `query` is none by itself, such as one that closes a parenthesis it did not open."""
    parse(query)
    return f"({within}) AND ({query})" if within and query.strip() else within or query


def quoted(value: str) -> str:
    """A value as a phrase of the log search."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
