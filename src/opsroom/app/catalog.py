"""The ops repo in force: loaded at start and at each of its pushes; a bad commit leaves the last good one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from opsroom.contracts.area import Area, Subscription
from opsroom.contracts.plane import Plane
from opsroom.contracts.repositories import ops_repository
from opsroom.contracts.sentences import event_types
from opsroom.kernel.errors import Problem, UserError
from opsroom.kernel.ledger import Event
from opsroom.kernel.resources import Catalog, load_catalog
from opsroom.kernel.store import table

CATALOGS = table("catalogs", "commit_id", "good", "event", json=("problems",), times=("loaded",))


def restore(plane: Plane, areas: Sequence[Area]) -> None:
    """Puts the last good commit in force again at start; without one, nothing is in force until the first push is seen."""
    with plane.store.read() as tx:
        commit = tx.scalar(
            sa.select(CATALOGS.c.commit_id).where(CATALOGS.c.good == 1).order_by(CATALOGS.c.loaded.desc()).limit(1)
        )
    if not commit:
        return
    try:
        catalog, problems = _load(plane, areas, commit)
    except UserError as error:
        plane.journal.warning(f"the catalog at {commit[:12]} cannot be read again: {error}")
        return
    if problems:
        # A new release may refuse what the last one took; what is known good stays in force, and the problems are shown.
        plane.journal.warning("this release finds problems in the catalog in force", problems=len(problems))
    plane.catalogs.offer(commit, catalog, ())


def reload_on_push(areas: Sequence[Area]) -> Subscription:
    """The reader that loads the ops repo at each push to its default branch and tells it by `catalog.changed`."""

    def handle(plane: Plane, event: Event) -> None:
        name = ops_repository(plane)
        if event.subject("repository") != name or not event.data.get("after"):
            return
        branch = plane.repos.default_branch(name)
        if event.data.get("ref") == f"refs/heads/{branch}":
            _offer(plane, areas, event)

    return Subscription(name="catalog", types=("change.pushed",), handle=handle)


def _offer(plane: Plane, areas: Sequence[Area], event: Event) -> None:
    commit, name = str(event.data["after"]), event.subject("repository")
    catalog, problems = _load(plane, areas, commit)
    before = plane.catalogs.current().commit
    changed = sorted(plane.repos.changed_paths(name, before, commit)) if before else []
    good = plane.catalogs.offer(commit, catalog, problems)
    with plane.store.begin() as tx:
        told = plane.ledger.record(
            tx, "catalog.changed", actor="system:catalog", cause=event.id, key=f"catalog:{event.id}",
            subjects=[f"commit:{commit}", f"repository:{name}"],
            data={"commit": commit, "in_force": good, "problems": len(problems), "changed": changed[:500],
                  "kinds": _count(catalog)},
        )  # fmt: skip
        tx.execute(sa.delete(CATALOGS).where(CATALOGS.c.commit_id == commit))
        tx.execute(
            sa.insert(CATALOGS).values(
                commit_id=commit,
                loaded=plane.clock.now(),
                good=int(good),
                event=told.id,
                problems=[str(one) for one in problems],
            )
        )


def _load(plane: Plane, areas: Sequence[Area], commit: str) -> tuple[Catalog, list[Problem]]:
    files = plane.repos.files(ops_repository(plane), commit)
    kinds = [kind for area in areas for kind in area.kinds]
    return load_catalog(files, commit, kinds, event_types=event_types(areas))


def _count(catalog: Catalog) -> Mapping[str, int]:
    return {kind: len(found) for kind in catalog.kinds if (found := catalog.all(kind))}
