"""Reading a host's files: read-only by construction, never through a link, and a file that cannot be read is unknown, never absent."""

from __future__ import annotations

import errno
import os
import pwd
import stat
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from opsroom.areas.configuration.disk import Disk
from opsroom.areas.configuration.model import FileState, state_of_bytes

LARGEST = 8_000_000
"""Bytes of a file that is looked at."""
MOST_FILES = 2000
TEMPORARY = ".opsroom-new-"
"""How a file begins that is being written and has not its name yet."""
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FRESH_SECONDS = 2.0

Signature = tuple[int, ...]
Seen = MutableMapping[tuple[str, str], tuple[Signature, FileState]]
"""What was read of a path when its inode looked like this, so that an unchanged file is not read again."""


class Unreadable(Exception):
    """Why nothing can be said of a path."""


class FolderReader:
    """The files under a folder. It holds no way to write: every descriptor is opened for reading alone.

    `closed` are folders whose files are never looked at (Opsroom's own state and keys)."""

    def __init__(
        self, folder: Path, *, closed: Sequence[Path] = (), seen: Seen | None = None, disk: Disk | None = None
    ) -> None:
        self._folder = folder
        self._closed = tuple(path.resolve() for path in closed)
        self._seen: Seen = {} if seen is None else seen
        self._disk = disk or Disk()
        self._fault = ""
        self._root: int | None = None
        try:
            # The folder's own name may be a link: whoever wrote the Host decided that.
            self._root = self._disk.open(str(folder), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._fault = f"the folder {folder} cannot be opened: {error.strerror}"

    def __enter__(self) -> FolderReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._root is not None:
            os.close(self._root)
            self._root = None

    @property
    def exists(self) -> bool:
        """Whether the folder itself is there."""
        return self._root is not None

    def read(self, path: str) -> FileState | None:
        """The file at a path below the folder; None: it is not there. Unreadable: that cannot be said."""
        found = self._opened(path)
        return None if found is None else found[0]

    def read_bytes(self, path: str) -> tuple[FileState, bytes] | None:
        """As `read`, with the bytes."""
        return self._opened(path, whole=True)

    def read_all(self, paths: Sequence[str]) -> tuple[dict[str, FileState], dict[str, str]]:
        """What is there by path, and why nothing can be said of the rest; a path in neither is not there."""
        actual, unknown = dict[str, FileState](), dict[str, str]()
        for path in paths:
            try:
                if (state := self.read(path)) is not None:
                    actual[path] = state
            except Unreadable as error:
                unknown[path] = str(error)
        return actual, unknown

    def files(self, start: str = "") -> list[str]:
        """Paths of the regular files below a folder, sorted; at most 2000, links and what may not be listed left out."""
        top = self._folder / start
        found = []
        for base, folders, names in os.walk(top, followlinks=False):
            folders.sort()  # so that the walk, which may stop early, is the same each time
            for name in sorted(names):
                path = Path(base, name)
                if not name.startswith(TEMPORARY) and not path.is_symlink() and path.is_file() and not self._own(path):
                    found.append(path.relative_to(self._folder).as_posix())
                if len(found) >= MOST_FILES:
                    return sorted(found)
        return sorted(found)

    def _opened(self, path: str, *, whole: bool = False) -> tuple[FileState, bytes] | None:
        if self._fault:
            raise Unreadable(self._fault)
        if self._root is None:
            return None
        if self._own(self._folder.resolve() / path):
            raise Unreadable("it lies inside Opsroom's own state or keys, which no managed file may touch")
        parts = path.split("/")
        try:
            with self._parent(parts[:-1]) as parent:
                return self._file(parent, parts[-1], path, whole)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unreadable(_reason(error)) from None

    def _own(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self._closed)

    @contextmanager
    def _parent(self, parts: Sequence[str]) -> Iterator[int]:
        assert self._root is not None
        here = os.dup(self._root)
        try:
            for part in parts:
                try:
                    below = self._disk.open(part, _STEP, folder=here)
                except NotADirectoryError:
                    raise Unreadable(f"{part!r} on its way is no folder, or a link, which is not followed") from None
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)

    def _file(self, parent: int, name: str, path: str, whole: bool) -> tuple[FileState, bytes]:
        descriptor = self._disk.open(name, _FILE, folder=parent)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("it is no regular file")
            if status.st_size > LARGEST:
                raise Unreadable(f"it has {status.st_size:,} bytes; files up to {LARGEST:,} are looked at")
            signature, key = _signature(status), (str(self._folder), path)
            known = self._seen.get(key)
            if known is not None and known[0] == signature and not whole:
                return known[1], b""
            data = self._read_whole(descriptor)
        finally:
            os.close(descriptor)
        modified = datetime.fromtimestamp(status.st_mtime, UTC)
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        state = state_of_bytes(data, mode, owner=_name_of(status.st_uid), modified=modified)
        # A file touched just now may change again within the same tick of the clock: it is read again next time.
        if time.time() - max(status.st_mtime, status.st_ctime) > _FRESH_SECONDS:
            self._seen[key] = (signature, state)
        return state, data

    def _read_whole(self, descriptor: int) -> bytes:
        chunks, size = [], 0
        while chunk := self._disk.read(descriptor, 1 << 20):
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST:
                raise Unreadable(f"it grew over {LARGEST:,} bytes while it was read")
        return b"".join(chunks)


def _signature(status: os.stat_result) -> Signature:
    return (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode, status.st_uid,
    )  # fmt: skip


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "it is a link, which is not followed"
    return f"it cannot be read: {(error.strerror or str(error)).lower()}"


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def unknown_text(unknown: Mapping[str, str]) -> str:
    """The first of what is unknown, as one line; "" for none."""
    lines = [f"{path}: {reason}" for path, reason in sorted(unknown.items())]
    return lines[0] + (f", and {len(lines) - 1} more" if len(lines) > 1 else "") if lines else ""
