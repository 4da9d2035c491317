"""What runs on an event or on a clock: alerts become incidents and end them, pages go out."""

from __future__ import annotations

from opsroom.areas.incidents import opening, paging
from opsroom.contracts.area import Duty, Subscription
from opsroom.contracts.plane import Plane
from opsroom.kernel.ledger import Event


def on_alert(plane: Plane, event: Event) -> None:
    """One reader for both, so that an end is never taken in before its beginning."""
    if event.type == "alert.fired":
        opening.on_fired(plane, event)
    else:
        opening.on_resolved(plane, event)


ALERTS = Subscription(name="alerts", types=("alert.fired", "alert.resolved"), handle=on_alert)
PAGING = Duty(name="paging", seconds=0.25, run=paging.work)
