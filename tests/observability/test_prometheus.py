"""The Prometheus HTTP API through the door programs use, held against Prometheus's own description of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from observed_plane import Scene
from starlette.testclient import TestClient
from test_alerts import step, watch

from opsroom.areas.observability import AREA
from opsroom.areas.observability.scraping import watch as watch_targets
from opsroom.contracts.area import ProgramRequest, ProgramRoute
from opsroom.telemetry.httpapi import success

DESCRIPTION = (
    Path(__file__).parents[2].parent / "shared" / "conformance" / "prometheus" / "api" / "openapi_3.2_golden.yaml"
)
V1 = "/prometheus/api/v1"


@lru_cache
def components() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(DESCRIPTION.read_text(), Loader=yaml.CSafeLoader)  # noqa: S506
    return json.loads(json.dumps(loaded["components"], default=str))  # type: ignore[no-any-return]


def valid(answer: Any, body: str) -> Any:
    if not DESCRIPTION.exists():
        pytest.skip(f"no published API description at {DESCRIPTION}")
    schema = {"$ref": f"#/components/schemas/{body}", "components": components()}
    jsonschema_rs.validator_for(schema).validate(answer)
    return answer["data"]


def ask(
    scene: Scene, path: str, *, method: str = "GET", body: bytes = b"", match: str = "", **query: Any
) -> tuple[int, Any]:
    """As the server calls the route that is declared for the path."""
    declared, params = _found(path)
    assert method in declared.methods and declared.needs == "read"
    given = {name: [str(value)] for name, value in query.items()}
    given |= {"match[]": [match]} if match else {}
    reply = declared.answer(ProgramRequest(call=scene.call, method=method, params=params, query=given, body=body))
    assert reply.media_type == "application/json"
    return reply.status, json.loads(reply.body)


def _found(path: str) -> tuple[ProgramRoute, dict[str, str]]:
    for route in AREA.routes:
        wanted, given = route.path.split("/"), (V1 + path).split("/")
        if len(wanted) == len(given) and all(one in (two, "{name}") for one, two in zip(wanted, given, strict=True)):
            return route, {one[1:-1]: two for one, two in zip(wanted, given, strict=True) if one != two}
    raise AssertionError(f"no route {path}")


@pytest.fixture
def watched(scene: Scene) -> Scene:
    watch(scene)
    for _ in range(8):
        step(scene, 0.3)
    watch_targets(scene.plane).scraper.round()
    watch_targets(scene.plane).note()
    return scene


def test_queries(watched: Scene) -> None:
    now = watched.clock.now().timestamp()
    status, answer = ask(watched, "/query", query="latency", time=now)
    data = valid(answer, "QueryOutputBody")
    assert status == 200 and data["result"][0]["value"] == [now, "0.3"]
    _, answer = ask(watched, "/query", method="POST", body=b"query=1%2B1")
    assert valid(answer, "QueryOutputBody")["result"][1] == "2"
    _, answer = ask(watched, "/query_range", query="latency", start=now - 5, end=now, step="1s")
    assert len(valid(answer, "QueryRangeOutputBody")["result"][0]["values"]) == 6


def test_series_and_names(watched: Scene) -> None:
    _, answer = ask(watched, "/series", match="latency")
    assert valid(answer, "SeriesOutputBody")[0]["service"] == "storefront"
    _, answer = ask(watched, "/labels")
    assert "environment" in valid(answer, "LabelsOutputBody")
    _, answer = ask(watched, "/label/__name__/values")
    assert {"ALERTS", "latency", "service:latency"} <= set(valid(answer, "LabelValuesOutputBody"))
    _, answer = ask(watched, "/metadata")
    assert valid(answer, "MetadataOutputBody")["up"][0]["type"] == "gauge"


def test_rules_alerts_and_targets(watched: Scene) -> None:
    _, answer = ask(watched, "/rules")
    (group,) = valid(answer, "RulesOutputBody")["groups"]
    assert group["interval"] == 1 and [rule["health"] for rule in group["rules"]] == ["ok", "ok"]
    assert group["rules"][1]["state"] == "firing" and group["rules"][1]["duration"] == 5
    _, answer = ask(watched, "/alerts")
    (alert,) = valid(answer, "AlertsOutputBody")["alerts"]
    assert alert["state"] == "firing" and alert["labels"]["alertname"] == "StorefrontSlow"
    _, answer = ask(watched, "/targets")
    (target,) = valid(answer, "TargetsOutputBody")["activeTargets"]
    assert (target["health"], target["scrapePool"]) == ("down", "storefront")
    _, answer = ask(watched, "/status/buildinfo")
    assert answer == success(answer["data"]) and answer["data"]["version"]


@pytest.mark.parametrize(
    ("path", "query", "status", "kind"),
    [
        ("/query", {}, 400, "bad_data"),
        ("/query", {"query": "rate("}, 400, "bad_data"),
        ("/query", {"query": "up", "time": "soon"}, 400, "bad_data"),
        ("/query_range", {"query": "up", "start": 0, "end": 5, "step": 0}, 400, "bad_data"),
        ("/series", {}, 400, "bad_data"),
        ("/rules", {"type": "nonsense"}, 400, "bad_data"),
    ],
)
def test_errors_are_as_prometheus_has_them(
    scene: Scene, path: str, query: dict[str, Any], status: int, kind: str
) -> None:
    found, answer = ask(scene, path, **query)
    assert found == status and answer["errorType"] == kind and answer["status"] == "error"


def test_telemetry_that_is_away(scene: Scene) -> None:
    scene.telemetry.down = True
    status, answer = ask(scene, "/query", query="up")
    assert (status, answer["errorType"]) == (503, "unavailable")


@pytest.fixture
def program(scene: Scene) -> Iterator[TestClient]:
    """The API alone, with a viewer's token."""
    from opsroom.app.application import _extra
    from opsroom.contracts.kernel_operations import KERNEL_OPERATIONS
    from opsroom.surfaces.api.app import build_api

    people = scene.plane.actors.people
    person = people.add("vera", "system:test")
    people.grant(person.id, "viewer", "system:test")
    _, token = scene.plane.actors.tokens.create(person.id, "dashboards", people.actor("person:admin"))
    operations = [*KERNEL_OPERATIONS, *AREA.operations]
    app = build_api(scene.plane, operations, extra_routes=[_extra(scene.plane, route) for route in AREA.routes])
    yield TestClient(app, base_url="http://127.0.0.1:8600", headers={"Authorization": f"Bearer {token}"})


def test_it_is_served_to_whoever_may_read(watched: Scene, program: TestClient) -> None:
    assert program.post(f"{V1}/query", data={"query": "latency"}).json()["data"]["result"]
    assert program.get(f"{V1}/label/service/values").json()["data"] == ["storefront"]
    assert program.get("/api/v1/alerts?state=firing").json()["items"][0]["name"] == "StorefrontSlow"
    assert program.get("/api/v1/metrics/query?query=latency").json()["series"][0]["values"] == ["0.3"]
    assert len(program.get("/api/v1/metrics/range?query=latency&step=1").json()["series"][0]["values"]) > 7
    assert program.get("/api/v1/rules/check", params={"text": "groups: 5"}).json()["problems"][0]["line"] == 1
    assert program.get("/api/v1/targets").json()[0]["state"] == "down"
    program.headers.pop("Authorization")
    assert program.get(f"{V1}/query?query=up").status_code == 401
