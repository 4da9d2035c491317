"""The SQL of artefacts and of test reports."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.areas.delivery.model import Artifact, TestReport
from opsroom.kernel.store import Tx, called, table

ARTIFACTS = table(
    "artifacts", "id", "key", "digest", "name", "service", "version", "commit_id", "repository", "run", "size", "sbom",
    "provenance", "event", times=("created",),
)  # fmt: skip
REPORTS = table(
    "test_reports", "id", "key", "run", "job", "repository", "commit_id", "service", "tests", "failed", "skipped", "seconds",
    "event", json=("failures",), times=("created",),
)  # fmt: skip
_LONG = ("digest", "commit_id")


def add(tx: Tx, artifact: Artifact) -> None:
    tx.execute(sa.insert(ARTIFACTS).values(_row(artifact)))


def by_key(tx: Tx, key: str) -> Artifact | None:
    row = tx.row(sa.select(ARTIFACTS).where(ARTIFACTS.c.key == key))
    return _artifact(row) if row else None


def newest(tx: Tx, digest: str, *, run: str = "") -> Artifact | None:
    """The last publication of a digest; that of this run, where it published it."""
    mine = sa.case((ARTIFACTS.c.run == run, 0), else_=1)
    query = (
        sa.select(ARTIFACTS).where(called(ARTIFACTS.c.digest, digest)).order_by(mine, ARTIFACTS.c.id.desc()).limit(1)
    )
    row = tx.row(query)
    return _artifact(row) if row else None


def find(
    tx: Tx, *, service: str = "", commit: str = "", run: str = "", name: str = "", digest: str = "", after: str = "",
    limit: int = 100,
) -> list[Artifact]:  # fmt: skip
    """Artefacts that match all given, newest first; `after` is the id to go on from."""
    query = sa.select(ARTIFACTS).order_by(ARTIFACTS.c.id.desc()).limit(limit)
    wanted = (("service", service), ("commit_id", commit), ("run", run), ("name", name), ("digest", digest))
    for column, value in wanted:
        if value:
            query = query.where(called(ARTIFACTS.c[column], value) if column in _LONG else ARTIFACTS.c[column] == value)
    if after:
        query = query.where(ARTIFACTS.c.id < after)
    return [_artifact(row) for row in tx.rows(query)]


def add_report(tx: Tx, report: TestReport) -> None:
    tx.execute(sa.insert(REPORTS).values(_row(report)))


def report_by_key(tx: Tx, key: str) -> TestReport | None:
    row = tx.row(sa.select(REPORTS).where(REPORTS.c.key == key))
    return _report(row) if row else None


def reports(tx: Tx, *, run: str = "", commit: str = "") -> list[TestReport]:
    """Reports of a run or of a commit, oldest first."""
    query = sa.select(REPORTS).order_by(REPORTS.c.id).limit(200)
    for column, value in (("run", run), ("commit_id", commit)):
        if value:
            query = query.where(REPORTS.c[column] == value)
    return [_report(row) for row in tx.rows(query)]


def _row(value: Artifact | TestReport) -> dict[str, Any]:
    row = asdict(value)
    row["commit_id"] = row.pop("commit")
    return row


def _artifact(row: RowMapping) -> Artifact:
    values = dict(row)
    return Artifact(commit=values.pop("commit_id"), **values)


def _report(row: RowMapping) -> TestReport:
    values = dict(row)
    return TestReport(commit=values.pop("commit_id"), **values)
