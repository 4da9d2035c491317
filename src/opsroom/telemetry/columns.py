"""Rows as the store reads them: ClickHouse's RowBinary and Native formats, written and read without any library.

Formats: https://clickhouse.com/docs/interfaces/formats (RowBinary, Native). Integers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

_U64 = struct.Struct("<Q")
_U32 = struct.Struct("<I")
_I64 = struct.Struct("<q")


def varint(value: int) -> bytes:
    """An unsigned LEB128."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(text: str) -> bytes:
    """A RowBinary String; text that is no valid Unicode (lone surrogates) is replaced, never refused."""
    raw = text.encode("utf-8", "replace")
    return varint(len(raw)) + raw


def mapping(pairs: Iterable[tuple[str, str]]) -> bytes:
    """A RowBinary Map(String, String)."""
    parts = [string(name) + string(value) for name, value in pairs]
    return varint(len(parts)) + b"".join(parts)


def uint64(value: int) -> bytes:
    return _U64.pack(value)


def uint32(value: int) -> bytes:
    return _U32.pack(value)


def int64(value: int) -> bytes:
    return _I64.pack(value)


def native_block(columns: Mapping[str, tuple[str, bytes]], rows: int) -> bytes:
    """One Native block of fixed-width columns: name -> (ClickHouse type, the column's raw little-endian bytes)."""
    parts = [varint(len(columns)), varint(rows)]
    for name, (kind, raw) in columns.items():
        parts += [string(name), string(kind), raw]
    return b"".join(parts)


class RowReader:
    """Reads RowBinary values one after the other."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._raw)

    def uint64(self) -> int:
        self._at += 8
        return int(_U64.unpack_from(self._raw, self._at - 8)[0])

    def int64(self) -> int:
        self._at += 8
        return int(_I64.unpack_from(self._raw, self._at - 8)[0])

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._raw[self._at]
            self._at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def string(self) -> str:
        length = self.varint()
        self._at += length
        return self._raw[self._at - length : self._at].decode("utf-8", "replace")

    def mapping(self) -> list[tuple[str, str]]:
        return [(self.string(), self.string()) for _ in range(self.varint())]
