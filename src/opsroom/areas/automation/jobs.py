"""What automation does by the clock: starts the scheduled workflows that are due."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from opsroom.contracts.area import Duty
from opsroom.contracts.plane import Plane
from opsroom.contracts.repositories import head_of, repositories, repository_of, workflows_of
from opsroom.kernel.errors import UserError
from opsroom.workflows.engine import Scheduled

if TYPE_CHECKING:
    from opsroom.kernel.store import Store


def start_due(plane: Plane) -> None:
    """Starts what is due; the engine remembers up to when each cron line was looked at."""
    plane.engine.due_schedules(plane.clock.now(), (one for one, paused in scheduled(plane) if not paused))


def scheduled(plane: Plane) -> Iterator[tuple[Scheduled, bool]]:
    """Every workflow at the head of every default branch that names a schedule, and whether a Schedule pauses it. A repository that
    cannot be read holds up no other; delivery says so on its page."""
    paused = {
        (one.spec.repository, one.spec.workflow) for one in plane.catalogs.current().all("Schedule") if one.spec.paused
    }
    for index, name in enumerate(repositories(plane)):
        try:
            ref, commit = head_of(plane, name)
            files = workflows_of(plane, name, commit)
            repository = repository_of(plane, name)
        except UserError as error:
            _tell(plane, name, str(error))
            continue
        _told.setdefault(plane.store, {}).pop(name, None)
        for path, text in files:
            # A Schedule that names no repository speaks of the ops repo, which stands first.
            is_paused = (name, path) in paused or (index == 0 and ("", path) in paused)
            if "schedule" in text:
                yield Scheduled(path=path, text=text, repository=repository, ref=ref, commit=commit), is_paused


_told: WeakKeyDictionary[Store, dict[str, str]] = WeakKeyDictionary()


def _tell(plane: Plane, repository: str, fault: str) -> None:
    """Says why a repository's schedules cannot be read, once for each reason, however often they are looked at."""
    told = _told.setdefault(plane.store, {})
    if told.get(repository) != fault:
        told[repository] = fault
        plane.journal.warning(f"schedules of {repository} cannot be read: {fault}")


DUTIES = (Duty(name="schedules", seconds=10.0, run=start_due),)
