"""The SQL of configuration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.areas.configuration.model import OPEN, Known, PlanState, StoredPlan
from opsroom.kernel.errors import NotFound
from opsroom.kernel.plan import plan_from_json
from opsroom.kernel.store import Tx, table

PLANS = table(
    "plans", "id", "target", "commit_id", "digest", "state", "created_by", "event", "request", "applied_by", "reason",
    json=("plan",), times=("created", "finished"),
)  # fmt: skip
OBJECTS = table("managed_objects", "target", "path", "mark", "commit_id", "event", times=("seen",))
DRIFT = table(
    "drift", "id", "target", "path", "mark", "owner", "event", json=("differs",), times=("modified", "found", "ended")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRow:
    """One object that was changed outside, as last seen; `ended` None: it still is."""

    id: str
    target: str
    path: str
    mark: str
    differs: tuple[str, ...]
    owner: str
    modified: datetime | None
    found: datetime
    event: str
    ended: datetime | None = None


def add_plan(tx: Tx, stored: StoredPlan) -> None:
    tx.execute(
        sa.insert(PLANS).values(
            id=stored.id, target=stored.plan.target, commit_id=stored.plan.commit, digest=stored.digest,
            plan=stored.plan.to_json(), state=stored.state, created=stored.created, created_by=stored.created_by,
            event=stored.event, request=stored.key, applied_by=stored.applied_by, finished=stored.finished,
            reason=stored.reason,
        )
    )  # fmt: skip


def get_plan(tx: Tx, id: str) -> StoredPlan:
    """The plan with this id. Error: not found."""
    row = tx.row(sa.select(PLANS).where(PLANS.c.id == id))
    if row is None:
        raise NotFound(f"plan {id!r} does not exist; `opsroom plans list` shows those there are")
    return _plan(row)


def plan_by_key(tx: Tx, key: str) -> StoredPlan | None:
    """The newest plan made under this key."""
    row = tx.row(sa.select(PLANS).where(PLANS.c.request == key).order_by(PLANS.c.id.desc()).limit(1))
    return _plan(row) if row else None


def find_plans(
    tx: Tx, *, target: str = "", states: tuple[str, ...] = (), digest: str = "", after: str = "", limit: int = 50
) -> list[StoredPlan]:
    """Plans that match all given, newest first; `after` is the id to go on from."""
    query = sa.select(PLANS).order_by(PLANS.c.id.desc()).limit(limit)
    for column, value in ((PLANS.c.target, target), (PLANS.c.digest, digest)):
        query = query.where(column == value) if value else query
    if states:
        query = query.where(PLANS.c.state.in_(states))
    if after:
        query = query.where(PLANS.c.id < after)
    return [_plan(row) for row in tx.rows(query)]


def set_plan(
    tx: Tx, id: str, state: PlanState, *, by: str = "", finished: datetime | None = None, reason: str = ""
) -> None:
    values = {"state": state, "finished": finished, "reason": reason, **({"applied_by": by} if by else {})}
    tx.execute(sa.update(PLANS).where(PLANS.c.id == id).values(**values))


def supersede(tx: Tx, target: str, *, but: str, now: datetime) -> None:
    """Ends every open plan of the target but one; a plan that is being applied goes on."""
    waiting = [state for state in OPEN if state != "applying"]
    tx.execute(
        sa.update(PLANS)
        .where(PLANS.c.target == target, PLANS.c.state.in_(waiting), PLANS.c.id != but)
        .values(state="superseded", finished=now, reason=f"{but} was made")
    )


def known_objects(tx: Tx, target: str) -> dict[str, Known]:
    """How each object of the target last was as it should be, by path."""
    rows = tx.rows(sa.select(OBJECTS).where(OBJECTS.c.target == target))
    return {
        row["path"]: Known(mark=row["mark"], commit=row["commit_id"], event=row["event"], at=row["seen"])
        for row in rows
    }


def keep_object(tx: Tx, target: str, path: str, known: Known) -> None:
    forget_object(tx, target, path)
    tx.execute(
        sa.insert(OBJECTS).values(
            target=target, path=path, mark=known.mark, commit_id=known.commit, event=known.event, seen=known.at
        )
    )


def forget_object(tx: Tx, target: str, path: str) -> None:
    tx.execute(sa.delete(OBJECTS).where(OBJECTS.c.target == target, OBJECTS.c.path == path))


def targets_with_drift(tx: Tx) -> list[str]:
    return [str(row["target"]) for row in tx.rows(sa.select(DRIFT.c.target).where(DRIFT.c.ended.is_(None)).distinct())]


def open_drift(tx: Tx, target: str = "") -> dict[tuple[str, str], DriftRow]:
    """Drift that goes on, by target and path."""
    query = sa.select(DRIFT).where(DRIFT.c.ended.is_(None)).order_by(DRIFT.c.path)
    query = query.where(DRIFT.c.target == target) if target else query
    rows = (DriftRow(**{**row, "differs": tuple(row["differs"])}) for row in tx.rows(query))
    return {(row.target, row.path): row for row in rows}


def add_drift(tx: Tx, row: DriftRow) -> None:
    fields = {name: getattr(row, name) for name in DriftRow.__dataclass_fields__}
    tx.execute(sa.insert(DRIFT).values({**fields, "differs": list(row.differs)}))


def end_drift(tx: Tx, id: str, now: datetime) -> None:
    tx.execute(sa.update(DRIFT).where(DRIFT.c.id == id).values(ended=now))


def _plan(row: RowMapping) -> StoredPlan:
    return StoredPlan(
        id=row["id"], plan=plan_from_json(row["plan"]), digest=row["digest"], state=row["state"], created=row["created"],
        created_by=row["created_by"], event=row["event"], key=row["request"], applied_by=row["applied_by"],
        finished=row["finished"], reason=row["reason"],
    )  # fmt: skip
