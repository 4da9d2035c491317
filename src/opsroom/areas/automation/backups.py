"""Making a backup and proving it by a restore, each once for a key, whatever is called twice."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from opsroom.areas.automation import store as rows
from opsroom.areas.automation.archive import Proof, digest_of, prove, restore, write_folder, write_opsroom
from opsroom.areas.automation.store import Backup
from opsroom.contracts.plane import Call, Plane
from opsroom.kernel.blobs import Blobs
from opsroom.kernel.clock import stamp
from opsroom.kernel.errors import Invalid, NotFound, Unavailable, UserError
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
        digest, size = _put(store, archive), archive.stat().st_size
    id = plane.clock.new_id("bak")
    with plane.store.begin() as tx:
        event = plane.ledger.record(
            tx, "backup.made", actor=call.actor.id, cause=cause or call.cause, key=f"backup:{key}",
            subjects=[f"backup:{id}", f"digest:{digest}"],
            data={"name": name, "bytes": size, "members": len(manifest["members"]), "store": spec.store},
        )  # fmt: skip
        made = Backup(
            id=id, key=key, name=name, store=store.root, digest=digest, bytes=size,
            manifest={field: value for field, value in manifest.items() if field not in ("members", "folders")}, made=plane.clock.now(),
            event=event.id, verified=None, verified_event="", fault="", deleted=None,
        )  # fmt: skip
        rows.add(tx, made)
    _keep(plane, name, spec.keep)
    return made


def restore_test(call: Call, backup: Backup, *, key: str, cause: str = "") -> tuple[Backup, Proof]:
    """Restores a backup into a folder of its own and proves it; the same key is told once. Invalid says what does not hold; that is
    kept with the backup, and told as `backup.failed`."""
    plane = call.plane
    try:
        with (
            tempfile.TemporaryDirectory(dir=_work(plane)) as folder,
            _store(plane, backup.store).open(backup.digest) as archive,
        ):
            _check_whole(archive, backup)
            manifest = restore(archive, Path(folder))
            proof = prove(Path(folder), manifest, CheckpointKey(plane.settings.keys))
    except UserError as error:
        with plane.store.begin() as tx:
            event = plane.ledger.record(
                tx, "backup.failed", actor=call.actor.id, cause=cause or backup.event,
                subjects=[f"backup:{backup.id}", f"digest:{backup.digest}"], key=f"restore-test-failed:{key}",
                data={"name": backup.name, "made": stamp(backup.made), "store": backup.store, "reason": str(error)},
            )  # fmt: skip
            rows.change(tx, backup.id, fault=str(error), verified=None, verified_event=event.id)
        raise
    with plane.store.begin() as tx:
        now = plane.clock.now()
        event = plane.ledger.record(
            tx, "backup.verified", actor=call.actor.id, cause=cause or backup.event,
            subjects=[f"backup:{backup.id}", f"digest:{backup.digest}"], key=f"restore-test:{key}",
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


def state_of(backups: Sequence[Backup], max_age: float, now: datetime) -> str:
    """What is wrong with the backups of a name, newest first, of which one must be proven by a restore every `max_age` seconds; "" :
    nothing."""
    if not backups:
        return ""
    if backups[0].fault:
        return backups[0].fault
    proven = max((one.verified for one in backups if one.verified), default=None)
    if (now - (proven or backups[-1].made)).total_seconds() <= max_age:
        return ""
    return "no restore has proven it lately" if proven else "no restore has ever proven it"


def _archive(plane: Plane, spec: Any, work: Path, archive: Path) -> dict[str, Any]:
    if spec.what == "folder":
        return write_folder(Path(spec.folder), work, archive)
    checkpoints = CheckpointKey(plane.settings.keys).file
    return write_opsroom(plane.store, plane.migrations, plane.blobs, checkpoints, work, archive)


def _store(plane: Plane, where: str) -> Blobs:
    """A relative folder is taken from the folder that holds the state folder. Unavailable: no such kind of store here."""
    if "://" not in where and not Path(where).is_absolute():
        where = str(plane.settings.state.absolute().parent / where)
    try:
        return Blobs(where)
    except (ImportError, ValueError) as error:
        raise Unavailable(f"the backup store {where.partition('://')[0]}:// cannot be used here: {error}") from None


def _put(store: Blobs, archive: Path) -> str:
    try:
        return store.put(archive)
    except OSError as error:
        raise Unavailable(f"the backup store {store.root} cannot be written: {error.strerror or error}") from None


def _check_whole(archive: IO[bytes], backup: Backup) -> None:
    digest = f"sha256:{digest_of(archive)}"
    if digest != backup.digest:
        raise Invalid(
            f"backup {backup.id} is damaged: it was {backup.digest[:19]} when it was made and is {digest[:19]} now"
        )
    archive.seek(0)


def _work(plane: Plane) -> Path:
    folder = plane.settings.state.absolute() / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _keep(plane: Plane, name: str, count: int) -> None:
    """Deletes backups beyond the newest `count`, but never the last one that a restore has proven."""
    with plane.store.read() as tx:
        every = rows.find(tx, limit=10_000)
    kept = [backup for backup in every if backup.name == name]
    proven = next((backup.id for backup in kept if backup.verified), "")
    gone = [backup for backup in kept[count:] if backup.id != proven]
    # Equal contents are one blob, whatever the backups are called.
    still = {(backup.store, backup.digest) for backup in every if backup not in gone}
    for backup in gone:
        if (backup.store, backup.digest) not in still:
            _delete(backup)
        with plane.store.begin() as tx:
            rows.change(tx, backup.id, deleted=plane.clock.now())


def _delete(backup: Backup) -> None:
    store = Blobs(backup.store)
    store.sweep({digest for digest in store.digests() if digest != backup.digest})
