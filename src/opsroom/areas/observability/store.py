"""The SQL of observability: targets, rule groups and alerts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.areas.observability.model import AlertRow, GroupRow, TargetRow
from opsroom.kernel.store import Tx, table

TARGETS = table(
    "scrape_targets", "service", "environment", "instance", "url", "state", "error", "seconds", "samples", "event",
    times=("since", "scraped"),
)  # fmt: skip
LOADED = table("rules_in_force", "name", "digest", "event", times=("loaded",))
GROUPS = table(
    "rule_groups",
    "file",
    "name",
    "seconds",
    "revision",
    json=("state", "faults"),
    times=("evaluated", "answered", "settles"),
)
ALERTS = table(
    "alerts", "id", "alert_key", "fingerprint", "name", "file", "group_name", "state", "severity", "service", "environment",
    "value", "expr", "silence", "muted_by", "fired_event", "resolved_event",
    json=("labels", "annotations"), times=("active_at", "fired_at", "resolved_at"),
)  # fmt: skip
_RENAMED = {"key": "alert_key", "group": "group_name"}


def put_target(tx: Tx, target: TargetRow) -> None:
    same = _same_target(target.key)
    values = asdict(target)
    if not tx.execute(sa.update(TARGETS).where(same).values(values)).rowcount:
        tx.execute(sa.insert(TARGETS).values(values))


def target(tx: Tx, key: tuple[str, str, str]) -> TargetRow | None:
    row = tx.row(sa.select(TARGETS).where(_same_target(key)))
    return TargetRow(**row) if row else None


def targets(tx: Tx) -> list[TargetRow]:
    """Every target, by service, environment and instance."""
    order = (TARGETS.c.service, TARGETS.c.environment, TARGETS.c.instance)
    return [TargetRow(**row) for row in tx.rows(sa.select(TARGETS).order_by(*order))]


def drop_target(tx: Tx, key: tuple[str, str, str]) -> None:
    tx.execute(sa.delete(TARGETS).where(_same_target(key)))


def loaded(tx: Tx) -> RowMapping | None:
    """Which rules are in force: `digest`, `loaded`, `event`."""
    return tx.row(sa.select(LOADED).where(LOADED.c.name == "rules"))


def put_loaded(tx: Tx, digest: str, *, at: datetime, event: str) -> None:
    tx.execute(sa.delete(LOADED).where(LOADED.c.name == "rules"))
    tx.execute(sa.insert(LOADED).values(name="rules", digest=digest, loaded=at, event=event))


def group(tx: Tx, key: tuple[str, str]) -> GroupRow | None:
    row = tx.row(sa.select(GROUPS).where(_same_group(key)))
    return _group(row) if row else None


def groups(tx: Tx) -> dict[tuple[str, str], GroupRow]:
    return {(row["file"], row["name"]): _group(row) for row in tx.rows(sa.select(GROUPS))}


def put_group(tx: Tx, row: GroupRow) -> bool:
    """Writes the state that follows `row.revision`; False where another has written one meanwhile."""
    values = {**asdict(row), "revision": row.revision + 1, "state": _finite(row.state)}
    if row.revision == 0:
        if group(tx, row.key) is not None:
            return False
        tx.execute(sa.insert(GROUPS).values(values))
        return True
    mine = sa.and_(_same_group(row.key), GROUPS.c.revision == row.revision)
    return bool(tx.execute(sa.update(GROUPS).where(mine).values(values)).rowcount)


def drop_group(tx: Tx, key: tuple[str, str]) -> None:
    tx.execute(sa.delete(GROUPS).where(_same_group(key)))


def put_alert(tx: Tx, alert: AlertRow) -> None:
    values = {_RENAMED.get(name, name): value for name, value in asdict(alert).items()} | {"value": repr(alert.value)}
    if not tx.execute(sa.update(ALERTS).where(ALERTS.c.id == alert.id).values(values)).rowcount:
        tx.execute(sa.insert(ALERTS).values(values))


def drop_alert(tx: Tx, id: str) -> None:
    tx.execute(sa.delete(ALERTS).where(ALERTS.c.id == id))


def alert(tx: Tx, id: str) -> AlertRow | None:
    """The alert with this id, else the newest of this name."""
    either = sa.or_(ALERTS.c.id == id, ALERTS.c.name == id)
    row = tx.row(sa.select(ALERTS).where(either).order_by(ALERTS.c.id.desc()).limit(1))
    return _alert(row) if row else None


def open_alerts(tx: Tx, key: tuple[str, str] | None = None) -> list[AlertRow]:
    """Alerts that are pending or firing, of one group or of all, oldest first."""
    query = sa.select(ALERTS).where(ALERTS.c.resolved_at.is_(None)).order_by(ALERTS.c.id)
    if key is not None:
        query = query.where(ALERTS.c.file == key[0], ALERTS.c.group_name == key[1])
    return [_alert(row) for row in tx.rows(query)]


def alerts(
    tx: Tx, *, states: Sequence[str] = (), name: str = "", service: str = "", environment: str = "", since: datetime | None = None,
    after: str = "", limit: int = 100,
) -> list[AlertRow]:  # fmt: skip
    """Alerts that match all given, newest first; `since`: not over before then."""
    query = sa.select(ALERTS).order_by(ALERTS.c.id.desc()).limit(limit)
    for column, value in (("name", name), ("service", service), ("environment", environment)):
        if value:
            query = query.where(ALERTS.c[column] == value)
    if states:
        query = query.where(ALERTS.c.state.in_(states))
    if since:
        query = query.where(sa.or_(ALERTS.c.resolved_at.is_(None), ALERTS.c.resolved_at >= since))
    if after:
        query = query.where(ALERTS.c.id < after)
    return [_alert(row) for row in tx.rows(query)]


def _same_target(key: tuple[str, str, str]) -> sa.ColumnElement[bool]:
    return sa.and_(TARGETS.c.service == key[0], TARGETS.c.environment == key[1], TARGETS.c.instance == key[2])


def _same_group(key: tuple[str, str]) -> sa.ColumnElement[bool]:
    return sa.and_(GROUPS.c.file == key[0], GROUPS.c.name == key[1])


def _group(row: RowMapping) -> GroupRow:
    return GroupRow(**{**row, "state": _floats(row["state"])})


def _alert(row: RowMapping) -> AlertRow:
    renamed = {old: new for new, old in _RENAMED.items()}
    return AlertRow(**{renamed.get(name, name): value for name, value in row.items()} | {"value": float(row["value"])})


def _finite(state: dict[str, Any]) -> dict[str, Any]:
    """JSON holds no NaN and no infinity: the values of alerts are kept as text."""
    return _each_alert(state, lambda alert: {**alert, "value": repr(alert["value"])})


def _floats(state: dict[str, Any]) -> dict[str, Any]:
    return _each_alert(state, lambda alert: {**alert, "value": float(alert["value"])})


def _each_alert(state: dict[str, Any], change: Any) -> dict[str, Any]:
    rules: Iterable[tuple[str, Any]] = state.get("rules", {}).items()
    return {
        **state,
        "rules": {
            key: {**kept, "alerts": {name: change(one) for name, one in kept["alerts"].items()}} for key, kept in rules
        },
    }
