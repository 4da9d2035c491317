"""The workspace as the plane reads and writes it: bounded, and nothing outside of it, whatever links a job made."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opsroom.contracts.actions import ActionFailed

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def open_folder(workspace: Path, path: str) -> Iterator[int]:
    """A descriptor of a folder in the workspace, reached without following a link. ActionFailed: there is none."""
    here = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts_of(path):
            try:
                inner = os.open(part, _FOLDER, dir_fd=here)
            except OSError as error:
                raise ActionFailed(f"folder {path!r} cannot be opened in the workspace: {error.strerror}") from None
            os.close(here)
            here = inner
        yield here
    finally:
        os.close(here)


def read_file(workspace: Path, path: str, *, limit: int) -> bytes:
    """A regular file of the workspace. ActionFailed: there is none, it is a link, or it is larger than `limit` bytes."""
    folder, _, name = "/".join(parts_of(path)).rpartition("/")
    with open_folder(workspace, folder) as here:
        content = read_at(here, name, limit=limit)
    if content is None:
        raise ActionFailed(f"{path} is no file in the workspace that can be read; links are not followed")
    if len(content) > limit:
        raise ActionFailed(f"{path} is larger than {limit} bytes")
    return content


def read_at(folder: int, name: str, *, limit: int) -> bytes | None:
    """At most `limit` + 1 bytes of a regular file in an open folder; None where it is none, or cannot be read."""
    try:
        file = os.open(name, _FILE, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return None
        try:
            return opened.read(limit + 1)
        except OSError:
            return None


def write_file(workspace: Path, path: str, content: bytes) -> None:
    """Writes a file of the workspace whole; a link of that name is replaced, never followed. ActionFailed: its folder is not there."""
    folder, _, name = "/".join(parts_of(path)).rpartition("/")
    if not name:
        raise ActionFailed(f"{path!r} names no file; give one within the workspace")
    with open_folder(workspace, folder) as here:
        partial = f".{name}.part"
        try:
            file = os.open(
                partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=here
            )
            with os.fdopen(file, "wb") as opened:
                opened.write(content)
            os.replace(partial, name, src_dir_fd=here, dst_dir_fd=here)
        except OSError as error:
            raise ActionFailed(f"{path} cannot be written in the workspace: {error.strerror}") from None


def parts_of(path: str) -> list[str]:
    """The parts of a path within the workspace. ActionFailed: it leaves it."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith(("/", "~")) or ".." in parts or "\0" in path:
        raise ActionFailed(f"path {path!r} is not within the workspace; write it relative to it, without `..`")
    return parts
