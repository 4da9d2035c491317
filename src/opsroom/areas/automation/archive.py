"""The archive of a backup: written while the state is in use, and read back whole before it is believed.

A tar file: `manifest.json` first, then `opsroom.sqlite`, `checkpoints.jsonl` and `blobs/HEX`; or the files of a folder under
`files/`. Keys are never in it. The manifest names every member with its size and SHA-256, and the rows of every table.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from opsroom.kernel.archives import extract_member
from opsroom.kernel.blobs import Blobs
from opsroom.kernel.clock import SystemClock
from opsroom.kernel.copying import dump
from opsroom.kernel.errors import Invalid, NotFound
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.migrations import Migration
from opsroom.kernel.store import Store
from opsroom.kernel.verification import Checkpoint, CheckpointKey, read_checkpoints, verify

VERSION = 1
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a restore found: events whose chain holds, members whose digest holds."""

    events: int
    members: int
    tables: int


def write_opsroom(
    store: Store, migrations: Sequence[Migration], blobs: Blobs, checkpoints: Path, work: Path, target: Path
) -> dict[str, Any]:
    """Writes the archive of a plane's state to `target`, in use or not, and returns its manifest. `work` is an empty folder. The
    archive of a state on PostgreSQL holds its tables in an SQLite file too, so that it is proven and restored without a PostgreSQL."""
    copy = work / "opsroom.sqlite"
    if store.dialect == "sqlite":
        store.backup_to(copy)
    else:
        dump(store, copy, migrations)
    members: dict[str, Path] = {"opsroom.sqlite": copy}
    if checkpoints.exists():
        kept = work / "checkpoints.jsonl"
        kept.write_bytes(checkpoints.read_bytes())
        members["checkpoints.jsonl"] = kept
    # The copy of the database is older than this listing, so every blob it refers to is in it.
    members |= _blobs(blobs, work / "blobs")
    return _write(target, members, {"what": "opsroom", "tables": _counts(copy), "last_seq": _last_seq(copy)})


def _blobs(blobs: Blobs, held: Path) -> dict[str, Path]:
    """Every blob as a member. A link of our own holds each until it is in the archive: one that nothing refers to may be swept."""
    held.mkdir()
    members = {}
    for digest in sorted(blobs.digests()):
        name = digest.removeprefix("sha256:")
        try:
            _hold(blobs.path(digest), held / name)
        except (FileNotFoundError, NotFound):
            continue
        members[f"blobs/{name}"] = held / name
    return members


def _hold(path: Path, to: Path) -> None:
    try:
        os.link(path, to)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise
        shutil.copyfile(path, to)  # The blobs are on another disk, or on one that has no links.


def write_folder(folder: Path, work: Path, target: Path) -> dict[str, Any]:
    """Writes the regular files and the folders below a folder, in use or not; links and special files are left out and counted.
    `work` is an empty folder. Invalid: there is no such folder, or something in it cannot be read."""
    if not folder.is_dir():
        raise Invalid(f"folder {folder} does not exist; mend `folder` of the Backup")
    members: dict[str, Path] = {}
    folders, left_out = [], 0
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            left_out += 1
        elif path.is_dir():
            folders.append(name)
        else:
            # A file that is written to meanwhile would not be what the manifest says; its copy is.
            kept = work / str(len(members))
            try:
                shutil.copy(path, kept)
            except FileNotFoundError:
                continue  # It was deleted meanwhile.
            except OSError as error:
                raise Invalid(f"{path} cannot be backed up: {error.strerror}") from None
            members[f"files/{name}"] = kept
    return _write(
        target, members, {"what": "folder", "folder": str(folder), "folders": folders, "left_out": left_out}, modes=True
    )


def restore(archive: IO[bytes], into: Path) -> dict[str, Any]:
    """Unpacks an archive into an empty folder and checks every member against the manifest, which is returned. Invalid names the
    first member that is missing, added or changed."""
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            manifest = _read_manifest(tar)
            unpacked = {"manifest.json"}
            while member := tar.next():
                if member.name not in manifest["members"] or member.name in unpacked:
                    raise Invalid(f"the backup is damaged: {member.name} is not in its manifest")
                extract_member(tar, member, into)
                unpacked.add(member.name)
    except (tarfile.TarError, EOFError) as error:
        raise Invalid(f"the backup cannot be read: {error}") from None
    for name, member in manifest["members"].items():
        path = into / name
        if name not in unpacked or not path.is_file() or _digest(path) != member["sha256"]:
            raise Invalid(f"the backup is damaged: {name} is missing or changed")
    for name in manifest.get("folders", ()):
        (into / "files" / name).mkdir(parents=True, exist_ok=True)
    return manifest


