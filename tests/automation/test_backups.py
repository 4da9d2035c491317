"""Backups of a plane in use, restored and proven; what was done to one is found; the last proven one stays."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from area_plane import AreaPlane, build_area_plane
from opsroom.areas.automation.archive import prove, restore
from opsroom.areas.automation.backups import make, restore_test
from opsroom.areas.automation.operations.backups import create_backup, list_backups, show_backup, verify_backup
from opsroom.kernel.blobs import Blobs
from opsroom.kernel.clock import SystemClock
from opsroom.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from opsroom.kernel.verification import CheckpointKey, write_checkpoint
from opsroom.surfaces.cli.restore import restore as restore_command

BACKUP = """\
apiVersion: opsroom.dev/v1
kind: Backup
metadata: {name: opsroom}
spec: {what: opsroom, store: backups, keep: 2}
---
apiVersion: opsroom.dev/v1
kind: Backup
metadata: {name: etc}
spec: {what: folder, folder: "%s", store: backups, keep: 2}
"""
Members = dict[str, bytes]


@pytest.fixture
def ready(room: AreaPlane, tmp_path: Path) -> AreaPlane:
    (tmp_path / "etc").mkdir()
    room.decide({"opsroom/backup.yaml": BACKUP % (tmp_path / "etc")})
    for number in range(20):
        room.record("run.finished", f"run:run_{number}", number=number)
    room.settle()
    room.plane.blobs.put(b"an artefact")
    write_checkpoint(room.plane.store, room.plane.clock, CheckpointKey(room.plane.settings.keys))
    return room


@pytest.fixture
def archive(ready: AreaPlane) -> bytes:
    made = create_backup(ready.call, name="opsroom")
    return Blobs(made.store).read(made.digest)


def prove_bytes(room: AreaPlane, archive: bytes, folder: Path) -> Any:
    folder.mkdir()
    return prove(folder, restore(io.BytesIO(archive), folder), CheckpointKey(room.plane.settings.keys))


def changed(archive: bytes, change: Callable[[Members, dict[str, Any]], None]) -> bytes:
    """The archive with its members and manifest changed, and the digests in it made to fit, as a careful forger would."""
    import hashlib

    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]
    manifest = json.loads(members.pop("manifest.json"))
    before = dict(members)
    change(members, manifest)
    for name, data in members.items():
        if before.get(name) != data and name in manifest["members"]:
            manifest["members"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in {"manifest.json": json.dumps(manifest).encode(), **members}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def sql(database: bytes, statement: str, folder: Path) -> bytes:
    path = folder / "edited.sqlite"
    path.write_bytes(database)
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    return path.read_bytes()


def test_a_backup_is_made_restored_and_proven(ready: AreaPlane) -> None:
    made = create_backup(ready.call, name="opsroom")
    assert not made.verified and made.bytes > 0
    proven = verify_backup(ready.call, made.id)
    assert proven.verified and not proven.fault
    ready.settle()
    (event,) = ready.events("backup.verified")
    assert event.data["events"] >= 20 and event.data["tables"] > 10 and event.data["members"] == 3
    assert [one.type for one in ready.plane.ledger.chain(event.id)] == [
        "backup.verified", "backup.made", "catalog.changed", "change.pushed",
    ]  # fmt: skip
    shown = ready.page("/backups", raw=True)
    assert "proven" in shown and made.id in shown
    answer = ready.api().get("/api/v1/backups").json()
    assert [one["id"] for one in answer["items"]] == [made.id]


def test_a_backup_is_whole_though_the_plane_goes_on_writing(ready: AreaPlane) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            ready.record("run.finished", f"run:busy_{number}", blob=ready.plane.blobs.put(b"%d" % number))
            ready.plane.ledger.seal()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        ids = [create_backup(ready.call, name="opsroom").id for _ in range(2)]
    finally:
        stop.set()
        writing.join()
    for id in ids:
        assert verify_backup(ready.call, id).verified


def test_the_same_key_makes_and_tells_once(ready: AreaPlane) -> None:
    first = make(ready.call, "opsroom", key="run_1/backup/1/0")
    again = make(ready.call, "opsroom", key="run_1/backup/1/0")
    assert first == again
    for _ in range(2):
        restore_test(ready.call, first, key="run_1/test/1/0")
    assert len(ready.events("backup.made")) == len(ready.events("backup.verified")) == 1


def test_any_flipped_byte_of_the_kept_archive_is_found(ready: AreaPlane, clock: Any) -> None:
    made = create_backup(ready.call, name="opsroom")
    path = Blobs(made.store).path(made.digest)
    whole = path.read_bytes()
    for at in range(0, len(whole), len(whole) // 8):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(Invalid, match="is damaged"):
            verify_backup(ready.call, made.id)
    shown = show_backup(ready.call, made.id)
    assert "is damaged" in shown.fault
    failed = ready.events("backup.failed")
    assert len(failed) >= 8 and shown.events == [made.events[0], failed[-1].id]
    assert failed[-1].data["name"] == "opsroom" and failed[-1].data["reason"] == shown.fault
    assert failed[-1].cause == ready.events("backup.made")[0].id
    ready.settle()
    clock.advance(1)
    told = ready.page("/changes?type=backup.failed")
    assert f"a restore of backup opsroom failed: backup {made.id} is damaged" in told
    assert "is damaged" in ready.page("/backups", raw=True)
    assert "backup opsroom is not proven" in ready.page("/")
    path.write_bytes(whole)
    assert verify_backup(ready.call, made.id).fault == ""
    path.unlink()
    with pytest.raises(NotFound):
        verify_backup(ready.call, made.id)
    assert "it was swept or never kept" in ready.events("backup.failed")[-1].data["reason"]


def test_a_failed_restore_test_is_told_once_for_its_key_and_to_who_asked(ready: AreaPlane) -> None:
    made = make(ready.call, "opsroom", key="run_1/backup/1/0")
    Blobs(made.store).path(made.digest).write_bytes(b"")
    for _ in range(2):
        with pytest.raises(Invalid, match="is damaged"):
            restore_test(ready.call, made, key="run_1/test/1/0")
    assert len(ready.events("backup.failed")) == 1


def test_a_flipped_byte_without_the_digest_is_found_or_says_nothing(
    ready: AreaPlane, archive: bytes, tmp_path: Path
) -> None:
    # The padding of a tar file belongs to no member; all else does.
    for at in [*range(0, 4096, 97), *range(4096, len(archive), max(1, len(archive) // 12))]:
        folder = tmp_path / f"flip{at}"
        folder.mkdir()
        try:
            restore(io.BytesIO(archive[:at] + bytes([archive[at] ^ 4]) + archive[at + 1 :]), folder)
        except Invalid as error:
            assert "\n" not in str(error)
        else:
            assert archive[at] == 0 or at < 512 * 8


def test_a_cut_archive_is_found(ready: AreaPlane, archive: bytes, tmp_path: Path) -> None:
    for number, at in enumerate([0, 100, 600, len(archive) // 2, len(archive) - 20_000]):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(Invalid):
            restore(io.BytesIO(archive[:at]), tmp_path / str(number))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda members, manifest: members.pop("checkpoints.jsonl"), "checkpoints.jsonl is missing"),
        (lambda members, manifest: members.update({"more": b"x"}), "more is not in its manifest"),
        (lambda members, manifest: members.update({"../outside": b"x"}), "not in its manifest"),
        (lambda members, manifest: manifest["tables"].update({"events": 3}), "table events has"),
        (lambda members, manifest: manifest["tables"].pop("events"), "table events has"),
        (lambda members, manifest: manifest["tables"].update({"lost": 1}), "table lost has no rows"),
        (lambda members, manifest: manifest.pop("members"), "lacks what every manifest has"),
        (lambda members, manifest: manifest.update({"version": 9}), "reads version 1"),
        (lambda members, manifest: members.update({"opsroom.sqlite": b"SQLite format 3\0" + b"x" * 4096}), "cannot be read"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(ready: AreaPlane, archive: bytes, tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        prove_bytes(ready, changed(archive, change), tmp_path / "restored")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE events SET data = '{\"number\":99}' WHERE data LIKE '%\"number\":3}'", "payload was edited"),
        ("UPDATE seals SET hash = '00' || substr(hash, 3) WHERE seq = 5", "hash"),
    ],
)
def test_a_forged_ledger_is_found_though_the_digests_fit(
    ready: AreaPlane, archive: bytes, tmp_path: Path, statement: str, words: str
) -> None:
    def forge(members: Members, manifest: dict[str, Any]) -> None:
        members["opsroom.sqlite"] = sql(members["opsroom.sqlite"], statement, tmp_path)

    with pytest.raises(Invalid, match=f"does not verify: .*{words}"):
        prove_bytes(ready, changed(archive, forge), tmp_path / "restored")


def test_a_changed_blob_is_found_though_the_manifest_fits(ready: AreaPlane, archive: bytes, tmp_path: Path) -> None:
    def forge(members: Members, manifest: dict[str, Any]) -> None:
        members.update({name: b"another" for name in members if name.startswith("blobs/")})

    with pytest.raises(Invalid, match="does not hold what its name says"):
        prove_bytes(ready, changed(archive, forge), tmp_path / "restored")


def test_the_last_proven_one_is_never_deleted(ready: AreaPlane) -> None:
    proven = create_backup(ready.call, name="opsroom")
    verify_backup(ready.call, proven.id)
    later = [create_backup(ready.call, name="opsroom") for _ in range(4)]
    kept = [one.id for one in list_backups(ready.call).items]
    assert kept == [later[3].id, later[2].id, proven.id]
    assert verify_backup(ready.call, proven.id).verified
    assert sorted(Blobs(proven.store).digests()) == sorted({one.digest for one in (proven, later[2], later[3])})
    verify_backup(ready.call, later[3].id)
    newest = create_backup(ready.call, name="opsroom")
    assert [one.id for one in list_backups(ready.call).items] == [newest.id, later[3].id]
    with pytest.raises(NotFound, match="is not kept"):
        show_backup(ready.call, proven.id)


def test_a_folder_comes_back_as_it_was(ready: AreaPlane, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "run.d" / "empty").mkdir(parents=True)
    (etc / "motd").write_text("hello\n")
    (etc / "run.d" / "start.sh").write_text("#!/bin/sh\n")
    (etc / "run.d" / "start.sh").chmod(0o755)
    (etc / "link").symlink_to("/etc/passwd")
    os.mkfifo(etc / "pipe")
    made = create_backup(ready.call, name="etc")
    assert verify_backup(ready.call, made.id).verified
    done = CliRunner().invoke(
        restore_command, [str(Blobs(made.store).path(made.digest)), "--into", str(tmp_path / "back")]
    )
    assert done.exit_code == 0, done.output
    found = {str(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*")}
    assert found == {"motd", "run.d", "run.d/start.sh", "run.d/empty"}
    assert (tmp_path / "back" / "run.d" / "start.sh").stat().st_mode & 0o111
    again = create_backup(ready.call, name="etc")
    assert again.digest == made.digest
    for _ in range(3):
        create_backup(ready.call, name="etc")
    assert verify_backup(ready.call, list_backups(ready.call, name="etc").items[0].id).verified


def test_what_cannot_be_backed_up_is_one_line(ready: AreaPlane, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"'nope' is not in the ops repo; there are: etc, opsroom"):
        create_backup(ready.call, name="nope")
    (tmp_path / "etc").rmdir()
    with pytest.raises(Invalid, match="does not exist"):
        create_backup(ready.call, name="etc")
    (tmp_path / "file").write_text("")
    ready.decide({"opsroom/backup.yaml": (BACKUP % "/etc").replace("store: backups", f"store: {tmp_path}/file")})
    with pytest.raises(Unavailable, match="cannot be written"):
        create_backup(ready.call, name="opsroom")
    ready.decide({"opsroom/backup.yaml": (BACKUP % "/etc").replace("store: backups", "store: nosuch://x")})
    with pytest.raises(Unavailable, match="nosuch:// cannot be used"):
        create_backup(ready.call, name="opsroom")


def test_restore_makes_a_state_that_a_plane_opens(ready: AreaPlane, tmp_path: Path) -> None:
    made = create_backup(ready.call, name="opsroom")
    file, keys = str(Blobs(made.store).path(made.digest)), str(ready.plane.settings.keys)
    into = tmp_path / "new" / "state"
    done = CliRunner().invoke(restore_command, [file, "--into", str(into), "--keys", keys])
    assert done.exit_code == 0, done.output
    assert "chain and signed checkpoints hold" in done.output and f"OPSROOM_STATE={into}" in done.output
    from opsroom.app.plane import build_plane
    from opsroom.kernel.settings import Settings

    back = build_plane(
        Settings(state=into, keys=ready.plane.settings.keys),
        ready.areas,
        clock=SystemClock(),
        telemetry=lambda *_: None,  # type: ignore[arg-type,return-value]
    )
    try:
        assert back.blobs.read(next(iter(ready.plane.blobs.digests()))) == b"an artefact"
        assert len(back.ledger.find(types=["run.finished"], limit=100)) == 20
    finally:
        back.store.close()
    again = CliRunner().invoke(restore_command, [file, "--into", str(into)])
    assert isinstance(again.exception, Conflict) and "is not empty" in str(again.exception)


def test_restore_says_what_it_could_not_check_and_leaves_nothing_of_a_bad_one(
    ready: AreaPlane, archive: bytes, tmp_path: Path
) -> None:
    (tmp_path / "backup.tar").write_bytes(archive)
    (tmp_path / "bad.tar").write_bytes(archive[: len(archive) // 2])
    bad = CliRunner().invoke(restore_command, [str(tmp_path / "bad.tar"), "--into", str(tmp_path / "r" / "state")])
    assert isinstance(bad.exception, Invalid) and not list((tmp_path / "r").iterdir())
    arguments = [
        str(tmp_path / "backup.tar"),
        "--into",
        str(tmp_path / "r" / "state"),
        "--keys",
        str(tmp_path / "none"),
    ]
    done = CliRunner().invoke(restore_command, arguments)
    assert done.exit_code == 0 and "has no signing key" in done.output
    assert not (tmp_path / "none").exists()


def test_empty_pages_teach(room: AreaPlane, tmp_path: Path) -> None:
    room.decide()
    assert "opsroom/backup.yaml" in room.page("/backups")
    room.decide({"opsroom/backup.yaml": BACKUP % tmp_path})
    assert "opsroom backups create --name etc" in room.page("/backups")


def test_a_backup_nobody_proves_is_wrong_after_its_time(ready: AreaPlane, clock: Any) -> None:
    assert "is not proven" not in ready.page("/")
    made = create_backup(ready.call, name="opsroom")
    clock.advance(86400)
    assert "is not proven" not in ready.page("/")
    clock.advance(2 * 86400)
    assert "no restore has ever proven it" in ready.page("/")
    verify_backup(ready.call, made.id)
    assert "is not proven" not in ready.page("/")
    clock.advance(3 * 86400)
    assert "no restore has proven it lately" in ready.page("/")


def test_a_second_plane_reads_what_the_first_kept(ready: AreaPlane, tmp_path: Path) -> None:
    other = build_area_plane(tmp_path / "other", ("automation",), SystemClock())
    try:
        made = create_backup(ready.call, name="opsroom")
        (tmp_path / "work").mkdir()
        with Blobs(made.store).open(made.digest) as content:
            manifest = restore(content, tmp_path / "work")
        with pytest.raises(Invalid, match="signature does not hold"):
            prove(tmp_path / "work", manifest, CheckpointKey(other.plane.settings.keys))
    finally:
        other.plane.store.close()
