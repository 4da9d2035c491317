"""The catalog over the API: what is in force, and everything wrong with the newest commit."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from opsroom.contracts.plane import Plane
from opsroom.kernel.actors.entities import people_of
from opsroom.kernel.resources import Catalogs, load_catalog
from opsroom.surfaces.derived import PREFIX

GOOD = """
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: shop}
spec: {type: team, children: [], members: [maria]}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: company}
spec: {type: organization, children: [shop]}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: maria}
spec: {memberOf: [], profile: {displayName: Maria, email: maria@example.org}}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: storefront, description: What customers see}
spec: {type: service, lifecycle: production, owner: shop}
"""


@pytest.fixture
def catalogs(plane: Plane) -> Catalogs:
    plane.catalogs = Catalogs()
    for commit, text in (("a" * 40, GOOD), ("b" * 40, GOOD.replace("owner: shop", "owner: nobody"))):
        catalog, problems = load_catalog({"catalog-info.yaml": text}, commit)
        plane.catalogs.offer(commit, catalog, problems)
    return plane.catalogs


def test_what_is_in_force_is_shown_with_its_place(catalogs: Catalogs, admin: TestClient) -> None:
    shown = admin.get(f"{PREFIX}/catalog/show?kind=Component").json()
    [component] = shown["resources"]
    assert (shown["commit"], shown["offered"]) == ("a" * 40, "b" * 40)
    assert (
        component["owner"] == "shop"
        and component["place"].startswith("catalog-info.yaml:")
        and component["spec"] is None
    )
    whole = admin.get(f"{PREFIX}/catalog/show?kind=Component&name=storefront").json()["resources"][0]
    assert whole["spec"]["lifecycle"] == "production"
    assert len(admin.get(f"{PREFIX}/catalog/show").json()["resources"]) == 4
    assert admin.get(f"{PREFIX}/catalog/show?kind=Component&name=storefrnt").status_code == 404


def test_what_is_wrong_with_the_newest_commit_is_listed(catalogs: Catalogs, admin: TestClient) -> None:
    found = admin.get(f"{PREFIX}/catalog/problems").json()
    assert (found["commit"], found["in_force"]) == ("b" * 40, "a" * 40)
    assert "nobody" in found["problems"][0]["message"] and found["problems"][0]["place"].startswith(
        "catalog-info.yaml:"
    )


def test_users_become_people_with_the_groups_they_are_in(catalogs: Catalogs, plane: Plane) -> None:
    plane.actors.sync_people(people_of(catalogs.current()), "system:catalog")
    maria = plane.actors.people.get("person:maria")
    assert (maria.name, maria.email, maria.groups) == ("Maria", "maria@example.org", ("company", "shop"))
