"""Releases: an artefact unpacked once into a folder named by its digest."""

from __future__ import annotations

import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from opsroom.kernel.archives import extract
from opsroom.kernel.errors import Invalid

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane

UNPACKED_LIMIT = 2_000_000_000
MEMBER_LIMIT = 200_000
_use = threading.Lock()
"""Held while a release is given to somebody, or taken out of use. What is given is marked by its time."""


def unpack(plane: Plane, digest: str) -> Path:
    """The release folder of a digest: unpacked beside and renamed, so a half-made one is never used. Invalid: it is no tar file."""
    folder = _root(plane) / digest.removeprefix("sha256:")
    with _use:
        if folder.exists():
            os.utime(folder)
            return folder
    partial = folder.with_name(f".{folder.name[:12]}.{plane.clock.new_id('part')}")
    partial.mkdir(parents=True)
    try:
        with plane.blobs.open(digest) as blob, tarfile.open(fileobj=blob) as tar:
            _check_size(tar, digest)
            extract(tar, partial)
        _put_in_place(partial, folder)
    except (tarfile.TarError, EOFError) as error:
        raise Invalid(f"artefact {digest[:19]} is no tar file that can be unpacked: {error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def releases(plane: Plane) -> Iterator[Path]:
    """Every release folder; names that begin with a dot are half made, or set aside to be removed."""
    yield from sorted(_root(plane).glob("*")) if _root(plane).is_dir() else ()


def set_aside(folder: Path, *, unused_since: datetime) -> Path | None:
    """Takes a release out of use, to be removed; None: `unpack` gave it to somebody since."""
    aside = folder.with_name(f".gone.{folder.name}")
    with _use:
        if folder.stat().st_mtime >= unused_since.timestamp():
            return None
        return folder.rename(aside)


def _root(plane: Plane) -> Path:
    return plane.settings.state.absolute() / "releases"


def _check_size(tar: tarfile.TarFile, digest: str) -> None:
    total = 0
    for count, member in enumerate(tar, 1):
        total += member.size
        if total > UNPACKED_LIMIT or count > MEMBER_LIMIT:
            raise Invalid(f"artefact {digest[:19]} unpacks to more than {UNPACKED_LIMIT} bytes or {MEMBER_LIMIT} files")


def _put_in_place(partial: Path, folder: Path) -> None:
    try:
        partial.rename(folder)
    except OSError:
        # Another deployment of the same digest was first; what it unpacked is the same.
        if not folder.exists():
            raise
