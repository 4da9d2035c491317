"""What of old deployments leaves: unpacked releases, output files, archives of artefacts that nothing will go back to.

A rollback needs the archive of an earlier version, never its unpacked release, which is made anew from it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from opsroom.areas.delivery import deployment_store as rows
from opsroom.areas.delivery.artifact_store import ARTIFACTS
from opsroom.areas.delivery.deployment_store import DEPLOYMENTS
from opsroom.areas.delivery.releases import releases, set_aside
from opsroom.contracts.area import Duty

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.store import Tx

VERSIONS_KEPT = 10
"""Versions of a service in an environment, the newest first, whose archives are kept however old they are."""
RELEASES_KEPT = 3
"""Those of them that stay unpacked, so that going back to one starts at once."""
LOG_DAYS = 15
"""How long the output file of a process that ended is kept; the collector has its lines for as long."""
LEFT_OVER_HOURS = 24


def blobs(plane: Plane) -> set[str]:
    """Every SBOM and provenance; archives that are young, that run, or that ran in one of the last versions of a place."""
    days = plane.settings.artifact_days
    young = ARTIFACTS.c.created >= plane.clock.now() - timedelta(days=days) if days else sa.true()
    with plane.store.read() as tx:
        kept = versions(tx, VERSIONS_KEPT)
        kept |= {row["digest"] for row in tx.rows(sa.select(ARTIFACTS.c.digest).where(young))}
        for column in (ARTIFACTS.c.sbom, ARTIFACTS.c.provenance):
            kept |= {row["found"] for row in tx.rows(sa.select(column.label("found")).distinct())}
    return kept - {""}


def versions(tx: Tx, count: int) -> set[str]:
    """Digests of what runs or is being deployed anywhere, of what ran before it, and of the last `count` versions of each place."""
    last = sa.func.max(DEPLOYMENTS.c.id).label("last")
    place = (DEPLOYMENTS.c.environment, DEPLOYMENTS.c.service)
    finished = sa.select(*place, DEPLOYMENTS.c.digest, last).where(DEPLOYMENTS.c.state == "finished")
    found: dict[tuple[str, str], list[str]] = {}
    for row in tx.rows(finished.group_by(*place, DEPLOYMENTS.c.digest).order_by(last.desc())):
        found.setdefault((row["environment"], row["service"]), []).append(row["digest"])
    kept = {digest for digests in found.values() for digest in digests[:count]}
    for one in [*rows.live_all(tx), *rows.find(tx, states=["starting", "switched"], limit=1000)]:
        kept |= {one.digest, one.previous_digest}
    return kept - {""}


def expire(plane: Plane) -> None:
    """One pass over the folders of deployments."""
    now, state = plane.clock.now(), plane.settings.state.absolute()
    with plane.store.read() as tx:
        needed, running = versions(tx, RELEASES_KEPT), rows.instances(tx)
    gone = {
        "releases": _expire_releases(plane, needed, now),
        "output files": _remove(
            (state / "logs").glob("*/*/*.log"), keep={one.log for one in running}, before=now - timedelta(days=LOG_DAYS)
        ),
        "notes of processes": _remove(
            (state / "instances").glob("*.*"),
            keep={str(state / "instances" / f"{one.id}{end}") for one in running for end in (".json", ".restart")},
            before=now - timedelta(hours=LEFT_OVER_HOURS),
        ),
    }
    if any(gone.values()):
        plane.journal.info("removed what is kept no longer", **{name: count for name, count in gone.items() if count})


def _expire_releases(plane: Plane, needed: set[str], now: datetime) -> int:
    before, count = now - timedelta(hours=LEFT_OVER_HOURS), 0
    for folder in releases(plane):
        half_made = folder.name.startswith(".")
        if half_made and folder.stat().st_mtime < before.timestamp():
            shutil.rmtree(folder, ignore_errors=True)
        elif not half_made and f"sha256:{folder.name}" not in needed:
            aside = set_aside(folder, unused_since=before)
            if aside is not None:
                shutil.rmtree(aside, ignore_errors=True)
                count += 1
    return count


def _remove(files: Iterable[Path], *, keep: set[str], before: datetime) -> int:
    count = 0
    for path in files:
        if str(path) not in keep and path.stat().st_mtime < before.timestamp():
            path.unlink(missing_ok=True)
            count += 1
    return count


EXPIRE = Duty(name="expire", seconds=3600.0, run=expire)
