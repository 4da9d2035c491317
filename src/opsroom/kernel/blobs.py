"""Content-addressed artefacts, caches and documents over fsspec: a folder or an object store."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from opsroom.kernel.errors import Invalid, NotFound, TooLarge

CHUNK = 1 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Blobs:
    """A store of byte strings named "sha256:HEX". A blob is whole and durable before `put` returns; putting it twice is one blob."""

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self._remote: Any = None
        if "://" in self.root:
            import fsspec

            self._remote, self._prefix = fsspec.core.url_to_fs(self.root)
        else:
            self._prefix = str(Path(self.root).absolute())

    def put(self, content: bytes | Path | IO[bytes], *, limit: int | None = None) -> str:
        """Keeps the content and returns its digest; more than `limit` bytes is TooLarge, and nothing is kept."""
        if isinstance(content, bytes):
            return self._keep(io.BytesIO(content), limit)
        if isinstance(content, Path):
            with content.open("rb") as source:
                return self._keep(source, limit)
        return self._keep(content, limit)

    def open(self, digest: str) -> IO[bytes]:
        """The content for reading; NotFound when it is not here."""
        place = self._place(digest)
        try:
            return self._remote.open(place, "rb") if self._remote else Path(place).open("rb")
        except FileNotFoundError:
            raise NotFound(f"no blob {digest} in {self.root}; it was swept or never kept") from None

    def read(self, digest: str) -> bytes:
        with self.open(digest) as source:
            return source.read()

    def path(self, digest: str) -> Path:
        """The file of a blob of a local store; Invalid for an object store."""
        if self._remote:
            raise Invalid(f"{self.root} is no local folder; read the blob instead")
        path = Path(self._place(digest))
        if not path.exists():
            raise NotFound(f"no blob {digest} in {self.root}; it was swept or never kept")
        return path

    def has(self, digest: str) -> bool:
        place = self._place(digest)
        return bool(self._remote.exists(place)) if self._remote else Path(place).exists()

    def size(self, digest: str) -> int:
        place = self._place(digest)
        return int(self._remote.size(place)) if self._remote else self.path(digest).stat().st_size

    def digests(self) -> Iterator[str]:
        """Every blob here."""
        names = self._remote.find(self._prefix) if self._remote else Path(self._prefix).glob("??/*")
        for name in names:
            leaf = str(name).rsplit("/", 1)[-1]
            if _DIGEST.fullmatch(f"sha256:{leaf}"):
                yield f"sha256:{leaf}"

    def sweep(self, keep: set[str], *, before: datetime | None = None) -> int:
        """Deletes what is not in `keep` and returns how many; the caller names all that is referred to. `before` spares what was put
        since, whose row may not be written yet (putting a blob again counts)."""
        orphans = [digest for digest in self.digests() if digest not in keep and self._is_before(digest, before)]
        for digest in orphans:
            place = self._place(digest)
            self._remote.rm(place) if self._remote else Path(place).unlink(missing_ok=True)
        return len(orphans)

    def sweep_partial(self, *, before: datetime) -> int:
        """Deletes what writers that were killed before a time left half written, and returns how many. Object stores keep none."""
        halves = (
            [] if self._remote else [path for path in Path(self._prefix).glob(".*.part") if _changed(path) < before]
        )
        for path in halves:
            path.unlink(missing_ok=True)
        return len(halves)

    def _is_before(self, digest: str, before: datetime | None) -> bool:
        if before is None:
            return True
        place = self._place(digest)
        return (self._remote.modified(place) if self._remote else _changed(Path(place))) < before

    def _keep(self, source: IO[bytes], limit: int | None) -> str:
        if self._remote:
            return self._keep_remote(source, limit)
        spool = Path(self._prefix)
        spool.mkdir(parents=True, exist_ok=True)
        partial = spool / f".{uuid4().hex}.part"
        try:
            with partial.open("wb") as out:
                digest = _copy(source, out, limit)
                out.flush()
                os.fsync(out.fileno())
            final = Path(self._place(digest))
            final.parent.mkdir(exist_ok=True)
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)
        return digest

    def _keep_remote(self, source: IO[bytes], limit: int | None) -> str:
        buffer = io.BytesIO()
        digest = _copy(source, buffer, limit)
        if not self.has(digest):
            self._remote.pipe_file(self._place(digest), buffer.getvalue())
        return digest

    def _place(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest):
            raise Invalid(f"{digest!r} is no digest; it is written sha256: and 64 hexadecimal digits")
        name = digest.removeprefix("sha256:")
        return f"{self._prefix}/{name[:2]}/{name}"


def _changed(path: Path) -> datetime:
    """When a file was written last; one that is gone was written just now."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return datetime.now(UTC)


def _copy(source: IO[bytes], out: IO[bytes], limit: int | None) -> str:
    hasher, size = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        size += len(chunk)
        if limit is not None and size > limit:
            raise TooLarge(f"the content is over the limit of {limit} bytes")
        hasher.update(chunk)
        out.write(chunk)
    return f"sha256:{hasher.hexdigest()}"
