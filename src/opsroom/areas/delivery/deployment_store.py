"""The SQL of deployments: their rows, what is live where, and their processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.areas.delivery.model import Deployment, Instance, ServiceSpec, Wish
from opsroom.kernel.store import Tx, called, table

DEPLOYMENTS = table(
    "deployments", "id", "key", "service", "environment", "digest", "version", "commit_id", "strategy", "kind", "run",
    "actor", "state", "error", "previous", "previous_digest", "configuration_commit", "url", "incident",
    "started_event", "finished_event", json=("spec",), times=("created", "switched", "finished"),
)  # fmt: skip
LIVE = table("live", "service", "environment", "deployment")
INSTANCES = table(
    "instances",
    "id",
    "deployment",
    "service",
    "environment",
    "number",
    "port",
    "state",
    "restarts",
    "log",
    times=("started",),
)


def add(tx: Tx, id: str, wish: Wish, *, url: str, now: datetime, event: str) -> Deployment:
    """Adds a deployment in state starting; what ran before is read from what is live."""
    before = live(tx, wish.service, wish.environment)
    row: dict[str, Any] = {
        "id": id, "key": wish.key, "service": wish.service, "environment": wish.environment, "digest": wish.digest,
        "version": wish.version, "commit_id": wish.commit, "strategy": wish.strategy, "kind": wish.kind, "run": wish.run,
        "actor": wish.actor, "state": "starting", "error": "", "previous": before.id if before else "",
        "previous_digest": before.digest if before else "", "configuration_commit": wish.configuration_commit,
        "url": url, "incident": wish.incident, "spec": asdict(wish.spec), "created": now, "switched": None,
        "finished": None, "started_event": event, "finished_event": "",
    }  # fmt: skip
    tx.execute(sa.insert(DEPLOYMENTS).values(row))
    return _deployment(row)


def change(tx: Tx, id: str, **values: Any) -> None:
    tx.execute(sa.update(DEPLOYMENTS).where(DEPLOYMENTS.c.id == id).values(**values))


def get(tx: Tx, id: str) -> Deployment | None:
    row = tx.row(sa.select(DEPLOYMENTS).where(DEPLOYMENTS.c.id == id))
    return _deployment(row) if row else None


def by_key(tx: Tx, key: str) -> Deployment | None:
    row = tx.row(sa.select(DEPLOYMENTS).where(DEPLOYMENTS.c.key == key))
    return _deployment(row) if row else None


def find(
    tx: Tx, *, service: str = "", environment: str = "", states: Sequence[str] = (), run: str = "", digest: str = "",
    since: datetime | None = None, after: str = "", limit: int = 100,
) -> list[Deployment]:  # fmt: skip
    """Deployments that match all given, newest first; `after` is the id to go on from."""
    query = sa.select(DEPLOYMENTS).order_by(DEPLOYMENTS.c.id.desc()).limit(limit)
    for column, value in (("service", service), ("environment", environment), ("run", run), ("digest", digest)):
        if value:
            of_column = DEPLOYMENTS.c[column]
            query = query.where(called(of_column, value) if column == "digest" else of_column == value)
    if states:
        query = query.where(DEPLOYMENTS.c.state.in_(states))
    if since is not None:
        query = query.where(DEPLOYMENTS.c.created >= since)
    if after:
        query = query.where(DEPLOYMENTS.c.id < after)
    return [_deployment(row) for row in tx.rows(query)]


def live(tx: Tx, service: str, environment: str) -> Deployment | None:
    """What serves there now."""
    found = live_all(tx, service=service, environment=environment)
    return found[0] if found else None


def live_all(tx: Tx, *, service: str = "", environment: str = "") -> list[Deployment]:
    query = (
        sa.select(DEPLOYMENTS)
        .join(LIVE, LIVE.c.deployment == DEPLOYMENTS.c.id)
        .order_by(DEPLOYMENTS.c.environment, DEPLOYMENTS.c.service)
    )
    if service:
        query = query.where(LIVE.c.service == service)
    if environment:
        query = query.where(LIVE.c.environment == environment)
    return [_deployment(row) for row in tx.rows(query)]


def set_live(tx: Tx, deployment: Deployment) -> None:
    place = sa.and_(LIVE.c.service == deployment.service, LIVE.c.environment == deployment.environment)
    if not tx.execute(sa.update(LIVE).where(place).values(deployment=deployment.id)).rowcount:
        tx.execute(
            sa.insert(LIVE).values(
                service=deployment.service, environment=deployment.environment, deployment=deployment.id
            )
        )


def exists(tx: Tx) -> bool:
    """Whether this database has the tables of deployments: a state that no server has opened yet has none."""
    return bool(sa.inspect(tx.connection).has_table("instances"))


def add_instance(tx: Tx, instance: Instance) -> None:
    tx.execute(sa.insert(INSTANCES).values(asdict(instance)))


def change_instance(tx: Tx, id: str, **values: Any) -> None:
    tx.execute(sa.update(INSTANCES).where(INSTANCES.c.id == id).values(**values))


def instances(
    tx: Tx, *, deployment: str = "", states: Sequence[str] = ("starting", "serving", "draining")
) -> list[Instance]:
    query = (
        sa.select(INSTANCES).where(INSTANCES.c.state.in_(states)).order_by(INSTANCES.c.deployment, INSTANCES.c.number)
    )
    if deployment:
        query = query.where(INSTANCES.c.deployment == deployment)
    return [Instance(**row) for row in tx.rows(query)]


def subjects(deployment: Deployment) -> list[str]:
    """What the events of a deployment are about."""
    return subjects_of(deployment.id, deployment)


def subjects_of(id: str, of: Wish | Deployment) -> list[str]:
    found = [f"deployment:{id}", f"service:{of.service}", f"environment:{of.environment}", f"digest:{of.digest}"]
    optional = (("commit", of.commit), ("run", of.run), ("incident", of.incident))
    return found + [f"{kind}:{value}" for kind, value in optional if value]


def spec_of(deployment: Deployment) -> ServiceSpec:
    values = dict(deployment.spec)
    return ServiceSpec(**{**values, "command": tuple(values["command"])})


def _deployment(row: RowMapping | dict[str, Any]) -> Deployment:
    values = dict(row)
    return Deployment(commit=values.pop("commit_id"), **values)
