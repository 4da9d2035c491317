"""Suspects: which of the changes before a symptom could have caused it, ranked, each with its reasons; pure.

What speaks for a change is multiplied: how near it is to what suffers (relation), how shortly before the symptom it took
effect (age), whether it was in the same environment, and, where telemetry answers, whether the alert's own series left its level
right after it. A change that began after the symptom cannot be its cause: it is listed with score 0, so that nobody has to ask.
The numbers below are judgement, not law; they are few so that a person can redo a score by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from opsroom.areas.incidents.shifts import Shift

WINDOW = timedelta(minutes=30)
"""How long before the symptom a change may have been made."""
HALF_LIFE = timedelta(minutes=10)
"""A change twice as long ago by this much is half as suspect."""
LIMIT = 20
FOLLOWS = timedelta(seconds=30)
"""A step of the series twice as long after a change by this much says half as much for it."""

SLACK = timedelta(seconds=8)
"""How closely the moment is known at which a series left its level: it is read in steps, and over rates of half a minute."""

Relation = Literal["same", "dependency", "further", "configuration", "dependent", "unrelated"]

RELATIONS: Mapping[Relation, float] = {
    "same": 1.0, "dependency": 0.6, "further": 0.4, "configuration": 0.35, "dependent": 0.2, "unrelated": 0.08,
}  # fmt: skip
NO_ENVIRONMENT = 0.8
OTHER_ENVIRONMENT = 0.15
FAILED = 0.5
NOT_RUNNING = 0.1
REPLACED = 0.3
NOT_RIGHT_AFTER = 0.6
MOVED_BEFORE = 0.3
NO_SHIFT = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that was changed: the event that stands for it, its sentence, and from when until when it came into effect.

    `services` empty: it is about no single service. `going_on`: it had not finished. `failed`: it says of itself that it did not
    take effect. `runs` false: nothing that runs was changed by it, such as a push that was not deployed. `brings`: what came with it."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """What suffers, and since when. `shift` is where the alert's series left its level; None with `no_shift` saying why it is not known,
    or with `no_shift` empty when the series was read and shows no step."""

    service: str
    environment: str
    onset: datetime
    shift: Shift | None = None
    no_shift: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Services around the one that suffers: those it needs, directly and by others, and those that need it."""

    direct: frozenset[str] = frozenset()
    further: frozenset[str] = frozenset()
    dependents: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A change with its score from 0 (cannot be) to 1, and the sentences that say why."""

    change: Change
    score: float
    reasons: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """As it stands in events and in the incident."""
        return {
            "event": self.change.event, "change": self.change.sentence, "subjects": list(self.change.subjects),
            "at": self.change.ended.isoformat(), "score": self.score, "reasons": list(self.reasons),
        }  # fmt: skip


def rank(
    symptom: Symptom, changes: Iterable[Change], neighbours: Neighbours, *, limit: int = LIMIT
) -> tuple[Suspect, ...]:
    """The likeliest first, at most `limit`; of two alike the later one first. Changes from before the window are left out."""
    onset = onset_of(symptom)
    young = [change for change in changes if change.ended >= onset - WINDOW]
    gone = _replaced(young, onset)
    found = [_suspect(symptom, onset, change, neighbours, change.event in gone) for change in young]
    found.sort(key=lambda suspect: (-suspect.score, -suspect.change.ended.timestamp(), suspect.change.event))
    return tuple(found[:limit])


def onset_of(symptom: Symptom) -> datetime:
    """When the symptom began: when its series left its level, else when the alert's expression became true."""
    if symptom.shift is None:
        return symptom.onset
    return min(symptom.onset, datetime.fromtimestamp(symptom.shift.start, symptom.onset.tzinfo))


def _replaced(changes: Sequence[Change], onset: datetime) -> frozenset[str]:
    """Events of deployments whose version ran no more when the symptom began: a later one of the same service took their place."""
    last: dict[tuple[Any, ...], Change] = {}
    deployments = [one for one in changes if any(subject.startswith("deployment:") for subject in one.subjects)]
    effective = [one for one in deployments if one.ended <= onset + SLACK and not one.failed and not one.going_on]
    for change in sorted(effective, key=lambda one: one.ended):
        last[change.services, change.environment] = change
    return frozenset(one.event for one in effective if last[one.services, one.environment] is not one)


