"""Nothing is kept for ever unawares: one duty removes what no retention keeps any more, a bounded part of it at a time."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta
from pathlib import Path

from opsroom.contracts.plane import Plane
from opsroom.kernel.retention import ROWS_AT_ONCE, expire_rows
from opsroom.workflows.scheduler.expiring import RUNS_AT_ONCE

ORPHAN_HOURS = 24
"""A blob or a working folder that nothing refers to after this long belongs to nothing that is still at work."""
FIRST_SECONDS = 60.0
BUSY_SECONDS = 5.0
IDLE_SECONDS = 3600.0


def expire(plane: Plane) -> bool:
    """One pass: rows, files of runs, blobs, working folders. True: a limit was reached, and there may be more to remove."""
    before = plane.clock.now() - timedelta(hours=ORPHAN_HOURS)
    rows = expire_rows(plane.store, plane.migrations, plane.clock.now())
    runs = plane.engine.expire()
    gone = {
        **rows, "logs": runs.logs, "artifacts": runs.artifacts, "caches": runs.caches,
        "blobs": _sweep_blobs(plane, before), "working folders": _sweep_work(plane.settings.state / "tmp", before),
    }  # fmt: skip
    if any(gone.values()):
        plane.journal.info("removed what is kept no longer", **{name: count for name, count in gone.items() if count})
    return max(rows.values(), default=0) >= ROWS_AT_ONCE or max(runs.logs, runs.artifacts) >= RUNS_AT_ONCE


def _sweep_blobs(plane: Plane, before: datetime) -> int:
    keepers = [area.blobs for area in plane.areas if area.blobs is not None]
    if not keepers:
        return 0  # Without the area whose blobs they are, nobody can tell which are needed.
    kept: set[str] = set().union(*(keeper(plane) for keeper in keepers))
    return plane.blobs.sweep(kept, before=before) + plane.blobs.sweep_partial(before=before)


def _sweep_work(folder: Path, before: datetime) -> int:
    """Working folders are removed by who makes them; those left are of a server that was killed."""
    left = [path for path in folder.glob("*") if path.stat().st_mtime < before.timestamp()]
    for path in left:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    return len(left)
