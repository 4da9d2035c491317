"""Scope, over every operation and every page as declared: nobody reads or acts beyond the team and environment of their roles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from area_plane import AreaPlane, build_area_plane
from opsroom.app.application import Application
from opsroom.app.areas import AREAS, load_areas
from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
from opsroom.contracts.scopes import NAMED, Named, Seen, Shared, Sifted, Whole
from opsroom.kernel.clock import SystemClock
from opsroom.surfaces.api.guards import COOKIE
from opsroom.surfaces.derived import PREFIX, Derived, derive_all
from two_teams import OTHER, OWN, STAGED, TwoTeams, two_teams

pytestmark = pytest.mark.slow
LOADED = load_areas()
DERIVED = derive_all((*KERNEL_OPERATIONS, *(one for area in LOADED for one in area.operations)))
READS = [one for one in DERIVED if one.operation.reads]
WRITES = [one for one in DERIVED if not one.operation.reads]
PAGES = sorted({page.path for area in LOADED for page in area.pages} | {"/", "/services", "/services/{name}", "/changes", "/changes/{id}", "/changes/compare", "/search"})  # fmt: skip

QUERIES: dict[str, dict[str, str]] = {
    "traffic.show": {"service": "SERVICE", "environment": "ENVIRONMENT"},
    "runs.log": {"job": "one"},
    "workflows.show": {"repository": "REPOSITORY", "workflow": ".opsroom/workflows/w.yml"},
    "docs.read": {"path": "incidents/MARK"},
    "docs.search": {"text": "MARK"},
    "metrics.query": {"query": "up"},
    "metrics.range": {"query": "up"},
    "rules.check": {"text": "groups: []"},
    "access.explain": {"actor": "person:admin", "needs": "read"},
}
"""What the reads that need to be told more than an id are told."""
UNTOLD = {
    "areas", "oncall.show", "teams.list", "services", "catalog", "prices.list", "budgets.list", "rules", "slos.list", "targets.list",
    "metrics", "logs.search", "tasks", "schedules.list", "workflows", "repositories", "environments", "traffic.show", "dora.show",
    "loadtests.plan", "docs.list", "runs.log", "runs.waiting", "artifacts.provenance", "ledger", "access", "tokens.list", "drift.list",
    "configurations.list", "costs.summary", "loadtests.compare", "links.list", "events.effects",
}  # fmt: skip
"""Operations, or nouns, whose answers hold no text of the rows that this test makes: what they leave out is proven elsewhere, or is nothing."""
BODIES: dict[str, dict[str, Any]] = {
    "deployments.create": {"service": "SERVICE", "environment": "ENVIRONMENT", "digest": "sha256:MARK"},
    "deployments.rollback": {"service": "SERVICE", "environment": "ENVIRONMENT"},
    "incidents.create": {"title": "x", "service": "SERVICE", "environment": "ENVIRONMENT"},
    "traffic.record": {"session": "s", "service": "SERVICE", "environment": "ENVIRONMENT", "windows": []},
    "workflows.dispatch": {"repository": "ops", "workflow": ".opsroom/workflows/w.yml"},
    "plans.create": {"target": "MARK-host"},
    "plans.apply": {"digest": "x"},
    "configurations.adopt": {"target": "MARK-host", "paths": ["/a"]},
    "pages.confirm": {"receiver": "webhook"},
    "waivers.create": {"kind": "silence", "matchers": ["service=SERVICE", "environment=ENVIRONMENT"], "reason": "x", "expires": "2100-01-01T00:00:00Z"},
    "grants.create": {"holder": "person:admin", "role": "viewer", "team": "TEAM", "environment": "ENVIRONMENT"},
    "people.add": {"name": "new"},
    "secrets.set": {"value": "long enough"},
    "tokens.create": {"name": "x", "person": "person:admin"},
    "sign-in-links.create": {"person": "person:admin"},
    "backups.create": {"name": "x"},
    "ledger.erase": {"reason": "asked for"},
}  # fmt: skip
"""What the writes that need to be told more than an id are told."""


@pytest.fixture(scope="module")
def teams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoTeams]:
    house = build_area_plane(tmp_path_factory.mktemp("house"), AREAS, SystemClock())
    yield two_teams(house)
    house.plane.store.close()


@pytest.fixture(scope="module")
def admin(teams: TwoTeams) -> TestClient:
    return _client(teams.house, (teams.house.plane.settings.keys / "admin-token").read_text().strip())


@pytest.fixture(scope="module")
def team_viewer(teams: TwoTeams) -> TestClient:
    return _client(teams.house, teams.someone("of-shop", "viewer", team="shop-team"))


@pytest.fixture(scope="module")
def place_viewer(teams: TwoTeams) -> TestClient:
    """May read what is shop-team's in production."""
    return _client(teams.house, teams.someone("of-production", "viewer", team="shop-team", environment="production"))


