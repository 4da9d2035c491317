"""The archive of a backup: written while the state is in use, and read back whole before it is believed.

A tar file: `manifest.json` first, then `opsroom.sqlite`, `checkpoints.jsonl` and `blobs/HEX`; or the files of a folder under
`files/`. Keys are never in it. The manifest names every member with its size and SHA-256, and the rows of every table.
"""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from opsroom.kernel.blobs import Blobs
from opsroom.kernel.clock import SystemClock
from opsroom.kernel.errors import Invalid
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.store import Store
from opsroom.kernel.verification import CheckpointKey, read_checkpoints, verify

VERSION = 1
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a restore found: events whose chain holds, members whose digest holds."""

    events: int
    members: int
    tables: int


def write_opsroom(store: Store, blobs: Blobs, checkpoints: Path, work: Path, target: Path) -> dict[str, Any]:
    """Writes the archive of a plane's state to `target`, in use or not, and returns its manifest. `work` is an empty folder."""
    copy = work / "opsroom.sqlite"
    store.backup_to(copy)
    members: dict[str, Path] = {"opsroom.sqlite": copy}
    if checkpoints.exists():
        kept = work / "checkpoints.jsonl"
        kept.write_bytes(checkpoints.read_bytes())
        members["checkpoints.jsonl"] = kept
    # The copy of the database is older than this listing, so every blob it refers to is in it.
    members |= {f"blobs/{digest.removeprefix('sha256:')}": blobs.path(digest) for digest in sorted(blobs.digests())}
    return _write(target, members, {"what": "opsroom", "tables": _counts(copy), "last_seq": _last_seq(copy)})


def write_folder(folder: Path, target: Path) -> dict[str, Any]:
    """Writes the regular files of a folder; links and special files are left out and counted. Invalid: there is no such folder."""
    if not folder.is_dir():
        raise Invalid(f"folder {folder} does not exist; mend `folder` of the Backup")
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    left_out = sum(1 for path in folder.rglob("*") if path.is_symlink() or not (path.is_file() or path.is_dir()))
    members = {f"files/{path.relative_to(folder)}": path for path in found}
    return _write(target, members, {"what": "folder", "folder": str(folder), "left_out": left_out})


def restore(archive: IO[bytes], into: Path) -> dict[str, Any]:
    """Unpacks an archive into an empty folder and checks every member against the manifest, which is returned. Invalid names the
    first member that is missing, added or changed."""
    try:
        with tarfile.open(fileobj=archive) as tar:
            first = tar.next()
            if first is None or first.name != "manifest.json":
                raise Invalid("this is no backup of Opsroom: it does not begin with manifest.json")
            manifest = json.loads(_read(tar, first))
            if manifest.get("version") != VERSION:
                raise Invalid(
                    f"this backup has version {manifest.get('version')!r}; this release reads version {VERSION}"
                )
            tar.extractall(into, filter="data")
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise Invalid(f"the backup cannot be read: {error}") from None
    for name, member in manifest["members"].items():
        path = into / name
        if not path.is_file() or _digest(path) != member["sha256"]:
            raise Invalid(f"the backup is damaged: {name} is missing or changed")
    return dict(manifest)


def prove(folder: Path, manifest: Mapping[str, Any], key: CheckpointKey) -> Proof:
    """Opens what was restored as Opsroom would, and holds it against the manifest: rows of every table, the ledger's chain and its
    signed checkpoints, and each blob's own digest. Invalid says what does not hold."""
    if manifest["what"] != "opsroom":
        return Proof(events=0, members=len(manifest["members"]), tables=0)
    counts = _counts(folder / "opsroom.sqlite")
    for name, rows in manifest["tables"].items():
        if counts.get(name) != rows:
            raise Invalid(f"table {name} has {counts.get(name)} rows, the backup says {rows}")
    for name in manifest["members"]:
        if name.startswith("blobs/") and _digest(folder / name) != name.removeprefix("blobs/"):
            raise Invalid(f"{name} does not hold what its name says")
    store = Store(f"sqlite:///{folder / 'opsroom.sqlite'}")
    try:
        checkpoints = [one for one in read_checkpoints(folder / "checkpoints.jsonl") if one.seq <= manifest["last_seq"]]
        result = verify(store, Ledger(store, SystemClock()), checkpoints, key.public())
    finally:
        store.close()
    if not result.ok:
        raise Invalid(f"the restored ledger does not verify: {result.problems[0]}")
    return Proof(events=result.events, members=len(manifest["members"]), tables=len(counts))


def _write(target: Path, members: Mapping[str, Path], about: Mapping[str, Any]) -> dict[str, Any]:
    sizes = {name: path.stat().st_size for name, path in members.items()}
    listed = {name: {"bytes": sizes[name], "sha256": _digest(path)} for name, path in members.items()}
    manifest = {"version": VERSION, **about, "members": listed}
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        text = json.dumps(manifest, sort_keys=True).encode()
        tar.addfile(_member("manifest.json", len(text)), io.BytesIO(text))
        for name, path in members.items():
            with path.open("rb") as source:
                tar.addfile(_member(name, sizes[name]), source)
    return manifest


def _member(name: str, size: int) -> tarfile.TarInfo:
    """A member that says nothing of who wrote it or when, so that equal contents give equal archives."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    source = tar.extractfile(member)
    if source is None:
        raise Invalid(f"{member.name} of the backup is no file")
    return source.read()


def _digest(path: Path) -> str:
    hasher = hashlib.sha256()
    for chunk in _chunks(path):
        hasher.update(chunk)
    return hasher.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while chunk := source.read(CHUNK):
            yield chunk


def _counts(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {
                name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608
                for name in names
                if not name.startswith("sqlite_")
            }
        except sqlite3.DatabaseError as error:
            raise Invalid(f"the database of the backup cannot be read: {error}") from None


def _last_seq(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT coalesce(max(seq), 0) FROM seals").fetchone()[0])