def prove(folder: Path, manifest: Mapping[str, Any], key: CheckpointKey | None) -> Proof:
    """Opens what was restored as Opsroom would, and holds it against the manifest: rows of every table, the ledger's chain and its
    signed checkpoints (without the key that signed them: the chain alone), and each blob's own digest. Invalid says what does not
    hold."""
    if manifest["what"] != "opsroom":
        return Proof(events=0, members=len(manifest["members"]), tables=0)
    counts = _counts(folder / "opsroom.sqlite")
    for name in sorted({*manifest["tables"], *counts}):
        if counts.get(name) != manifest["tables"].get(name):
            raise Invalid(
                f"table {name} has {counts.get(name, 'no')} rows, the backup says {manifest['tables'].get(name, 'no')}"
            )
    for name in manifest["members"]:
        if name.startswith("blobs/") and _digest(folder / name) != name.removeprefix("blobs/"):
            raise Invalid(f"{name} does not hold what its name says")
    store = Store(f"sqlite:///{folder / 'opsroom.sqlite'}")
    try:
        result = verify(store, Ledger(store, SystemClock()), _checkpoints(folder, manifest, key), _public(key))
    finally:
        store.close()
    if not result.ok:
        raise Invalid(f"the restored ledger does not verify: {result.problems[0]}")
    return Proof(events=result.events, members=len(manifest["members"]), tables=len(counts))


def _checkpoints(folder: Path, manifest: Mapping[str, Any], key: CheckpointKey | None) -> list[Checkpoint]:
    if key is None:
        return []
    # The copy of the file is younger than that of the database.
    return [one for one in read_checkpoints(folder / "checkpoints.jsonl") if one.seq <= manifest["last_seq"]]


def _public(key: CheckpointKey | None) -> Ed25519PublicKey:
    return key.public() if key else Ed25519PrivateKey.generate().public_key()


def _write(
    target: Path, members: Mapping[str, Path], about: Mapping[str, Any], *, modes: bool = False
) -> dict[str, Any]:
    sizes = {name: path.stat().st_size for name, path in members.items()}
    listed = {name: {"bytes": sizes[name], "sha256": _digest(path)} for name, path in members.items()}
    manifest = {"version": VERSION, **about, "members": listed}
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        text = json.dumps(manifest, sort_keys=True).encode()
        tar.addfile(_member("manifest.json", len(text)), io.BytesIO(text))
        for name, path in members.items():
            with path.open("rb") as source:
                tar.addfile(_member(name, sizes[name], path.stat().st_mode & 0o755 if modes else 0o600), source)
    return manifest


def _member(name: str, size: int, mode: int = 0o600) -> tarfile.TarInfo:
    """A member that says nothing of who wrote it or when, so that equal contents give equal archives."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, mode
    return info


def _read_manifest(tar: tarfile.TarFile) -> dict[str, Any]:
    first = tar.next()
    source = tar.extractfile(first) if first is not None and first.name == "manifest.json" else None
    if source is None:
        raise Invalid("this is no backup of Opsroom: it does not begin with manifest.json")
    try:
        manifest = json.loads(source.read())
    except ValueError as error:
        raise Invalid(f"the backup is damaged: its manifest cannot be read: {error}") from None
    version = manifest.get("version") if isinstance(manifest, dict) else None
    if version != VERSION:
        raise Invalid(f"this backup has version {version!r}; this release reads version {VERSION}")
    if not _is_whole(manifest):
        raise Invalid("the backup is damaged: its manifest lacks what every manifest has")
    return dict(manifest)


def _is_whole(manifest: Mapping[str, Any]) -> bool:
    members = manifest.get("members")
    if not isinstance(members, dict) or not all(isinstance(one, dict) and "sha256" in one for one in members.values()):
        return False
    if manifest.get("what") == "folder":
        folders = manifest.get("folders")
        return isinstance(folders, list) and all(isinstance(one, str) and _is_below(one) for one in folders)
    own = isinstance(manifest.get("tables"), dict) and isinstance(manifest.get("last_seq"), int)
    return manifest.get("what") == "opsroom" and own and "opsroom.sqlite" in members


def _is_below(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def digest_of(content: IO[bytes]) -> str:
    """SHA-256 in hexadecimal of what is left to read."""
    hasher = hashlib.sha256()
    while chunk := content.read(CHUNK):
        hasher.update(chunk)
    return hasher.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as source:
        return digest_of(source)


def _counts(database: Path) -> dict[str, int]:
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
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
