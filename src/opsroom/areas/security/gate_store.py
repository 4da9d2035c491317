"""The SQL of gates' decisions."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.areas.security.model import GateDecision, GateInput
from opsroom.kernel.store import Tx, table

DECISIONS = table(
    "gate_decisions", "id", "key", "gate", "service", "environment", "digest", "commit_id", "run", "verdict", "event",
    json=("inputs", "evidence"), times=("created",),
)  # fmt: skip


def add(tx: Tx, decision: GateDecision) -> None:
    row = asdict(decision)
    commit = row.pop("commit")
    tx.execute(sa.insert(DECISIONS).values(**row | {"commit_id": commit, "inputs": list(row["inputs"])}))


def by_key(tx: Tx, key: str) -> GateDecision | None:
    row = tx.row(sa.select(DECISIONS).where(DECISIONS.c.key == key))
    return _decision(row) if row else None


def get(tx: Tx, id: str) -> GateDecision | None:
    row = tx.row(sa.select(DECISIONS).where(DECISIONS.c.id == id))
    return _decision(row) if row else None


def find(
    tx: Tx,
    *,
    service: str = "",
    environment: str = "",
    digest: str = "",
    run: str = "",
    after: str = "",
    limit: int = 50,
) -> list[GateDecision]:
    """Decisions that match all given, newest first; `after` is the id to go on from."""
    query = sa.select(DECISIONS).order_by(DECISIONS.c.id.desc()).limit(limit)
    given = {"service": service, "environment": environment, "digest": digest, "run": run}
    for column, value in given.items():
        if value:
            query = query.where(DECISIONS.c[column] == value)
    if after:
        query = query.where(DECISIONS.c.id < after)
    return [_decision(row) for row in tx.rows(query)]


def _decision(row: RowMapping) -> GateDecision:
    values = dict(row)
    inputs = tuple(GateInput(**one) for one in values.pop("inputs"))
    return GateDecision(commit=values.pop("commit_id"), inputs=inputs, **values)
