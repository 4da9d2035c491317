"""The pages of incidents, rendered as a browser gets them."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from opsroom.areas.incidents import AREA
from opsroom.areas.incidents.operations.incidents import acknowledge_incident, list_incidents, start_runbook
from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.kernel.actors import Actor
from opsroom.kernel.errors import Unavailable
from opsroom.surfaces.web.app import build_web

ADMIN = Actor(id="person:maria", name="maria", roles=("admin",))


@pytest.fixture
def page(world: Any) -> Callable[..., str]:
    """The text of a page: tags away, white space as one blank."""
    try:
        app = build_web(world.plane, world.plane.areas, identify=lambda request: ADMIN, operations=KERNEL_OPERATIONS)
    except Unavailable as missing:
        pytest.skip(f"front-end files are not built: {missing}")
    client = TestClient(app, base_url="http://127.0.0.1:8600", raise_server_exceptions=True)

    def get(path: str, *, raw: bool = False) -> str:
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        body = answer.text if raw else " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())
        assert "this part failed" not in body
        return body

    return get


def test_an_empty_page_teaches(page: Callable[..., str]) -> None:
    shown = page("/incidents")
    assert "No incident in this time" in shown
    assert "rules/storefront.yml" in shown
    assert "opsroom incidents create" in shown


def test_an_incident_shows_all_that_is_known(world: Any, page: Callable[..., str]) -> None:
    bad = world.deploy("storefront", cause=world.push("storefront", "Stock per product").id)
    world.at(30)
    world.fire(since=20, cause=bad.id, annotations={"summary": "storefront is <slow>"})
    world.webhook.refuses = "the receiver is down"
    world.work()
    id = list_incidents(world.call()).items[0].id
    acknowledge_incident(world.call(), id, note="looking")
    start_runbook(world.call(), id)
    world.at(40)
    world.deploy("inventory")
    shown = page(f"/incidents/{id}")
    for words in (
        "storefront is <slow>", "SEV2", "It changed storefront itself.", "“Stock per product” by aylin", "Start the runbook",
        "maria by pager", "the receiver is down", "taken, not confirmed", "Timeline", "maria is on incident", "What is known by now",
        "/api/v1/incidents/" + id,
    ):  # fmt: skip
        assert words in shown, words
    assert "<slow>" not in page(f"/incidents/{id}", raw=True)
    assert "storefront is <slow>" in page("/incidents")
    world.end()
    shown = page(f"/incidents/{id}")
    assert "Drafted when the incident was resolved" in shown
    assert "Recovered after" in shown
    assert "Find out why nothing stopped this" in shown
    assert "Resolved in this time" in page("/incidents")


def test_a_change_that_came_later_is_cleared(world: Any, page: Callable[..., str]) -> None:
    world.at(30)
    world.deploy("inventory")
    world.fire(since=10)
    shown = page(f"/incidents/{list_incidents(world.call()).items[0].id}")
    assert "1 change that came later and cannot be the cause" in shown.replace("\u202f", " ")


def test_who_is_on_call_and_who_follows(page: Callable[..., str]) -> None:
    shown = page("/on-call")
    assert "maria until" in shown
    assert "jonas 2026-01-12 08:00:00 UTC" in shown
    assert "At once: on-call by pager, mail" in shown
    assert "opsroom/on-call.yaml" in shown


def test_the_overview_and_the_service_show_what_is_wrong_and_what_waits(world: Any, page: Callable[..., str]) -> None:
    assert "Nothing is wrong" in page("/")
    world.fire()
    shown = page("/")
    assert "SEV2: storefront is slow" in shown
    assert "Nobody is on it: storefront is slow" in shown
    assert "SEV2: storefront is slow" in page("/services/storefront")
    assert "On call: maria" in page("/services/storefront")
    assert "no OnCallSchedule covers newsletter" in page("/services", raw=True)
    world.end()
    assert "Find out what caused" in page("/")


def test_who_may_not_see_a_team_sees_none_of_its_incidents(world: Any) -> None:
    world.fire()
    id = list_incidents(world.call()).items[0].id
    stranger = Actor(id="person:eve", name="eve")
    try:
        app = build_web(world.plane, (*world.plane.areas,), identify=lambda request: stranger)
    except Unavailable as missing:
        pytest.skip(f"front-end files are not built: {missing}")
    client = TestClient(app, base_url="http://127.0.0.1:8600")
    assert client.get(f"/incidents/{id}").status_code == 403
    assert "storefront is slow" not in client.get("/incidents").text
    assert "storefront is slow" not in client.get("/").text


def test_every_sentence_of_the_area_is_made_of_what_its_events_hold(world: Any) -> None:
    from opsroom.contracts.sentences import Sentences

    world.fire()
    world.fire("StorefrontErrors")
    world.work()
    id = list_incidents(world.call()).items[0].id
    acknowledge_incident(world.call(), id)
    start_runbook(world.call(), id)
    world.end()
    world.end("StorefrontErrors")
    sentences = Sentences(AREA.events)
    told = [sentences.tell(event) for declared in AREA.events for event in world.events(declared.name)]
    assert len(told) >= 8
    # An id is told by its end, "…000002"; "…" alone stands for what an event does not hold.
    assert not [one for one in told if re.search(r"…(?!\w)", one) or "unknown" in one], told
