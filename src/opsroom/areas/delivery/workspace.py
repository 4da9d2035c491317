"""Files that a job left in its workspace, opened by the plane: nothing outside of it, whatever links the job made."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

from opsroom.contracts.actions import ActionFailed

MOST_FILES = 1000


def find_files(workspace: Path, pattern: str) -> list[str]:
    """Paths of regular files in the workspace that match a glob, sorted. ActionFailed: none does, or the pattern leaves the workspace."""
    _check(pattern)
    found = sorted(
        str(path.relative_to(workspace)) for path in workspace.glob(pattern) if path.is_file() and not path.is_symlink()
    )
    if not found:
        raise ActionFailed(
            f"no file in the workspace matches {pattern!r}; check the path, which is relative to the workspace"
        )
    if len(found) > MOST_FILES:
        raise ActionFailed(f"{pattern!r} matches {len(found)} files, more than {MOST_FILES}; make it narrower")
    return found


def open_file(workspace: Path, path: str) -> IO[bytes]:
    """A regular file of the workspace, reached without following a link. ActionFailed: there is none, or it is no such file."""
    parts = _check(path)
    folder = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        # A named pipe would hold the reader up for ever; it is opened without waiting and then refused.
        file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise ActionFailed(
            f"{path} cannot be read in the workspace: {error.strerror}; links are not followed"
        ) from None
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise ActionFailed(f"{path} is no file; give the path of one file in the workspace")
    return os.fdopen(file, "rb")


def _check(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or path.startswith(("/", "~")) or ".." in parts or "\0" in path:
        raise ActionFailed(f"path {path!r} is not within the workspace; write it relative to it, without `..`")
    return parts
