"""What a spooled record holds: rows ready for the store, so that nobody has to parse them again.

A samples record is `u32 length of definitions, definitions, u32 count, ids u64[], times i64[] (ms), values f64[]`; the other
kinds are RowBinary rows of their table.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from opsroom.telemetry import columns
from opsroom.telemetry.port import Labels, LogRecord, Metadata, metric_name

SAMPLES, LOGS, METADATA = 1, 2, 3

_U32 = struct.Struct("<I")
_LINE_BITS = 20


def series_id(labels: Labels) -> int:
    """The 64-bit identity of a series: 16 bits of its metric's name, so that a metric's samples lie together, 48 of all labels."""
    name = blake2b(metric_name(labels).encode("utf-8", "replace"), digest_size=2).digest()
    rest = blake2b("\xff".join(part for pair in labels for part in pair).encode("utf-8", "replace"), digest_size=6)
    return int.from_bytes(name + rest.digest())


def definition(identity: int, labels: Labels, seen: int) -> bytes:
    """One row of the series table. `seen` is in seconds."""
    return (
        columns.uint64(identity) + columns.string(metric_name(labels)) + columns.mapping(labels) + columns.uint32(seen)
    )


@dataclass(frozen=True, slots=True)
class SamplesRecord:
    """The parts of a samples record, all raw and little-endian."""

    definitions: bytes
    count: int
    ids: bytes
    times: bytes
    values: bytes


def encode_samples(definitions: Iterable[bytes], ids: array[int], times: array[int], values: array[float]) -> bytes:
    rows = b"".join(definitions)
    return b"".join((_U32.pack(len(rows)), rows, _U32.pack(len(ids)), ids.tobytes(), times.tobytes(), values.tobytes()))


def decode_samples(payload: bytes) -> SamplesRecord:
    (length,) = _U32.unpack_from(payload)
    at = _U32.size + length
    (count,) = _U32.unpack_from(payload, at)
    at += _U32.size
    size = count * 8
    parts = [payload[at + i * size : at + (i + 1) * size] for i in range(3)]
    return SamplesRecord(payload[_U32.size : _U32.size + length], count, *parts)


def encode_logs(records: Sequence[LogRecord], sequence: int) -> bytes:
    """Rows of the logs table; a line's id is the record's sequence and its number within it."""
    return b"".join(
        columns.uint64(sequence << _LINE_BITS | number)
        + columns.int64(round(record.time * 1_000_000))
        + columns.string(record.service)
        + columns.string(record.environment)
        + columns.string(record.level)
        + columns.string(record.message)
        + columns.string(record.trace_id)
        + columns.mapping(record.attributes.items())
        for number, record in enumerate(records)
    )


MAX_LINES = 1 << _LINE_BITS
"""Lines one record can number."""


def encode_metadata(items: Sequence[Metadata], seen: int) -> bytes:
    """Rows of the metadata table. `seen` is in seconds."""
    return b"".join(
        columns.string(item.metric)
        + columns.string(item.type)
        + columns.string(item.help)
        + columns.string(item.unit)
        + columns.uint32(seen)
        for item in items
    )
