"""Reads series and their samples from the tables, for PromQL and for the label pages."""

# ruff: noqa: S608 - SQL here is built of constants, integers and `literal`, never of text as it came

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from opsroom.kernel.errors import TooLarge
from opsroom.telemetry.child.database import Connection, literal
from opsroom.telemetry.columns import RowReader
from opsroom.telemetry.limits import Limits
from opsroom.telemetry.port import Labels
from opsroom.telemetry.promql.matchers import Alternatives, Matcher, both
from opsroom.telemetry.promql.source import Floats, Ints, Samples, empty_samples

Ids = NDArray[np.uint64]


class StoredSource:
    """PromQL's source over one connection. Which series match is remembered until a new series is defined."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self._db, self._limits = connection, limits
        self._known: dict[Alternatives, tuple[Ids, list[Labels]]] = {}
        self._version = -1
        self._within: Alternatives = ()

    def at_version(self, version: int) -> StoredSource:
        """Tells which version of the series table is current; what was remembered of another is forgotten."""
        if version != self._version:
            self._known.clear()
            self._version = version
        return self

    def within(self, within: Alternatives) -> StoredSource:
        """Holds what is selected from now on to series that match any of these groups; empty: to none in particular."""
        self._within = within
        return self

    def select(self, matchers: Alternatives, start: int, end: int) -> Samples:
        ids, labels = self._series(both(matchers, self._within))
        if not labels:
            return empty_samples()
        among = ", ".join(map(str, ids.tolist()))
        where = f"series IN ({among}) AND time > {start} AND time <= {end}"
        expected = int.from_bytes(self._db.rows(f"SELECT count() FROM telemetry.samples WHERE {where}"), "little")
        if expected > self._limits.query_samples:
            raise TooLarge(
                f"a selection reads {expected:,} samples, the limit is {self._limits.query_samples:,};"
                " select fewer series or a shorter time"
            )
        found, counts, times, values = self._read(where, expected)
        place = np.searchsorted(ids, found)
        offsets = np.concatenate(([0], np.cumsum(counts)))
        return _distinct(Samples([labels[i] for i in place], offsets, times, values))

    def series(self, alternatives: Sequence[Alternatives], start: int, end: int) -> list[Labels]:
        """Series that match any of the selectors and have a sample within [start, end] (ms)."""
        found: dict[int, Labels] = {}
        for matchers in alternatives or [((),)]:
            found.update(zip(*_plain(self._series(both(matchers, self._within))), strict=True))
        if not found:
            return []
        among = ", ".join(map(str, found))
        alive = np.frombuffer(
            self._db.rows(
                f"SELECT DISTINCT series FROM telemetry.samples WHERE series IN ({among}) AND time >= {start} AND time <= {end}"
            ),
            "<u8",
        )
        return sorted(found[identity] for identity in alive.tolist())

    def groups(self, pattern: str, texts: Sequence[str]) -> list[tuple[str, ...] | None]:
        """Matched by the engine (RE2), whose time is linear in the text."""
        if not texts:
            return []
        among = ", ".join(map(literal, texts))
        sql = f"SELECT arrayMap(t -> extractGroups(t, {literal(f'^((?s:{pattern}))$')}), [{among}])"
        reader = RowReader(self._db.rows(sql))
        found = [tuple(reader.string() for _ in range(reader.varint())) for _ in range(reader.varint())]
        return [one or None for one in found]

    def _read(self, where: str, expected: int) -> tuple[Ids, Ints, Ints, Floats]:
        """(ids of the series found, how many samples each has, times, values). More may come than was counted before."""
        times, values = np.empty(expected, np.int64), np.empty(expected, np.float64)
        seen: list[Ids] = []
        counts: list[Ints] = []
        at = 0
        sql = f"SELECT series, time, value FROM telemetry.samples WHERE {where} ORDER BY series, time"
        for series, time, value in native_columns(self._db.stream(sql), (8, 8, 8)):
            ids, number = np.unique(np.frombuffer(series, "<u8"), return_counts=True)
            seen.append(ids)
            counts.append(number)
            until = at + len(series) // 8
            if until > len(times):
                times, values = np.resize(times, until + expected // 8), np.resize(values, until + expected // 8)
            times[at:until], values[at:until] = np.frombuffer(time, "<i8"), np.frombuffer(value, "<f8")
            at = until
        if not at:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64), times[:0], values[:0]
        all_seen, into = np.unique(np.concatenate(seen), return_inverse=True)
        per_series = np.bincount(into, weights=np.concatenate(counts)).astype(np.int64)
        return all_seen, per_series, times[:at], values[:at]

    def _series(self, matchers: Alternatives) -> tuple[Ids, list[Labels]]:
        if matchers in self._known:
            return self._known[matchers]
        limit = self._limits.query_series
        reader = RowReader(
            self._db.rows(
                "SELECT id, any(CAST(labels, 'Map(String, String)')) FROM telemetry.series"
                f" WHERE {condition(matchers)} GROUP BY id ORDER BY id LIMIT {limit + 1}"
            )
        )
        ids, labels = [], []
        while reader:
            ids.append(reader.uint64())
            labels.append(tuple(sorted(reader.mapping())))
        if len(ids) > limit:
            raise TooLarge(f"a selector matches more than {limit:,} series; add a label matcher")
        found = (np.array(ids, np.uint64), labels)
        if len(self._known) > 256:
            self._known.clear()
        self._known[matchers] = found
        return found


def condition(matchers: Alternatives) -> str:
    """The SQL condition on the series table. An absent label is the empty string; patterns match the whole value (RE2)."""
    return " OR ".join("(" + (" AND ".join(map(_one, group)) or "1") + ")" for group in matchers)


def native_columns(pieces: Iterator[bytes], widths: tuple[int, ...]) -> Iterator[list[memoryview]]:
    """The raw columns of each Native block with columns of these fixed widths."""
    for piece in pieces:
        view, at = memoryview(piece), 0
        while at < len(view):
            count, at = _varint(view, at)
            rows, at = _varint(view, at)
            found = []
            for width in widths[:count]:
                for _ in range(2):  # the column's name, then its type
                    length, at = _varint(view, at)
                    at += length
                found.append(view[at : at + rows * width])
                at += rows * width
            if rows:
                yield found


def _one(matcher: Matcher) -> str:
    column = "metric" if matcher.name == "__name__" else f"labels[{literal(matcher.name)}]"
    if matcher.op in {"=", "!="}:
        return f"{column} {matcher.op} {literal(matcher.value)}"
    test = f"match({column}, {literal(f'^(?s:{matcher.value})$')})"
    return test if matcher.op == "=~" else f"NOT {test}"


def _plain(found: tuple[Ids, list[Labels]]) -> tuple[list[int], list[Labels]]:
    return found[0].tolist(), found[1]


def _distinct(samples: Samples) -> Samples:
    """A time written twice counts once, with the value read last."""
    times = samples.times
    again = np.zeros(len(times), bool)
    again[:-1] = times[1:] == times[:-1]
    again[samples.offsets[1:-1] - 1] = False
    if not again.any():
        return samples
    gone = np.concatenate(([0], np.cumsum(again)))
    keep = ~again
    return Samples(samples.labels, samples.offsets - gone[samples.offsets], times[keep], samples.values[keep])


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
