"""Nothing is served without identity, and nobody does more than they may."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.contracts.plane import Plane
from opsroom.kernel.actors import Limit
from opsroom.surfaces.api.app import ExtraRoute, build_api
from opsroom.surfaces.derived import PREFIX, derive_all

DERIVED = derive_all(KERNEL_OPERATIONS)
CSRF = "X-CSRF-Token"


@pytest.mark.parametrize("one", DERIVED, ids=lambda one: one.operation.name)
def test_every_derived_route_needs_identity(one: object, anonymous: TestClient) -> None:
    path = PREFIX + one.path.format(id="x")  # type: ignore[attr-defined]
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
        assert anonymous.request(method, path).status_code == 401


def test_so_does_every_other_route_but_health(app: FastAPI, anonymous: TestClient) -> None:
    paths = {route.path for route in app.router.routes if isinstance(route, Route | APIRoute)} - {"/health"}
    for path in {*paths, "/", "/nowhere", f"{PREFIX}/openapi.json", "/health/", "/HEALTH"}:
        answer = anonymous.get(path)
        assert (path, answer.status_code) == (path, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert anonymous.get("/health").json() == {"status": "ok"}
    assert anonymous.post("/health").status_code == 401


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer ", "ops_x", "Bearer ops_unknown", "Bearer \u00e9"])
def test_a_token_that_is_none_is_refused(anonymous: TestClient, header: str) -> None:
    answer = anonymous.get(f"{PREFIX}/people", headers={"Authorization": header.encode()})
    assert answer.status_code == 401 and answer.json()["title"] == "Not signed in"


def test_an_address_that_fails_again_and_again_is_slowed(anonymous: TestClient, admin: TestClient) -> None:
    answers = [anonymous.get(f"{PREFIX}/people", headers={"Authorization": "Bearer x"}) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [401] * 20 + [429]
    assert answers[-1].headers["retry-after"]
    assert admin.get(f"{PREFIX}/people").status_code == 200


def test_a_refusal_explains_itself(as_person: Callable[..., TestClient]) -> None:
    viewer = as_person("maria", "viewer")
    assert viewer.get(f"{PREFIX}/secrets").status_code == 200
    answer = viewer.post(f"{PREFIX}/secrets/A/set", json={"value": "hunter2hunter2"})
    assert answer.status_code == 403
    assert "needs admin there; person:maria has viewer to person:maria" in answer.json()["detail"]


def test_roles_are_scoped_by_team_and_environment(as_person: Callable[..., TestClient]) -> None:
    lead = as_person("lead", "admin", team="shop")
    grant = {"holder": "group:shop", "role": "viewer", "environment": "production"}
    assert lead.post(f"{PREFIX}/grants", json=grant).status_code == 403
    assert lead.post(f"{PREFIX}/grants", json={**grant, "team": "ops"}).status_code == 403
    made = lead.post(f"{PREFIX}/grants", json={**grant, "team": "shop"})
    assert made.status_code == 201
    assert lead.post(f"{PREFIX}/grants/{made.json()['id']}/revoke").status_code == 200
    assert as_person("other", "admin", team="ops").get(f"{PREFIX}/people").status_code == 403


def test_a_waiver_is_granted_only_where_one_may(as_person: Callable[..., TestClient], admin: TestClient) -> None:
    operator = as_person("maria", "operator", environment="staging")
    body = {"kind": "silence", "reason": "load test", "expires": "2026-01-05T10:00:00Z"}

    def grant(*matchers: str, client: TestClient = operator, **more: str) -> int:
        return client.post(f"{PREFIX}/waivers", json={**body, **more, "matchers": matchers}).status_code

    assert grant("environment=staging") == 201
    assert grant("environment=production") == 403
    assert grant("environment=~staging|production") == 403
    assert grant("environment=staging", kind="freeze") == 403
    assert (
        grant("environment=staging", kind="freeze", client=as_person("anna", "approver", environment="staging")) == 201
    )


def test_one_may_not_become_somebody_else(as_person: Callable[..., TestClient]) -> None:
    operator = as_person("maria", "operator")
    for path in ("tokens", "sign-in-links"):
        body = {"name": "mine"} if path == "tokens" else {}
        assert operator.post(f"{PREFIX}/{path}", json={**body, "person": "person:admin"}).status_code == 403
        assert operator.post(f"{PREFIX}/{path}", json=body).status_code == 201
    assert operator.post(f"{PREFIX}/sessions/person:admin/end").status_code == 403
    assert operator.post(f"{PREFIX}/sessions/person:maria/end").json() == {"ended": 0}


def test_without_any_role_one_still_manages_ones_own(as_person: Callable[..., TestClient]) -> None:
    nobody = as_person("maria")
    assert nobody.get(f"{PREFIX}/people").status_code == 403
    made = nobody.post(f"{PREFIX}/tokens", json={"name": "mine"})
    assert made.status_code == 201 and made.json()["token"].startswith("ops_")
    listed = nobody.get(f"{PREFIX}/tokens").json()
    assert [token["name"] for token in listed] == ["mine", "test"] and "token" not in listed[0]
    assert nobody.post(f"{PREFIX}/tokens/{made.json()['id']}/revoke").status_code == 200


def test_a_limited_token_makes_no_session(as_person: Callable[..., TestClient]) -> None:
    limited = as_person("maria", "admin", limit=Limit(role="operator"))
    assert limited.post(f"{PREFIX}/sign-in-links").status_code == 403
    assert limited.post(f"{PREFIX}/tokens", json={"name": "wide"}).status_code == 403
    assert limited.post(f"{PREFIX}/tokens", json={"name": "narrow", "role": "viewer"}).status_code == 201


def test_a_browser_session_reads_by_cookie_and_writes_with_its_csrf_token(
    admin: TestClient, anonymous: TestClient, plane: Plane
) -> None:
    link = admin.post(f"{PREFIX}/sign-in-links").json()
    session = plane.actors.redeem(link["url"].split("link=")[1])
    anonymous.cookies.set("opsroom_session", session.text)
    assert anonymous.get(f"{PREFIX}/people").status_code == 200
    people = [{"name": name} for name in ("one", "two", "three")]
    assert anonymous.post(f"{PREFIX}/people/add", json=people[0]).status_code == 403
    assert anonymous.post(f"{PREFIX}/people/add", json=people[1], headers={CSRF: "wrong"}).status_code == 403
    assert anonymous.post(f"{PREFIX}/people/add", json=people[2], headers={CSRF: session.csrf}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8600", "127.0.0.1.evil.example", "", "[::1", "a b"])
def test_a_foreign_host_is_refused_even_with_a_token(admin: TestClient, host: str) -> None:
    assert admin.get(f"{PREFIX}/people", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "host", ["localhost:8600", "LOCALHOST", "127.0.0.1", "[::1]:8600", "10.1.2.3", "opsroom.localhost"]
)
def test_our_own_names_and_addresses_are_taken(admin: TestClient, host: str) -> None:
    assert admin.get(f"{PREFIX}/people", headers={"Host": host}).status_code == 200


def test_cross_origin_reading_is_off(admin: TestClient) -> None:
    answer = admin.get(f"{PREFIX}/people", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_extra_routes_have_the_same_identity_and_ask_before_they_run(
    plane: Plane, as_person: Callable[..., TestClient], admin: TestClient, anonymous: TestClient
) -> None:
    reads = Route("/api/v1/query", lambda request: PlainTextResponse("42"), methods=["GET", "POST"])
    mounted = Mount("/loki", routes=[Route("/push", lambda request: PlainTextResponse("ok"), methods=["POST"])])
    extra = [ExtraRoute(route=reads, kind="metrics", needs="read"), ExtraRoute(route=mounted, kind="logs")]
    app = build_api(plane, KERNEL_OPERATIONS, extra_routes=extra)
    admin.app = anonymous.app = app
    viewer = as_person("maria", "viewer")

    def status(client: TestClient, path: str) -> int:
        with TestClient(app, base_url="http://127.0.0.1", headers=client.headers) as asked:
            return asked.post(path).status_code

    assert [status(client, "/api/v1/query") for client in (anonymous, viewer, admin)] == [401, 200, 200]
    assert [status(client, "/loki/push") for client in (anonymous, viewer, admin)] == [401, 403, 200]


def test_what_an_event_says_can_be_erased_with_a_reason(
    admin: TestClient, plane: Plane, as_person: Callable[..., TestClient]
) -> None:
    with plane.store.begin() as tx:
        told = plane.ledger.record(
            tx, "person.added", actor="person:admin", subjects=("person:eve",), data={"home": "Rose Lane 5"}
        )
    plane.ledger.seal()
    path = f"{PREFIX}/ledger/{told.id}/erase"
    lead = as_person("lead", "admin", team="shop")
    assert lead.post(path, json={"reason": "asked for"}).status_code == 403
    assert admin.post(path, json={"reason": " "}).status_code == 422
    assert admin.post(f"{PREFIX}/ledger/evt_none/erase", json={"reason": "asked for"}).status_code == 404
    assert admin.post(path, json={"reason": "asked for by eve"}).json()["erased"] == "asked for by eve"
    assert admin.post(path, json={"reason": "again"}).status_code == 409
    assert "Rose Lane" not in admin.get(f"{PREFIX}/events/{told.id}").text
    plane.ledger.seal()
    (erasure,) = plane.ledger.find(types=["event.erased"])
    assert erasure.cause == told.id and erasure.data["reason"] == "asked for by eve" and erasure.actor == "person:admin"
    assert admin.post(f"{PREFIX}/ledger/{erasure.id}/erase", json={"reason": "hide it"}).status_code == 409
    checked = admin.get(f"{PREFIX}/ledger/verify").json()
    assert checked["ok"] and checked["erased"] == 1


def test_the_schema_of_a_kind_is_told(admin: TestClient) -> None:
    told = admin.get(f"{PREFIX}/catalog/schema?kind=Component").json()
    assert told["kinds"] == ["Component"] and told["document"]["$defs"]["Metadata"]
    assert admin.get(f"{PREFIX}/catalog/schema?kind=Unicorn").status_code == 404
