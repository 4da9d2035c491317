"""The Prometheus HTTP API: from results to its JSON, and from its parameters to ours.

Reference: https://prometheus.io/docs/prometheus/latest/querying/api/ and Prometheus's own OpenAPI description. Pure functions;
the web surface mounts them under /prometheus/api/v1/. Every answer is a plain JSON value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from opsroom.kernel.clock import parse_stamp, stamp
from opsroom.kernel.errors import Invalid, NotFound, TooLarge, Unavailable, UserError
from opsroom.telemetry.durations import parse_duration
from opsroom.telemetry.port import Labels, Metadata, QueryResult
from opsroom.telemetry.promql.numbers import format_number
from opsroom.telemetry.rulefiles import RuleGroup
from opsroom.telemetry.rules import active_alerts
from opsroom.telemetry.scrape import TargetState

Json = dict[str, Any]

_NEVER = "0001-01-01T00:00:00Z"


def time_parameter(name: str, text: str | None, default: float) -> float:
    """A Unix timestamp in seconds or RFC 3339; Invalid names the parameter."""
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        try:
            return parse_stamp(text).timestamp()
        except ValueError:
            raise Invalid(f"{name}={text!r} is no time; write seconds since the epoch or RFC 3339") from None
    if not math.isfinite(value):
        raise Invalid(f"{name}={text!r} is no time")
    return value


def duration_parameter(name: str, text: str | None) -> float:
    """Seconds, or a duration such as 30s; Invalid names the parameter. It must be above zero."""
    try:
        value = float(text or "")
    except ValueError:
        try:
            value = parse_duration(text or "")
        except Invalid as error:
            raise Invalid(f"{name}: {error}") from None
    if not (math.isfinite(value) and value > 0):
        raise Invalid(f"{name}={text!r} is no duration above zero")
    return value


def limit_parameter(text: str | None) -> int:
    """How many entries at most; 0 is no limit."""
    if not text:
        return 0
    if not text.isdecimal() or len(text) > 12:
        raise Invalid(f"limit={text!r} is no whole number")
    return int(text)


def query_answer(result: QueryResult, at: float, *, limit: int = 0) -> Json:
    """/query and /query_range. `at` is the time of a string result, written as a string, as the description has it."""
    series = result.series[:limit] if limit else result.series
    body: Any
    match result.kind:
        case "string":
            body = [format_number(at), result.text]
        case "scalar":
            body = [series[0].times[0], format_number(series[0].values[0])]
        case "vector":
            body = [{"metric": dict(p.labels), "value": [p.times[0], format_number(p.values[0])]} for p in series]
        case "matrix":
            body = [
                {
                    "metric": dict(p.labels),
                    "values": [[at, format_number(value)] for at, value in zip(p.times, p.values, strict=True)],
                }
                for p in series
            ]
    answer = success({"resultType": result.kind, "result": body})
    cut = ("results truncated due to limit",) if len(series) < len(result.series) else ()
    if warnings := [*result.warnings, *cut]:
        answer["warnings"] = warnings
    if result.infos:
        answer["infos"] = list(result.infos)
    return answer


def series_answer(series: Iterable[Labels], *, limit: int = 0) -> Json:
    return _limited([dict(one) for one in series], limit)


def names_answer(names: Iterable[str], *, limit: int = 0) -> Json:
    """/labels and /label/NAME/values."""
    return _limited(list(names), limit)


def metadata_answer(items: Iterable[Metadata], *, limit: int = 0) -> Json:
    found: dict[str, list[Json]] = {}
    for item in items:
        found.setdefault(item.metric, []).append({"type": item.type, "unit": item.unit, "help": item.help})
    return success(dict(list(found.items())[:limit] if limit else found))


def rules_answer(
    groups: Sequence[RuleGroup],
    states: Mapping[tuple[str, str], Any],
    *,
    kind: str = "",
    seconds: Mapping[tuple[str, str], float] | None = None,
    faults: Mapping[tuple[str, str, str], str] | None = None,
    interval: float = 60.0,
) -> Json:
    """/rules. States, durations and faults are keyed by (file, group) and (file, group, rule); `kind` is alert or record."""
    if kind not in {"", "alert", "record"}:
        raise Invalid(f"type={kind!r} is neither alert nor record")
    answered = []
    for group in groups:
        key = (group.file, group.name)
        state = states.get(key)
        took = (seconds or {}).get(key, 0.0)
        wrong = {rule: text for (file, name, rule), text in (faults or {}).items() if (file, name) == key}
        rules = [
            rule
            for rule in _rules(group, state, took, wrong)
            if not kind or rule["type"] == ("alerting" if kind == "alert" else "recording")
        ]
        answered.append(
            {
                "name": group.name,
                "file": group.file,
                "interval": group.interval or interval,
                "limit": group.limit,
                "evaluationTime": took,
                "lastEvaluation": _moment(state["at"]) if state else _NEVER,
                "rules": rules,
            }
        )
    return success({"groups": answered})


def alerts_answer(states: Iterable[Any]) -> Json:
    """/alerts: every pending or firing alert of all groups' states."""
    return success({"alerts": [_alert(alert) for state in states for alert in active_alerts(state)]})


