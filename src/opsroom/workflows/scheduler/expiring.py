"""Files of runs that are long over leave: logs of jobs, artefacts, caches that nobody uses. The rows of a run stay.

A folder is renamed in a transaction that has seen the run finished, and removed after it: a run that is started again meanwhile finds
its folder either whole or gone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from opsroom.kernel.clock import stamp
from opsroom.kernel.errors import NotFound
from opsroom.kernel.settings import Settings
from opsroom.kernel.store import Store, Tx
from opsroom.workflows import store as rows
from opsroom.workflows.runner.actions.cache_store import Caches
from opsroom.workflows.runner.actions.locking import locked
from opsroom.workflows.runner.place import sweep_scripts

RUNS_AT_ONCE = 200
"""Runs of which one pass removes files."""
GONE = ".gone-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What one pass removed: the logs and the artefacts of how many runs, and how many caches."""

    logs: int = 0
    artifacts: int = 0
    caches: int = 0


class Expiring:
    """The files below the state folder. The retention is that of the settings; 0 days: for ever. `limit`: runs a pass."""

    def __init__(self, store: Store, settings: Settings, *, limit: int = RUNS_AT_ONCE) -> None:
        self._store = store
        self._limit = limit
        self._settings = settings
        self._state = settings.state.absolute()

    def once(self, now: datetime) -> Expired:
        """One pass, oldest runs first."""
        sweep_scripts()
        days = self._settings
        return Expired(
            logs=self._runs(self._state / "jobs", now, days.run_log_days),
            artifacts=self._runs(self._state / "artifacts", now, days.artifact_days, also=_forget_artifacts),
            caches=self._caches(now, days.cache_days),
        )

    def _runs(
        self, folder: Path, now: datetime, days: int, *, also: Callable[[Tx, str], None] = lambda tx, run: None
    ) -> int:
        if not days or not folder.is_dir():
            return 0
        before, taken = now - timedelta(days=days), 0
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - names alone; those of runs begin with their time
            if name.startswith(GONE):
                shutil.rmtree(folder / name, ignore_errors=True)
            elif (folder / name).is_dir():
                created = self._created(name)
                if taken == self._limit or created >= stamp(before):
                    break
                taken += self._take(folder, name, before, also)
        return taken

    def _created(self, run: str) -> str:
        """When a run was created, as the store writes times; "" for a folder of no run that is known."""
        with self._store.read() as tx:
            return str(tx.scalar(sa.select(rows.RUNS.c.created).where(rows.RUNS.c.id == run)) or "")

    def _take(self, folder: Path, run: str, before: datetime, also: Callable[[Tx, str], None]) -> bool:
        gone = folder / f"{GONE}{run}"
        with self._store.begin() as tx:
            try:
                state = rows.load(tx, run, lock=True)[1]
            except NotFound:
                return False
            if state.status != "finished" or state.finished >= stamp(before):
                return False
            also(tx, run)
            (folder / run).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def _caches(self, now: datetime, days: int) -> int:
        if not days:
            return 0
        dropped, before = 0, (now - timedelta(days=days)).timestamp()
        for root in sorted((self._state / "caches").glob("*")):
            if (root / "keys").is_dir():
                with locked(root):
                    dropped += Caches(root).drop_unused(before=before, now=now.timestamp())
        return dropped


def _forget_artifacts(tx: Tx, run: str) -> None:
    tx.execute(sa.delete(rows.ARTIFACTS).where(rows.ARTIFACTS.c.run == run))
