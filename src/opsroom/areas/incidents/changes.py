"""Gathers what suspects are ranked from: the changes in the ledger, the load that ran, the service graph, and what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from opsroom.areas.incidents.readings import LOOK_BACK, figures_of, rise_of, traced_with
from opsroom.areas.incidents.suspects import WINDOW, Change, Neighbours, Suspect, Symptom, rank, relation
from opsroom.contracts.facts import Load, LoadDuring
from opsroom.contracts.plane import Plane
from opsroom.contracts.sentences import Sentences
from opsroom.kernel.errors import NotFound
from opsroom.kernel.ledger import Event

PUSH = "change.pushed"
MOST_EVENTS = 200
MOST_READ = 4
"""Of so many needed services at most the own figures are read."""
_VERBS = ("started", "failed")


def suspects(
    plane: Plane,
    *,
    service: str,
    environment: str,
    onset: datetime,
    expr: str = "",
    labels: Mapping[str, str] | None = None,
) -> tuple[Suspect, ...]:
    """The changes and loads that could have caused a symptom, the likeliest first; read from the ledger, the catalog and telemetry as of
    now. Without any, telemetry is not asked."""
    found = [*changes_of(plane, since=onset - WINDOW), *loads_of(plane, onset)]
    if not found:
        return ()
    rise, why = (
        rise_of(plane, expr, labels or {}, environment, onset) if expr else (None, "there is no alert expression")
    )
    around = _neighbours(plane, service, environment, onset)
    needed = dict.fromkeys(
        name for change in found if relation(service, change, around) in ("dependency", "traced", "further")
        for name in change.services if change.environment == environment and not change.load
    )  # fmt: skip
    others = {name: read for name in list(needed)[:MOST_READ] if (read := figures_of(plane, name, environment, onset))}
    symptom = Symptom(
        service=service, environment=environment, onset=onset, rise=rise, unread=why,
        others={name: read.rise for name, read in others.items()},
    )  # fmt: skip
    return rank(symptom, found, around)


def loads_of(plane: Plane, onset: datetime) -> list[Change]:
    """Load tests of the time in which the alert's series is read, and steady traffic that began then: what ran all along is no news."""
    since, now = onset - LOOK_BACK, plane.clock.now()
    answer = plane.ask(LoadDuring(since, now))
    return [_load(one) for one in answer.value or () if one.kind == "test" or one.since >= since]


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


def _load(load: Load) -> Change:
    what = f"load test {load.test}" if load.kind == "test" else f"steady traffic {load.test}".rstrip()
    until = "on" if load.going_on else f"to {load.until:%H:%M:%S} UTC"
    return Change(
        event=load.event, sentence=f"{what} ran in {load.environment} from {load.since:%H:%M:%S} {until}",
        subjects=(f"service:{load.service}", f"environment:{load.environment}"), services=(load.service,),
        environment=load.environment, began=load.since, ended=load.until, going_on=load.going_on, load=True,
    )  # fmt: skip


def _neighbours(plane: Plane, service: str, environment: str, onset: datetime) -> Neighbours:
    if not service:
        return Neighbours()
    graph = plane.catalogs.current().graph()
    direct = frozenset(graph.dependencies(service, transitive=False))
    needed = frozenset(graph.dependencies(service))
    dependents = frozenset(graph.dependents(service)) - needed
    traced = traced_with(plane, service, environment, onset) - needed - dependents - {service}
    return Neighbours(direct=direct, further=needed - direct, dependents=dependents, traced=traced)
