"""The pages of configuration, as a person signed in gets them: empty, with drift, with a plan, after it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from configuration_room import HOST, MOTD, Room
from starlette.testclient import TestClient

from opsroom.areas.configuration import AREA
from opsroom.areas.configuration import operations as o
from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.kernel.actors import Actor, csrf_token
from opsroom.surfaces.web import assets
from opsroom.surfaces.web.app import build_web
from opsroom.surfaces.web.security import COOKIE

OPS = {"opsroom/hosts.yaml": HOST + MOTD}


@pytest.fixture
def client(room: Room) -> TestClient:
    if missing := assets.missing_assets():
        pytest.skip(f"front-end files are missing ({', '.join(missing)}); `python hatch_build.py` fetches them")
    web = build_web(room.plane, [AREA], operations=KERNEL_OPERATIONS)
    link = room.plane.actors.sign_in.make_link("person:admin", Actor.system("test"))
    session = room.plane.actors.redeem(link.text, "test").text
    made = TestClient(web, base_url="http://127.0.0.1:8600", follow_redirects=False, cookies={COOKIE: session})
    made.headers["x-csrf-token"] = csrf_token(session)
    return made


def page(client: TestClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_an_empty_page_teaches(client: TestClient) -> None:
    assert "kind: ManagedFile" in page(client, "/configuration")


def test_a_plan_is_shown_as_a_difference_and_applied_by_its_button(client: TestClient, room: Room) -> None:
    room.put("etc/motd", "Before.\n")
    room.offer(OPS)
    plan = o.create_plan(room.call, target="here")
    text = page(client, f"/plans/{plan.id}")
    assert "Before." in text and "Welcome." in text and "Apply: 1 changed" in text and "an approver applies it" in text
    assert plan.id in page(client, "/configuration") and plan.id in page(client, "/")
    form = {"id": plan.id, "digest": plan.digest, "_back": f"/plans/{plan.id}"}
    assert client.post("/verbs/plans.apply", data=form).status_code == 303
    assert (room.folder / "etc/motd").read_text() == "Welcome.\n"
    after = page(client, f"/plans/{plan.id}")
    assert "Apply: " not in after and "changed by plan" in after


def test_drift_offers_revert_adopt_and_accept(client: TestClient, room: Room) -> None:
    room.offer(OPS)
    plan = o.create_plan(room.call, target="here")
    o.apply_stored_plan(room.call, plan.id, digest=plan.digest)
    room.put("etc/motd", "changed by hand\n")
    room.look()
    text = page(client, "/configuration")
    assert all(
        words in text for words in ("changed by hand", "Plan to put it back", "Adopt: commit it", "Accept for 30")
    )
    assert "on here changed outside" in page(client, "/")
    back = {"target": "here", "paths": "etc/motd", "_back": "/configuration"}
    assert client.post("/verbs/plans.create", data=back).status_code == 303
    assert o.list_plans(room.call, state="planned").items[0].changes[0].name == "etc/motd"
    expires = (room.clock.now() + timedelta(days=30)).isoformat()
    accept = {
        "kind": "drift-accepted", "matchers": 'host="here"\nfile="etc/motd"', "reason": "the fair", "expires": expires,
        "_back": "/configuration",
    }  # fmt: skip
    assert client.post("/verbs/waivers.create", data=accept).status_code == 303
    assert o.list_drift(room.call)[0].objects == []
    assert "accepted" in page(client, "/configuration")


def test_what_cannot_be_read_is_said(client: TestClient, room: Room) -> None:
    (room.put("etc/motd", "x")).unlink()
    (room.folder / "etc/motd").mkdir()
    room.offer(OPS)
    assert "it is no regular file" in page(client, "/configuration")
    assert "cannot be read" in page(client, "/")
    plan = o.create_plan(room.call, target="here")
    assert "Unknown, and left alone" in page(client, f"/plans/{plan.id}")
