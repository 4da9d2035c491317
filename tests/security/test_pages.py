"""The pages of security and what it adds to others, drawn in the real frame."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from security_room import Room
from starlette.testclient import TestClient

from opsroom.areas.security import AREA
from opsroom.areas.security.operations import list_findings
from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.contracts.plane import Call
from opsroom.kernel.actors import Actor
from opsroom.surfaces.web import assets
from opsroom.surfaces.web.app import build_web
from opsroom.surfaces.web.security import COOKIE

DIGEST = "sha256:" + "a" * 64
KEY = "AKIA" + "QYLPMN5HFIQR7XYA"

Get = Callable[[str], str]


@pytest.fixture
def get(room: Room) -> Get:
    """Fetches a page as an admin."""
    if missing := assets.missing_assets():
        pytest.skip(f"front-end files are missing ({', '.join(missing)}); `python hatch_build.py` fetches them")
    plane = room.plane
    plane.actors.first_start()
    web = build_web(plane, [AREA], operations=KERNEL_OPERATIONS)
    link = plane.actors.sign_in.make_link("person:admin", plane.actors.people.actor("person:admin"))
    session = plane.actors.redeem(link.text, "test").text
    client = TestClient(web, base_url="http://127.0.0.1:8600", cookies={COOKIE: session})

    def fetch(path: str) -> str:
        answer = client.get(path)
        assert answer.status_code == 200, answer.text[-2000:]
        return answer.text

    return fetch


def some_history(room: Room) -> str:
    """A scanned commit with a secret, published, gated and deployed; returns the finding's id."""
    room.write({"a.py": f"KEY = '{KEY}'\n"})
    room.use("scan-secrets", fail_on="none")
    room.use("sbom", name="storefront")
    room.use("scan-dependencies", sbom="sbom.cdx.json")
    room.publish(DIGEST, "c1")
    room.runs(DIGEST)
    room.use("gate", service="storefront", environment="production", digest=DIGEST)
    room.record(
        "deployment.started", "deployment:dep_1", "service:storefront", "environment:production", f"digest:{DIGEST}"
    )
    (finding,) = list_findings(Call(plane=room.plane, actor=Actor.run("r"))).items
    return finding.id


def test_the_empty_page_teaches(get: Get) -> None:
    text = get("/security")
    assert "No scan yet" in text and "opsroom/scan-secrets" in text
    assert "no gate.decided was ever recorded" in text


def test_what_was_found_and_what_was_not_checked_is_shown(room: Room, get: Get) -> None:
    id = some_history(room)
    text = get("/security")
    assert "AWS access key" in text and "Not checked" in text and "all.zip" in text and "CHG-1" in text
    assert f"/security/findings/{id}" in text and "/verbs/waivers.create?kind=finding-ignored" in text
    assert KEY not in text
    shown = get(f"/security/findings/{id}")
    assert "a.py:1" in shown and "production" in shown and "revoke it" in shown and KEY not in shown
    form = get(f"/verbs/waivers.create?kind=finding-ignored&matchers=finding%3D{id}")
    assert f"finding={id}" in form


def test_a_waived_finding_says_by_whom_and_until_when(room: Room, get: Get) -> None:
    id = some_history(room)
    room.plane.waivers.grant(
        "finding-ignored", [f"finding={id}"], owner="person:maria", reason="revoked long ago", actor="person:admin",
        expires=room.clock.now() + timedelta(days=3),
    )  # fmt: skip
    assert "revoked long ago" in get(f"/security/findings/{id}") and "End the waiver" in get(f"/security/findings/{id}")
    overview = get("/")
    assert "Waiver ends" in overview and "AWS access key" not in overview


def test_parts_of_other_pages(room: Room) -> None:
    from opsroom.contracts.pages import PageRequest, Scope

    some_history(room)
    scope = Scope(since=room.clock.now() - timedelta(hours=1), until=room.clock.now())
    call = Call(plane=room.plane, actor=Actor.run("r"))
    given = {
        "overview.wrong": {}, "overview.waiting": {}, "services.column": {"service": "storefront"},
        "service": {"service": "storefront"}, "run": {"id": "run_1"}, "deployment": {"id": "dep_1"}, "search": {},
    }  # fmt: skip
    drawn = {
        part.where: part.render(PageRequest(call=call, params=given[part.where], query={"q": "aws"}, scope=scope))
        for part in AREA.parts
    }
    assert {where for where, view in drawn.items() if view is None} == {"overview.waiting"}
    deployment = drawn["deployment"]
    assert deployment is not None and deployment.values["gate"].verdict == "pass"
    other = {
        **given,
        "service": {"service": "nobody"},
        "services.column": {"service": "nobody"},
        "run": {"id": "x"},
        "deployment": {"id": "x"},
    }
    for part in AREA.parts[2:6]:
        assert part.render(PageRequest(call=call, params=other[part.where], query={}, scope=scope)) is None


def test_the_overview_shows_what_is_new_and_bad(room: Room, get: Get) -> None:
    some_history(room)
    assert "critical: AWS access key" in get("/")