def targets_answer(states: Sequence[TargetState]) -> Json:
    """/targets. A scrape pool is the target's job."""
    active = []
    for state in states:
        labels = dict(state.target.labels)
        active.append(
            {
                "discoveredLabels": {"__address__": state.target.url, **labels},
                "labels": labels,
                "scrapePool": labels.get("job", ""),
                "scrapeUrl": state.target.url,
                "globalUrl": state.target.url,
                "lastError": state.error,
                "lastScrape": _moment(state.scraped) if state.scraped else _NEVER,
                "lastScrapeDuration": state.seconds,
                "health": state.health,
                "scrapeInterval": f"{state.target.interval:g}s",
                "scrapeTimeout": f"{state.target.timeout:g}s",
            }
        )
    counts: dict[str, int] = {}
    return success({"activeTargets": active, "droppedTargets": [], "droppedTargetCounts": counts})


def success(data: Any) -> Json:
    return {"status": "success", "data": data}


def error_answer(error: UserError) -> tuple[int, Json]:
    """(HTTP status, body) as Prometheus would answer: bad_data 400, execution 422, unavailable 503, not_found 404."""
    status, kind = 422, "execution"
    if isinstance(error, Unavailable):
        status, kind = 503, "unavailable"
    elif isinstance(error, NotFound):
        status, kind = 404, "not_found"
    elif isinstance(error, Invalid) and not isinstance(error, TooLarge):
        status, kind = 400, "bad_data"
    return status, {"status": "error", "errorType": kind, "error": str(error)}


def _limited(data: list[Any], limit: int) -> Json:
    if not limit or len(data) <= limit:
        return success(data)
    return success(data[:limit]) | {"warnings": ["results truncated due to limit"]}


def _rules(group: RuleGroup, state: Any, took: float, faults: Mapping[str, str]) -> list[Json]:
    alerts = active_alerts(state)
    answered: list[Json] = []
    for rule in group.rules:
        common: Json = {
            "name": rule.name,
            "query": rule.expr,
            "labels": {name: template.text for name, template in rule.labels.items()},
            "health": "err" if rule.name in faults else ("ok" if state else "unknown"),
            "evaluationTime": took / max(1, len(group.rules)),
            "lastEvaluation": _moment(state["at"]) if state else _NEVER,
        }
        if rule.name in faults:
            common["lastError"] = faults[rule.name]
        if rule.record:
            answered.append(common | {"type": "recording"})
            continue
        own = [_alert(alert) for alert in alerts if alert["rule"] == rule.name]
        answered.append(
            common
            | {
                "type": "alerting",
                "state": max(
                    (a["state"] for a in own), key=("inactive", "pending", "firing").index, default="inactive"
                ),
                "duration": rule.hold,
                "keepFiringFor": rule.keep_firing,
                "annotations": {name: template.text for name, template in rule.annotations.items()},
                "alerts": own,
            }
        )
    return answered


def _alert(alert: Mapping[str, Any]) -> Json:
    answered = {
        "labels": alert["labels"],
        "annotations": alert["annotations"],
        "state": alert["state"],
        "activeAt": _moment(alert["active_since"]),
        "value": format_number(alert["value"]),
    }
    return answered | ({"keepFiringSince": _moment(alert["keep_since"])} if alert.get("keep_since") else {})


def _moment(seconds: float) -> str:
    return stamp(datetime.fromtimestamp(seconds, UTC))