def _suspect(symptom: Symptom, onset: datetime, change: Change, neighbours: Neighbours, replaced: bool) -> Suspect:
    late = change.began - symptom.onset
    if late > timedelta(0):
        reason = f"It came {span(late)} after the symptom had begun, so it cannot be the cause."
        return Suspect(change=change, score=0.0, reasons=(reason,))
    told = [
        _relation(symptom, change, neighbours),
        _state(change, replaced),
        _age(onset, change),
        _place(symptom, change),
        _evidence(symptom, change),
    ]
    score = 1.0
    for factor, _ in told:
        score *= factor
    reasons = [reason for _, reason in told if reason]
    if change.brings:
        reasons.append(f"It brings {change.brings}.")
    return Suspect(change=change, score=round(score, 3), reasons=tuple(reasons))


def relation(service: str, change: Change, neighbours: Neighbours) -> Relation:
    """How near the change is to the service: the nearest of the services it is about."""
    if not change.services:
        return "configuration"
    near: Sequence[tuple[Relation, frozenset[str]]] = (
        ("same", frozenset({service})), ("dependency", neighbours.direct), ("further", neighbours.further),
        ("dependent", neighbours.dependents),
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


def _relation(symptom: Symptom, change: Change, neighbours: Neighbours) -> tuple[float, str]:
    found = relation(symptom.service, change, neighbours)
    what, who = ", ".join(change.services), symptom.service or "what suffers"
    reason = {
        "same": f"It changed {who} itself.",
        "dependency": f"It changed {what}, which {who} needs directly.",
        "further": f"It changed {what}, which {who} needs by way of others.",
        "configuration": "It changed how things are set up, not one service.",
        "dependent": f"It changed {what}, which needs {who}: trouble seldom goes that way.",
        "unrelated": f"The catalog knows no way between {what} and {who}.",
    }[found]
    return RELATIONS[found], reason


def _state(change: Change, replaced: bool) -> tuple[float, str]:
    if not change.runs:
        return NOT_RUNNING, "Nothing that runs was changed by it yet."
    if change.failed:
        return FAILED, "It failed, so what ran before should still run."
    if replaced:
        return REPLACED, "A later deployment had taken its place before the symptom began."
    return 1.0, "It was still going on." if change.going_on else ""


def _age(onset: datetime, change: Change) -> tuple[float, str]:
    age = onset - change.ended
    if age <= timedelta(0):
        return 1.0, "It took effect as the symptom began."
    return 0.5 ** (age / HALF_LIFE), f"It took effect {span(age)} before the symptom began."


def _place(symptom: Symptom, change: Change) -> tuple[float, str]:
    if not symptom.environment or change.environment == symptom.environment:
        return 1.0, f"It was in {change.environment}, where the alert fires." if symptom.environment else ""
    if not change.environment:
        return NO_ENVIRONMENT, "It names no environment."
    return OTHER_ENVIRONMENT, f"It was in {change.environment}, and the alert fires in {symptom.environment}."


def _evidence(symptom: Symptom, change: Change) -> tuple[float, str]:
    """What the alert's own series says of this change."""
    if symptom.shift is None:
        if symptom.no_shift:
            return 1.0, f"Whether the alert's series moved with it is not known: {symptom.no_shift}."
        return NO_SHIFT, "The alert's series shows no clear step."
    shift = symptom.shift
    moved = datetime.fromtimestamp(shift.start, symptom.onset.tzinfo)
    levels = f"from {shift.before:.3g} to {shift.after:.3g}"
    if change.began > moved + SLACK:
        return MOVED_BEFORE, f"The alert's series had gone {levels} already, {span(change.began - moved)} before it."
    lag = max(moved - change.ended, timedelta(0))
    factor = NOT_RIGHT_AFTER + (1 - NOT_RIGHT_AFTER) * 0.5 ** (lag / FOLLOWS)
    return factor, f"The alert's series went {levels} {f'{span(lag)} after it' if lag else 'while it took effect'}."
