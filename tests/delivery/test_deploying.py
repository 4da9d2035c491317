"""Deployments to real processes behind a real Caddy, under strict traffic, cut off at every step."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from opsroom.areas.delivery.deploying import Deployer, DeploymentFailed
from opsroom.areas.delivery.keeping import keep_services
from opsroom.areas.delivery.model import Deployment
from opsroom.areas.delivery.operations.deployments import (
    create_deployment,
    list_deployments,
    rollback_deployment,
    wish_for,
)
from opsroom.areas.delivery.operations.environments import show_environment
from opsroom.areas.delivery.processes import Process
from opsroom.areas.delivery.running import deployer, keep
from opsroom.contracts.facts import WhatRuns
from opsroom.contracts.plane import Plane
from opsroom.kernel.errors import Conflict, Invalid, NotFound

ONE, TWO, THREE = "111111111111", "222222222222", "333333333333"


class Killed(BaseException):
    """The server dies here: nothing that catches errors may catch it."""


def ask(address: str, path: str = "/") -> str:
    connection = http.client.HTTPConnection(address, timeout=5)
    connection.request("GET", path)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    assert reply.status == 200, (reply.status, text)
    return text.split()[0]


@dataclass
class Traffic:
    """What strict clients saw: a request is never sent twice, and a connection that breaks is a failure."""

    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@contextmanager
def traffic(address: str, clients: int = 6, path: str = "/") -> Iterator[Traffic]:
    """Keep-alive connections that send as fast as the answers come, with a small pause."""
    seen, stop = Traffic(), threading.Event()

    def send() -> None:
        connection = http.client.HTTPConnection(address, timeout=10)
        while not stop.is_set():
            try:
                connection.request("GET", path)
                reply = connection.getresponse()
                text = reply.read().decode()
                if reply.status == 200:
                    seen.answers[text.split()[0]] += 1
                else:
                    seen.failures.append(str(reply.status))
            except (OSError, http.client.HTTPException) as error:
                seen.failures.append(repr(error))
                connection.close()
            time.sleep(0.002)
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        time.sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join()


def deploy(
    shop: Any, digest: str, key: str, *, say: Callable[[str], None] = lambda text: None, strategy: str = ""
) -> Deployment:
    wish = wish_for(shop.call, service="tiny", environment="production", digest=digest, strategy=strategy, key=key)
    return deployer(shop.plane).deploy(wish, say)


def pid_of(plane: Plane, instance: str) -> int:
    process = Process.read(plane.settings.state / "instances" / f"{instance}.json")
    assert process is not None
    return process.pid


@pytest.mark.slow
def test_blue_green_under_steady_traffic_loses_nothing(shop: Any) -> None:
    address = shop.environment()
    digests = [shop.artifact(version) for version in (ONE, TWO, THREE)]
    create_deployment(shop.call, service="tiny", environment="production", digest=digests[0])
    with traffic(address) as seen, traffic(address, clients=4, path="/slow") as slow:
        for digest in [*digests[1:], *digests, *digests]:
            view = create_deployment(shop.call, service="tiny", environment="production", digest=digest)
            assert (view.state, view.strategy, view.live) == ("finished", "blue-green", True)
    assert seen.failures == [] and slow.failures == []
    assert set(seen.answers) == {ONE, TWO, THREE} and sum(seen.answers.values()) > 500
    assert len(shop.processes()) == 1
    [started, finished] = [shop.events(f"deployment.{word}")[-1] for word in ("started", "finished")]
    assert finished.cause == started.id and finished.data["previous_digest"] == digests[1]
    assert [one.type for one in shop.plane.ledger.chain(finished.id)][-1] == "change.pushed"


@pytest.mark.slow
def test_rolling_replaces_one_at_a_time_and_loses_nothing(shop: Any) -> None:
    address = shop.environment(strategy="rolling", instances=2)
    deploy(shop, shop.artifact(ONE), "first")
    with traffic(address) as seen:
        deploy(shop, shop.artifact(TWO), "second")
    assert seen.failures == [] and set(seen.answers) == {ONE, TWO}
    processes = show_environment(shop.call, "production").services[0].processes
    assert [(one.number, one.state) for one in processes] == [(0, "serving"), (1, "serving")]
    assert len(shop.processes()) == 2


@pytest.mark.slow
def test_rolling_that_fails_half_way_gives_all_traffic_back(shop: Any) -> None:
    address = shop.environment(strategy="rolling", instances=2)
    deploy(shop, shop.artifact(ONE), "first")
    digest = shop.artifact(TWO)
    one = deployer(shop.plane)
    healthy = one.instances.await_health

    def second_never(instance: Any, spec: Any, cancelled: Any = None) -> float:
        if instance.number == 1 and instance.deployment not in first:
            raise Invalid("tiny was not healthy within 0 s")
        return healthy(instance, spec)

    first = {shop.plane.ask(WhatRuns()).value[0].deployment}
    one.instances.await_health = second_never  # type: ignore[method-assign]
    wish = wish_for(shop.call, service="tiny", environment="production", digest=digest, strategy="", key="second")
    with traffic(address) as seen, pytest.raises(DeploymentFailed, match="not healthy"):
        one.deploy(wish)
    assert seen.failures == []
    assert ask(address) == ONE and len(shop.processes()) == 2


@pytest.mark.slow
def test_an_unhealthy_version_fails_and_the_old_one_serves_on(shop: Any) -> None:
    address = shop.environment(health="{path: /health, timeout: 1s}")
    deploy(shop, shop.artifact(ONE), "first")
    bad = shop.artifact(TWO, broken="unhealthy")
    with (
        traffic(address) as seen,
        pytest.raises(DeploymentFailed, match="was not healthy within 1 s: /health gave 500"),
    ):
        deploy(shop, bad, "second")
    assert seen.failures == [] and set(seen.answers) == {ONE}
    with pytest.raises(DeploymentFailed):  # the same wish again is the same failed deployment
        deploy(shop, bad, "second")
    [failed] = shop.events("deployment.failed")
    assert failed.subject("digest") == bad and "gave 500" in failed.data["error"]
    assert len(shop.processes()) == 1
    assert [one.state for one in list_deployments(shop.call).items] == ["failed", "finished"]


@pytest.mark.slow
def test_recreate_that_fails_brings_the_old_version_back(shop: Any) -> None:
    address = shop.environment(strategy="recreate")
    deploy(shop, shop.artifact(ONE), "first")
    with pytest.raises(DeploymentFailed, match="ended before it was healthy: the configuration is missing"):
        deploy(shop, shop.artifact(TWO, broken="ends"), "second")
    assert ask(address) == ONE and len(shop.processes()) == 1
    assert shop.plane.ask(WhatRuns("tiny", "production")).value[0].version == ONE
    assert not shop.events("service.restarted")


@pytest.mark.slow
def test_a_dead_service_is_started_again_and_reported(shop: Any) -> None:
    address = shop.environment()
    done = deploy(shop, shop.artifact(ONE), "first")
    keep(shop.plane)
    assert not shop.events("service.restarted")
    [instance] = shop.processes()
    os.kill(pid_of(shop.plane, instance), signal.SIGKILL)
    wait(lambda: not shop.processes())
    keep(shop.plane)
    wait(lambda: _answers(address))
    assert shop.processes() == [instance]
    [event] = shop.events("service.restarted")
    assert event.data["last_line"] == "listening" and event.cause == done.finished_event
    os.kill(pid_of(shop.plane, instance), signal.SIGKILL)
    wait(lambda: not shop.processes())
    keep(shop.plane)  # at once again: it is given a pause first
    assert shop.processes() == []
    wait(lambda: keep(shop.plane) or shop.processes(), 5)
    assert len(shop.events("service.restarted")) == 2


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 1], ids=["before it is stored", "after it is stored"])
def test_a_restart_is_told_once_whenever_the_server_dies(shop: Any, at: int) -> None:
    address = shop.environment()
    deploy(shop, shop.artifact(ONE), "first")
    [instance] = shop.processes()
    os.kill(pid_of(shop.plane, instance), signal.SIGKILL)
    wait(lambda: not shop.processes())
    with pytest.raises(Killed), cutting(shop.plane, Cuts(at=at)):
        keep(shop.plane)
    wait(lambda: _answers(address))
    again = pid_of(shop.plane, instance)
    assert len(shop.events("service.restarted")) == at
    for _ in range(2):
        keep(shop.plane)
    [event] = shop.events("service.restarted")
    assert (event.data["restarts"], event.data["last_line"]) == (1, "listening")
    assert pid_of(shop.plane, instance) == again, "what was started again runs on"
    assert not list((shop.plane.settings.state / "instances").glob("*.restart"))


@pytest.mark.slow
def test_an_untold_restart_is_told_though_it_died_too_and_before_the_next(shop: Any) -> None:
    shop.environment()
    deploy(shop, shop.artifact(ONE), "first")
    [instance] = shop.processes()
    os.kill(pid_of(shop.plane, instance), signal.SIGKILL)
    wait(lambda: not shop.processes())
    with pytest.raises(Killed), cutting(shop.plane, Cuts(at=0)):
        keep(shop.plane)
    pid_file = shop.plane.settings.state / "instances" / f"{instance}.json"
    os.kill(pid_of(shop.plane, instance), signal.SIGKILL)
    wait(lambda: not shop.processes())
    assert pid_file.exists()
    wait(lambda: keep(shop.plane) or shop.processes())
    assert [event.data["restarts"] for event in shop.events("service.restarted")] == [1, 2]


@pytest.mark.slow
def test_a_new_server_takes_everything_up(shop: Any, make_plane: Callable[..., Plane]) -> None:
    address = shop.environment()
    deploy(shop, shop.artifact(ONE), "first")
    before, current = shop.processes(), shop.plane.catalogs.current()
    successor = make_plane()
    successor.catalogs.offer(current.commit, current, [])
    with traffic(address) as seen:
        for _ in range(3):
            keep(successor)
    assert seen.failures == [] and shop.processes() == before
    assert not shop.events("service.restarted")


@pytest.mark.slow
def test_ended_services_come_back_without_a_report(shop: Any) -> None:
    from opsroom.areas.delivery.ending import end_proxy, end_services

    address = shop.environment()
    deploy(shop, shop.artifact(ONE), "first")
    assert end_services(shop.plane.settings) == ["tiny in production"]
    assert end_proxy(shop.plane.settings) and shop.processes() == []
    keep(shop.plane)
    assert ask(address) == ONE and not shop.events("service.restarted")


@pytest.mark.slow
def test_rollback_goes_to_what_ran_before_without_a_rebuild(shop: Any) -> None:
    address = shop.environment()
    one, two = shop.artifact(ONE), shop.artifact(TWO)
    deploy(shop, one, "first")
    with pytest.raises(Conflict, match="no earlier version than 111111111111"):
        rollback_deployment(shop.call, service="tiny", environment="production")
    deploy(shop, two, "second")
    view = rollback_deployment(shop.call, service="tiny", environment="production", incident="inc_1")
    assert (view.digest, view.kind, view.incident) == (one, "rollback", "inc_1") and ask(address) == ONE
    assert shop.events("deployment.finished")[-1].subject("incident") == "inc_1"


@pytest.mark.slow
def test_secrets_reach_the_process_and_nothing_else(shop: Any) -> None:
    shop.plane.secrets.set("GREETING", "s3cret-greeting", "system:test")
    address = shop.environment(env='{GREETING: "${{ secrets.GREETING }}"}')
    done = deploy(shop, shop.artifact(ONE), "first")
    connection = http.client.HTTPConnection(address)
    connection.request("GET", "/")
    assert "s3cret-greeting" in connection.getresponse().read().decode()
    connection.close()
    assert "s3cret" not in str(done.spec)
    [read] = shop.events("secret.read")
    assert read.cause == done.started_event


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["blue-green", "recreate", "rolling"])
def test_cut_off_at_every_step_and_gone_on_with(shop: Any, strategy: str) -> None:
    """Each time the server dies one transaction or one word later; what follows is one deployment and no process too many."""
    instances = 2 if strategy == "rolling" else 1
    address = shop.environment(strategy=strategy, instances=instances)
    digests = [shop.artifact(ONE), shop.artifact(TWO)]
    deploy(shop, digests[0], "first")
    for step in range(100):
        digest, key = digests[(step + 1) % 2], f"cut {step}"
        cuts = Cuts(at=step)
        try:
            with cutting(shop.plane, cuts):
                deploy(shop, digest, key, say=cuts.maybe)
        except Killed:
            pass
        done = deploy(shop, digest, key)
        assert done.state == "finished"
        assert [one.id for one in list_deployments(shop.call, limit=200).items].count(done.id) == 1
        assert len(shop.processes()) == instances, f"cut {step}"
        assert ask(address) == (TWO if digest == digests[1] else ONE)
        if not cuts.cut:
            break
    assert step > 8
    finished = Counter(event.subject("deployment") for event in shop.events("deployment.finished"))
    assert set(finished.values()) == {1} and len(finished) == step + 2


@pytest.mark.slow
def test_what_nobody_goes_on_with_is_kept(shop: Any) -> None:
    """A deployment by a person has no run that asks again: the next server goes on with it."""
    address = shop.environment()
    digest = shop.artifact(ONE)
    cuts = Cuts(at=4)
    with pytest.raises(Killed), cutting(shop.plane, cuts):
        deploy(shop, digest, "first", say=cuts.maybe)
    one = Deployer(shop.plane)
    wait(lambda: keep_services(shop.plane, one) or shop.events("deployment.finished"), 10)
    assert ask(address) == ONE and len(shop.processes()) == 1


def test_an_artefact_that_was_changed_is_not_deployed(shop: Any) -> None:
    shop.environment()
    digest = shop.artifact(ONE)
    with shop.plane.blobs.path(digest).open("ab") as blob:
        blob.write(b"more")
    with pytest.raises(Invalid, match="they were changed in the store"):
        deploy(shop, digest, "first")
    assert not shop.events("deployment.started")


def test_what_cannot_be_deployed_is_said_before_anything_happens(shop: Any) -> None:
    shop.environment()
    digest = shop.artifact(ONE)
    with pytest.raises(NotFound, match="never published"):
        deploy(shop, "sha256:" + "0" * 64, "a")
    with pytest.raises(Invalid, match="strategy 'canary' is not one of"):
        deploy(shop, digest, "b", strategy="canary")
    with pytest.raises(NotFound, match="environment 'prod' is not in the ops repo; there are: production"):
        wish_for(shop.call, service="tiny", environment="prod", digest=digest, strategy="", key="c")
    with pytest.raises(NotFound, match="service 'shop' is not listed"):
        wish_for(shop.call, service="shop", environment="production", digest=digest, strategy="", key="c")
    assert not shop.events("deployment.started")


def test_a_file_that_is_no_tar_fails_the_deployment(shop: Any) -> None:
    shop.environment()
    digest = shop.publish(shop.plane.blobs.put(b"no tar at all"), ONE)
    with pytest.raises(DeploymentFailed, match="no tar file"):
        deploy(shop, digest, "first")
    assert shop.processes() == []


@dataclass
class Cuts:
    """Counts the places where the server could die, and dies at one of them."""

    at: int
    passed: int = 0
    cut: bool = False

    def maybe(self, _: str = "") -> None:
        self.passed += 1
        if self.passed == self.at + 1:
            self.cut = True
            raise Killed


class CuttingStore:
    """A store whose server may die before a write, or right after its commit."""

    def __init__(self, store: Any, cuts: Cuts) -> None:
        self._store, self._cuts = store, cuts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def begin(self) -> Iterator[Any]:
        self._cuts.maybe()
        with self._store.begin() as tx:
            yield tx
        self._cuts.maybe()


@contextmanager
def cutting(plane: Plane, cuts: Cuts) -> Iterator[None]:
    real = plane.store
    plane.store = CuttingStore(real, cuts)  # type: ignore[assignment]
    try:
        yield
    finally:
        plane.store = real


def wait(held: Callable[[], Any], seconds: float = 5.0) -> None:
    ends = time.monotonic() + seconds
    while not held():
        assert time.monotonic() < ends
        time.sleep(0.02)


def _answers(address: str) -> bool:
    try:
        return bool(ask(address))
    except (AssertionError, OSError):
        return False
