"""The question security answers: the findings on a digest, which are those of the commit it was built from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from opsroom.areas.security import store as rows
from opsroom.areas.security.model import EVERYTHING, Finding, Scan
from opsroom.areas.security.waiving import holding, waiver_of
from opsroom.contracts.facts import Answer, FindingCount, FindingsOn
from opsroom.contracts.plane import Plane

REASONS_TOLD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OnDigest:
    """What is known of a digest. `unknown` "" : something is. `findings` holds the waived ones too; `waived` are their ids."""

    findings: tuple[Finding, ...] = ()
    waived: frozenset[str] = frozenset()
    checked: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    commit: str = ""
    events: tuple[str, ...] = ()
    unknown: str = ""


def on_digest(plane: Plane, digest: str) -> OnDigest:
    """The findings of the newest scans of the commit that a digest was last built from."""
    published = plane.ledger.find(types=["artifact.published"], subjects=[f"digest:{digest}"], limit=1)
    commit = published[0].subject("commit") if published else ""
    if not commit:
        return OnDigest(unknown=f"{digest[:19]} was never published here, so it is not known what it was built from")
    repository = published[0].subject("repository")
    with plane.store.read() as tx:
        scans = _newest(rows.find_scans(tx, commit=commit, repository=repository, limit=1000))
        findings = tuple(rows.seen_in(tx, [scan.id for scan in scans]))
    if not scans:
        return OnDigest(commit=commit, unknown=f"no scan looked at commit {commit[:12]}, from which it was built")
    waivers = holding(plane)
    checked = tuple(dict.fromkeys(scan.scanner for scan in scans if scan.looked_at or not scan.unchecked))
    return OnDigest(
        findings=findings, waived=frozenset(one.id for one in findings if waiver_of(waivers, one)), commit=commit,
        checked=checked, unchecked=tuple(line for scan in scans for line in _blind(scan)),
        events=(published[0].id, *(scan.event for scan in scans)),
    )  # fmt: skip


def findings_on(plane: Plane, question: FindingsOn) -> Answer[FindingCount]:
    """Open findings by severity, waived ones apart; unknown where no scan looked."""
    known, now = on_digest(plane, question.digest), plane.clock.now()
    if known.unknown:
        return Answer(value=None, unknown=known.unknown, at=now)
    counts = Counter(one.severity for one in known.findings if one.id not in known.waived)
    value = FindingCount(
        critical=counts["critical"], high=counts["high"], medium=counts["medium"], low=counts["low"],
        waived=len(known.waived), checked=known.checked, unchecked=known.unchecked,
    )  # fmt: skip
    return Answer(value=value, at=now, events=known.events)


def _newest(scans: list[Scan]) -> list[Scan]:
    """The newest scan of each scanner and target."""
    newest: dict[tuple[str, str], Scan] = {}
    for scan in scans:
        newest.setdefault((scan.scanner, scan.target), scan)
    return list(newest.values())


def _blind(scan: Scan) -> list[str]:
    """What a scan did not check, a line each; of many the first few and how many more."""
    lines = [
        f"{scan.scanner}: {one.why if one.what == EVERYTHING else f'{one.what}: {one.why}'}" for one in scan.unchecked
    ]
    more = len(lines) - REASONS_TOLD
    return [*lines[:REASONS_TOLD], *([f"{scan.scanner}: {more} more"] if more > 0 else [])]
