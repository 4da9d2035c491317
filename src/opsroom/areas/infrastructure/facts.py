"""The question infrastructure answers: what ends before a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.areas.infrastructure.endings import endings
from opsroom.contracts.facts import Answer, ExpiringBefore, Expiry

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane


def expiring_before(plane: Plane, question: ExpiringBefore) -> Answer[tuple[Expiry, ...]]:
    """Tokens, waivers and certificates that end before the moment and have not ended yet, the next first."""
    now = plane.clock.now()
    ending = [one for one in endings(plane) if one.expires is not None and now < one.expires < question.moment]
    value = tuple(
        Expiry(kind=one.kind, name=one.name, expires=one.expires, breaks=one.breaks)
        for one in ending
        if one.expires is not None
    )
    return Answer(value=value, at=now, events=tuple(one.cause for one in ending if one.cause))
