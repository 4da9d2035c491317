"""The deployer of a plane, and the duty that keeps what it deployed running."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.areas.delivery.deploying import Deployer
from opsroom.areas.delivery.environments import sites
from opsroom.areas.delivery.keeping import keep_services
from opsroom.contracts.area import Duty
from opsroom.kernel.errors import Unavailable

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane


def deployer(plane: Plane) -> Deployer:
    """A deployer of this plane; any number of them work together."""
    return Deployer(plane)


def keep(plane: Plane) -> None:
    """Makes the proxy serve what the ops repo lists, takes up what a dead server left, starts what ended."""
    one, wanted, fault = deployer(plane), sites(plane), None
    if wanted:
        try:
            one.proxy.ensure(wanted)
        except Unavailable as error:
            fault = error
    keep_services(plane, one)
    one.proxy.trim()
    if fault is not None:
        raise fault


KEEP = Duty(name="keep", seconds=1.0, run=keep)
