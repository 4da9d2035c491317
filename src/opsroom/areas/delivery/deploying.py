"""Carrying a deployment out: start, wait until healthy, switch, drain; each step can be cut off and gone on with."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from opsroom.areas.delivery import artifact_store, provenance
from opsroom.areas.delivery import deployment_store as rows
from opsroom.areas.delivery.environments import sites
from opsroom.areas.delivery.instances import Cancelled, Instances
from opsroom.areas.delivery.model import Deployment, Instance, ServiceSpec, Wish
from opsroom.areas.delivery.proxy import Proxy, Site
from opsroom.areas.delivery.releases import unpack
from opsroom.kernel.errors import Invalid, Unavailable, UserError

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane

FAILED_DRAIN = 1.0

Say = Callable[[str], None]
_turns: dict[tuple[Path, str, str], threading.Lock] = defaultdict(threading.Lock)


class DeploymentFailed(UserError):
    """The new version did not become healthy, or could not start; what ran before still serves (or nothing did)."""

    status = 409
    title = "Deployment failed"


class Deployer:
    """Deploys to the processes of this machine behind one proxy. One deployment at a time for a service in an environment."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._state = plane.settings.state.absolute()
        self.proxy = Proxy(self._state / "proxy")
        self.instances = Instances(plane, self.proxy)

    def turn(self, environment: str, service: str) -> threading.Lock:
        """Held by whoever works on a service in an environment."""
        return _turns[(self._state, environment, service)]

    def deploy(self, wish: Wish, say: Say = lambda text: None, cancelled: Cancelled = lambda: False) -> Deployment:
        """Carries a wish out, or goes on with it where it was cut off; returns it finished. Invalid: the artefact is not what its
        provenance says. DeploymentFailed: what ran before serves on."""
        with self.turn(wish.environment, wish.service):
            return self._carry_out(self._known(wish) or self._begin(wish), say, cancelled)

    def go_on(self, deployment: Deployment) -> Deployment:
        """Goes on with a deployment that a server which died had begun."""
        with self.turn(deployment.environment, deployment.service):
            with self._plane.store.read() as tx:
                now = rows.get(tx, deployment.id) or deployment
            return self._carry_out(now, lambda text: None, lambda: False)

    def bring_back(self, live: Deployment) -> None:
        """Makes every process of what is live run and get traffic. The caller holds the turn. Invalid: it is not healthy."""
        spec = rows.spec_of(live)
        whole = [self.instances.ensure(live, number) for number in range(spec.instances)]
        for instance in whole:
            self.instances.await_health(instance, spec)
        self.instances.serving(whole)
        self.proxy.switch(site_name(live), [instance.address for instance in whole], spec.instances)

    def olds(self, deployment: Deployment) -> list[Instance]:
        """Processes of the same service there that belong to another deployment."""
        with self._plane.store.read() as tx:
            return [
                instance
                for instance in rows.instances(tx)
                if (instance.service, instance.environment) == (deployment.service, deployment.environment)
                and instance.deployment != deployment.id
            ]

    def _known(self, wish: Wish) -> Deployment | None:
        with self._plane.store.read() as tx:
            return rows.by_key(tx, wish.key)

    def _begin(self, wish: Wish) -> Deployment:
        plane = self._plane
        self._check_artifact(wish)
        with plane.store.begin() as tx:
            if known := rows.by_key(tx, wish.key):
                return known
            id = plane.clock.new_id("dep")
            before = rows.live(tx, wish.service, wish.environment)
            url = f"http://{wish.spec.address}"
            event = plane.ledger.record(
                tx, "deployment.started", actor=wish.actor, cause=wish.cause, subjects=rows.subjects_of(id, wish),
                key=f"deployment.started:{wish.key}",
                data={"version": wish.version, "strategy": wish.strategy, "kind": wish.kind, "url": url,
                      "previous_digest": before.digest if before else "",
                      "configuration_commit": wish.configuration_commit},
            )  # fmt: skip
            return rows.add(tx, id, wish, url=url, now=plane.clock.now(), event=event.id)

    def _check_artifact(self, wish: Wish) -> None:
        with self._plane.store.read() as tx:
            artifact = artifact_store.newest(tx, wish.digest, run=wish.run)
        fault = provenance.fault_of(self._plane, artifact) if artifact else "it was never published here"
        if fault:
            raise Invalid(f"artefact {wish.digest[:19]} is not deployed: {fault}; build and publish it again")

    def _carry_out(self, deployment: Deployment, say: Say, cancelled: Cancelled) -> Deployment:
        if deployment.state == "finished":
            return deployment
        if deployment.state == "failed":
            raise DeploymentFailed(deployment.error)
        spec = rows.spec_of(deployment)
        if deployment.state == "starting":
            self._bring_up(deployment, spec, say, cancelled)
        return self._finish(deployment, spec, say)

    def _bring_up(self, deployment: Deployment, spec: ServiceSpec, say: Say, cancelled: Cancelled) -> None:
        try:
            self._ensure_site(deployment, spec)
            unpack(self._plane, deployment.digest)
            say(f"unpacked {deployment.digest[:19]} ({deployment.version})")
            if deployment.strategy == "recreate":
                self._stop_others(deployment, spec, say)
            fresh = self._start_all(deployment, spec, say, cancelled)
        except UserError as error:
            raise DeploymentFailed(self._fail(deployment, str(error))) from None
        self._switch(deployment, spec, fresh, say)

    def _ensure_site(self, deployment: Deployment, spec: ServiceSpec) -> None:
        """The proxy serves this site. That another one cannot be served, such as for a port that is taken, is not our failure."""
        own = Site(name=site_name(deployment), address=spec.address, slots=spec.instances)
        wanted = {site.name: site for site in (*sites(self._plane), own)}
        try:
            self.proxy.ensure(list(wanted.values()))
        except Unavailable as error:
            if not self.proxy.serves(own):
                raise
            self._plane.journal.warning("the proxy does not serve every site", reason=str(error))

    def _start_all(self, deployment: Deployment, spec: ServiceSpec, say: Say, cancelled: Cancelled) -> list[Instance]:
        fresh: list[Instance] = []
        for number in range(spec.instances):
            instance = self.instances.ensure(deployment, number)
            waited = self.instances.await_health(instance, spec, cancelled)
            say(f"instance {number} on {instance.address} is healthy after {waited:.2f} s")
            fresh.append(instance)
            if deployment.strategy == "rolling":
                self._roll(deployment, spec, fresh, say)
        return fresh

    def _roll(self, deployment: Deployment, spec: ServiceSpec, fresh: Sequence[Instance], say: Say) -> None:
        """One old instance leaves for each new one that is healthy."""
        olds = self.olds(deployment)
        leaving = olds[: max(0, len(olds) - (spec.instances - len(fresh)))]
        staying = [old for old in olds if old not in leaving]
        self.proxy.switch(site_name(deployment), [one.address for one in (*fresh, *staying)], spec.instances)
        for old in leaving:
            self.instances.drain(old, seconds=spec.drain)
            say(f"instance on {old.address} drained")

    def _switch(self, deployment: Deployment, spec: ServiceSpec, fresh: Sequence[Instance], say: Say) -> None:
        self.proxy.switch(site_name(deployment), [instance.address for instance in fresh], spec.instances)
        with self._plane.store.begin() as tx:
            rows.set_live(tx, deployment)
            rows.change(tx, deployment.id, state="switched", switched=self._plane.clock.now())
            for instance in fresh:
                rows.change_instance(tx, instance.id, state="serving")
        say(f"traffic of {deployment.service} in {deployment.environment} goes to {deployment.version}")

    def _finish(self, deployment: Deployment, spec: ServiceSpec, say: Say) -> Deployment:
        for old in self.olds(deployment):
            say(f"draining {old.address}")
            self.instances.drain(old, seconds=spec.drain)
        plane = self._plane
        with plane.store.begin() as tx:
            now = plane.clock.now()
            event = plane.ledger.record(
                tx, "deployment.finished", actor=deployment.actor, cause=deployment.started_event,
                subjects=rows.subjects(deployment), key=f"deployment.finished:{deployment.id}",
                data={"version": deployment.version, "strategy": deployment.strategy, "kind": deployment.kind,
                      "previous_digest": deployment.previous_digest, "url": deployment.url,
                      "seconds": round((now - deployment.created) / timedelta(seconds=1), 3),
                      "configuration_commit": deployment.configuration_commit},
            )  # fmt: skip
            rows.change(tx, deployment.id, state="finished", finished=now, finished_event=event.id)
            done = rows.get(tx, deployment.id)
        if done is None:
            raise AssertionError(f"deployment {deployment.id} vanished while it was carried out")
        return done

    def _fail(self, deployment: Deployment, reason: str) -> str:
        """Gives the traffic back to what is live, ends the new processes, and tells it; returns the whole reason."""
        plane = self._plane
        with plane.store.read() as tx:
            live = rows.live(tx, deployment.service, deployment.environment)
            fresh = rows.instances(tx, deployment=deployment.id)
        if live is not None:
            reason += self._give_back(live)
        for instance in fresh:
            self.instances.drain(instance, seconds=FAILED_DRAIN)
        with plane.store.begin() as tx:
            now = plane.clock.now()
            event = plane.ledger.record(
                tx, "deployment.failed", actor=deployment.actor, cause=deployment.started_event,
                subjects=rows.subjects(deployment), key=f"deployment.failed:{deployment.id}",
                data={"version": deployment.version, "strategy": deployment.strategy, "kind": deployment.kind,
                      "previous_digest": deployment.previous_digest, "url": deployment.url, "error": reason,
                      "seconds": round((now - deployment.created) / timedelta(seconds=1), 3),
                      "configuration_commit": deployment.configuration_commit},
            )  # fmt: skip
            rows.change(
                tx, deployment.id, state="failed", error=reason, finished=plane.clock.now(), finished_event=event.id
            )
        return reason

    def _give_back(self, live: Deployment) -> str:
        """What is to be added to the reason: "" when all of the live version serves."""
        try:
            self.bring_back(live)
        except UserError as error:
            return f"; and {live.version}, which ran before, did not come back: {error}"
        return ""

    def _stop_others(self, deployment: Deployment, spec: ServiceSpec, say: Say) -> None:
        for old in self.olds(deployment):
            self.instances.drain(old, seconds=spec.drain)
            say(f"stopped {old.address}, as recreate does")


def site_name(deployment: Deployment) -> str:
    return f"{deployment.environment}.{deployment.service}"
