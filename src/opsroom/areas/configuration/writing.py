"""Writing a host's files: whole or not at all, never through a link."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opsroom.areas.configuration.disk import FOLDER, Disk
from opsroom.areas.configuration.reading import TEMPORARY
from opsroom.kernel.errors import Unavailable


class FolderWriter:
    """Puts and deletes files below a folder. Cut off anywhere, a file is the old one or the new one; what is left of a cut-off
    write is taken away by the next."""

    def __init__(self, folder: Path, *, disk: Disk | None = None) -> None:
        self._folder = folder
        self._disk = disk or Disk()

    def put(self, path: str, data: bytes, mode: int) -> None:
        """Writes a file under a name of its own, then gives it its name. Unavailable: the machine refuses, and why."""
        with self._told("written", path), self._parent(path, make=True) as (parent, name):
            temporary = TEMPORARY + hashlib.sha256(name.encode()).hexdigest()[:16]
            self._forget(parent, temporary)
            descriptor = self._disk.open(
                temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, folder=parent
            )
            try:
                left = memoryview(data)
                while left:
                    left = left[self._disk.write(descriptor, bytes(left[: 1 << 20])) :]
                self._keep_owner(parent, name, descriptor)
                self._disk.set_mode(descriptor, mode)
                self._disk.flush(descriptor)
            finally:
                os.close(descriptor)
            self._disk.rename(temporary, name, folder=parent)
            self._disk.flush(parent)

    def delete(self, path: str) -> None:
        """Deletes a file; one that is gone already is no error."""
        with self._told("deleted", path):
            try:
                with self._parent(path, make=False) as (parent, name):
                    self._disk.unlink(name, folder=parent)
                    self._disk.flush(parent)
            except FileNotFoundError:
                return

    @contextmanager
    def _parent(self, path: str, *, make: bool) -> Iterator[tuple[int, str]]:
        parts = path.split("/")
        if make:
            self._folder.mkdir(parents=True, exist_ok=True)
        here = self._disk.open(str(self._folder), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts[:-1]:
                below = self._below(here, part, make)
                os.close(here)
                here = below
            yield here, parts[-1]
        finally:
            os.close(here)

    def _below(self, here: int, part: str, make: bool) -> int:
        try:
            return self._disk.open(part, FOLDER, folder=here)
        except FileNotFoundError:
            if not make:
                raise
            self._disk.make_folder(part, folder=here)
            return self._disk.open(part, FOLDER, folder=here)

    def _keep_owner(self, parent: int, name: str, descriptor: int) -> None:
        """A file stays its owner's; where this user may not give it away, it is not written at all."""
        try:
            before = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        own = os.fstat(descriptor)
        if (before.st_uid, before.st_gid) != (own.st_uid, own.st_gid):
            self._disk.set_owner(descriptor, before.st_uid, before.st_gid)

    def _forget(self, parent: int, name: str) -> None:
        try:
            self._disk.unlink(name, folder=parent)
        except FileNotFoundError:
            pass

    @contextmanager
    def _told(self, what: str, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise Unavailable(f"{self._folder / path} cannot be {what}: {reason}; mend that and apply again") from None
