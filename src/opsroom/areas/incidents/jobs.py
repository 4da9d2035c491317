"""What runs on an event or on a clock: alerts become incidents and end them, pages go out."""

from __future__ import annotations

from opsroom.areas.incidents import opening, paging
from opsroom.contracts.area import Duty, Subscription
from opsroom.contracts.plane import Plane
from opsroom.kernel.ledger import Event


def on_alert(plane: Plane, event: Event) -> None:
    """One reader for all, so that an end is never taken in before its beginning."""
    if event.type == "alert.resolved":
        opening.on_resolved(plane, event)
    else:
        opening.on_fired(plane, event)


ALERTS = Subscription(name="alerts", types=("alert.fired", "alert.unmuted", "alert.resolved"), handle=on_alert)
PAGING = Duty(name="paging", seconds=0.25, run=paging.work)
