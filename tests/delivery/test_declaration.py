"""What delivery declares: the kind as documented, operations that every surface can derive, events whose sentences can be told."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opsroom.areas.delivery import AREA
from opsroom.areas.delivery.ending import end_proxy, end_services
from opsroom.contracts.sentences import Sentences
from opsroom.kernel.ledger import Event
from opsroom.kernel.resources import load_catalog
from opsroom.kernel.settings import Settings
from opsroom.surfaces.derived import derive_all

ROOT = Path(__file__).resolve().parents[2]


def environment(services: str, **spec: str) -> dict[str, str]:
    extra = "".join(f"  {key}: {value}\n" for key, value in spec.items())
    return {
        "catalog-info.yaml": "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: tiny}\n"
        "spec: {type: service, lifecycle: production, owner: user:maria}\n---\n"
        "apiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {name: maria}\nspec: {}\n",
        "env.yaml": f"apiVersion: opsroom.dev/v1\nkind: Environment\nmetadata: {{name: staging}}\nspec:\n  tier: staging\n{extra}"
        f"  services:\n{services}",
    }


@pytest.mark.parametrize(
    ("services", "spec", "problem"),
    [
        ("    - {service: tiny, address: 'localhost', command: [a]}\n", {}, r"env.yaml:\d+:\d+: .*not an address"),
        ("    - {service: nope, address: 'a:1', command: [a]}\n", {}, "refers to no Component"),
        ("    - {service: tiny, address: 'a:1', command: []}\n", {}, "command.*has too few items"),
        ("    - {service: tiny, address: 'a:1', command: [a], instances: 0}\n", {}, "instances"),
        ("    - {service: tiny, address: 'a:1', command: [a]}\n", {"strategy": "canary"}, "strategy 'canary' is not allowed"),
        ("    - {service: tiny, address: 'a:1', command: [a]}\n", {"approvals": "{required: 1}"}, "unknown field spec.approvals"),
        ("    - {service: tiny, address: 'a:1', command: [a]}\n    - {service: tiny, address: 'a:2', command: [a]}\n", {}, "is listed twice"),
        ("    - {service: tiny, address: 'a:1', command: ['${{ secrets.X }}']}\n", {}, "secret"),
    ],
)  # fmt: skip
def test_a_wrong_environment_is_told_with_its_place(services: str, spec: dict[str, str], problem: str) -> None:
    _, problems = load_catalog(environment(services, **spec), "c" * 40, AREA.kinds)
    assert [one for one in map(str, problems) if re.search(problem, one)], list(map(str, problems))


def test_two_services_cannot_have_one_address() -> None:
    files = environment("    - {service: tiny, address: 'a:1', command: [a]}\n")
    files["other.yaml"] = files["env.yaml"].replace("staging}", "testing}")
    _, problems = load_catalog(files, "c" * 40, AREA.kinds)
    assert [str(one) for one in problems] == [
        "other.yaml:7:32: address a:1 is that of staging: tiny too; give it another port"
    ]


def test_the_reference_lists_every_field_of_an_environment() -> None:
    text = (ROOT / "docs" / "reference" / "ops-repo.md").read_text()
    section = text.partition("### Environment")[2].partition("\n### ")[0].partition("\n## ")[0]
    documented = set(re.findall(r"`spec\.([A-Za-z.\[\]]+)`", section))
    expected = {"tier", "order", "strategy", "services"} | {
        f"services[].{name}"
        for name in (
            "service",
            "address",
            "command",
            "env",
            "instances",
            "strategy",
            "health.path",
            "health.timeout",
            "drain",
        )
    }
    assert documented == expected


def test_every_operation_can_be_derived() -> None:
    routes = {f"{one.method} {one.path}" for one in derive_all(AREA.operations)}
    assert {
        "GET /repositories", "GET /repositories/{id}", "POST /repositories/poll", "GET /workflows", "GET /workflows/show",
        "POST /workflows/dispatch", "GET /runs", "GET /runs/{id}", "GET /runs/{id}/log", "POST /runs/{id}/cancel",
        "POST /runs/{id}/rerun", "GET /runs/{id}/waiting", "GET /artifacts", "GET /artifacts/{id}",
        "GET /artifacts/{id}/provenance", "GET /environments", "GET /environments/{id}", "GET /deployments",
        "GET /deployments/{id}", "POST /deployments", "POST /deployments/rollback",
    } == routes  # fmt: skip


@pytest.mark.parametrize("declared", AREA.events, ids=lambda declared: declared.name)
def test_every_sentence_can_be_told(declared: Any) -> None:
    fields = [name for _, name, _, _ in string.Formatter().parse(declared.sentence) if name]
    data = {name: 1.5 if name == "seconds" else name.upper() for name in fields}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    event = Event(
        id="e",
        type=declared.name,
        version=1,
        time=now,
        recorded=now,
        actor="person:maria",
        cause="",
        subjects=(),
        data=data,
    )
    told = Sentences([declared]).tell(event)
    assert "…" not in told and "{" not in told


def test_nothing_deployed_means_nothing_to_end(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state", keys=tmp_path / "keys")
    assert end_services(settings) == [] and end_proxy(settings) is False
    assert not (tmp_path / "state").exists()
