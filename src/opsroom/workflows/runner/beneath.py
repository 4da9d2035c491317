"""A folder of a job, handled without following any link of the job out of it.

The runner is trusted and stands outside the sandbox; the files it handles are the job's, which may swap a folder for a link
at any moment. So every path is walked part by part from an open folder, and no part that is a link is followed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal

from opsroom.kernel.errors import Invalid

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UnsafePath(Invalid):
    """A path goes through a link, or out of its folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something below a folder: its path with `/`, its kind, its permission bits, its size, and where a link points to."""

    path: str
    kind: Literal["file", "folder", "link"]
    mode: int = 0o644
    size: int = 0
    target: str = ""


class Folder:
    """An open folder; paths are relative to it, with `/`. A context manager."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, _FOLDER)

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._fd)

    def walk(self, start: str = "") -> Iterator[Entry]:
        """Everything below `start` in the order of its paths' parts; sockets, pipes and devices are left out."""
        try:
            descriptor = self._open_folder(_parts(start))
        except FileNotFoundError:
            return
        try:
            yield from self._walk(descriptor, f"{start}/" if start else "")
        finally:
            os.close(descriptor)

    def entry(self, path: str) -> Entry | None:
        """What is at `path`, or None."""
        parts = _parts(path)
        if not parts:
            return Entry(path="", kind="folder")
        try:
            with _Opened(self._open_folder(parts[:-1])) as parent:
                return _entry(parent, parts[-1], path)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self, path: str) -> BinaryIO:
        """A regular file for reading."""
        parts = _parts(path)
        with _Opened(self._open_folder(parts[:-1])) as parent:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = _guarded(path, partial(os.open, parts[-1], flags, dir_fd=parent))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UnsafePath(f"{path!r} is no ordinary file; remove it or leave it out")
        return os.fdopen(descriptor, "rb")

    def digest(self, path: str) -> bytes:
        """SHA-256 of a file."""
        with self.open(path) as file:
            return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]

    def make(self, path: str) -> None:
        """Creates a folder and its parents; what exists stays."""
        os.close(self._open_folder(_parts(path), make=True))

    def write(self, path: str, data: BinaryIO, *, mode: int = 0o644) -> None:
        """Writes a file anew; what was there, a link too, is replaced."""
        parts = _parts(path)
        with _Opened(self._open_folder(parts[:-1], make=True)) as parent:
            _unlink(parent, parts[-1])
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(parts[-1], flags, mode, dir_fd=parent)
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(data, file)
            os.fchmod(file.fileno(), mode & 0o777)

    def link(self, path: str, target: str, *, anywhere: bool = False) -> None:
        """Makes a symbolic link; its target must stay within this folder unless `anywhere`."""
        parts = _parts(path)
        if not anywhere and (target.startswith("/") or not stays_within(parts[:-1], target)):
            raise UnsafePath(f"link {path!r} points to {target!r}, out of its folder; make it relative and inside")
        with _Opened(self._open_folder(parts[:-1], make=True)) as parent:
            _unlink(parent, parts[-1])
            os.symlink(target, parts[-1], dir_fd=parent)

    def take(self, source: Path, path: str) -> None:
        """Moves a file or folder from outside here, replacing what is at `path`."""
        parts = _parts(path)
        with _Opened(self._open_folder(parts[:-1], make=True)) as parent:
            _remove(parent, parts[-1])
            os.rename(source, parts[-1], dst_dir_fd=parent)

    def remove(self, path: str) -> None:
        """Removes what is at `path`, whatever it is; links are removed, not followed."""
        parts = _parts(path)
        try:
            with _Opened(self._open_folder(parts[:-1])) as parent:
                _remove(parent, parts[-1])
        except FileNotFoundError:
            return

    def empty(self, path: str = "") -> None:
        """Removes everything in a folder."""
        with _Opened(self._open_folder(_parts(path), make=True)) as descriptor:
            for name in os.listdir(descriptor):  # noqa: PTH208
                _remove(descriptor, name)

    def _open_folder(self, parts: list[str], *, make: bool = False) -> int:
        descriptor = os.dup(self._fd)
        try:
            for part in parts:
                if make:
                    try:
                        os.mkdir(part, 0o755, dir_fd=descriptor)
                    except FileExistsError:
                        pass
                inner = _guarded(part, partial(os.open, part, _FOLDER, dir_fd=descriptor))
                os.close(descriptor)
                descriptor = inner
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _walk(self, descriptor: int, prefix: str) -> Iterator[Entry]:
        for name in sorted(os.listdir(descriptor)):
            entry = _entry(descriptor, name, prefix + name)
            if entry is None:
                continue
            yield entry
            if entry.kind == "folder":
                with _Opened(_guarded(entry.path, partial(os.open, name, _FOLDER, dir_fd=descriptor))) as inner:
                    yield from self._walk(inner, f"{prefix}{name}/")


def stays_within(parts: list[str], target: str) -> bool:
    """Whether a relative link in the folder `parts` points to something below the root."""
    depth = len(parts)
    for part in target.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return False
    return True


class _Opened:
    """A file descriptor that is closed at the end of the block."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def _parts(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or path.startswith("/") or "\0" in path:
        raise UnsafePath(f"{path!r} leaves its folder; name a path inside, without '..'")
    return parts


def _guarded(path: str, opened: Callable[[], int]) -> int:
    try:
        return opened()
    except OSError as error:
        if error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR):
            raise UnsafePath(f"{path!r} is a link or no folder; links are not followed here") from None
        raise


def _entry(parent: int, name: str, path: str) -> Entry | None:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            return Entry(path=path, kind="link", target=os.readlink(name, dir_fd=parent))
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        return Entry(path=path, kind="folder", mode=stat.S_IMODE(found.st_mode))
    if stat.S_ISREG(found.st_mode):
        return Entry(path=path, kind="file", mode=stat.S_IMODE(found.st_mode), size=found.st_size)
    return None


def _unlink(parent: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        raise UnsafePath(f"{name!r} is a folder and a file is to stand there; remove it first") from None


def _remove(parent: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        shutil.rmtree(name, dir_fd=parent)
