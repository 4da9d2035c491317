"""What old deployments leave goes; what runs, and every version that may be gone back to, stays and comes back without a build."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from opsroom.areas.delivery.artifact_store import ARTIFACTS
from opsroom.areas.delivery.expiring import LOG_DAYS, VERSIONS_KEPT, blobs, expire
from opsroom.areas.delivery.operations.deployments import create_deployment, rollback_deployment
from opsroom.areas.delivery.proxy import LOG_LIMIT
from opsroom.areas.delivery.releases import set_aside, unpack
from opsroom.areas.delivery.running import keep
from opsroom.kernel.errors import Invalid

pytestmark = pytest.mark.slow


def deploy(shop: Any, digest: str, key: str) -> None:
    create_deployment(shop.call, service="tiny", environment="production", digest=digest, key=key)


def releases(shop: Any) -> set[str]:
    return {f"sha256:{path.name}" for path in (shop.plane.settings.state / "releases").iterdir()}


def grow_old(shop: Any, days: float) -> None:
    """Makes every artefact, release and output file older by so much."""
    now = shop.plane.clock.now()
    for path in [
        *(shop.plane.settings.state / "releases").iterdir(),
        *(shop.plane.settings.state / "logs").glob("*/*/*"),
    ]:
        os.utime(path, ((now - timedelta(days=days)).timestamp(),) * 2)
    with shop.plane.store.begin() as tx:
        tx.execute(sa.update(ARTIFACTS).values(created=now - timedelta(days=days)))


def sweep(shop: Any) -> None:
    expire(shop.plane)
    shop.plane.blobs.sweep(blobs(shop.plane))


def test_a_rollback_needs_no_build_however_much_was_removed(shop: Any) -> None:
    shop.environment(strategy="recreate")
    digests = [shop.artifact(f"{number:012}") for number in range(5)]
    for digest in digests:
        deploy(shop, digest, digest)
    never = shop.artifact("never0000000")
    sweep(shop)
    assert releases(shop) == set(digests) and shop.plane.blobs.has(never), "all is young"
    logs = shop.plane.settings.state / "logs" / "production" / "tiny"
    assert len(list(logs.iterdir())) == 5
    grow_old(shop, 400)
    sweep(shop)
    assert releases(shop) == set(digests[2:])
    assert [path.name for path in logs.iterdir()] == [Path(shop_instance_log(shop)).name], "that of what runs"
    assert all(shop.plane.blobs.has(digest) for digest in digests) and not shop.plane.blobs.has(never)
    first = rollback_deployment(shop.call, service="tiny", environment="production", digest=digests[0])
    assert first.state == "finished" and first.digest == digests[0] and digests[0] in releases(shop)
    back = rollback_deployment(shop.call, service="tiny", environment="production")
    assert back.digest == digests[4]
    with pytest.raises(Invalid, match=r"its archive is not kept any more \(the setting artifact_days"):
        deploy(shop, never, "too late")


def shop_instance_log(shop: Any) -> str:
    from opsroom.areas.delivery import deployment_store as store

    with shop.plane.store.read() as tx:
        [one] = store.instances(tx)
    return one.log


def test_the_versions_before_are_kept_as_the_limit_says(shop: Any) -> None:
    shop.environment(strategy="recreate")
    digests = [shop.artifact(f"{number:012}") for number in range(VERSIONS_KEPT + 2)]
    for digest in digests:
        deploy(shop, digest, digest)
    grow_old(shop, 91)
    sweep(shop)
    assert [shop.plane.blobs.has(digest) for digest in digests] == [False] * 2 + [True] * VERSIONS_KEPT
    with shop.plane.store.read() as tx:
        proofs = [row["provenance"] for row in tx.rows(sa.select(ARTIFACTS.c.provenance))]
    assert len(proofs) == VERSIONS_KEPT + 2 and all(map(shop.plane.blobs.has, proofs)), "evidence stays"


def test_artifact_days_0_keeps_every_archive(make_shop: Callable[..., Any]) -> None:
    shop = make_shop(artifact_days=0)
    never = shop.artifact("never0000000")
    grow_old_rows = timedelta(days=4000)
    with shop.plane.store.begin() as tx:
        tx.execute(sa.update(ARTIFACTS).values(created=shop.plane.clock.now() - grow_old_rows))
    shop.plane.blobs.sweep(blobs(shop.plane))
    assert shop.plane.blobs.has(never)


def test_a_release_that_was_just_given_to_somebody_is_not_taken(shop: Any) -> None:
    digest, now = shop.artifact("111111111111"), shop.plane.clock.now()
    folder = unpack(shop.plane, digest)
    os.utime(folder, ((now - timedelta(days=9)).timestamp(),) * 2)
    assert unpack(shop.plane, digest) == folder
    assert set_aside(folder, unused_since=now - timedelta(days=1)) is None
    os.utime(folder, ((now - timedelta(days=9)).timestamp(),) * 2)
    expire(shop.plane)
    assert not folder.exists() and (unpack(shop.plane, digest) / "service.py").exists()


def test_output_of_what_ended_stays_for_its_days(shop: Any) -> None:
    shop.environment(strategy="recreate")
    for number in range(2):
        deploy(shop, shop.artifact(f"{number:012}"), str(number))
    logs = shop.plane.settings.state / "logs" / "production" / "tiny"
    grow_old(shop, LOG_DAYS - 0.1)
    expire(shop.plane)
    assert len(list(logs.iterdir())) == 2
    grow_old(shop, LOG_DAYS + 0.1)
    expire(shop.plane)
    assert len(list(logs.iterdir())) == 1


def test_the_proxys_own_log_is_begun_anew(shop: Any) -> None:
    shop.environment()
    keep(shop.plane)
    log = shop.plane.settings.state / "proxy" / "caddy.log"
    before = log.stat().st_size
    keep(shop.plane)
    assert log.stat().st_size >= before > 0
    os.truncate(log, LOG_LIMIT + 1)
    keep(shop.plane)
    assert log.stat().st_size < before + 10_000
