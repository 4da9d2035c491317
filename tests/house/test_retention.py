"""One pass of the duty over a whole plane: what is over leaves, the ledger verifies as before, and the guide says how long things stay."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from area_plane import AreaPlane, build_area_plane
from opsroom.app import retention
from opsroom.app.areas import AREAS
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.retention import retention_of
from opsroom.kernel.settings import Settings
from opsroom.kernel.verification import CheckpointKey, read_checkpoints, verify, write_checkpoint

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "retention.md"
SOURCE = Path(__file__).resolve().parents[2] / "src" / "opsroom" / "areas"
DAY = 86_400.0


@pytest.fixture
def old(tmp_path: Path, clock: FakeClock) -> Iterator[AreaPlane]:
    made = build_area_plane(tmp_path, AREAS, clock)
    made.decide()
    yield made
    made.plane.store.close()


def count(room: AreaPlane, table: str) -> int:
    with room.plane.store.read() as tx:
        return int(tx.scalar(f"SELECT count(*) FROM {table}"))


def test_what_is_over_leaves_and_the_ledger_verifies(old: AreaPlane, clock: FakeClock) -> None:
    plane = old.plane
    old.web()
    plane.actors.sign_in.make_link("person:admin", plane.actors.people.actor("person:admin"))
    made = old.api().post("/api/v1/waivers", json={}, headers={"Idempotency-Key": "once"})
    assert made.status_code in (400, 422)
    old.settle()
    key = CheckpointKey(plane.settings.keys)
    write_checkpoint(plane.store, clock, key)
    before = {name: count(old, name) for name in ("events", "seals", "sessions", "sign_in_links")}
    assert before["sessions"] == 1 and before["sign_in_links"] == 2
    assert not retention.expire(plane)
    assert {name: count(old, name) for name in before} == before
    clock.advance(timedelta(days=8))
    retention.expire(plane)
    assert (count(old, "sign_in_links"), count(old, "sessions")) == (0, 1)
    clock.advance(timedelta(days=500))
    retention.expire(plane)
    assert (count(old, "sessions"), count(old, "api_replays")) == (0, 0)
    assert (count(old, "events"), count(old, "seals")) == (before["events"], before["seals"])
    found = verify(plane.store, Ledger(plane.store, clock), read_checkpoints(key.file), key.public())
    assert found.ok and found.events == before["seals"], found.problems
    assert '"sign_in_links": 2' in old.journal.getvalue()


def test_a_pass_over_every_table_of_postgresql(tmp_path: Path, clock: FakeClock, postgres_server: str) -> None:
    import uuid

    import psycopg

    name = f"kept_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    database = postgres_server.replace("/postgres?", f"/{name}?")
    room = build_area_plane(tmp_path, AREAS, clock, database=database)
    try:
        room.web()
        clock.advance(timedelta(days=500))
        retention.expire(room.plane)
        assert count(room, "sessions") == 0
    finally:
        room.plane.store.close()


def test_blobs_that_nothing_refers_to_leave_after_a_day(old: AreaPlane, clock: FakeClock) -> None:
    blobs = old.plane.blobs
    orphan, half = blobs.put(b"never recorded"), Path(blobs.root) / ".killed.part"
    half.write_bytes(b"half")
    work = old.plane.settings.state / "tmp" / "tmpkilled"
    work.mkdir(parents=True)
    at(clock, blobs.path(orphan), half, work)
    clock.advance(23 * 3600)
    retention.expire(old.plane)
    assert blobs.has(orphan) and half.exists() and work.exists()
    blobs.put(b"never recorded")
    at(clock, blobs.path(orphan))
    clock.advance(2 * 3600)
    retention.expire(old.plane)
    assert blobs.has(orphan), "it was put again, and its row may be on its way"
    assert not half.exists() and not work.exists()
    clock.advance(DAY)
    retention.expire(old.plane)
    assert not blobs.has(orphan)


def at(clock: FakeClock, *paths: Path) -> None:
    """Makes files as old as the clock says; what the system writes has its own time."""
    for path in paths:
        os.utime(path, (clock.now().timestamp(),) * 2)
    assert time.time() > 0


def test_an_area_that_puts_blobs_says_which_to_keep(old: AreaPlane) -> None:
    putting = {
        path.relative_to(SOURCE).parts[0] for path in SOURCE.rglob("*.py") if "plane.blobs.put(" in path.read_text()
    }
    assert putting == {area.name for area in old.areas if area.blobs is not None}


def rows() -> dict[str, str]:
    return dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]+?) \|", GUIDE.read_text(), re.MULTILINE))


def test_the_guide_tells_every_table_that_is_cut_back(old: AreaPlane) -> None:
    declared = retention_of(old.plane.migrations)
    told = {name: text for name, text in rows().items() if name in declared}
    assert told == {name: f"{kept.days:,} days" for name, kept in sorted(declared.items()) if kept.days is not None}


@pytest.mark.parametrize("name", ["run_log_days", "artifact_days", "cache_days"])
def test_the_guide_tells_the_settings(name: str) -> None:
    default: Any = getattr(Settings(), name)
    assert f"`{name}`, {default} days" in GUIDE.read_text()
