"""Files of a job as one archive and back: the same files give the same bytes, and no entry leaves its folder on the way back."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from opsroom.workflows.runner.beneath import Entry, Folder
from opsroom.workflows.runner.builtin import ActionFailed

ARCHIVE_BYTES = 8 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """One entry for the archive: where it is, and its name in it."""

    folder: Folder
    entry: Entry
    name: str


def pack(items: Iterable[Packed], to: Path) -> int:
    """Writes a tar to the new file `to`, entries by name, without times and owners; the number of files."""
    count = size = 0
    with to.open("xb") as raw, tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for item in sorted(items, key=lambda one: one.name):
            info = tarfile.TarInfo(item.name)
            info.mode = 0o755 if item.entry.mode & 0o100 else 0o644
            if item.entry.kind == "link":
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, item.entry.target, 0o777
                tar.addfile(info)
                continue
            with item.folder.open(item.entry.path) as file:
                info.size = file.seek(0, io.SEEK_END)
                file.seek(0)
                size += info.size
                if size > ARCHIVE_BYTES:
                    raise ActionFailed(f"the files are more than {ARCHIVE_BYTES >> 30} GiB together; leave some out")
                tar.addfile(info, file)
            count += 1
    return count


def unpack(raw: BinaryIO, folder: Folder, *, prefix: str = "", below: str = "", any_link: bool = False) -> int:
    """Writes the archive's entries whose names begin with `prefix` to `folder`, below `below`; the number of files.

    UnsafePath: an entry leaves the folder, or a link points out of it and `any_link` is not set.
    """
    count = 0
    with tarfile.open(fileobj=raw, mode="r|") as tar:
        for info in tar:
            if not info.name.startswith(prefix):
                continue
            path = f"{below}/{info.name[len(prefix) :]}".strip("/")
            if info.issym():
                folder.link(path, info.linkname, anywhere=any_link)
            elif info.isfile():
                content = tar.extractfile(info)
                if content is not None:
                    folder.write(path, content, mode=info.mode)  # type: ignore[arg-type]
                    count += 1
    return count
