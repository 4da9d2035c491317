"""Every stored state of an earlier release is migrated, its ledger verifies, and its open run is finished by this release."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from opsroom.app.areas import load_areas
from opsroom.app.plane import build_plane, migrations_of
from opsroom.contracts.plane import Plane
from opsroom.kernel.settings import Settings
from opsroom.kernel.verification import CheckpointKey, read_checkpoints, verify
from opsroom.workflows import sandbox

STORED = sorted(path.parent for path in Path(__file__).parent.glob("*/state.sql"))


@pytest.fixture(params=STORED, ids=lambda path: path.name)
def plane(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Plane]:
    stored: Path = request.param
    settings = Settings(state=tmp_path / "state", keys=tmp_path / "keys")
    for folder in (settings.state, settings.keys):
        folder.mkdir(mode=0o700)
    with sqlite3.connect(settings.state / "opsroom.sqlite") as connection:
        connection.executescript((stored / "state.sql").read_text())
    for name in ("checkpoints.jsonl", "ledger-signing-key"):
        shutil.copy(stored / name, settings.keys / name)
    made = build_plane(settings, load_areas())
    yield made
    made.telemetry.close()
    made.store.close()


def test_it_has_every_table_of_this_release(plane: Plane) -> None:
    wanted = {name for migration in migrations_of(plane.areas) for name in migration.retention}
    assert wanted <= set(sa.inspect(plane.store.engine).get_table_names())


def test_its_ledger_verifies_against_its_own_checkpoints(plane: Plane) -> None:
    key = CheckpointKey(plane.settings.keys)
    checkpoints = read_checkpoints(key.file)
    found = verify(plane.store, plane.ledger, checkpoints, key.public())
    assert found.ok, found.problems
    assert found.checkpoints == len(checkpoints) >= 1 and found.erased == 1
    plane.ledger.seal()
    assert verify(plane.store, plane.ledger, checkpoints, key.public()).ok


@pytest.mark.slow
def test_its_open_run_is_finished(plane: Plane) -> None:
    if not (state := sandbox.probe()).available:
        pytest.skip(f"jobs cannot be sandboxed on this machine: {state.reason}")
    open_runs = [run for run in plane.engine.list().runs if run.status != "finished"]
    assert open_runs, "the stored state has no open run"
    plane.engine.start()
    try:
        for run in open_runs:
            assert plane.engine.wait(run.id, timeout=60).conclusion == "success"
    finally:
        plane.engine.stop()
