"""Answers of the Prometheus HTTP API, held against Prometheus's own description of them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from opsroom.kernel.errors import Invalid, NotFound, TooLarge, Unavailable
from opsroom.telemetry import httpapi
from opsroom.telemetry.port import Metadata, Points, QueryResult, labels
from opsroom.telemetry.rules import check_rules, evaluate
from opsroom.telemetry.scrape import Target, TargetState

DESCRIPTION = (
    Path(__file__).parents[2].parent / "shared" / "conformance" / "prometheus" / "api" / "openapi_3.2_golden.yaml"
)
UP = labels({"__name__": "up", "job": "shop"})


@lru_cache
def description() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(DESCRIPTION.read_text(), Loader=yaml.CSafeLoader)  # noqa: S506
    return json.loads(json.dumps(loaded["components"], default=str))  # type: ignore[no-any-return]


def valid(answer: Any, body: str) -> Any:
    """Checks an answer against the named body, and gives it back as it would arrive."""
    if not DESCRIPTION.exists():
        pytest.skip(f"no published API description at {DESCRIPTION}")
    arrived = json.loads(json.dumps(answer))
    schema = {"$ref": f"#/components/schemas/{body}", "components": description()}
    jsonschema_rs.validator_for(schema).validate(arrived)
    return arrived


@pytest.mark.parametrize(
    ("result", "data"),
    [
        (
            QueryResult("vector", (Points(UP, (1.5,), (float("inf"),)),)),
            {"resultType": "vector", "result": [{"metric": {"__name__": "up", "job": "shop"}, "value": [1.5, "+Inf"]}]},
        ),
        (
            QueryResult("matrix", (Points((), (1.0, 2.0), (0.1, 1e21)),)),
            {
                "resultType": "matrix",
                "result": [{"metric": {}, "values": [[1.0, "0.1"], [2.0, "1000000000000000000000"]]}],
            },
        ),
        (QueryResult("scalar", (Points((), (1.0,), (-0.5,)),)), {"resultType": "scalar", "result": [1.0, "-0.5"]}),
        (QueryResult("string", text="x"), {"resultType": "string", "result": ["7", "x"]}),
    ],
)
def test_results(result: QueryResult, data: Any) -> None:
    for body in ("QueryOutputBody", "QueryRangeOutputBody"):
        assert valid(httpapi.query_answer(result, 7.0), body)["data"] == data


def test_notes_and_limits() -> None:
    many = QueryResult(
        "vector", tuple(Points(labels({"i": str(i)}), (1.0,), (1.0,)) for i in range(3)), "", ("w",), ("i",)
    )
    answer = valid(httpapi.query_answer(many, 1.0, limit=2), "QueryOutputBody")
    assert len(answer["data"]["result"]) == 2
    assert answer["warnings"] == ["w", "results truncated due to limit"]
    assert answer["infos"] == ["i"]


def test_series_labels_metadata() -> None:
    assert valid(httpapi.series_answer([UP]), "SeriesOutputBody")["data"] == [{"__name__": "up", "job": "shop"}]
    assert valid(httpapi.names_answer(["a", "b"], limit=1), "LabelsOutputBody")["data"] == ["a"]
    valid(httpapi.names_answer(["x"]), "LabelValuesOutputBody")
    found = valid(httpapi.metadata_answer([Metadata("up", "gauge", "Is up.")]), "MetadataOutputBody")
    assert found["data"] == {"up": [{"type": "gauge", "unit": "", "help": "Is up."}]}


def test_rules_alerts_targets() -> None:
    text = "groups: [{name: g, rules: [{alert: Down, expr: up == 0, keep_firing_for: 1m}, {record: a:b, expr: up}]}]"
    groups, problems = check_rules(text, "r.yml")
    assert not problems
    down = QueryResult("vector", (Points(UP, (1.0,), (0.0,)),))
    state = evaluate(groups[0], None, lambda expr, at: down, 100.0).state
    answer = valid(httpapi.rules_answer(groups, {("r.yml", "g"): state}), "RulesOutputBody")
    alerting, recording = answer["data"]["groups"][0]["rules"]
    assert (alerting["type"], alerting["state"], alerting["health"]) == ("alerting", "firing", "ok")
    assert alerting["alerts"][0]["labels"] == {"alertname": "Down", "job": "shop"}
    assert recording["type"] == "recording"
    valid(httpapi.rules_answer(groups, {}), "RulesOutputBody")
    only = httpapi.rules_answer(groups, {}, kind="record", faults={("r.yml", "g", "a:b"): "no"})
    assert [r["lastError"] for r in only["data"]["groups"][0]["rules"]] == ["no"]
    state = evaluate(groups[0], state, lambda expr, at: QueryResult("vector"), 110.0).state
    alerts = valid(httpapi.alerts_answer([state, None]), "AlertsOutputBody")["data"]["alerts"]
    assert alerts[0]["keepFiringSince"] == "1970-01-01T00:01:50.000000Z"
    target = Target(url="http://shop/metrics", labels=labels({"job": "shop"}))
    states = [TargetState(target=target), TargetState(target=target, health="down", error="no", scraped=1.0)]
    valid(httpapi.targets_answer(states), "TargetsOutputBody")


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (Invalid("x"), 400, "bad_data"),
        (TooLarge("x"), 422, "execution"),
        (Unavailable("x"), 503, "unavailable"),
        (NotFound("x"), 404, "not_found"),
    ],
)
def test_errors(error: Exception, status: int, kind: str) -> None:
    found, body = httpapi.error_answer(error)  # type: ignore[arg-type]
    assert (found, valid(body, "Error")["errorType"]) == (status, kind)


def test_parameters() -> None:
    assert httpapi.time_parameter("time", "1.5", 0) == 1.5
    assert httpapi.time_parameter("time", "1970-01-01T00:00:02Z", 0) == 2.0
    assert httpapi.time_parameter("time", None, 9) == 9
    assert httpapi.duration_parameter("step", "1m") == 60
    assert httpapi.duration_parameter("step", "0.5") == 0.5
    assert httpapi.limit_parameter("7") == 7
    for wrong in (
        lambda: httpapi.time_parameter("time", "soon", 0),
        lambda: httpapi.time_parameter("time", "nan", 0),
        lambda: httpapi.duration_parameter("step", "-1"),
        lambda: httpapi.duration_parameter("step", None),
        lambda: httpapi.limit_parameter("-1"),
    ):
        with pytest.raises(Invalid):
            wrong()
