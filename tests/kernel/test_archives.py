"""Archives of strangers: what would leave the folder is refused on every Python, and before anything is written."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from opsroom.kernel.archives import extract
from opsroom.kernel.errors import Invalid


def archive(*members: tuple[str, bytes, str]) -> tarfile.TarFile:
    """Members as (name, type, link target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, target in (("good/file", tarfile.REGTYPE, ""), *members):
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, target, 0o4777
            tar.addfile(info, io.BytesIO())
    buffer.seek(0)
    return tarfile.open(fileobj=buffer)


@pytest.mark.parametrize(
    "member",
    [
        ("/etc/passwd", tarfile.REGTYPE, ""),
        ("../outside", tarfile.REGTYPE, ""),
        ("good/../../outside", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc"),
        ("good/link", tarfile.SYMTYPE, "../../etc"),
        ("hard", tarfile.LNKTYPE, "../etc/passwd"),
        ("device", tarfile.CHRTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
    ],
)
def test_what_would_leave_the_folder_is_refused_before_anything_is_written(
    member: tuple[str, bytes, str], tmp_path: Path
) -> None:
    with archive(member) as tar, pytest.raises(Invalid, match="archive"):
        extract(tar, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_files_and_links_inside_are_unpacked_without_special_bits(tmp_path: Path) -> None:
    with archive(("good/link", tarfile.SYMTYPE, "file"), ("folder", tarfile.DIRTYPE, "")) as tar:
        extract(tar, tmp_path)
    assert (tmp_path / "good/link").resolve() == (tmp_path / "good/file").resolve()
    assert (tmp_path / "good/file").stat().st_mode & 0o7777 == 0o755
