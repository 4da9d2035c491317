"""The question configuration answers: what has drifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.areas.configuration import store as rows
from opsroom.areas.configuration.drift import accepted, statuses
from opsroom.areas.configuration.reading import unknown_text
from opsroom.areas.configuration.wanted import targets
from opsroom.contracts.facts import Answer, Drift, DriftOf

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane


def drift_of(plane: Plane, question: DriftOf) -> Answer[tuple[Drift, ...]]:
    """Every target with what drifted there and is not accepted; unknown where a file cannot be read."""
    now = plane.clock.now()
    found = [target for target in targets(plane) if question.target in ("", target.name)]
    if question.target and not found:
        return Answer(value=None, unknown=f"the ops repo has no Host {question.target}", at=now)
    for target in found:
        unread = {one.path: one.reason for one in statuses(plane, target) if one.state == "unknown"}
        if unread:
            return Answer(value=None, unknown=f"{target.name}: {unknown_text(unread)}", at=now)
    with plane.store.read() as tx:
        drifting = rows.open_drift(tx, question.target)
    counted = {
        key: row
        for key, row in drifting.items()
        for one in found
        if one.name == key[0] and not accepted(plane, one, key[1])
    }
    value = tuple(
        Drift(target=target.name, objects=tuple(path for name, path in counted if name == target.name))
        for target in found
    )
    return Answer(value=value, at=now, events=tuple(row.event for row in counted.values()))
