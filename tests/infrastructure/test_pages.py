"""The page of infrastructure and what it adds to the overview."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from opsroom.areas.infrastructure import AREA
from opsroom.areas.infrastructure.observing import observe
from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.contracts.plane import Plane
from opsroom.kernel.actors import Actor, csrf_token
from opsroom.kernel.clock import FakeClock
from opsroom.surfaces.web import assets
from opsroom.surfaces.web.app import build_web
from opsroom.surfaces.web.security import COOKIE
from opsroom.telemetry.port import Health


@pytest.fixture
def client(plane: Plane) -> TestClient:
    if missing := assets.missing_assets():
        pytest.skip(f"front-end files are missing ({', '.join(missing)}); `python hatch_build.py` fetches them")
    web = build_web(plane, [AREA], operations=KERNEL_OPERATIONS)
    link = plane.actors.sign_in.make_link("person:admin", Actor.system("test"))
    session = plane.actors.redeem(link.text, "test").text
    made = TestClient(web, base_url="http://127.0.0.1:8600", follow_redirects=False, cookies={COOKIE: session})
    made.headers["x-csrf-token"] = csrf_token(session)
    return made


def page(client: TestClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_everything_opsroom_stands_on_is_on_one_page(client: TestClient, plane: Plane) -> None:
    text = page(client, "/infrastructure")
    assert all(
        words in text for words in ("What expires when", "Runner ", "Machine ", "Connected tools", "git", "sqlite")
    )
    with plane.store.begin() as tx:
        event = plane.ledger.record(tx, "catalog.changed", actor="system:catalog")
    observe(plane, event.id)
    assert "no ops repo came into force" not in page(client, "/infrastructure")


def test_the_overview_says_what_ends_this_week_and_what_fails(
    client: TestClient, plane: Plane, clock: FakeClock, telemetry: Any
) -> None:
    plane.actors.tokens.create("person:admin", "laptop", Actor.system("test"), days=30)
    assert "laptop" not in page(client, "/")
    clock.advance(timedelta(days=25))
    telemetry.now = Health(state="down", reason="it was killed")
    link = plane.actors.sign_in.make_link("person:admin", Actor.system("test"))
    client.cookies = {COOKIE: plane.actors.redeem(link.text, "test").text}
    text = page(client, "/")
    assert "token laptop ends on" in text and "telemetry chdb fails" in text
