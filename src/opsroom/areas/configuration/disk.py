"""The system calls that reading and writing managed files are made of; a test replaces them to fail where it wants."""

from __future__ import annotations

import os

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder below the host's is opened: never through a link."""


class Disk:
    """The machine's own."""

    def open(self, path: str, flags: int, mode: int = 0o600, *, folder: int | None = None) -> int:
        return os.open(path, flags, mode, dir_fd=folder)

    def read(self, descriptor: int, size: int) -> bytes:
        return os.read(descriptor, size)

    def write(self, descriptor: int, data: bytes) -> int:
        return os.write(descriptor, data)

    def set_mode(self, descriptor: int, mode: int) -> None:
        os.fchmod(descriptor, mode)

    def set_owner(self, descriptor: int, user: int, group: int) -> None:
        os.fchown(descriptor, user, group)

    def flush(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def rename(self, before: str, after: str, *, folder: int) -> None:
        os.replace(before, after, src_dir_fd=folder, dst_dir_fd=folder)

    def unlink(self, path: str, *, folder: int) -> None:
        os.unlink(path, dir_fd=folder)

    def make_folder(self, path: str, *, folder: int) -> None:
        os.mkdir(path, 0o755, dir_fd=folder)
