"""Making a backup and proving it by a restore, each once for a key, whatever is called twice."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from opsroom.areas.automation import store as rows
from opsroom.areas.automation.archive import Proof, prove, restore, write_folder, write_opsroom
from opsroom.areas.automation.store import Backup
from opsroom.contracts.plane import Call, Plane
from opsroom.kernel.blobs import Blobs
from opsroom.kernel.errors import Invalid, NotFound, UserError
from opsroom.kernel.verification import CheckpointKey


def make(call: Call, name: str, *, key: str, cause: str = "") -> Backup:
    """Makes a backup of what the Backup resource names; the same key gives the one already made."""
    plane, spec = call.plane, backup_spec(call.plane, name)
    with plane.store.read() as tx:
        if known := rows.by_key(tx, key):
            return known
    store = _store(plane, spec.store)
    with tempfile.TemporaryDirectory(dir=_work(plane)) as folder:
        archive = Path(folder) / "backup.tar"
        manifest = _archive(plane, spec, Path(folder), archive)
        digest, size = store.put(archive), archive.stat().st_size
    id = plane.clock.new_id("bak")
    with plane.store.begin() as tx:
        event = plane.ledger.record(
            tx, "backup.made", actor=call.actor.id, cause=cause or call.cause, key=f"backup:{key}",
            subjects=[f"backup:{id}", f"digest:{digest}"],
            data={"name": name, "bytes": size, "members": len(manifest["members"]), "store": spec.store},
        )  # fmt: skip
        made = Backup(
            id=id, key=key, name=name, store=store.root, digest=digest, bytes=size,
            manifest={field: value for field, value in manifest.items() if field != "members"}, made=plane.clock.now(),
            event=event.id, verified=None, verified_event="", fault="", deleted=None,
        )  # fmt: skip
        rows.add(tx, made)
    _keep(plane, name, spec.keep)
    return made


def restore_test(call: Call, backup: Backup, *, cause: str = "") -> tuple[Backup, Proof]:
    """Restores a backup into a folder of its own and proves it. Invalid says what does not hold; that is recorded too."""
    plane = call.plane
    try:
        with (
            tempfile.TemporaryDirectory(dir=_work(plane)) as folder,
            Blobs(backup.store).open(backup.digest) as archive,
        ):
            manifest = restore(archive, Path(folder))
            proof = prove(Path(folder), manifest, CheckpointKey(plane.settings.keys))
    except UserError as error:
        with plane.store.begin() as tx:
            rows.change(tx, backup.id, fault=str(error), verified=None)
        raise
    with plane.store.begin() as tx:
        now = plane.clock.now()
        event = plane.ledger.record(
            tx, "backup.verified", actor=call.actor.id, cause=cause or backup.event,
            subjects=[f"backup:{backup.id}", f"digest:{backup.digest}"],
            data={"name": backup.name, "events": proof.events, "members": proof.members, "tables": proof.tables},
        )  # fmt: skip
        rows.change(tx, backup.id, verified=now, verified_event=event.id, fault="")
    return replace(backup, verified=now, verified_event=event.id, fault=""), proof


def newest(plane: Plane, name: str) -> Backup:
    """The newest backup kept of this name; NotFound: none was made."""
    with plane.store.read() as tx:
        found = rows.find(tx, name=name, limit=1)
    if not found:
        raise NotFound(f"no backup {name!r} was made yet; run its workflow or `opsroom backups create --name {name}`")
    return found[0]


def backup_spec(plane: Plane, name: str) -> Any:
    resource = plane.catalogs.current().find("Backup", name)
    if resource is None:
        known = ", ".join(one.name for one in plane.catalogs.current().all("Backup")) or "none"
        raise NotFound(f"backup {name!r} is not in the ops repo; there are: {known}")
    return resource.spec


def _archive(plane: Plane, spec: Any, work: Path, archive: Path) -> dict[str, Any]:
    if spec.what == "folder":
        return write_folder(Path(spec.folder), archive)
    if plane.store.dialect != "sqlite":
        raise Invalid(f"{plane.store.dialect} is backed up by its own tools (pg_dump); Opsroom backs up SQLite only")
    checkpoints = CheckpointKey(plane.settings.keys).file
    return write_opsroom(plane.store, plane.blobs, checkpoints, work, archive)


def _store(plane: Plane, where: str) -> Blobs:
    """A relative folder is taken from the folder that holds the state folder."""
    if "://" in where or Path(where).is_absolute():
        return Blobs(where)
    return Blobs(plane.settings.state.absolute().parent / where)


def _work(plane: Plane) -> Path:
    folder = plane.settings.state.absolute() / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _keep(plane: Plane, name: str, count: int) -> None:
    """Deletes backups beyond the newest `count`, but never the last one that a restore has proven."""
    with plane.store.read() as tx:
        kept = rows.find(tx, name=name, limit=1000)
    proven = next((backup.id for backup in kept if backup.verified), "")
    still = {backup.digest for backup in kept[:count]} | {backup.digest for backup in kept if backup.id == proven}
    for backup in kept[count:]:
        if backup.id == proven:
            continue
        if backup.digest not in still:
            _delete(backup)
        with plane.store.begin() as tx:
            rows.change(tx, backup.id, deleted=plane.clock.now())


def _delete(backup: Backup) -> None:
    store = Blobs(backup.store)
    store.sweep({digest for digest in store.digests() if digest != backup.digest})
