"""Explore: metrics above logs on one time axis, with every change marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opsroom.areas.observability import signals
from opsroom.areas.observability.operations.logs import log_line, scoped
from opsroom.areas.observability.pages.seen import telemetry_problem
from opsroom.areas.observability.patterns import Key, ask_whether_new, patterns_in
from opsroom.areas.observability.recent import recent
from opsroom.contracts.pages import PageRequest, View
from opsroom.kernel.errors import UserError
from opsroom.telemetry.port import LogCount, Metadata

BUCKETS = 60
LINES = 100
COMPLETIONS = 600
NAMES_SECONDS = 20.0
PATTERN_SECONDS = 600.0
NAMES_BACK = 3600.0
"""How far back metrics are offered."""
LEVELS = ("critical", "error", "warning", "info", "debug", "")
COLOURS = {"critical": "failed", "error": "failed", "warning": "waiting"}


def explore(asked: PageRequest) -> View:
    """The query bar with its completions, the charts, the histogram of log lines and the lines themselves."""
    query = " ".join(asked.query.get("query", "").split())
    search, level = asked.query.get("logs", "").strip(), asked.query.get("level", "")
    problem = telemetry_problem(asked)
    values: dict[str, Any] = {
        "metrics_query": query, "logs_query": search, "level": level, "problem": problem, "charts": _charts(asked, query),
        "completions": [] if problem else recent(asked.call.plane, ("names", *asked.call.sight.key()), NAMES_SECONDS, lambda: _completions(asked)),
        **_logs(asked, search, level),
    }  # fmt: skip
    return View(
        template="observability/explore.html", values=values, title="Explore", api="/api/v1/metrics/range?query=up",
        live=("deployment.", "configuration.", "alert.", "change.pushed"),
    )  # fmt: skip


def _charts(asked: PageRequest, query: str) -> list[dict[str, Any]]:
    if query:
        return [{"title": "Result", "queries": [{"query": query}], "unit": "", "height": 240}]
    place = asked.scope.service, asked.scope.environment
    shown = (signals.rate(*place, by="service, environment"), signals.p95(*place, by="service, environment"))
    name = "{{service}} {{environment}}"
    return [
        {"title": one.title, "queries": [{"query": one.charted, "name": name}], "unit": one.unit, "height": 120}
        for one in shown
    ]  # fmt: skip


def _completions(asked: PageRequest) -> list[dict[str, str]]:
    """What the query bar offers: metric names, and for each kind of metric the expression people mean by it."""
    telemetry, now = asked.call.telemetry, asked.call.plane.clock.now().timestamp()
    try:
        names = telemetry.label_values("__name__", [], now - NAMES_BACK, now)
        told = {one.metric: one for one in telemetry.metadata()}
    except UserError:
        return []
    offered = []
    for name in names:
        base = name.removesuffix("_bucket")
        offered.append({"value": name, "label": _help(told.get(name) or told.get(base))})
        if name.endswith("_bucket"):
            quantile = f"histogram_quantile(0.95, sum by (le, service) (rate({name}[1m])))"
            offered.append({"value": quantile, "label": "95 % are below"})
        elif name.endswith(("_total", "_count", "_sum")):
            offered.append({"value": f"sum by (service) (rate({name}[1m]))", "label": "a second"})
    return offered[:COMPLETIONS]


def _help(metadata: Metadata | None) -> str:
    return f"{metadata.type}: {metadata.help}" if metadata else ""


def _logs(asked: PageRequest, search: str, level: str) -> dict[str, Any]:
    """The lines, how many there were over time by level, and what went wrong."""
    scope, telemetry = asked.scope, asked.call.telemetry
    start, end = scope.since.timestamp(), scope.until.timestamp()
    within = scoped(search, scope.service, scope.environment)
    only = f'level:"{level}"' if level else ""
    text = " AND ".join(part for part in (within, only) if part)
    try:
        patterns = _patterns(asked, text, start, end) if asked.query.get("view") == "patterns" else None
        page = telemetry.search_logs(
            text, start, end, limit=LINES if patterns is None else 1, before=asked.query.get("after", "")
        )
        counts = telemetry.log_histogram(within, start, end, buckets=BUCKETS)
    except UserError as error:
        return {"lines": [], "next": "", "histogram": None, "levels": [], "patterns": None, "logs_error": str(error)}
    levels = {name: sum(one.count for one in counts if one.group == name) for name in {one.group for one in counts}}
    return {
        "patterns": patterns, "lines": [log_line(record) for record in page.records], "next": page.before, "logs_error": "",
        "histogram": _histogram(counts, start, end) if counts else None,
        "levels": [(name, levels[name]) for name in _ordered(levels)],
    }  # fmt: skip


def _patterns(asked: PageRequest, text: str, start: float, end: float) -> dict[str, Any]:
    """The patterns of the lines, and the last deployment of the scope, since when some are new."""
    scope = asked.scope
    subjects = [
        f"{kind}:{value}" for kind, value in (("service", scope.service), ("environment", scope.environment)) if value
    ]
    ledger = asked.call.plane.ledger
    deployed = asked.call.sight.only(
        ledger.find(types=["deployment.finished"], subjects=subjects, until=scope.until, limit=20)
    )[:1]
    since = deployed[0].time.timestamp() if deployed else None

    def is_new(key: Key, moment: float) -> bool | None:
        about = ("pattern", *asked.call.sight.key(), *key, str(moment))
        return recent(
            asked.call.plane, about, PATTERN_SECONDS, lambda: ask_whether_new(asked.call.telemetry, key, moment)
        )

    found = patterns_in(asked.call.telemetry, text, start, end, since=since, is_new=is_new)
    return {"deployed": deployed, "found": found}


def _histogram(counts: Sequence[LogCount], start: float, end: float) -> dict[str, Any]:
    """The counts as a chart's data, over the whole of the scope so that its axis is that of the charts above."""
    width = (end - start) / BUCKETS
    times = [start + index * width for index in range(BUCKETS)]
    series = []
    for level in reversed(_ordered({one.group for one in counts})):
        values = [0] * BUCKETS
        for one in counts:
            if one.group == level:
                values[min(BUCKETS - 1, max(0, round((one.time - start) / width)))] += one.count
        series.append({"name": level or "no level", "values": values, "colour": COLOURS.get(level)})
    return {"times": times, "series": series, "until": end}


def _ordered(levels: Any) -> list[str]:
    """Levels by how grave they are; those nobody knows before those without one."""
    known = {name: number for number, name in enumerate(LEVELS)}
    return sorted(levels, key=lambda name: (known.get(name, len(LEVELS) - 1.5), name))
