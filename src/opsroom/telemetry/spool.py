"""The write-ahead file: a record is acknowledged once it stands here, and leaves when the store has it.

Segments `SEQUENCE.wal` hold records: length, CRC-32, sequence, kind, payload. A record cut off by a crash was never
acknowledged, so replay stops at the first one that does not check. Sequences only grow, also across a lost spool, because
they start at the clock's milliseconds.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from opsroom.kernel.errors import Conflict, Unavailable

_HEAD = struct.Struct("<IIQB")  # length of payload, CRC-32 of sequence + kind + payload, sequence, kind
_KEY = struct.Struct("<QB")
_SEGMENT_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Record:
    """One acknowledged write. `kind` and `payload` are the writer's own."""

    sequence: int
    kind: int
    payload: bytes


@dataclass(slots=True)
class _Segment:
    path: Path
    first: int
    last: int
    size: int


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Where in a segment the record after `sequence` begins."""

    path: Path
    offset: int
    sequence: int


class Spool:
    """Append from any thread, read from one. `limit` bytes may wait; `durable` fsyncs every append."""

    def __init__(self, folder: Path, *, limit: int, durable: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._limit, self._durable = folder, limit, durable
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._guard = _take(folder / "lock")
        self.name = _name_of(folder / "name")
        self._segments = [_check(path) for path in sorted(folder.glob("*.wal"))]
        self._next = max([int(time.time() * 1000), *(s.last + 1 for s in self._segments)])
        self._released = 0
        self._cursor = _Cursor(Path(), 0, 0)
        if not self._segments:
            self._segments.append(_Segment(self._next_path(), self._next, 0, 0))
        self._file = _open(self._segments[-1].path)

    @property
    def last(self) -> int:
        """The newest acknowledged sequence; 0 where there is none."""
        return max((s.last for s in self._segments), default=0)

    @property
    def pending_bytes(self) -> int:
        """An upper bound of what waits: whole segments are counted until their last record is in the store."""
        with self._lock:
            return self._pending()

    def append(self, kind: int, payload: bytes) -> int:
        """Acknowledges by returning the record's sequence. Unavailable when the limit is passed or the disk refuses."""
        with self._lock:
            return self._append(self._number(), kind, payload)

    def append_numbered(self, kind: int, payload_of: Callable[[int], bytes]) -> int:
        """As `append`, for a payload that holds its own sequence."""
        with self._lock:
            sequence = self._number()
            return self._append(sequence, kind, payload_of(sequence))

    def read(self, after: int, *, max_bytes: int) -> list[Record]:
        """Records that follow `after`, in order, at least one if there is one, until `max_bytes` is passed."""
        found: list[Record] = []
        taken = 0
        for record in self._records(after):
            found.append(record)
            taken += len(record.payload)
            if taken >= max_bytes:
                break
        return found

    def wait(self, after: int, timeout: float) -> bool:
        """Waits until there is a record after `after`; False when the time is over."""
        with self._arrived:
            return self._arrived.wait_for(lambda: self.last > after, timeout)

    def wake(self) -> None:
        """Lets a waiting reader look again."""
        with self._arrived:
            self._arrived.notify_all()

    def release(self, upto: int) -> None:
        """Everything up to this sequence is in the store: whole segments before it are deleted."""
        with self._lock:
            self._released = max(self._released, upto)
            while len(self._segments) > 1 and self._segments[0].last <= upto:
                self._segments.pop(0).path.unlink(missing_ok=True)
            active = self._segments[-1]
            if active.size > _SEGMENT_BYTES // 8 and active.last <= upto:
                self._roll()
                self._segments.pop(0).path.unlink(missing_ok=True)

    def close(self) -> None:
        with self._lock:
            os.close(self._file)
            os.close(self._guard)

    def _number(self) -> int:
        return max(self._next, int(time.time() * 1000))

    def _append(self, sequence: int, kind: int, payload: bytes) -> int:
        size = _HEAD.size + len(payload)
        if self._pending() + size > self._limit:
            raise Unavailable(
                f"telemetry holds {self._limit:,} bytes that its store has not taken in; nothing more is accepted until it does"
            )
        if self._segments[-1].size > _SEGMENT_BYTES:
            self._roll()
        segment = self._segments[-1]
        self._put(segment, _HEAD.pack(len(payload), _sum(sequence, kind, payload), sequence, kind) + payload)
        segment.size += size
        segment.last = sequence
        self._next = sequence + 1
        self._arrived.notify_all()
        return sequence

    def _put(self, segment: _Segment, raw: bytes) -> None:
        try:
            written = os.write(self._file, raw)
            if written < len(raw):
                raise OSError(28, "no space left for the whole record")
            if self._durable:
                os.fdatasync(self._file)
        except OSError as error:
            os.ftruncate(self._file, segment.size)
            raise Unavailable(
                f"telemetry cannot write {segment.path}: {error.strerror}; free space and try again"
            ) from error

    def _pending(self) -> int:
        return sum(s.size for s in self._segments if s.last > self._released)

    def _roll(self) -> None:
        os.close(self._file)
        self._segments.append(_Segment(self._next_path(), self._next, 0, 0))
        self._file = _open(self._segments[-1].path)

    def _next_path(self) -> Path:
        return self._folder / f"{self._next:016d}.wal"

    def _records(self, after: int) -> Iterator[Record]:
        with self._lock:
            segments = [(s.path, s.size) for s in self._segments if s.last > after]
        for path, size in segments:
            known = self._cursor
            start = known.offset if known.path == path and known.sequence <= after else 0
            for offset, record in _scan(path, size, start):
                if record.sequence <= after:
                    self._cursor = _Cursor(path, offset, record.sequence)
                else:
                    yield record


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _take(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Conflict(f"{path.parent} is in use by another server; stop it, or set another state folder") from None
    return descriptor


def _name_of(path: Path) -> str:
    if not path.exists():
        path.write_text(os.urandom(8).hex())
    return path.read_text()


def _sum(sequence: int, kind: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_KEY.pack(sequence, kind)))


def _check(path: Path) -> _Segment:
    """Finds the last whole record, and cuts off what follows it."""
    first, last, end = int(path.stem), 0, 0
    for offset, record in _scan(path, path.stat().st_size, 0):
        last, end = record.sequence, offset
    if end < path.stat().st_size:
        os.truncate(path, end)
    return _Segment(path, first, last, end)


def _scan(path: Path, size: int, start: int) -> Iterator[tuple[int, Record]]:
    """Yields (offset after the record, record) until the end or the first record that does not check."""
    try:
        file = path.open("rb")
    except FileNotFoundError:  # released meanwhile
        return
    with file:
        file.seek(start)
        while start + _HEAD.size <= size:
            length, checksum, sequence, kind = _HEAD.unpack(file.read(_HEAD.size))
            payload = file.read(length)
            start += _HEAD.size + length
            if start > size or len(payload) < length or _sum(sequence, kind, payload) != checksum:
                return
            yield start, Record(sequence, kind, payload)
