"""Who owns what, and a service's page asked of every area."""

from __future__ import annotations

import pytest

from area_plane import AreaPlane
from opsroom.areas.collaboration.operations.services import list_services, list_teams, show_service
from opsroom.contracts.facts import OwnerOf
from opsroom.kernel.errors import NotFound


@pytest.fixture
def ready(room: AreaPlane) -> AreaPlane:
    room.decide()
    return room


def test_the_owner_of_a_service_and_the_event_it_stands_on(ready: AreaPlane) -> None:
    answer = ready.plane.ask(OwnerOf("storefront"))
    assert answer.value == "shop-team"
    assert [ready.plane.ledger.get(id).type for id in answer.events] == ["catalog.changed"]
    assert ready.plane.ask(OwnerOf("nobody")).unknown == "nobody is not in the catalog"


def test_services_know_who_needs_them(ready: AreaPlane) -> None:
    found = {one.name: one for one in list_services(ready.call)}
    assert found["storefront"].depends_on == ["inventory"] and found["inventory"].used_by == ["storefront"]
    assert [one.name for one in list_services(ready.call, team="stock-team")] == ["inventory"]


def test_what_nobody_answers_is_unknown_and_not_empty(ready: AreaPlane) -> None:
    event = ready.deployed()
    shown = show_service(ready.call, "storefront")
    assert [(one.environment, one.since) for one in shown.running] == [("production", event.time)]
    assert shown.running[0].rate is None and any("HealthOf" in reason for reason in shown.running[0].unknown)
    assert shown.cost_micros is None and any(reason.startswith("cost: ") for reason in shown.unknown)
    with pytest.raises(NotFound, match="there are: inventory, storefront"):
        show_service(ready.call, "nobody")
    answer = ready.api().get("/api/v1/services/storefront").json()
    assert answer["owner"] == "shop-team" and answer["on_call"] == []


def test_teams_with_people_and_services(ready: AreaPlane) -> None:
    found = {one.name: one for one in list_teams(ready.call)}
    assert found["shop-team"].members == ["jonas", "maria"] and found["shop-team"].services == ["storefront"]
    assert found["stock-team"].members == ["jonas"] and found["stock-team"].services == ["inventory"]
    shown = ready.page("/teams")
    assert "Shop team" in shown and "jonas, maria" in shown


def test_people_of_the_catalog_are_people_of_the_plane(ready: AreaPlane) -> None:
    assert {"person:maria", "person:jonas"} <= {one.id for one in ready.plane.actors.people.all()}


def test_an_empty_room_teaches(room: AreaPlane) -> None:
    assert "catalog-info.yaml" in room.page("/teams")
    assert room.page("/dora")


def test_search_finds_services_and_people(ready: AreaPlane) -> None:
    shown = ready.page("/search?q=store")
    assert "Storefront" in shown and "service of shop-team" in shown
