"""Keeping what was deployed: what a server that died left is taken up, what ended is started again, what is left over is ended."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from opsroom.areas.delivery import deployment_store as rows
from opsroom.areas.delivery.deploying import Deployer, site_name
from opsroom.areas.delivery.model import Deployment, Instance
from opsroom.kernel.errors import UserError

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane

LONGEST_PAUSE = 60.0
LEFT_OVER_DRAIN = 5.0


def keep_services(plane: Plane, deployer: Deployer) -> None:
    """One look at every place where something runs or should run. A place at which a deployment is at work is left to it."""
    with plane.store.read() as tx:
        live, unfinished = rows.live_all(tx), rows.find(tx, states=["starting", "switched"])
        running = rows.instances(tx)
    deployer.instances.tell_untold(running)
    found: list[Deployment | Instance] = [*live, *unfinished, *running]
    for environment, service in dict.fromkeys((one.environment, one.service) for one in found):
        turn = deployer.turn(environment, service)
        if not turn.acquire(blocking=False):
            continue
        try:
            _keep_place(plane, deployer, environment, service)
        except UserError as error:
            plane.journal.warning(f"{service} in {environment} cannot be kept running: {error}")
        finally:
            turn.release()
    for instance in running:
        deployer.instances.trim(instance)


def _keep_place(plane: Plane, deployer: Deployer, environment: str, service: str) -> None:
    with plane.store.read() as tx:
        cut_off = rows.find(tx, service=service, environment=environment, states=["starting", "switched"], limit=1)
        live = rows.live(tx, service, environment)
        here = [one for one in rows.instances(tx) if (one.environment, one.service) == (environment, service)]
    if cut_off:
        # It may take as long as a deployment takes, and the turn is held until this returns.
        threading.Thread(target=_go_on, args=(plane, deployer, cut_off[0]), name="deployment", daemon=True).start()
        return
    for instance in here:
        if live is None or instance.deployment != live.id:
            deployer.instances.drain(instance, seconds=LEFT_OVER_DRAIN)
    if live is not None:
        _keep_live(plane, deployer, live, [one for one in here if one.deployment == live.id])


def _keep_live(plane: Plane, deployer: Deployer, live: Deployment, running: list[Instance]) -> None:
    spec = rows.spec_of(live)
    whole = {one.number for one in running if one.state == "serving"} >= set(range(spec.instances))
    if not whole:
        deployer.bring_back(live)
        return
    for instance in running:
        if not deployer.instances.alive(instance) and _may_restart(plane, instance):
            deployer.instances.restart(live, instance)
    addresses = [one.address for one in running]
    if set(deployer.proxy.upstreams(site_name(live), spec.instances)) != set(addresses):
        deployer.proxy.switch(site_name(live), addresses, spec.instances)


def _may_restart(plane: Plane, instance: Instance) -> bool:
    """A process that ends again and again is started less and less often: at once, after 1, 3, 7 … at most 60 seconds."""
    pause = min(LONGEST_PAUSE, 2.0 ** min(instance.restarts, 10) - 1)
    return (plane.clock.now() - instance.started).total_seconds() >= pause


def _go_on(plane: Plane, deployer: Deployer, deployment: Deployment) -> None:
    try:
        deployer.go_on(deployment)
    except UserError as error:
        plane.journal.warning(f"deployment {deployment.id}, taken up again, failed: {error}")
    except Exception as bug:  # The boundary of this thread: the deployment stays unfinished and is taken up again.
        plane.journal.error("a deployment could not be gone on with", bug=bug, deployment=deployment.id)
