"""Backups of a state on PostgreSQL: made in use, proven without PostgreSQL, restored to SQLite and to another PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from area_plane import AreaPlane, build_area_plane
from opsroom.app.plane import build_plane
from opsroom.areas.automation.operations.backups import create_backup, verify_backup
from opsroom.contracts.plane import Plane
from opsroom.kernel.blobs import Blobs
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import Conflict, Invalid
from opsroom.kernel.settings import Settings
from opsroom.kernel.verification import CheckpointKey, read_checkpoints, verify, write_checkpoint
from opsroom.surfaces.cli.restore import restore as restore_command

pytestmark = pytest.mark.slow
BACKUP = """\
apiVersion: opsroom.dev/v1
kind: Backup
metadata: {name: opsroom}
spec: {what: opsroom, store: backups}
"""
ANNOTATION = """INSERT INTO run_annotations (run, job, attempt, step, level, message, title, place)
    VALUES ('run_1', 'build', 1, 0, 'error', 'naïve — 日本', '', '{}')"""


def new_database(server: str) -> str:
    name = f"backup_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def ready(tmp_path: Path, clock: FakeClock, postgres_server: str) -> Iterator[AreaPlane]:
    room = build_area_plane(tmp_path, ("automation",), clock, database=new_database(postgres_server))
    room.decide({"opsroom/backup.yaml": BACKUP})
    for number in range(50):
        room.record("run.finished", f"run:run_{number}", number=number)
    room.plane.blobs.put(b"an artefact")
    with room.plane.store.begin() as tx:
        for _ in range(3):
            tx.execute(ANNOTATION)
    room.settle()
    write_checkpoint(room.plane.store, clock, CheckpointKey(room.plane.settings.keys))
    yield room
    room.plane.store.close()


def restored(room: AreaPlane, into: Path, *more: str) -> Result:
    made = create_backup(room.call, name="opsroom")
    file, keys = str(Blobs(made.store).path(made.digest)), str(room.plane.settings.keys)
    return CliRunner().invoke(restore_command, [file, "--into", str(into), "--keys", keys, *more])


def opened(room: AreaPlane, state: Path, database: str = "") -> Plane:
    settings = Settings(state=state, keys=room.plane.settings.keys, database=database)
    nothing: Any = lambda *_: None  # noqa: E731
    return build_plane(settings, room.areas, telemetry=nothing)


def is_whole(room: AreaPlane, back: Plane) -> None:
    """Rows, ledger, blobs are those of the plane before; and it goes on where that stopped."""
    assert len(back.ledger.find(types=["run.finished"], limit=100)) == 50
    key = CheckpointKey(back.settings.keys)
    found = verify(back.store, back.ledger, read_checkpoints(key.file), key.public())
    assert found.ok and found.events > 50, found.problems
    assert back.blobs.read(next(iter(room.plane.blobs.digests()))) == b"an artefact"
    with back.store.begin() as tx:
        tx.execute(ANNOTATION)
        rows = tx.rows("SELECT id, message FROM run_annotations ORDER BY id")
    assert [row["id"] for row in rows] == [1, 2, 3, 4] and {row["message"] for row in rows} == {"naïve — 日本"}


def test_a_backup_is_made_and_proven(ready: AreaPlane) -> None:
    made = create_backup(ready.call, name="opsroom")
    proven = verify_backup(ready.call, made.id)
    assert proven.verified and not proven.fault
    [event] = ready.events("backup.verified")
    assert event.data["events"] > 50 and event.data["tables"] > 10 and event.data["members"] == 3


def test_it_is_restored_as_a_state_on_sqlite(ready: AreaPlane, tmp_path: Path) -> None:
    done = restored(ready, tmp_path / "back")
    assert done.exit_code == 0, done.output
    back = opened(ready, tmp_path / "back")
    try:
        is_whole(ready, back)
    finally:
        back.store.close()


def test_it_is_restored_into_another_postgresql(ready: AreaPlane, tmp_path: Path, postgres_server: str) -> None:
    database = new_database(postgres_server)
    done = restored(ready, tmp_path / "back", "--database", database)
    assert done.exit_code == 0, done.output
    assert "OPSROOM_DATABASE=…" in done.output and not (tmp_path / "back" / "opsroom.sqlite").exists()
    back = opened(ready, tmp_path / "back", database)
    try:
        assert back.store.dialect == "postgresql"
        is_whole(ready, back)
    finally:
        back.store.close()
    again = restored(ready, tmp_path / "again", "--database", database)
    assert isinstance(again.exception, Conflict) and "holds tables" in str(again.exception)
    assert not (tmp_path / "again").exists()


def test_what_a_database_cannot_be_is_one_line(ready: AreaPlane, tmp_path: Path) -> None:
    wrong = restored(ready, tmp_path / "back", "--database", f"sqlite:///{tmp_path}/other.sqlite")
    assert isinstance(wrong.exception, Invalid) and "PostgreSQL only" in str(wrong.exception)


def test_what_is_written_meanwhile_is_not_half_in_it(ready: AreaPlane, tmp_path: Path) -> None:
    """Every table is read as of one moment."""
    with ready.plane.store.snapshot() as taken:
        assert taken.scalar("SELECT count(*) FROM run_annotations") == 3
        with ready.plane.store.begin() as tx:
            tx.execute(ANNOTATION)
        assert taken.scalar("SELECT count(*) FROM run_annotations") == 3
