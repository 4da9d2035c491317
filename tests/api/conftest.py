"""A plane with the kernel alone, and clients of the API that is derived from real operations."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.contracts.plane import Plane
from opsroom.kernel import actors, secrets, waivers
from opsroom.kernel.actors import Actors, Limit
from opsroom.kernel.blobs import Blobs
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.journal import Journal
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.migrations import KERNEL_MIGRATIONS, migrate
from opsroom.kernel.queue import Queue
from opsroom.kernel.redaction import Redactor
from opsroom.kernel.resources import Catalogs
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store
from opsroom.surfaces.api import replays
from opsroom.surfaces.api.app import build_api

ABSENT = cast(Any, None)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=tmp_path / "state", keys=tmp_path / "keys", request_bytes=10_000)


@pytest.fixture
def journal_text() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def plane(settings: Settings, clock: FakeClock, journal_text: io.StringIO) -> Iterator[Plane]:
    """Everything of the kernel that the API stands on; what it does not touch is absent."""
    store = Store(settings.database_url)
    migrate(
        store, (*KERNEL_MIGRATIONS, *actors.MIGRATIONS, *secrets.MIGRATIONS, *waivers.MIGRATIONS, *replays.MIGRATIONS)
    )
    redactor = Redactor()
    ledger = Ledger(store, clock, redact=redactor.redact)
    made = Plane(
        settings=settings, clock=clock, store=store, ledger=ledger, queue=Queue(store, clock),
        journal=Journal(clock, redact=redactor.redact, out=journal_text), blobs=Blobs(settings.state / "blobs"),
        secrets=secrets.Secrets(store, ledger, clock, redactor, keys=settings.keys, state=settings.state),
        actors=Actors(store, ledger, clock, keys=settings.keys), waivers=waivers.Waivers(store, ledger, clock),
        repos=ABSENT, catalogs=Catalogs(), outbound=ABSENT, telemetry=ABSENT, engine=ABSENT,
    )  # fmt: skip
    made.actors.first_start()
    yield made
    store.close()


@pytest.fixture
def app(plane: Plane) -> FastAPI:
    return build_api(plane, KERNEL_OPERATIONS)


@pytest.fixture
def anonymous(app: FastAPI) -> TestClient:
    return client_of(app)


@pytest.fixture
def admin(app: FastAPI, settings: Settings) -> TestClient:
    return client_of(app, (settings.keys / "admin-token").read_text().strip())


@pytest.fixture
def as_person(app: FastAPI, plane: Plane) -> Callable[..., TestClient]:
    """A client of a person with one role: `as_person("maria", "viewer", team="shop")`."""

    def make(name: str, role: str = "", *, limit: Limit | None = None, **scope: str) -> TestClient:
        person = plane.actors.people.add(name, "system:test")
        if role:
            plane.actors.people.grant(person.id, role, "system:test", **scope)  # type: ignore[arg-type]
        actor = plane.actors.people.actor(person.id)
        return client_of(app, plane.actors.tokens.create(person.id, "test", actor, limit=limit)[1])

    return make


def client_of(app: FastAPI, token: str = "") -> TestClient:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return TestClient(app, base_url="http://127.0.0.1:8600", headers=headers, raise_server_exceptions=False)
