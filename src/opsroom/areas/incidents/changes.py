"""Gathers what suspects are ranked from: the changes in the ledger, the service graph, and the alert's own series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from opsroom.areas.incidents.shifts import Shift, find_shift
from opsroom.areas.incidents.suspects import WINDOW, Change, Neighbours, Suspect, Symptom, rank
from opsroom.contracts.plane import Plane
from opsroom.contracts.sentences import Sentences
from opsroom.kernel.errors import NotFound, UserError
from opsroom.kernel.ledger import Event

PUSH = "change.pushed"
MOST_EVENTS = 200
LOOK_BACK = timedelta(minutes=10)
STEP_SECONDS = 2.0
_VERBS = ("started", "failed")
_COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
_OF_THE_ALERT = frozenset({"alertname", "severity"})


def suspects(
    plane: Plane,
    *,
    service: str,
    environment: str,
    onset: datetime,
    expr: str = "",
    labels: Mapping[str, str] | None = None,
) -> tuple[Suspect, ...]:
    """The changes that could have caused a symptom, the likeliest first; read from the ledger, the catalog and telemetry as of now."""
    found = changes_of(plane, since=onset - WINDOW)
    if not found:
        return ()
    shift, why = _shift(plane, expr, labels or {}, onset) if expr else (None, "there is no alert expression")
    symptom = Symptom(service=service, environment=environment, onset=onset, shift=shift, no_shift=why)
    return rank(symptom, found, _neighbours(plane, service))


def change_types(plane: Plane) -> tuple[str, ...]:
    """What the areas declare as change, and how such a thing begins and fails: one that goes on is a suspect too."""
    declared = {one.name: one.change for area in plane.areas for one in area.events}
    nouns = {name.partition(".")[0] for name, change in declared.items() if change}
    siblings = {f"{noun}.{verb}" for noun in nouns for verb in _VERBS}
    return tuple(sorted(name for name, change in declared.items() if change or name in siblings))


def changes_of(plane: Plane, *, since: datetime) -> list[Change]:
    """The changes since a moment, each once: what the areas declare as change, a deployment's events taken together, and a push
    left to what it led to."""
    types = change_types(plane)
    if not types:
        return []
    events = plane.ledger.find(types=types, since=since, limit=MOST_EVENTS)
    known: dict[str, Event] = {}
    chains = {event.id: _chain(plane, event, known) for event in events}
    sentences = Sentences(declared for area in plane.areas for declared in area.events)
    return [_change(group, chains, sentences) for group in grouped(events, chains)]


def grouped(events: Iterable[Event], chains: Mapping[str, Sequence[Event]]) -> list[list[Event]]:
    """Events of one change together, oldest first: those of one deployment, and any other alone. A push that led to another change is
    told by that one. `chains` holds each event's causes, nearest first."""
    groups: dict[str, list[Event]] = {}
    for event in sorted(events, key=lambda one: (one.time, one.id)):
        deployment = event.subject("deployment")
        groups.setdefault(f"deployment:{deployment}" if deployment else event.id, []).append(event)
    told = {
        cause.id
        for group in groups.values()
        for event in group
        if event.type != PUSH
        for cause in chains.get(event.id, ())
    }
    return [group for group in groups.values() if group[-1].type != PUSH or group[-1].id not in told]


def measured(expr: str) -> str:
    """What an alert's expression compares: the side of its comparison that is no number, or the whole where it compares nothing."""
    from promql_parser import BinaryExpr, NumberLiteral, ParenExpr

    from opsroom.telemetry.promql.parse import parse

    tree: Any = parse(expr)
    while isinstance(tree, ParenExpr):
        tree = tree.expr
    if not isinstance(tree, BinaryExpr) or str(tree.op) not in _COMPARISONS:
        return expr
    side = tree.rhs if isinstance(tree.lhs, NumberLiteral) else tree.lhs
    return str(side.prettify())


def _chain(plane: Plane, event: Event, known: dict[str, Event]) -> list[Event]:
    """The causes of an event, nearest first; what was read once is not read again."""
    found: list[Event] = []
    cause = event.cause
    while cause and len(found) < 50:
        if cause not in known:
            try:
                known[cause] = plane.ledger.get(cause)
            except NotFound:
                break
        found.append(known[cause])
        cause = known[cause].cause
    return found


def _change(group: Sequence[Event], chains: Mapping[str, Sequence[Event]], sentences: Sentences) -> Change:
    first, last = group[0], group[-1]
    return Change(
        event=last.id, sentence=sentences.tell(last), subjects=last.subjects,
        services=tuple(subject.partition(":")[2] for subject in last.subjects if subject.startswith("service:")),
        environment=last.subject("environment"), began=min(_began(event) for event in group), ended=last.time,
        going_on=last.type.endswith(".started"), failed=last.type.endswith(".failed"), runs=last.type != PUSH,
        brings="" if first.type == PUSH else _brought(chains.get(last.id, ())),
    )  # fmt: skip


def _began(event: Event) -> datetime:
    """An event that says how long it took began that much before."""
    seconds = event.data.get("seconds")
    took = float(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else 0.0
    return event.time - timedelta(seconds=max(0.0, took))


def _brought(chain: Sequence[Event]) -> str:
    push = next((event for event in chain if event.type == PUSH), None)
    if push is None:
        return ""
    message = str(push.data.get("message", "")).split("\n")[0][:100]
    author = str(push.data.get("author", ""))
    commit = push.subject("commit")[:7]
    return " ".join(
        part for part in (commit, f"“{message}”" if message else "", f"by {author}" if author else "") if part
    )


def _neighbours(plane: Plane, service: str) -> Neighbours:
    graph = plane.catalogs.current().graph()
    if not service:
        return Neighbours()
    direct = frozenset(graph.dependencies(service, transitive=False))
    needed = frozenset(graph.dependencies(service))
    return Neighbours(direct=direct, further=needed - direct, dependents=frozenset(graph.dependents(service)) - needed)


def _shift(plane: Plane, expr: str, labels: Mapping[str, str], onset: datetime) -> tuple[Shift | None, str]:
    """Where the alert's series left its level, or None and why that is not known ("" : it was read, and did not)."""
    now = plane.clock.now()
    try:
        answer = plane.telemetry.query_range(
            measured(expr), (onset - LOOK_BACK).timestamp(), now.timestamp(), STEP_SECONDS, lane="pages"
        )
    except UserError as error:
        return None, str(error).rstrip(".")
    wanted = {name: value for name, value in labels.items() if name not in _OF_THE_ALERT}
    fitting = [one for one in answer.series if _fits(dict(one.labels), wanted)]
    if len(fitting) != 1:
        return None, f"the alert's expression gives {len(fitting)} series with its labels"
    series = fitting[0]
    if len(series.times) < 7:
        return None, f"its series has only {len(series.times)} samples"
    return find_shift(series.times, series.values), ""


def _fits(series: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether the series is the alert's: the labels both have are the same (a rule may add labels of its own)."""
    return all(wanted.get(name, value) == value for name, value in series.items() if name != "__name__")
