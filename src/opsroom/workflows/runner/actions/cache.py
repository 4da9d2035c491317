"""actions/cache, actions/cache/restore and actions/cache/save over a folder of blobs, one for each repository, bounded in size.

A job sees the caches of its own ref and of the default branch, so that a pull request cannot lend its files to main. Source of
the inputs and rules: the README of actions/cache, and "Caching dependencies" (restrictions for accessing a cache).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import time

from opsroom.workflows.runner.actions.archive import Packed, pack, unpack
from opsroom.workflows.runner.actions.cache_store import CACHE_BYTES, Caches, Entry
from opsroom.workflows.runner.actions.locking import locked
from opsroom.workflows.runner.beneath import Folder
from opsroom.workflows.runner.builtin import ActionFailed, Effect, Use
from opsroom.workflows.runner.globs import lines, literal_head, matching

_KEY_LIMIT = 512


def cache(use: Use) -> Effect:
    """Restores; at the end of a job that succeeded it saves under `key`, unless that was an exact hit."""
    effect = restore(use)
    state = {"key": _key(use), "hit": effect.outputs["cache-hit"]}
    return Effect(outputs=effect.outputs, state=state)


def save_at_end(use: Use, state: Mapping[str, str]) -> None:
    """The end of the job of actions/cache. `key` is that of its start: a lock file may have changed since."""
    if state.get("hit") != "true" and not use.flag("lookup-only"):
        _save(use, state["key"])


def save(use: Use) -> Effect:
    """Saves now."""
    _save(use, _key(use))
    return Effect()


def restore(use: Use) -> Effect:
    """Brings back the newest cache under `key`, else under the first of `restore-keys` that one begins with. The output cache-hit is
    true for `key` itself, false for another, and empty where there is none."""
    key = _key(use)
    store = _Sight(use)
    with locked(store.root):
        found = store.find(key, [one.strip() for one in use.input("restore-keys").splitlines() if one.strip()])
        if found is not None:
            store.caches.touch(found, now=time())
    if found is None:
        if use.flag("fail-on-cache-miss"):
            raise ActionFailed(f"no cache for key {key!r}; save one first, or leave fail-on-cache-miss out")
        use.output.write(f"cache not found for key {key}")
        return Effect(outputs={"cache-hit": "", "cache-primary-key": key, "cache-matched-key": ""})
    if not use.flag("lookup-only"):
        for name, root in _roots(use).items():
            with Folder(root) as folder, store.caches.blobs.open(found.digest) as raw:
                unpack(raw, folder, prefix=f"{name}/", any_link=True)  # type: ignore[arg-type]
    use.output.write(f"cache restored from key {found.key} ({found.size:,} bytes)")
    hit = "true" if found.key == key else "false"
    return Effect(outputs={"cache-hit": hit, "cache-primary-key": key, "cache-matched-key": found.key})


def _save(use: Use, key: str) -> None:
    store = _Sight(use)
    with locked(store.root):
        if store.exact(key):
            use.output.write(f"cache {key} exists already; it is kept")
            return
    with tempfile.TemporaryDirectory(dir=store.root) as scratch:
        archive = Path(scratch) / "cache.tar"
        count = _pack(use, archive)
        size = archive.stat().st_size
        if not count:
            use.output.annotate("warning", f"no file for path {use.input('path')!r}; no cache is saved")
            return
        if size > CACHE_BYTES:
            raise ActionFailed(
                f"the cache would be {size:,} bytes, and {CACHE_BYTES:,} is all there is; leave files out"
            )
        with locked(store.root):
            store.add(key, archive, size)
    use.output.write(f"cache saved with key {key} ({count} files, {size:,} bytes)")


def _pack(use: Use, archive: Path) -> int:
    """Entries are named `ROOT/path`, so that they come back where they were."""
    wanted, unwanted = lines(use.input("path"))
    opened = {name: Folder(root) for name, root in _roots(use).items()}
    try:
        leave = [_rooted(use, one) for one in unwanted]
        items: dict[str, Packed] = {}
        for root, pattern in (_rooted(use, one) for one in wanted):
            for entry in matching(opened[root], [pattern], [one for where, one in leave if where == root]):
                if entry.kind != "folder":
                    name = f"{root}/{entry.path}"
                    items[name] = Packed(folder=opened[root], entry=entry, name=name)
        return pack(items.values(), archive)
    finally:
        for folder in opened.values():
            folder.close()


def _key(use: Use) -> str:
    key = use.input("key")
    if not key or not use.input("path"):
        raise ActionFailed("actions/cache needs the inputs 'path' and 'key'")
    if len(key) > _KEY_LIMIT or "," in key:
        raise ActionFailed(
            f"cache key {key[:60]!r} is longer than {_KEY_LIMIT} characters or holds a comma; shorten it"
        )
    return key


def _roots(use: Use) -> dict[str, Path]:
    return {"workspace": use.layout.workspace, "home": use.layout.home, "temp": use.layout.temp}


def _rooted(use: Use, line: str) -> tuple[str, str]:
    head = literal_head(line)
    real = use.layout.outside(head or ".")
    root = use.layout.root_of(real)
    start = real.relative_to(root.resolve()).as_posix()
    rest = line[len(head) :].lstrip("/")
    return root.name, "/".join(part for part in (start if start != "." else "", rest) if part) or "**"


class _Sight:
    """The caches of a repository as a job sees them: those of its ref and of the default branch, made from the same paths."""

    def __init__(self, use: Use) -> None:
        if not use.order.caches:
            raise ActionFailed("this run keeps no caches; run it where a cache folder is set")
        self.root = Path(use.order.caches)
        self.root.mkdir(parents=True, exist_ok=True)
        self.caches = Caches(self.root)
        self._ref = str(use.github.get("ref", ""))
        event = use.github.get("event")
        repository = event.get("repository") if isinstance(event, Mapping) else None
        default = repository.get("default_branch") if isinstance(repository, Mapping) else None
        self._refs = (self._ref, f"refs/heads/{default or 'main'}")
        self._version = hashlib.sha256(use.input("path").encode()).hexdigest()[:16]

    def exact(self, key: str) -> bool:
        """Whether this ref saved this key before: a cache is never overwritten."""
        return any((one.key, one.version, one.ref) == (key, self._version, self._ref) for one in self.caches.entries())

    def find(self, key: str, prefixes: list[str]) -> Entry | None:
        mine = [one for one in self.caches.entries() if one.version == self._version and one.ref in self._refs]
        ranked = sorted(mine, key=lambda one: (one.ref == self._ref, one.created), reverse=True)
        for fits in (
            lambda one: one.key == key,
            *((lambda one, start=start: one.key.startswith(start)) for start in [key, *prefixes]),
        ):
            if found := next(filter(fits, ranked), None):
                return found
        return None

    def add(self, key: str, archive: Path, size: int) -> None:
        now, digest = time(), self.caches.blobs.put(archive)
        self.caches.add(
            Entry(key=key, version=self._version, ref=self._ref, digest=digest, size=size, created=now, used=now)
        )
