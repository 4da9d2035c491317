"""Suspects: which of the changes before a symptom could have caused it, ranked, each with its reasons; pure.

What speaks for a change is multiplied (`weights.py`): how near it is to what suffers, how shortly before the symptom it took effect, whether it
was in the same environment, and, where telemetry answers, which share of the rise of the alert's own series it can explain. Load is a
suspect of its own kind: it takes nothing away from the changes beside it. A change that began after the symptom cannot be its cause: it
is listed with score 0, so that nobody has to ask.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from opsroom.areas.incidents.rises import Rise
from opsroom.areas.incidents.weights import WEIGHTS

WINDOW = timedelta(minutes=30)
"""How long before the symptom a change may have been made."""
HALF_LIFE = timedelta(minutes=10)
"""A change twice as long ago by this much is half as suspect."""
LIMIT = 20
MOST_LOADS = 5
FOLLOWS = timedelta(seconds=30)
"""A rise twice as long after a change by this much says half as much for it."""
LOAD_BUILDS = timedelta(seconds=10)
"""Load is felt within so long of its beginning: queues fill. What rises later rises by something else."""
LOAD_FADES = timedelta(seconds=10)
"""For so long after its end load is still seen: what waited is worked off, and rates look back."""
READ_EVERY = timedelta(seconds=1)
"""How closely a series is read: a rise is seen no earlier than this before its cause."""

Relation = Literal["same", "dependency", "traced", "further", "configuration", "dependent", "unrelated"]
Reason = tuple[float, str]
"""A factor with its sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that was changed: the event that stands for it, its sentence, and from when until when it came into effect.

    `services` empty: it is about no single service. `going_on`: it had not finished. `failed`: it says of itself that it did not
    take effect. `runs` false: nothing that runs was changed by it, such as a push that was not deployed. `brings`: what came with it.
    `load`: requests were sent, from `began` to `ended`, and nothing was changed."""

    event: str
    sentence: str
    subjects: tuple[str, ...]
    services: tuple[str, ...]
    environment: str
    began: datetime
    ended: datetime
    going_on: bool = False
    failed: bool = False
    runs: bool = True
    brings: str = ""
    load: bool = False

    @property
    def deployment(self) -> bool:
        return any(subject.startswith("deployment:") for subject in self.subjects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """What suffers, and since when. `rise` is how the alert's series came to be bad; None with `unread` saying why it is not known, or with
    `unread` empty when the series was read and stayed level. `others` by service: how its own figures rose where it runs beside the one
    that suffers (None: they stayed level); a service that is not in it was not read."""

    service: str
    environment: str
    onset: datetime
    rise: Rise | None = None
    unread: str = ""
    others: Mapping[str, Rise | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Services around the one that suffers: those it needs, directly and by others, those that need it, and those whose logs hold the
    trace ids of its requests."""

    direct: frozenset[str] = frozenset()
    further: frozenset[str] = frozenset()
    dependents: frozenset[str] = frozenset()
    traced: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A change with its score from 0 (cannot be) to 1, and the sentences that say why, each with the factor it counts."""

    change: Change
    score: float
    told: tuple[Reason, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(reason for _, reason in self.told)

    def plain(self) -> dict[str, Any]:
        """As it stands in events and in the incident."""
        return {
            "event": self.change.event, "change": self.change.sentence, "subjects": list(self.change.subjects),
            "at": self.change.ended.isoformat(), "kind": "load" if self.change.load else "change", "score": self.score,
            "reasons": list(self.reasons), "factors": [round(factor, 3) for factor, _ in self.told],
        }  # fmt: skip


def rank(
    symptom: Symptom, changes: Iterable[Change], neighbours: Neighbours, *, limit: int = LIMIT
) -> tuple[Suspect, ...]:
    """The likeliest first, at most `limit` changes and `MOST_LOADS` loads; of two alike the later one first. What is older than the window
    is left out."""
    onset = onset_of(symptom)
    young = [change for change in changes if change.ended >= onset - WINDOW]
    gone = _replaced(young, symptom)
    found = [_suspect(symptom, onset, change, neighbours, change.event in gone) for change in young]
    found.sort(key=lambda suspect: (-suspect.score, -suspect.change.ended.timestamp(), suspect.change.event))
    loads = [one for one in found if one.change.load][:MOST_LOADS]
    kept = {one.change.event for one in (*[one for one in found if not one.change.load][:limit], *loads)}
    return tuple(one for one in found if one.change.event in kept)


def onset_of(symptom: Symptom) -> datetime:
    """When the symptom began: when the alert's series had begun to rise, else when the alert's expression became true."""
    if symptom.rise is None:
        return symptom.onset
    return min(symptom.onset, datetime.fromtimestamp(symptom.rise.start, symptom.onset.tzinfo))


def relation(service: str, change: Change, neighbours: Neighbours) -> Relation:
    """How near the change is to the service: the nearest of the services it is about."""
    if not change.services:
        return "configuration"
    near: Sequence[tuple[Relation, frozenset[str]]] = (
        ("same", frozenset({service})), ("dependency", neighbours.direct), ("traced", neighbours.traced),
        ("further", neighbours.further), ("dependent", neighbours.dependents),
    )  # fmt: skip
    return next((name for name, services in near if services.intersection(change.services)), "unrelated")


def span(time: timedelta) -> str:
    """A length of time as a person says it: `12 s`, `3 min`, `2 h`."""
    seconds = abs(time / timedelta(seconds=1))
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _replaced(changes: Sequence[Change], symptom: Symptom) -> frozenset[str]:
    """Events of deployments whose version ran no more when the symptom began: a later one of the same service took their place, and, where
    the series was read, most of its rise came with that one or after it."""
    last: dict[tuple[Any, ...], Change] = {}
    deployed = [one for one in changes if one.deployment and not one.failed]
    effective = sorted((one for one in deployed if _took_over(one, symptom)), key=lambda one: one.ended)
    for change in effective:
        last[change.services, change.environment] = change
    earlier = (one for one in effective if last[one.services, one.environment] is not one)
    return frozenset(one.event for one in earlier)


def _took_over(change: Change, symptom: Symptom) -> bool:
    if change.began > symptom.onset:
        return False
    if symptom.rise is None or change.environment != symptom.environment:
        return change.ended <= symptom.onset and not change.going_on
    return symptom.rise.gone_before(_earliest(change)) < 0.5


def _suspect(symptom: Symptom, onset: datetime, change: Change, neighbours: Neighbours, replaced: bool) -> Suspect:
    late = change.began - symptom.onset
    if late > timedelta(0):
        reason = f"It came {span(late)} after the symptom had begun, so it cannot be the cause."
        return Suspect(change=change, score=0.0, told=((0.0, reason),))
    judged = _judged_load if change.load else _judged_change
    told = [one for one in judged(symptom, onset, change, neighbours, replaced) if one[1]]
    score = 1.0
    for factor, _ in told:
        score *= factor
    if change.brings:
        told.append((1.0, f"It brings {change.brings}."))
    return Suspect(change=change, score=round(min(1.0, score), 3), told=tuple(told))


def _judged_change(
    symptom: Symptom, onset: datetime, change: Change, neighbours: Neighbours, replaced: bool
) -> Iterator[Reason]:
    yield _relation(symptom, change, neighbours)
    yield _own_figures(symptom, change, neighbours)
    yield _state(change, replaced)
    yield _age(onset, change)
    yield _place(symptom, change)
    yield _evidence(symptom, change, FOLLOWS)


def _judged_load(
    symptom: Symptom, onset: datetime, change: Change, neighbours: Neighbours, replaced: bool
) -> Iterator[Reason]:
    """Load works only while it lasts, and is felt by what it is sent to and by what that needs."""
    sent_to = relation(symptom.service, change, neighbours)
    what = ", ".join(change.services)
    if sent_to == "same":
        yield WEIGHTS["same"].factor, f"Its requests went to {what}."
    elif sent_to == "dependent":
        yield WEIGHTS["same"].factor, f"Its requests went to {what}, which needs {symptom.service}."
    else:
        yield _of(sent_to), f"Its requests went to {what}, not to {symptom.service or 'what suffers'}."
    yield _of("load"), "It is load: it shows a limit, and ends by itself."
    if symptom.environment and change.environment != symptom.environment:
        yield (
            _of("elsewhere"),
            f"It ran in {change.environment}: {symptom.environment} shares at most the machine with it.",
        )
    over = onset - change.ended
    if over > LOAD_FADES and not change.going_on:
        yield _of("load over"), f"It had ended {span(over)} before the symptom began."
    yield _evidence(symptom, replace(change, ended=min(change.ended, change.began + LOAD_BUILDS)), FOLLOWS)


def _of(name: str) -> float:
    return WEIGHTS[name].factor


def _relation(symptom: Symptom, change: Change, neighbours: Neighbours) -> Reason:
    found = relation(symptom.service, change, neighbours)
    what, who = ", ".join(change.services), symptom.service or "what suffers"
    reason = {
        "same": f"It changed {who} itself.",
        "dependency": f"It changed {what}, which {who} needs directly.",
        "traced": f"It changed {what}, whose logs hold trace ids of {who}, though the catalog names no way between them.",
        "further": f"It changed {what}, which {who} needs by way of others.",
        "configuration": "It changed how things are set up, not one service.",
        "dependent": f"It changed {what}, which needs {who}: trouble seldom goes that way.",
        "unrelated": f"The catalog knows no way between {what} and {who}.",
    }[found]
    return _of(found), reason


def _own_figures(symptom: Symptom, change: Change, neighbours: Neighbours) -> Reason:
    """What the figures of a needed service say of a change to it."""
    if change.environment != symptom.environment:
        return 1.0, ""
    if relation(symptom.service, change, neighbours) not in ("dependency", "traced", "further"):
        return 1.0, ""
    read = [service for service in change.services if service in symptom.others]
    if not read:
        return 1.0, ""
    rose = next((symptom.others[service] for service in read if symptom.others[service] is not None), None)
    what = ", ".join(read)
    if rose is None:
        return _of("did not suffer"), f"The figures of {what} itself stayed level."
    levels = f"from {rose.before:.3g} to {rose.after:.3g}"
    if explained(rose, change, FOLLOWS) < 0.5:
        return _of("did not suffer"), f"The figures of {what} itself went {levels}, but not with it."
    return _of("suffered too"), f"The figures of {what} itself went {levels} with it."


def _state(change: Change, replaced: bool) -> Reason:
    if not change.runs:
        return _of("not running"), "Nothing that runs was changed by it yet."
    if change.failed:
        return _of("failed"), "It failed, so what ran before should still run."
    if replaced:
        return _of("replaced"), "A later deployment had taken its place before the symptom began."
    return 1.0, "It was still going on." if change.going_on else ""


def _age(onset: datetime, change: Change) -> Reason:
    age = onset - change.ended
    if age <= timedelta(0):
        return 1.0, "It took effect as the symptom began."
    return 0.5 ** (age / HALF_LIFE), f"It took effect {span(age)} before the symptom began."


def _place(symptom: Symptom, change: Change) -> Reason:
    if not symptom.environment or change.environment == symptom.environment:
        return 1.0, f"It was in {change.environment}, where the alert fires." if symptom.environment else ""
    if not change.environment:
        return _of("nowhere"), "It names no environment."
    return _of("elsewhere"), f"It was in {change.environment}, and the alert fires in {symptom.environment}."


def explained(rise: Rise, change: Change, half_life: timedelta) -> float:
    """From 0 to 1, how well a rise is explained by a change: how shortly it follows, and none of it came before (which counts twice, since
    one cause explains all of it)."""
    kept = 1.0 - rise.gone_before(_earliest(change))
    return kept * kept * rise.follows(_earliest(change), change.ended.timestamp(), half_life / timedelta(seconds=1))


def _earliest(change: Change) -> float:
    return (change.began - READ_EVERY).timestamp()


def _evidence(symptom: Symptom, change: Change, half_life: timedelta) -> Reason:
    """What the alert's own series says of this change."""
    rise = symptom.rise
    if rise is None:
        if symptom.unread:
            return 1.0, f"Whether the alert's series moved with it is not known: {symptom.unread}."
        return _of("level"), "The alert's series shows no clear rise."
    least = WEIGHTS["moved"].least or 0.0
    factor = least + (_of("moved") - least) * explained(rise, change, half_life)
    levels = f"from {rise.before:.3g} to {rise.after:.3g}"
    gone = rise.gone_before(_earliest(change))
    if gone >= 0.1:
        share = "already" if gone > 0.95 else f"by {gone:.0%} already"
        return factor, f"The alert's series had gone {levels} {share} before it began."
    lag = datetime.fromtimestamp(rise.start, change.ended.tzinfo) - change.ended
    return (
        factor,
        f"The alert's series went {levels} {f'{span(lag)} after it' if lag > timedelta(0) else 'while it took effect'}.",
    )
