"""The whole plane on PostgreSQL: every migration, every reading verb, the ledger, and the pages."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from area_plane import AreaPlane, build_area_plane
from opsroom.app.areas import AREAS
from opsroom.app.plane import migrations_of
from opsroom.kernel.clock import SystemClock
from opsroom.kernel.verification import CheckpointKey, verify
from opsroom.surfaces.derived import PREFIX, derive_all

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path: Path, postgres_server: str) -> Iterator[AreaPlane]:
    name = f"house_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    database = postgres_server.replace("/postgres?", f"/{name}?")
    made = build_area_plane(tmp_path, AREAS, SystemClock(), database=database)
    yield made
    made.plane.store.close()


def test_every_reading_verb_and_page_answers(house: AreaPlane) -> None:
    plane = house.plane
    tables = set(sa.inspect(plane.store.engine).get_table_names())
    assert {name for migration in migrations_of(plane.areas) for name in migration.retention} <= tables
    house.decide()
    house.deployed(cause=house.push("storefront", "c" * 40).id)
    house.settle()
    api = house.api()
    for one in derive_all(tuple(one for area in house.areas for one in area.operations)):
        if one.method == "GET" and not one.has_id and not any(parameter.required for parameter in one.parameters):
            answer = api.get(PREFIX + one.path)
            assert answer.status_code < 500, f"{one.operation.name}: {answer.text}\n{house.journal.getvalue()[-3000:]}"
    for area in house.areas:
        for page in area.pages:
            if "{" not in page.path:
                answer = house.web().get(page.path)
                assert answer.status_code < 500 and "this part failed" not in answer.text, page.path
    found = verify(plane.store, plane.ledger, [], CheckpointKey(plane.settings.keys).public())
    assert found.ok and found.events > 3
