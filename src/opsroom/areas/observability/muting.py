"""Alerts that a load test of Opsroom's own causes: they are told, and call nobody, for as long as the load can be felt."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from opsroom.areas.observability.model import AlertRow
from opsroom.contracts.facts import Load, LoadDuring
from opsroom.kernel.clock import stamp

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane

FADES = timedelta(minutes=1)
"""For so long at least load is felt after its end; longer where the alert's expression looks further back."""
_RANGE = re.compile(r"\[(\d+)(ms|s|m|h|d)[:\]]")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def muted_by(plane: Plane, alert: AlertRow) -> str:
    """The load test that explains the alert and mutes it, as a sentence's subject; "" where none does now.

    It must have been sent to the alert's service, or to one that needs it, in the alert's environment; the alert's condition must have become true
    while it ran or could still be felt; and it must still be so now. A load test's file may say that its alerts page (`alerts: page`)."""
    if not alert.service or not alert.environment:
        return ""
    now, fades = plane.clock.now(), fades_of(alert.expr)
    answer = plane.ask(LoadDuring(alert.active_at - fades, now, alert.environment))
    needs_it = {alert.service, *plane.catalogs.current().graph().dependents(alert.service)}
    for load in answer.value or ():
        felt_until = now if load.going_on else load.until + fades
        if (
            load.mutes
            and load.service in needs_it
            and load.since <= alert.active_at <= felt_until
            and now <= felt_until
        ):
            return _named(load)
    return ""


def fades_of(expr: str) -> timedelta:
    """How long load is felt by an expression after its end: as far as its ranges look back, at least a minute."""
    ranges = [timedelta(seconds=int(count) * _UNITS[unit]) for count, unit in _RANGE.findall(expr)]
    return max([FADES, *ranges])


def still_muted(plane: Plane, alert: AlertRow) -> bool:
    """Whether what muted an alert that fires still does."""
    return bool(alert.muted_by) and bool(muted_by(plane, alert))


def _named(load: Load) -> str:
    end = "" if load.going_on else f" to {_second(load.until)}"
    return f"load test {load.test} in {load.environment} from {_second(load.since)}{end}"


def _second(moment: datetime) -> str:
    return f"{stamp(moment)[11:19]} UTC"
