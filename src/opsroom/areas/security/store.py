"""The SQL of scans and findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from opsroom.areas.security.model import SEVERITIES, Finding, Found, Scan, Unchecked
from opsroom.kernel.store import Tx, table

SCANS = table(
    "scans", "id", "key", "scanner", "repository", "ref", "target", "scope", "service", "commit_id", "digest", "run",
    "verdict", "looked_at", "new", "open", "older", "accepted", "event", json=("unchecked",), times=("started", "finished"),
)  # fmt: skip
FINDINGS = table(
    "findings", "id", "scanner", "repository", "fingerprint", "rule", "severity", "title", "fix", "service", "state",
    "commit_id", "digest", "opened_event", "closed_event", json=("places", "covers"), times=("opened", "seen", "closed"),
)  # fmt: skip
PRESENCE = table("finding_presence", "finding", "scope", "scan", json=("places", "covers"))
SEEN = table("scan_findings", "scan", "finding")
_BY_SEVERITY = sa.case({name: rank for rank, name in enumerate(SEVERITIES)}, value=FINDINGS.c.severity, else_=9)


def add_scan(tx: Tx, scan: Scan, seen: Iterable[str]) -> None:
    """Keeps a scan and the ids of the findings it saw."""
    row = asdict(scan)
    commit = row.pop("commit")
    values = {
        "commit_id": commit,
        "older": int(scan.older),
        "accepted": int(scan.accepted),
        "unchecked": list(row["unchecked"]),
    }
    tx.execute(sa.insert(SCANS).values(**row | values))
    if rows := [{"scan": scan.id, "finding": finding} for finding in dict.fromkeys(seen)]:
        tx.execute(sa.insert(SEEN), rows)


def scan_by_key(tx: Tx, key: str) -> Scan | None:
    row = tx.row(sa.select(SCANS).where(SCANS.c.key == key))
    return _scan(row) if row else None


def get_scan(tx: Tx, id: str) -> Scan | None:
    row = tx.row(sa.select(SCANS).where(SCANS.c.id == id))
    return _scan(row) if row else None


def find_scans(
    tx: Tx, *, scanner: str = "", repository: str = "", commit: str = "", run: str = "", service: str = "",
    after: str = "", limit: int = 100,
) -> list[Scan]:  # fmt: skip
    """Scans that match all given, newest first; `after` is the id to go on from."""
    query = sa.select(SCANS).order_by(SCANS.c.id.desc()).limit(limit)
    given = {"scanner": scanner, "repository": repository, "commit_id": commit, "run": run, "service": service}
    for column, value in given.items():
        if value:
            query = query.where(SCANS.c[column] == value)
    if after:
        query = query.where(SCANS.c.id < after)
    return [_scan(row) for row in tx.rows(query)]


def last_scan(tx: Tx, scope: str) -> Scan | None:
    """The scan that decided what is present in a scope."""
    query = sa.select(SCANS).where(SCANS.c.scope == scope, SCANS.c.older == 0)
    row = tx.row(query.order_by(SCANS.c.id.desc()).limit(1))
    return _scan(row) if row else None


def accepted_scan(tx: Tx, *, scope: str, scanner: str, repository: str, target: str, before: str = "") -> Scan | None:
    """What a scan of the scope is held against: the last accepted one (before a scan's id), or on a new branch that of any branch."""
    same = (SCANS.c.scanner == scanner, SCANS.c.repository == repository, SCANS.c.target == target)
    own = sa.case((SCANS.c.scope == scope, 0), else_=1)
    query = sa.select(SCANS).where(*same, SCANS.c.accepted == 1, SCANS.c.older == 0)
    if before:
        query = query.where(SCANS.c.id < before)
    row = tx.row(query.order_by(own, SCANS.c.id.desc()).limit(1))
    return _scan(row) if row else None


def fingerprints_of(tx: Tx, scan: str) -> set[str]:
    """The fingerprints of what a scan saw."""
    query = sa.select(FINDINGS.c.fingerprint).select_from(SEEN.join(FINDINGS, SEEN.c.finding == FINDINGS.c.id))
    return {row["fingerprint"] for row in tx.rows(query.where(SEEN.c.scan == scan))}


def seen_in(tx: Tx, scans: Sequence[str]) -> list[Finding]:
    """What these scans saw, each finding once, worst first."""
    if not scans:
        return []
    ids = sa.select(SEEN.c.finding).where(SEEN.c.scan.in_(scans))
    return [_finding(row) for row in tx.rows(sa.select(FINDINGS).where(FINDINGS.c.id.in_(ids)).order_by(_BY_SEVERITY))]


def present(tx: Tx, scope: str) -> dict[str, RowMapping]:
    """What is there in a scope, by fingerprint: `id`, `opened_event`, and the `places` and `covers` of this scope."""
    columns = (FINDINGS.c.fingerprint, FINDINGS.c.id, FINDINGS.c.opened_event, PRESENCE.c.places, PRESENCE.c.covers)
    query = sa.select(*columns).select_from(PRESENCE.join(FINDINGS, PRESENCE.c.finding == FINDINGS.c.id))
    return {row["fingerprint"]: row for row in tx.rows(query.where(PRESENCE.c.scope == scope))}


def set_present(tx: Tx, finding: str, scope: str, scan: str, found: Found) -> None:
    tx.execute(sa.delete(PRESENCE).where(PRESENCE.c.finding == finding, PRESENCE.c.scope == scope))
    tx.execute(
        sa.insert(PRESENCE).values(
            finding=finding, scope=scope, scan=scan, places=list(found.places), covers=list(found.covers)
        )
    )


def set_absent(tx: Tx, finding: str, scope: str) -> bool:
    """Whether it is nowhere now."""
    tx.execute(sa.delete(PRESENCE).where(PRESENCE.c.finding == finding, PRESENCE.c.scope == scope))
    return not tx.scalar(sa.select(sa.func.count()).select_from(PRESENCE).where(PRESENCE.c.finding == finding))


def scopes_of_ref(tx: Tx, repository: str, ref: str) -> list[str]:
    """The scopes of a branch in which something is present."""
    query = sa.select(SCANS.c.scope).where(SCANS.c.repository == repository, SCANS.c.ref == ref).distinct()
    return [row["scope"] for row in tx.rows(query)]


def add_finding(tx: Tx, finding: Finding) -> None:
    tx.execute(sa.insert(FINDINGS).values(**_finding_row(finding)))


def update_finding(tx: Tx, finding: Finding) -> None:
    tx.execute(sa.update(FINDINGS).where(FINDINGS.c.id == finding.id).values(**_finding_row(finding)))


def finding_by_fingerprint(tx: Tx, scanner: str, repository: str, fingerprints: Sequence[str]) -> Finding | None:
    """The finding known by any of these, the first of them first."""
    rank = sa.case({text: number for number, text in enumerate(fingerprints)}, value=FINDINGS.c.fingerprint, else_=999)
    same = (FINDINGS.c.scanner == scanner, FINDINGS.c.repository == repository)
    row = tx.row(sa.select(FINDINGS).where(*same, FINDINGS.c.fingerprint.in_(fingerprints)).order_by(rank).limit(1))
    return _finding(row) if row else None


def get_finding(tx: Tx, id: str) -> Finding | None:
    row = tx.row(sa.select(FINDINGS).where(FINDINGS.c.id == id))
    return _finding(row) if row else None


def find_findings(
    tx: Tx, *, state: str = "", severity: str = "", service: str = "", repository: str = "", scanner: str = "",
    opened_since: datetime | None = None, after: str = "", limit: int = 100,
) -> list[Finding]:  # fmt: skip
    """Findings that match all given, the newest first; `after` is the id to go on from."""
    query = sa.select(FINDINGS).order_by(FINDINGS.c.id.desc()).limit(limit)
    given = {"state": state, "severity": severity, "service": service, "repository": repository, "scanner": scanner}
    for column, value in given.items():
        if value:
            query = query.where(FINDINGS.c[column] == value)
    if opened_since:
        query = query.where(FINDINGS.c.opened >= opened_since)
    if after:
        query = query.where(FINDINGS.c.id < after)
    return [_finding(row) for row in tx.rows(query)]


def scans_of_finding(tx: Tx, finding: str, limit: int = 20) -> list[Scan]:
    """The scans that saw it, newest first."""
    ids = sa.select(SEEN.c.scan).where(SEEN.c.finding == finding)
    query = sa.select(SCANS).where(SCANS.c.id.in_(ids)).order_by(SCANS.c.id.desc()).limit(limit)
    return [_scan(row) for row in tx.rows(query)]


def set_digest(tx: Tx, commit: str, digest: str) -> None:
    """What was seen on a commit was seen on the digest built from it."""
    tx.execute(sa.update(SCANS).where(SCANS.c.commit_id == commit).values(digest=digest))
    tx.execute(sa.update(FINDINGS).where(FINDINGS.c.commit_id == commit).values(digest=digest))


def _scan(row: RowMapping) -> Scan:
    values = dict(row)
    values["unchecked"] = tuple(Unchecked(**one) for one in values["unchecked"])
    values |= {name: bool(values[name]) for name in ("older", "accepted")}
    return Scan(commit=values.pop("commit_id"), **values)


def _finding(row: RowMapping) -> Finding:
    values = dict(row)
    values |= {name: tuple(values[name]) for name in ("places", "covers")}
    return Finding(commit=values.pop("commit_id"), **values)


def _finding_row(finding: Finding) -> dict[str, Any]:
    row = asdict(finding)
    commit = row.pop("commit")
    return row | {"commit_id": commit, "places": list(finding.places), "covers": list(finding.covers)}
