"""The Prometheus HTTP API under /prometheus/api/v1, for dashboards and tools that speak it.

Reference: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from opsroom import __version__
from opsroom.areas.observability import store as rows
from opsroom.areas.observability.in_force import groups_of
from opsroom.areas.observability.operations.rules import PLACE
from opsroom.areas.observability.operations.targets import target_views
from opsroom.contracts.area import ProgramReply, ProgramRequest, ProgramRoute
from opsroom.contracts.plane import Call
from opsroom.contracts.sight import Sight
from opsroom.kernel.errors import Invalid, UserError
from opsroom.telemetry import httpapi
from opsroom.telemetry.port import labels
from opsroom.telemetry.scrape import Target, TargetState

PREFIX = "/prometheus/api/v1"
SIFTS = "series, rules, alerts and targets of the services and environments that the actor may read, by their labels"
DEFAULT_SECONDS = 3600.0
"""How far back series, labels and their values are looked for where no start is given."""

Json = dict[str, Any]
Params = Mapping[str, list[str]]


def query(call: Call, given: Params) -> Json:
    at = httpapi.time_parameter("time", _one(given, "time"), call.plane.clock.now().timestamp())
    result = call.telemetry.query(_needed(given, "query"), at)
    return httpapi.query_answer(result, at, limit=httpapi.limit_parameter(_one(given, "limit")))


def query_range(call: Call, given: Params) -> Json:
    start = httpapi.time_parameter("start", _needed(given, "start"), 0.0)
    end = httpapi.time_parameter("end", _needed(given, "end"), 0.0)
    step = httpapi.duration_parameter("step", _needed(given, "step"))
    result = call.telemetry.query_range(_needed(given, "query"), start, end, step)
    return httpapi.query_answer(result, end, limit=httpapi.limit_parameter(_one(given, "limit")))


def series(call: Call, given: Params) -> Json:
    if not given.get("match[]"):
        raise Invalid("no match[] parameter provided; give a series selector such as up")
    found = call.telemetry.series(given["match[]"], *_range(call, given))
    return httpapi.series_answer(found, limit=httpapi.limit_parameter(_one(given, "limit")))


def label_names(call: Call, given: Params) -> Json:
    found = call.telemetry.labels(given.get("match[]", []), *_range(call, given))
    return httpapi.names_answer(found, limit=httpapi.limit_parameter(_one(given, "limit")))


def label_values(call: Call, given: Params) -> Json:
    found = call.telemetry.label_values(given["name"][0], given.get("match[]", []), *_range(call, given))
    return httpapi.names_answer(found, limit=httpapi.limit_parameter(_one(given, "limit")))


def metadata(call: Call, given: Params) -> Json:
    found = call.telemetry.metadata(_one(given, "metric"))
    return httpapi.metadata_answer(found, limit=httpapi.limit_parameter(_one(given, "limit")))


def rules(call: Call, given: Params) -> Json:
    plane = call.plane
    with plane.store.read() as tx:
        known = rows.groups(tx)
    answer = httpapi.rules_answer(
        groups_of(plane.catalogs.current()), {key: row.state for key, row in known.items()}, kind=_one(given, "type"),
        seconds={key: row.seconds for key, row in known.items()},
        faults={(*key, rule): text for key, row in known.items() for rule, text in row.faults.items()},
        interval=plane.settings.rule_seconds,
    )  # fmt: skip
    if not call.sight.everything:
        for group in answer["data"]["groups"]:
            group["rules"] = [_sifted_rule(call, rule) for rule in group["rules"] if _shows_rule(call, rule)]
    return answer


def alerts(call: Call, given: Params) -> Json:
    with call.plane.store.read() as tx:
        known = rows.groups(tx)
    answer = httpapi.alerts_answer(row.state for row in known.values())
    answer["data"]["alerts"] = _labelled(call, answer["data"]["alerts"])
    return answer


def targets(call: Call, given: Params) -> Json:
    states = [
        TargetState(
            target=Target(
                url=one.url, labels=labels({**one.labels, "job": one.labels.get("job", one.service)}),
                interval=one.interval_seconds, timeout=one.interval_seconds,
            ),
            health=one.state, error=one.error, scraped=one.scraped.timestamp() if one.scraped else 0.0,
            seconds=one.seconds or 0.0, samples=one.samples or 0,
        )
        for one in call.sight.only(target_views(call.plane))
    ]  # fmt: skip
    return httpapi.targets_answer(states)


def build_info(call: Call, given: Params) -> Json:
    """What dashboards ask to learn which features there are; the version is Opsroom's own."""
    told = ("version", "revision", "branch", "buildUser", "buildDate", "goVersion")
    return httpapi.success({name: __version__ if name == "version" else "" for name in told})


