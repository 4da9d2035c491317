"""The caches of one repository: a folder of blobs, and one small file for each cache that says its key; bounded in size and in age.

Who changes them holds the folder's lock.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from opsroom.kernel.blobs import Blobs

CACHE_BYTES = 10 << 30
"""All caches of a repository together; the least recently used go first (GitHub: 10 GB)."""
SCRATCH_SECONDS = 86_400.0
"""After this long a half-made archive is one that a killed job left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One cache. `version` tells the paths it was made from, `ref` who may see it. Times are seconds since the epoch."""

    key: str
    version: str
    ref: str
    digest: str
    size: int
    created: float
    used: float


class Caches:
    """The caches below `root`, which is there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs = Blobs(root / "blobs")
        self._keys = root / "keys"
        self._keys.mkdir(exist_ok=True)

    def entries(self) -> list[Entry]:
        found = []
        for path in self._keys.glob("*.json"):
            try:
                found.append(Entry(**json.loads(path.read_text())))
            except (ValueError, TypeError):
                path.unlink(missing_ok=True)
        return found

    def touch(self, entry: Entry, *, now: float) -> None:
        """It was used just now."""
        self._write(replace(entry, used=now))

    def add(self, entry: Entry) -> None:
        """Adds a cache and drops the least recently used ones that are too many."""
        self._write(entry)
        self._drop(0.0)

    def drop_unused(self, *, before: float, now: float) -> int:
        """Drops what was last used before a time, and what killed jobs left; how many caches went."""
        for path in self.root.glob("tmp*"):
            if path.is_dir() and path.stat().st_mtime < now - SCRATCH_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        return self._drop(before)

    def _drop(self, before: float) -> int:
        total, dropped, kept = 0, 0, set()
        for entry in sorted(self.entries(), key=lambda one: one.used, reverse=True):
            total += entry.size
            if total > CACHE_BYTES or entry.used < before:
                self._path(entry).unlink(missing_ok=True)
                dropped += 1
            else:
                kept.add(entry.digest)
        self.blobs.sweep(kept)
        return dropped

    def _path(self, entry: Entry) -> Path:
        name = hashlib.sha256(f"{entry.ref}\0{entry.version}\0{entry.key}".encode()).hexdigest()
        return self._keys / f"{name}.json"

    def _write(self, entry: Entry) -> None:
        new = self._path(entry).with_suffix(".new")
        new.write_text(json.dumps(asdict(entry)))
        new.replace(self._path(entry))