@pytest.fixture(scope="module")
def staging_operator(teams: TwoTeams) -> TestClient:
    return _client(teams.house, teams.someone("of-staging", "admin", environment="staging"))


def test_every_operation_declares_its_scope_with_words() -> None:
    for one in DERIVED:
        scope = one.operation.scope
        assert callable(scope) or isinstance(scope, Named | Seen | Shared | Sifted | Whole), one.operation.name
        said = scope.why if isinstance(scope, Shared) else scope.how if isinstance(scope, Sifted) else "told"
        assert said, one.operation.name
        if not one.operation.reads:
            assert not isinstance(scope, Seen | Sifted | Shared), f"{one.operation.name} writes to something of nobody"
        if scope is NAMED:
            names = {parameter.name for parameter in one.parameters}
            assert names & {"service", "team", "environment"}, f"{one.operation.name} names no place"


@pytest.mark.parametrize("derived", READS, ids=lambda one: one.operation.name)
def test_reads_give_nothing_of_another_team(
    derived: Derived, teams: TwoTeams, admin: TestClient, team_viewer: TestClient, place_viewer: TestClient
) -> None:
    whole = _read(admin, derived, teams, OTHER)
    assert whole.status_code < 500, whole.text
    known = (
        derived.operation.name in UNTOLD
        or derived.operation.noun in UNTOLD
        or isinstance(derived.operation.scope, Whole)
    )
    if not known:
        assert OTHER in _said(whole), (
            f"two_teams.py makes nothing that {derived.operation.name} tells of: {whole.text[:300]}"
        )
    if isinstance(derived.operation.scope, Shared):
        assert _read(place_viewer, derived, teams, OTHER).status_code == whole.status_code
        return
    narrow = _read(team_viewer, derived, teams, OTHER)
    assert narrow.status_code in {200, 403, 404}, narrow.text
    assert OTHER not in _said(narrow), f"{derived.operation.name} tells of another team: {narrow.text[:600]}"
    for mark in (STAGED, OTHER):
        narrower = _read(place_viewer, derived, teams, mark)
        assert narrower.status_code in {200, 403, 404}, narrower.text
        assert mark not in _said(narrower), (
            f"{derived.operation.name} tells of another environment: {narrower.text[:600]}"
        )
    if isinstance(derived.operation.scope, Whole):
        assert narrow.status_code == 403
    elif derived.operation.verb == "list":
        assert narrow.status_code == 200, f"{derived.operation.name} is refused, and not sifted: {narrow.text}"
        assert known or OWN in _said(narrow), f"{derived.operation.name} hides one's own: {narrow.text[:300]}"


@pytest.mark.parametrize("derived", WRITES, ids=lambda one: one.operation.name)
def test_who_is_admin_of_staging_alone_changes_nothing_in_production(
    derived: Derived, teams: TwoTeams, staging_operator: TestClient
) -> None:
    name = derived.operation.name
    needed = any(parameter.required for parameter in derived.parameters)
    assert not needed or name in BODIES, f"say in BODIES what {name} is to be told"
    for mark in (OWN, OTHER):
        path = PREFIX + derived.path.replace(
            "{id}", teams.ids.get(mark, {}).get(derived.operation.noun, _id(derived, mark))
        )
        answer = staging_operator.post(path, json=_filled(BODIES.get(name, {}), mark))
        # What belongs to no environment is not of staging either; an id that is not there is told as such.
        assert answer.status_code == 403 or (answer.status_code == 404 and _is_absent(derived)), (
            f"{name} answered {answer.status_code}: {answer.text}"
        )


def test_it_may_act_in_staging(teams: TwoTeams, staging_operator: TestClient) -> None:
    done = staging_operator.post(f"{PREFIX}/incidents/{STAGED}-incidents/acknowledge", json={})
    assert done.status_code == 200, done.text
    tried = staging_operator.post(f"{PREFIX}/deployments", json=_filled(BODIES["deployments.create"], STAGED))
    assert (tried.status_code == 404 and "never published" in tried.text) or (
        tried.status_code < 500 and tried.status_code != 403
    ), tried.text


@pytest.mark.parametrize("path", PAGES)
def test_pages_show_nothing_of_another_team(path: str, teams: TwoTeams) -> None:
    plane = teams.house.plane
    admin = _browser(teams, "person:admin", "")
    viewer = _browser(teams, f"person:page-viewer-{PAGES.index(path)}", "viewer", team="shop-team")
    placed = _browser(
        teams, f"person:place-viewer-{PAGES.index(path)}", "viewer", team="shop-team", environment="production"
    )
    asked = path + (
        "?q=" + OTHER
        if path == "/search"
        else "?repository=ops&workflow=.opsroom/workflows/w.yml"
        if path == "/workflows/start"
        else ""
    )
    other = _page(asked, teams, OTHER)
    assert admin.get(other).status_code < 500
    for mark, client in ((OTHER, viewer), (OTHER, placed), (STAGED, placed)):
        answer = client.get(_page(asked.replace(OTHER, mark), teams, mark))
        assert answer.status_code in {200, 403, 404, 422}, answer.text
        text = (
            answer.text.replace(f"?q={mark}", "")
            .replace(f'value="{mark}"', "")
            .replace(f"“{mark}”", "")
            .replace(f"Search: {mark}", "")
        )
        assert answer.status_code != 200 or mark not in _without_itself(text, path, mark), (
            f"{path} shows {mark}: {_around(text, mark)}"
        )
    assert "this part failed" not in admin.get(other).text, plane.journal


