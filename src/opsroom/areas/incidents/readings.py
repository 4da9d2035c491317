"""What was measured around a symptom: the alert's own series, the figures of other services, and who shares its trace ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from opsroom.areas.incidents.rises import Rise, find_rise
from opsroom.contracts.facts import FiguresDuring
from opsroom.contracts.plane import Plane
from opsroom.kernel.errors import UserError

LOOK_BACK = timedelta(minutes=10)
STEP_SECONDS = 1.0
TRACED_BACK = timedelta(minutes=1)
TRACED_LINES = 500
_RISING = {">": 1, ">=": 1, "<": -1, "<=": -1}
_COMPARISONS = frozenset({"==", "!=", *_RISING})
_OF_THE_ALERT = frozenset({"alertname", "severity"})


@dataclass(frozen=True, slots=True)
class Read:
    """Figures that were read: how they rose, or None where they stayed level."""

    rise: Rise | None


def measured(expr: str) -> str:
    """What an alert's expression compares: the side of its comparison that is no number, or the whole where it compares nothing."""
    return _compared(expr)[0]


def rise_of(
    plane: Plane, expr: str, labels: Mapping[str, str], environment: str, onset: datetime
) -> tuple[Rise | None, str]:
    """How the alert's series came to be bad, or None and why that is not known ("" : it was read, and stayed level). Only series of the
    alert's own environment are taken."""
    now = plane.clock.now()
    try:
        query, bad = _compared(expr)
        answer = plane.telemetry.query_range(
            query, (onset - LOOK_BACK).timestamp(), now.timestamp(), STEP_SECONDS, lane="pages"
        )
    except UserError as error:
        return None, str(error).rstrip(".")
    wanted = {name: value for name, value in labels.items() if name not in _OF_THE_ALERT}
    if environment:
        wanted["environment"] = environment
    fitting = [one for one in answer.series if _fits(dict(one.labels), wanted)]
    if len(fitting) != 1:
        return None, f"the alert's expression gives {len(fitting)} series with its labels"
    series = fitting[0]
    if len(series.times) < 7:
        return None, f"its series has only {len(series.times)} samples"
    return find_rise(series.times, series.values, onset=onset.timestamp(), bad=bad), ""


def figures_of(plane: Plane, service: str, environment: str, onset: datetime) -> Read | None:
    """How a service's own p95 or error share rose around the symptom, the clearer of the two; None where nothing could be read."""
    answer = plane.ask(FiguresDuring(service, environment, onset - LOOK_BACK, plane.clock.now()))
    read = [one for one in answer.value or () if len(one.times) >= 7]
    if not read:
        return None
    rises = [find_rise(one.times, one.values, onset=onset.timestamp(), bad=1) for one in read]
    return Read(max((one for one in rises if one is not None), key=lambda rise: rise.ratio, default=None))


def traced_with(plane: Plane, service: str, environment: str, onset: datetime) -> frozenset[str]:
    """Services whose log lines of the last minute hold trace ids that the service's own lines hold; none where telemetry cannot answer."""
    place = f'environment:"{environment}" ' if environment else ""
    now = plane.clock.now()
    try:
        page = plane.telemetry.search_logs(
            f"{place}trace_id:*", (onset - TRACED_BACK).timestamp(), now.timestamp(), limit=TRACED_LINES
        )
    except UserError:
        return frozenset()
    own = {line.trace_id for line in page.records if line.service == service and line.trace_id}
    return frozenset(line.service for line in page.records if line.service and line.trace_id in own)


def _compared(expr: str) -> tuple[str, int]:
    """What is compared, and whether high values (1) or low ones (-1) make it true; 0 where that is not known."""
    from promql_parser import BinaryExpr, NumberLiteral, ParenExpr

    from opsroom.telemetry.promql.parse import parse

    tree: Any = parse(expr)
    while isinstance(tree, ParenExpr):
        tree = tree.expr
    if not isinstance(tree, BinaryExpr) or str(tree.op) not in _COMPARISONS:
        return expr, 0
    swapped = isinstance(tree.lhs, NumberLiteral)
    side = tree.rhs if swapped else tree.lhs
    return str(side.prettify()), _RISING.get(str(tree.op), 0) * (-1 if swapped else 1)


def _fits(series: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether the series is the alert's: the labels both have are the same (a rule may add labels of its own)."""
    return all(wanted.get(name, value) == value for name, value in series.items() if name != "__name__")
