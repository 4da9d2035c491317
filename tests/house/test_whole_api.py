"""The whole API of a plane with all areas: nothing without identity, no input makes a 500, every answer as described."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error, response_schema_conformance, status_code_conformance
from starlette.testclient import TestClient

from area_plane import AreaPlane
from opsroom.app.application import Application
from opsroom.app.areas import load_areas
from opsroom.surfaces.derived import PREFIX, derive_all

pytestmark = pytest.mark.slow
DERIVED = derive_all(tuple(one for area in load_areas() for one in area.operations))
OPEN = {"/health", "/sign-in"}


def test_nothing_is_served_without_identity(house: AreaPlane) -> None:
    stranger = TestClient(Application(house.plane), base_url="http://127.0.0.1:8600", follow_redirects=False)
    served = [(one.method, PREFIX + one.path.replace("{id}", "x")) for one in DERIVED]
    served += [("GET", page.path.replace("{path:path}", "x")) for area in house.areas for page in area.pages]
    served += [(method, route.path) for area in house.areas for route in area.routes for method in route.methods]
    served += [
        ("GET", f"{PREFIX}/openapi.json"),
        ("GET", "/"),
        ("GET", "/live"),
        ("GET", "/data/series"),
        ("GET", "/look"),
    ]
    for method, path in served:
        answer = stranger.request(method, path)
        assert answer.status_code in {401, 303, 403}, f"{method} {path} answered {answer.status_code} to nobody"
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/sign-in"), (
                f"{method} {path} leads to {answer.headers['location']}"
            )


def test_a_viewer_may_write_nothing(house: AreaPlane) -> None:
    plane = house.plane
    creator = plane.actors.people.actor("person:admin")
    person = plane.actors.people.add("looker", creator.id)
    plane.actors.people.grant(person.id, "viewer", creator.id)
    _, text = plane.actors.tokens.create(person.id, "test", creator)
    client = TestClient(
        Application(plane),
        base_url="http://127.0.0.1:8600",
        headers={"Authorization": f"Bearer {text}"},
        raise_server_exceptions=False,
    )
    for one in DERIVED:
        if one.method == "POST":
            answer = client.post(PREFIX + one.path.replace("{id}", "x"), json={})
            assert answer.status_code in {403, 404, 422}, (
                f"{one.operation.name} answered {answer.status_code} to a viewer"
            )


@pytest.mark.parametrize("name", [one.operation.name for one in DERIVED])
def test_no_input_makes_a_500(name: str, house: AreaPlane) -> None:
    token = (house.plane.settings.keys / "admin-token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Host": "127.0.0.1"}
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", Application(house.plane), headers=headers)
    asked = schema.find_operation_by_id(name)

    @settings(
        max_examples=8, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(case=asked.as_strategy(generation_mode=GenerationMode.POSITIVE))
    def drive(case: Any) -> None:
        checks = [not_a_server_error, status_code_conformance, response_schema_conformance]
        case.call_and_validate(headers=headers, checks=checks)

    drive()
    assert '"level": "error"' not in house.journal.getvalue(), house.journal.getvalue()[-3000:]
