"""The SQL of the evidence of controls."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.areas.security.model import Evidence
from opsroom.kernel.store import Tx, table

EVIDENCE = table(
    "control_evidence", "id", "baseline", "control", "title", "verdict", "event", json=("events",), times=("as_of",)
)


def add(tx: Tx, evidence: Evidence) -> None:
    tx.execute(sa.insert(EVIDENCE).values(**asdict(evidence) | {"events": list(evidence.events)}))


def newest(tx: Tx, baseline: str, control: str) -> Evidence | None:
    same = (EVIDENCE.c.baseline == baseline, EVIDENCE.c.control == control)
    row = tx.row(sa.select(EVIDENCE).where(*same).order_by(EVIDENCE.c.id.desc()).limit(1))
    return _evidence(row) if row else None


def find(tx: Tx, *, control: str = "", after: str = "", limit: int = 50) -> list[Evidence]:
    """What was recorded, newest first; `after` is the id to go on from."""
    query = sa.select(EVIDENCE).order_by(EVIDENCE.c.id.desc()).limit(limit)
    if control:
        query = query.where(EVIDENCE.c.control == control)
    if after:
        query = query.where(EVIDENCE.c.id < after)
    return [_evidence(row) for row in tx.rows(query)]


def _evidence(row: RowMapping) -> Evidence:
    values = dict(row)
    return Evidence(events=tuple(values.pop("events")), **values)
