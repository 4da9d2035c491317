"""Collecting logs: follows files through growth, rotation and truncation, and forgets no line that was not acknowledged.

The position in a file is stored after the store acknowledged the lines before it, so a crash may deliver the last few
lines again and never loses one.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from opsroom.kernel.clock import Clock
from opsroom.kernel.errors import UserError
from opsroom.kernel.journal import Journal
from opsroom.telemetry.loglines import Origin, parse_line
from opsroom.telemetry.port import Telemetry

_READ_BYTES = 1_000_000
_LINE_BYTES = 256_000
_HEAD_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """A file to follow, and what its lines are about."""

    path: Path
    origin: Origin


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read. `head` is the checksum of its first `head_bytes`, by which a rewritten file is told."""

    inode: int = 0
    offset: int = 0
    head: int = 0
    head_bytes: int = 0


class LogFollower:
    """Follows the files that `files()` names at the moment; `redact` is applied to every line before it is stored."""

    def __init__(
        self,
        telemetry: Telemetry,
        files: Callable[[], Sequence[LogFile]],
        positions: Path,
        clock: Clock,
        journal: Journal,
        *,
        redact: Callable[[str], str] = lambda line: line,
        every: float = 0.5,
    ) -> None:
        self._telemetry, self._files, self._store = telemetry, files, positions
        self._clock, self._journal, self._redact, self._every = clock, journal, redact, every
        self._positions = _load(positions)
        self._open: dict[str, BinaryIO] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        for file in self._open.values():
            file.close()
        self._open.clear()

    def round(self) -> int:
        """Reads what is new in every file, once; returns how many lines were stored."""
        wanted = {str(one.path): one for one in self._files()}
        for gone in [path for path in self._open if path not in wanted]:
            self._open.pop(gone).close()
        return sum(self._follow(path, one) for path, one in wanted.items())

    def offset(self, path: Path) -> int:
        """How many bytes of this file have been read and stored."""
        return self._position(str(path)).offset

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                busy = self.round()
            except (UserError, OSError) as error:
                self._journal.warning("log lines wait", reason=str(error))
                busy = 0
            self._closing.wait(0 if busy else self._every)

    def _follow(self, path: str, source: LogFile) -> int:
        """Reads on in the open file; when another file stands under the name, finishes the old one and goes over to it."""
        stored = 0
        file = self._open.get(path) or self._resume(path)
        if file is not None:
            rotated = _inode(path) != os.fstat(file.fileno()).st_ino
            stored += self._read(path, file, source, last=rotated)
            if not rotated:
                return stored
            if self._position(path).offset < os.fstat(file.fileno()).st_size:
                return stored  # the rest of the old file comes first
            self._open.pop(path).close()
        try:
            fresh = Path(path).open("rb")  # noqa: SIM115
        except FileNotFoundError:
            return stored
        self._open[path] = fresh
        self._forget_gone()
        self._remember(path, Position(inode=os.fstat(fresh.fileno()).st_ino))
        return stored + self._read(path, fresh, source, last=False)

    def _resume(self, path: str) -> BinaryIO | None:
        """After a start: the file that was being read, under its name or, rotated meanwhile, beside it."""
        position = self._position(path)
        if not position.inode:
            return None
        for candidate in (Path(path), *_siblings(Path(path))):
            if _inode(str(candidate)) == position.inode:
                file = candidate.open("rb")
                if _head(file, position.head_bytes) == position.head:
                    self._open[path] = file
                    return file
                file.close()
        return None

    def _read(self, path: str, file: BinaryIO, source: LogFile, *, last: bool) -> int:
        """Stores whole lines from the position on; `last`: the file will not grow, so what is left is a line too."""
        position = self._position(path)
        size = os.fstat(file.fileno()).st_size
        if size < position.offset or _head(file, position.head_bytes) != position.head:
            self._journal.info("a log file was truncated and is read from its start", path=path)
            position = Position(inode=position.inode)
        file.seek(position.offset)
        chunk = file.read(_READ_BYTES)
        taken = chunk.rfind(b"\n") + 1
        if last and position.offset + len(chunk) >= size:
            taken = len(chunk)
        if not taken and len(chunk) > _LINE_BYTES:
            taken = len(chunk)
        if not taken:
            return 0
        now = self._clock.now().timestamp()
        records = [parse_line(self._redact(line), source.origin, now) for line in _lines(chunk[:taken])]
        if records:
            self._telemetry.write_logs(records)
        offset = position.offset + taken
        known = min(offset, _HEAD_BYTES)
        self._remember(path, Position(position.inode, offset, _head(file, known), known))
        return len(records)

    def _forget_gone(self) -> None:
        """Positions in files that were removed, with all that rotation made of them, are of no more use."""
        for path in [one for one in self._positions if not Path(one).exists() and not _siblings(Path(one))]:
            del self._positions[path]

    def _position(self, path: str) -> Position:
        return self._positions.get(path, Position())

    def _remember(self, path: str, position: Position) -> None:
        self._positions[path] = position
        beside = self._store.with_suffix(".new")
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps({name: asdict(one) for name, one in self._positions.items()}))
        beside.replace(self._store)


def _load(store: Path) -> dict[str, Position]:
    if not store.exists():
        return {}
    return {path: Position(**one) for path, one in json.loads(store.read_text()).items()}


def _lines(chunk: bytes) -> Iterator[str]:
    for raw in chunk.split(b"\n"):
        line = raw.rstrip(b"\r")[:_LINE_BYTES].decode("utf-8", "replace")
        if line.strip():
            yield line


def _inode(path: str) -> int:
    try:
        return Path(path).stat().st_ino
    except FileNotFoundError:
        return 0


def _siblings(path: Path) -> list[Path]:
    """Files that rotation may have made of this one: path.1, path-20261123, …"""
    return sorted(path.parent.glob(f"{path.name}?*")) if path.parent.is_dir() else []


def _head(file: BinaryIO, size: int) -> int:
    return zlib.crc32(os.pread(file.fileno(), size, 0)) if size else 0