def test_an_admin_sees_both_on_the_pages(teams: TwoTeams) -> None:
    admin = _browser(teams, "person:admin", "")
    without = {
        path
        for path in (
            "/deployments",
            "/incidents",
            "/artifacts",
            "/security",
            "/runs",
            "/alerts",
            "/performance",
            "/configuration",
            "/changes",
            "/services",
        )
        # The ledger's newest are the sign-ins of these tests.
        if OTHER not in admin.get(path, params={"since": "1h", "subject": "service:inventory"}).text
    }
    assert without <= {"/services", "/alerts"}, without


def _client(house: AreaPlane, token: str) -> TestClient:
    return TestClient(
        Application(house.plane), base_url="http://127.0.0.1:8600", headers={"Authorization": f"Bearer {token}"},
        raise_server_exceptions=False,
    )  # fmt: skip


def _browser(teams: TwoTeams, person: str, role: str, **where: str) -> TestClient:
    actors = teams.house.plane.actors
    if role:
        teams.someone(person.removeprefix("person:"), role, **where)
    link = actors.sign_in.make_link(person, actors.people.actor(person))
    session = actors.redeem(link.text, "test").text
    return TestClient(
        Application(teams.house.plane),
        base_url="http://127.0.0.1:8600",
        cookies={COOKIE: session},
        raise_server_exceptions=False,
    )


def _read(client: TestClient, derived: Derived, teams: TwoTeams, mark: str) -> Any:
    id = teams.ids[mark].get(derived.operation.noun, _id(derived, mark))
    query = _filled(QUERIES.get(derived.operation.name, {}), mark)
    return client.get(PREFIX + derived.path.replace("{id}", id), params=query)


def _said(answer: Any) -> str:
    """What an answer says beside what it was asked."""
    return answer.text if answer.status_code == 200 else ""


def _filled(given: Any, mark: str) -> Any:
    from two_teams import PLACES

    if isinstance(given, dict):
        return {name: _filled(value, mark) for name, value in given.items()}
    if isinstance(given, list):
        return [_filled(value, mark) for value in given]
    service, environment = PLACES[mark]
    team = {"storefront": "shop-team", "inventory": "stock-team"}[service]
    words = {"SERVICE": service, "ENVIRONMENT": environment, "MARK": mark, "TEAM": team, "REPOSITORY": "ops"}
    for word, value in words.items():
        given = given.replace(word, value) if isinstance(given, str) else given
    return given


def _id(derived: Derived, mark: str) -> str:
    from two_teams import PLACES

    named = {
        "services": PLACES[mark][0],
        "dora": PLACES[mark][0],
        "environments": PLACES[mark][1],
        "repositories": "ops",
    }
    named |= {"sessions": "person:admin", "backups": "bak_none", "people": "person:admin"}
    return named.get(derived.operation.noun, "none")


def _is_absent(derived: Derived) -> bool:
    return derived.operation.noun in {"tasks", "tokens", "grants", "runs", "workflows"}


def _page(path: str, teams: TwoTeams, mark: str) -> str:
    ids = teams.ids[mark]
    for pattern, value in {
        "/services/{name}": "/services/inventory" if mark == OTHER else "/services/storefront",
        "/tasks/{name}": "/tasks/none", "/docs/{path:path}": f"/docs/incidents/{mark}", "/artifacts/{digest}": f"/artifacts/{ids['artifacts']}",
        "/environments/{id}": "/environments/production", "/repositories/{id}": "/repositories/ops", "/changes/{id}": f"/changes/{ids['events']}",
        "/security/findings/{id}": f"/security/findings/{ids['findings']}", "/performance/{id}": f"/performance/{ids['loadtests']}",
        "/runs/{id}": f"/runs/{ids.get('runs', 'none')}",
    }.items():  # fmt: skip
        path = path.replace(pattern, value)
    noun = path.strip("/").split("/")[0]
    return path.replace("{id}", ids.get(noun, "none"))


def _without_itself(text: str, path: str, mark: str) -> str:
    """A page without the address that it was asked by."""
    return text.replace(f"/{mark}-", "/").replace(f"sha256:{mark}", "") if "{" in path else text


def _around(text: str, mark: str) -> str:
    at = text.find(mark)
    return text[max(0, at - 200) : at + 100]
