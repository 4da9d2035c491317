"""The folder of a host on disk: never through a link, whole or not at all, and its owner's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from opsroom.areas.configuration.disk import Disk
from opsroom.areas.configuration.reading import FolderReader, Unreadable
from opsroom.areas.configuration.writing import FolderWriter
from opsroom.kernel.errors import Unavailable


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "host"
    outside.mkdir()
    folder.mkdir()
    (outside / "file").write_text("of someone else")
    (folder / "etc").symlink_to(outside)
    with pytest.raises(Unavailable):
        FolderWriter(folder).put("etc/file", b"ours", 0o644)
    with pytest.raises(Unavailable):
        FolderWriter(folder).delete("etc/file")
    (folder / "link").symlink_to(outside / "file")
    FolderWriter(folder).put("link", b"ours", 0o644)
    assert (outside / "file").read_text() == "of someone else"
    assert not (folder / "link").is_symlink() and (folder / "link").read_bytes() == b"ours"


def test_a_file_stays_its_owners_or_is_not_written(tmp_path: Path) -> None:
    given: list[tuple[int, int]] = []

    class Owning(Disk):
        def set_owner(self, descriptor: int, user: int, group: int) -> None:
            given.append((user, group))
            raise PermissionError(1, "Operation not permitted")

    FolderWriter(tmp_path).put("file", b"first", 0o644)
    if os.getuid() != 0:
        pytest.skip("only root can make a file another user's, which this test is about")
    os.chown(tmp_path / "file", 12345, 12345)
    with pytest.raises(Unavailable, match="operation not permitted"):
        FolderWriter(tmp_path, disk=Owning()).put("file", b"second", 0o644)
    assert given == [(12345, 12345)] and (tmp_path / "file").read_bytes() == b"first"
    FolderWriter(tmp_path).put("file", b"second", 0o600)
    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (12345, 0o600)


def test_a_folder_that_is_not_there_is_empty_and_one_that_cannot_be_opened_is_unknown(tmp_path: Path) -> None:
    with FolderReader(tmp_path / "none") as reader:
        assert reader.read("etc/motd") is None and not reader.exists
    (tmp_path / "file").write_text("no folder")
    with FolderReader(tmp_path / "file") as reader, pytest.raises(Unreadable, match="cannot be opened"):
        reader.read("etc/motd")


def test_a_file_that_was_seen_is_known_by_its_inode(tmp_path: Path) -> None:
    (tmp_path / "motd").write_text("Welcome.\n")
    status = (tmp_path / "motd").stat()
    with FolderReader(tmp_path) as reader:
        first = reader.read("motd")
    assert first is not None
    signature = (
        status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode, status.st_uid
    )  # fmt: skip
    seen = {(str(tmp_path), "motd"): (signature, first)}
    with FolderReader(tmp_path, seen=seen, disk=NoReads()) as reader:
        assert reader.read("motd") is first
    (tmp_path / "motd").write_text("Welcomf.\n")
    with FolderReader(tmp_path, seen=seen) as reader:
        second = reader.read("motd")
    assert second is not None and second.digest != first.digest


class NoReads(Disk):
    def read(self, descriptor: int, size: int) -> bytes:
        raise AssertionError("it was read though it is as it was")
