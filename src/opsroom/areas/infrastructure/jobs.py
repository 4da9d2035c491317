"""What infrastructure does by itself: looks at this machine, at certificates, and at what ends soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.areas.infrastructure.certificates import look
from opsroom.areas.infrastructure.observing import observe, tell_endings
from opsroom.contracts.area import Duty, Subscription

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.ledger import Event


def on_catalog(plane: Plane, event: Event) -> None:
    """The first ops repo in force lets the machine and its runner be recorded; any later one may bring new tools."""
    observe(plane, event.id)


SUBSCRIPTIONS = (Subscription(name="inventory", types=("catalog.changed",), handle=on_catalog),)
DUTIES = (
    Duty(name="inventory", seconds=60.0, run=observe),
    Duty(name="expiries", seconds=60.0, run=tell_endings),
    Duty(name="certificates", seconds=300.0, run=look),
)
