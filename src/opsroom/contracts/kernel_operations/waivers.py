"""Waivers on every surface: the one register of exceptions and windows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.scopes import Seen
from opsroom.contracts.sight import Sight
from opsroom.kernel.actors import Resource
from opsroom.kernel.matchers import labels_of, parse_matcher
from opsroom.kernel.waivers import Waiver, WaiverKind

if TYPE_CHECKING:
    from opsroom.contracts.plane import Call

_APPROVED = frozenset({"finding-ignored", "drift-accepted", "freeze"})
"""Kinds that need an approver: they let something pass, or stop everyone."""


class WaiverView(Model):
    """One exception or window, and what it covers."""

    id: str
    kind: str
    matchers: list[str]
    owner: str
    reason: str
    starts: datetime
    expires: datetime
    granted_by: str
    ended: datetime | None
    event: str


def _of_waiver(call: Call, given: Mapping[str, Any]) -> Resource:
    return _covered(call, tuple(map(str, call.plane.waivers.get(given["id"]).matchers)), given["id"])


def _of_matchers(call: Call, given: Mapping[str, Any]) -> Resource:
    return _covered(call, tuple(given.get("matchers") or ()))


def _covered(call: Call, matchers: tuple[str, ...], id: str = "") -> Resource:
    team, environment = _place(call.sight, matchers)
    return Resource(kind="waiver", id=id, team=team, environment=environment)


def _place(sight: Sight, matchers: tuple[str, ...]) -> tuple[str, str]:
    """Team and environment. Only what is matched by `=` narrows an exception: any other operator could reach beyond one of them."""
    parsed = [parse_matcher(text) for text in matchers]
    exact = labels_of(f"{matcher.label}:{matcher.value}" for matcher in parsed if matcher.operator == "=")
    service = exact.get("service", "")
    return sight.owner(service) if service else exact.get("team", ""), exact.get("environment", "")


def shows_waiver(sight: Sight, waiver: Waiver | WaiverView) -> bool:
    """An exception belongs where what it covers does."""
    place = _place(sight, tuple(map(str, waiver.matchers)))
    return sight.sees(team=place[0], environment=place[1])


@operation("waivers.list", scope=Seen(shows_waiver))
def waivers_list(
    call: Call, *, kind: WaiverKind | None = None, ended: bool = False, after: str = "", limit: int = 50
) -> Page[WaiverView]:
    """Exceptions and windows that hold or will, newest first; with `ended` all there ever were."""
    found = call.plane.waivers.all(kind=kind or "", ended=ended, after=after, limit=limit + 1)
    items = [_waiver(waiver) for waiver in found[:limit]]
    return Page(items=items, next=items[-1].id if len(found) > limit else "")


@operation("waivers.show", scope=Seen(shows_waiver))
def waivers_show(call: Call, id: str) -> WaiverView:
    """One exception or window. Error: not found."""
    return _waiver(call.plane.waivers.get(id))


@operation("waivers.create", needs="operate", scope=_of_matchers)
def waivers_create(
    call: Call,
    *,
    kind: WaiverKind,
    matchers: list[str],
    reason: str,
    expires: datetime,
    starts: datetime | None = None,
    owner: str = "",
) -> WaiverView:
    """Grant an exception for what all matchers match (service=storefront). Error: no reason; it would last too long.

    Findings ignored, accepted drift and freezes need an approver."""
    if kind in _APPROVED:
        call.plane.actors.require(call.actor, "approve", _covered(call, tuple(matchers)))
    granted = call.plane.waivers.grant(
        kind, matchers, owner=owner or call.actor.id, reason=reason, starts=starts, expires=expires,
        actor=call.actor.id, cause=call.cause,
    )  # fmt: skip
    return _waiver(granted)


@operation("waivers.end", needs="operate", scope=_of_waiver)
def waivers_end(call: Call, id: str, *, why: str = "ended by hand") -> WaiverView:
    """End an exception before its time. Error: not found; ended already."""
    return _waiver(call.plane.waivers.end(id, call.actor.id, why=why, cause=call.cause))


def _waiver(waiver: Waiver) -> WaiverView:
    return WaiverView(
        id=waiver.id, kind=waiver.kind, matchers=[str(matcher) for matcher in waiver.matchers], owner=waiver.owner,
        reason=waiver.reason, starts=waiver.starts, expires=waiver.expires, granted_by=waiver.granted_by,
        ended=waiver.ended, event=waiver.event,
    )  # fmt: skip
