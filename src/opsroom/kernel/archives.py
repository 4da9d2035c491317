"""Unpacking tar files that somebody else made: nothing lands outside the folder, and nothing but files, folders and links inside it."""

from __future__ import annotations

import posixpath
import tarfile
from pathlib import Path

from opsroom.kernel.errors import Invalid

# Python 3.11 has the data filter from 3.11.4 on only, and Debian 12 ships 3.11.2: the rules are checked here, and by both where it can be.
_FILTER = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def extract(tar: tarfile.TarFile, into: Path) -> None:
    """Unpacks every member below `into`, by the rules of PEP 706's data filter. Invalid names the first that breaks them; nothing has
    been written then."""
    members = tar.getmembers()
    for member in members:
        check(member)
    for member in members:
        extract_member(tar, member, into)


def extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    """Unpacks one member. Invalid: it would land outside, leads outside, or is a device."""
    check(member)
    member.mode = (member.mode & 0o755) | 0o600 | (0o100 if member.isdir() else 0)
    tar.extract(member, into, set_attrs=True, numeric_owner=False, **_FILTER)  # type: ignore[arg-type]


def check(member: tarfile.TarInfo) -> None:
    """Invalid names the member and what is wrong with it."""
    if not _is_inside(member.name):
        raise Invalid(f"member {member.name!r} of the archive would land outside the folder")
    if member.issym() and not _is_inside(posixpath.join(posixpath.dirname(member.name), member.linkname)):
        raise Invalid(f"link {member.name!r} of the archive leads outside the folder, to {member.linkname!r}")
    if member.islnk() and not _is_inside(member.linkname):
        raise Invalid(f"link {member.name!r} of the archive leads outside the folder, to {member.linkname!r}")
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise Invalid(
            f"member {member.name!r} of the archive is a device or a pipe; only files and folders are unpacked"
        )
    member.uid = member.gid = 0
    member.uname = member.gname = ""


def _is_inside(name: str) -> bool:
    normal = posixpath.normpath(name)
    return not name.startswith("/") and normal != ".." and not normal.startswith("../")
