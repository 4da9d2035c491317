"""What charts are drawn from: series of the telemetry port, and the changes to mark on them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from opsroom.contracts.formats import person
from opsroom.kernel.errors import Invalid, UserError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from opsroom.contracts.pages import PageRequest
    from opsroom.surfaces.web.frame import Web
    from opsroom.telemetry.port import Points

STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
AIM_POINTS = 240
MAX_POINTS = 2000
MAX_SERIES = 50
MAX_MARKS = 500
_LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class DataPages:
    """`/data/series` and `/data/changes`, both over the scope of the URL."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def series(self, request: Request) -> Response:
        return await run_in_threadpool(self._json, request, self._series)

    async def changes(self, request: Request) -> Response:
        return await run_in_threadpool(self._json, request, self._changes)

    def _json(self, request: Request, answer: Any) -> Response:
        try:
            return JSONResponse(answer(self._web.page_request(request)))
        except UserError as error:
            problem = {"type": "about:blank", "title": error.title, "status": error.status, "detail": str(error)}
            return JSONResponse(problem, error.status, media_type="application/problem+json")

    def _series(self, asked: PageRequest) -> dict[str, Any]:
        """`query` is PromQL; `name` such as `{{service}}` names each series. Times are Unix seconds on one grid, missing values null."""
        promql = asked.query.get("query", "")
        if not promql:
            raise Invalid("query is missing; give a PromQL expression")
        start, end = asked.scope.since.timestamp(), asked.scope.until.timestamp()
        step = _step(asked.query.get("step", ""), end - start)
        start, end = math.floor(start / step) * step, math.floor(end / step) * step
        result = asked.call.telemetry.query_range(promql, start, end, step)
        times = [start + index * step for index in range(int((end - start) / step) + 1)]
        kept = result.series[:MAX_SERIES]
        return {
            "times": times,
            "step": step,
            "series": [
                {
                    "name": series_name(one, asked.query.get("name", "")),
                    "values": _on_grid(one, start, step, len(times)),
                }
                for one in kept
            ],
            "left_out": len(result.series) - len(kept),
            "warnings": list(result.warnings),
        }

    def _changes(self, asked: PageRequest) -> dict[str, Any]:
        web, scope = self._web, asked.scope
        subjects = [
            f"{kind}:{value}"
            for kind, value in (("service", scope.service), ("environment", scope.environment))
            if value
        ]
        types = web.sentences.changes()
        if not types:
            return {"changes": []}
        found = web.plane.ledger.find(
            types=types, subjects=subjects, since=scope.since, until=scope.until, limit=MAX_MARKS
        )
        sight = asked.call.sight
        return {
            "changes": [
                {
                    "id": event.id, "time": event.time.timestamp(), "type": event.type, "shape": web.sentences.shape(event.type),
                    "text": web.sentences.plain(event), "actor": person(event.actor), "href": f"/changes/{event.id}",
                }
                for event in found
                if sight.shows(event)
            ]
        }  # fmt: skip


def series_name(points: Points, template: str) -> str:
    """`{{service}} errors` with the labels of a series; without a template all of them, as PromQL writes them."""
    labels = dict(points.labels)
    if template:
        return _LABEL.sub(lambda match: labels.get(match[1], ""), template).strip() or "all"
    name = labels.pop("__name__", "")
    inside = ", ".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{inside}}}" if inside else name or "all"


def _step(text: str, seconds: float) -> float:
    if text:
        try:
            step = float(text)
        except ValueError:
            step = 0.0
        if not step > 0 or seconds / step > MAX_POINTS:
            raise Invalid(
                f"step={text!r} gives no 1 to {MAX_POINTS:,} points over {seconds:.0f} s; leave it out to have it chosen"
            )
        return step
    return float(next((step for step in STEPS if seconds / step <= AIM_POINTS), math.ceil(seconds / AIM_POINTS)))


def _on_grid(points: Points, start: float, step: float, count: int) -> list[float | None]:
    values: list[float | None] = [None] * count
    for time, value in zip(points.times, points.values, strict=True):
        index = round((time - start) / step)
        if 0 <= index < count and math.isfinite(value):
            values[index] = value
    return values


def as_query(labels: Mapping[str, str]) -> str:
    """PromQL matchers: `service="storefront",environment="production"`, each value escaped."""
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items() if value)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
