"""Controls of the baselines, judged over the ledger: evidence is what happened, dated, and a by-product of the work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from opsroom.areas.security import evidence_store as rows
from opsroom.areas.security.kinds import BaselineSpec, Control
from opsroom.areas.security.model import Evidence
from opsroom.contracts.plane import Plane
from opsroom.kernel.ledger import Event

LEAST_SECONDS = 60
"""Between two records of one control: a control that many events prove does not fill the ledger."""

MOST_EVENTS = 20
_PAGE = 200
_MOST_READ = 2000
MET, NOT_MET, NOT_CHECKED = "met", "not met", "not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A control as it stands at `as_of`. `events`: the evidence, newest first, at most 20; `reason` in words."""

    baseline: str
    title: str
    source: str
    control: Control
    verdict: str
    reason: str
    events: tuple[Event, ...]
    as_of: datetime


def judge_all(plane: Plane) -> Iterator[Judged]:
    """Every control of every baseline in force, as it stands now."""
    for resource in plane.catalogs.current().all("Baseline"):
        spec: BaselineSpec = resource.spec
        for control in spec.controls:
            yield _judge(plane, resource.name, spec, control)


def record_evidence(plane: Plane) -> None:
    """Puts on record what changed since a control was last recorded: its verdict, or the newest of its evidence."""
    for judged in judge_all(plane):
        with plane.store.read() as tx:
            last = rows.newest(tx, judged.baseline, judged.control.id)
        if _is_news(judged, last):
            _record(plane, judged, last)


def _judge(plane: Plane, baseline: str, spec: BaselineSpec, control: Control) -> Judged:
    from opsroom.workflows.expressions import ExpressionError

    now, query = plane.clock.now(), control.evidence
    found: list[Event] = []
    try:
        for event in _events(plane, control, since=now - timedelta(seconds=query.within)):
            found.append(event)
            if len(found) >= max(MOST_EVENTS, query.at_least):
                break
        verdict, reason = _verdict(plane, control, len(found))
    except ExpressionError as error:
        verdict, reason = NOT_CHECKED, f"`where` cannot be evaluated: {error}"
    return Judged(
        baseline=baseline, title=spec.title, source=spec.source, control=control, verdict=verdict, reason=reason,
        events=tuple(found[:MOST_EVENTS]), as_of=now,
    )  # fmt: skip


def _events(plane: Plane, control: Control, *, since: datetime) -> Iterator[Event]:
    """The events that meet the query, newest first; of very many the newest 2,000 are looked at."""
    from opsroom.workflows.expressions import evaluate, truthy

    query, after = control.evidence, ""
    for _ in range(_MOST_READ // _PAGE):
        page = plane.ledger.find(types=[query.event], subjects=query.subjects, since=since, after=after, limit=_PAGE)
        for event in page:
            if not query.where or truthy(evaluate(query.where, {"event": _as_value(event)})):
                yield event
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _as_value(event: Event) -> dict[str, object]:
    return {"type": event.type, "actor": event.actor, "subjects": list(event.subjects), "data": dict(event.data)}


def _verdict(plane: Plane, control: Control, count: int) -> tuple[str, str]:
    query = control.evidence
    if count >= query.at_least:
        return MET, f"{count if count < MOST_EVENTS else f'{MOST_EVENTS} or more'} found, {query.at_least} needed"
    if not count and not plane.ledger.find(types=[query.event], subjects=query.subjects, limit=1):
        return (
            NOT_CHECKED,
            f"no {query.event} was ever recorded{' for ' + ', '.join(query.subjects) if query.subjects else ''}",
        )
    return NOT_MET, f"{count} found, {query.at_least} needed"


def _is_news(judged: Judged, last: Evidence | None) -> bool:
    if last is None:
        return judged.verdict != NOT_CHECKED
    newest = judged.events[0].id if judged.events else ""
    changed = judged.verdict != last.verdict or (newest and newest not in last.events)
    return bool(changed) and (judged.as_of - last.as_of).total_seconds() >= LEAST_SECONDS


def _record(plane: Plane, judged: Judged, last: Evidence | None) -> None:
    events = tuple(event.id for event in judged.events)
    # Evidence that grew old has no newer cause than itself.
    cause = events[0] if events else (last.events[0] if last and last.events else "")
    with plane.store.begin() as tx:
        told = plane.ledger.record(
            tx, "evidence.recorded", actor="system:security", cause=cause, subjects=[f"control:{judged.control.id}"],
            data={"control": judged.control.id, "baseline": judged.baseline, "title": judged.control.title,
                  "verdict": judged.verdict, "reason": judged.reason, "events": list(events)},
        )  # fmt: skip
        rows.add(
            tx,
            Evidence(
                id=plane.clock.new_id("evd"), baseline=judged.baseline, control=judged.control.id,
                title=judged.control.title, verdict=judged.verdict, events=events, as_of=judged.as_of, event=told.id,
            ),
        )  # fmt: skip