def _shows_rule(call: Call, rule: Json) -> bool:
    """A rule for one service is told to its team, a rule for all to everyone."""
    return not any(rule["labels"].get(name) for name in PLACE) or bool(_labelled(call, [rule]))


def _sifted_rule(call: Call, rule: Json) -> Json:
    """The rule with the alerts that the actor may read, and its state by them alone."""
    if rule["type"] != "alerting":
        return rule
    alerts = _labelled(call, rule["alerts"])
    states = {alert["state"] for alert in alerts}
    state = rule["state"] if rule["state"] not in ("firing", "pending") else "inactive"
    return {**rule, "alerts": alerts, "state": next((one for one in ("firing", "pending") if one in states), state)}


def _labelled(call: Call, found: list[Json]) -> list[Json]:
    """Those that the actor may read, by their labels."""

    def shows(sight: Sight, one: Json) -> bool:
        return sight.sees(**{name: one["labels"].get(name, "") for name in PLACE})

    return call.sight.only(found, shows)


def _answer(function: Callable[[Call, Params], Json]) -> Callable[[ProgramRequest], ProgramReply]:
    def answer(request: ProgramRequest) -> ProgramReply:
        try:
            given = {
                **request.query,
                **_form(request.body),
                **{name: [value] for name, value in request.params.items()},
            }
            status, body = 200, function(request.call, given)
        except UserError as error:
            status, body = httpapi.error_answer(error)
        text = request.call.plane.secrets.redact(json.dumps(body, allow_nan=False))
        return ProgramReply(status=status, body=text.encode())

    return answer


def _form(body: bytes) -> Params:
    if not body:
        return {}
    try:
        return parse_qs(body.decode(), keep_blank_values=True)
    except (UnicodeDecodeError, ValueError):
        raise Invalid("the body is no form; send application/x-www-form-urlencoded") from None


def _range(call: Call, given: Params) -> tuple[float, float]:
    end = httpapi.time_parameter("end", _one(given, "end"), call.plane.clock.now().timestamp())
    return httpapi.time_parameter("start", _one(given, "start"), end - DEFAULT_SECONDS), end


def _needed(given: Params, name: str) -> str:
    value = _one(given, name)
    if not value:
        raise Invalid(f"the parameter {name} is missing")
    return value


def _one(given: Params, name: str) -> str:
    return next(iter(given.get(name, [])), "")


def _route(path: str, function: Callable[[Call, Params], Json], *methods: str) -> ProgramRoute:
    return ProgramRoute(
        path=PREFIX + path, methods=methods or ("GET",), answer=_answer(function), kind="metrics", sifts=SIFTS
    )


ROUTES: tuple[ProgramRoute, ...] = (
    _route("/query", query, "GET", "POST"),
    _route("/query_range", query_range, "GET", "POST"),
    _route("/series", series, "GET", "POST"),
    _route("/labels", label_names, "GET", "POST"),
    _route("/label/{name}/values", label_values),
    _route("/metadata", metadata),
    _route("/rules", rules),
    _route("/alerts", alerts),
    _route("/targets", targets),
    _route("/status/buildinfo", build_info),
)
