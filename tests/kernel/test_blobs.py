"""Blobs: whole, named by their content, in a folder and in an object store."""

from __future__ import annotations

import io
from pathlib import Path
from uuid import uuid4

import pytest

from opsroom.kernel.blobs import Blobs
from opsroom.kernel.errors import Invalid, NotFound, TooLarge


@pytest.fixture(params=["folder", "object store"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs" if request.param == "folder" else f"memory://{uuid4().hex}")


def test_content_comes_back_under_its_digest(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hello")
    digest = blobs.put(b"hello")
    assert digest == "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert blobs.put(tmp_path / "file") == blobs.put(io.BytesIO(b"hello")) == digest
    assert blobs.read(digest) == b"hello" and blobs.size(digest) == 5 and list(blobs.digests()) == [digest]


def test_what_is_over_the_limit_is_not_kept(blobs: Blobs) -> None:
    with pytest.raises(TooLarge, match="4 bytes"):
        blobs.put(b"hello", limit=4)
    assert list(blobs.digests()) == []


def test_orphans_are_swept(blobs: Blobs) -> None:
    kept, orphan = blobs.put(b"kept"), blobs.put(b"orphan")
    assert blobs.sweep({kept}) == 1 and blobs.has(kept) and not blobs.has(orphan)


def test_a_missing_blob_and_a_name_that_is_no_digest_are_told_apart(blobs: Blobs) -> None:
    with pytest.raises(NotFound):
        blobs.read("sha256:" + "0" * 64)
    with pytest.raises(Invalid, match="no digest"):
        blobs.read("sha256:../../etc/passwd")
