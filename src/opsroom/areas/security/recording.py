"""A scan put on record: its event, the findings it opens, sees again and closes, all in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from opsroom.areas.security import store as rows
from opsroom.areas.security.model import Finding, Found, Result, Scan, Scope, merge, settle
from opsroom.areas.security.waiving import covers, holding, waiver_of
from opsroom.contracts.actions import ActionCall
from opsroom.contracts.plane import Plane
from opsroom.kernel.errors import NotFound
from opsroom.kernel.ledger import Event
from opsroom.kernel.store import Tx
from opsroom.kernel.waivers import Waiver

PLACES_TOLD = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A scan on record. `new`: what it saw that is not waived and that the last accepted scan of its scope had not."""

    scan: Scan
    new: tuple[Finding, ...]


def record_scan(call: ActionCall, scope: Scope, result: Result, *, fail_on: str, started: datetime) -> Recorded:
    """Records a scan once for each key; the same key again gives what was recorded."""
    plane = call.call.plane
    service = plane.engine.get(call.run).run.service
    digest = digest_of(plane, call.commit)
    waivers = holding(plane)
    with plane.store.begin() as tx:
        if known := rows.scan_by_key(tx, call.key):
            return recall(plane, known, tx=tx)
        return _record(
            call, tx, scope, replace(result, found=_known_names(tx, scope, result)), fail_on=fail_on, started=started,
            service=service, digest=digest, waivers=waivers,
        )  # fmt: skip


def recall(plane: Plane, scan: Scan, *, tx: Tx) -> Recorded:
    """What was recorded of a scan, with what of it was new then and is not waived since."""
    accepted = _accepted_before(tx, scan)
    waivers = holding(plane)
    seen = rows.seen_in(tx, [scan.id])
    return Recorded(scan=scan, new=tuple(_new(seen, accepted, waivers)))


def digest_of(plane: Plane, commit: str) -> str:
    """The digest last built from a commit; "" while none was."""
    found = plane.ledger.find(types=["artifact.published"], subjects=[f"commit:{commit}"], limit=1) if commit else []
    return found[0].subject("digest") if found else ""


def close_branch(plane: Plane, repository: str, ref: str, cause: Event) -> None:
    """A branch that is no more holds no finding: what stood on it alone is closed."""
    with plane.store.begin() as tx:
        for scope in rows.scopes_of_ref(tx, repository, ref):
            for row in rows.present(tx, scope).values():
                if rows.set_absent(tx, row["id"], scope) and (finding := rows.get_finding(tx, row["id"])):
                    _close(plane, tx, finding, cause, why=f"{ref.removeprefix('refs/heads/')} was deleted")


def reopen(plane: Plane, ended: Event) -> None:
    """Tells of every finding that the waiver covered, is still there, and is covered by no other: it is open again."""
    waiver = plane.waivers.get(ended.subject("waiver"))
    waivers = [one for one in holding(plane) if one.id != waiver.id]
    with plane.store.begin() as tx:
        for finding in rows.find_findings(tx, state="open", limit=100_000):
            if covers(waiver, finding) and waiver_of(waivers, finding) is None:
                plane.ledger.record(
                    tx, "finding.opened", actor="system:security", cause=ended.id, subjects=_subjects(finding),
                    key=f"finding.opened:{finding.id}:{waiver.id}",
                    data=_data(finding, again=True, why=f"waiver {waiver.id} ended: {ended.data.get('why', '')}"),
                )  # fmt: skip


def _record(
    call: ActionCall, tx: Tx, scope: Scope, result: Result, *, fail_on: str, started: datetime, service: str, digest: str,
    waivers: Sequence[Waiver],
) -> Recorded:  # fmt: skip
    plane, now = call.call.plane, call.call.plane.clock.now()
    present = rows.present(tx, scope.key)
    settled = settle({fingerprint: row["covers"] for fingerprint, row in present.items()}, result)
    before = rows.last_scan(tx, scope.key)
    older = before is not None and _is_older(plane, scope.repository, call.commit, before.commit)
    scan_id = plane.clock.new_id("scn")
    findings = [
        _finding(plane, tx, scope, one, commit=call.commit, digest=digest, service=service, older=older)
        for one in settled.seen
    ]
    open_now = [finding for finding in findings if waiver_of(waivers, finding) is None]
    accepted = rows.accepted_scan(
        tx, scope=scope.key, scanner=scope.scanner, repository=scope.repository, target=scope.target
    )
    new = _new(findings, rows.fingerprints_of(tx, accepted.id) if accepted else set(), waivers)
    bare = Scan(
        id=scan_id, key=call.key, scanner=scope.scanner, repository=scope.repository, ref=scope.ref, target=scope.target,
        scope=scope.key, service=service, commit=call.commit, digest=digest, run=call.run, verdict=verdict_of(result),
        unchecked=result.unchecked, looked_at=result.looked_at, new=len(new), open=len(open_now), older=older,
        accepted=fail_on == "none" or not new, started=started, finished=now, event="",
    )  # fmt: skip
    event = _tell(call, tx, bare)
    scan = replace(bare, event=event.id)
    kept = findings if older else _live(plane, tx, scan, findings, event)
    if not older:
        for one, finding in zip(settled.seen, kept, strict=True):
            rows.set_present(tx, finding.id, scope.key, scan.id, one)
        for fingerprint in settled.gone:
            if rows.set_absent(tx, present[fingerprint]["id"], scope.key):
                gone = rows.get_finding(tx, present[fingerprint]["id"])
                if gone is not None and gone.state == "open":
                    _close(plane, tx, gone, event, why=f"scan {scan.id} looked and it is not there")
    else:
        for finding in findings:
            _keep(tx, finding)
    rows.add_scan(tx, scan, [finding.id for finding in kept])
    fresh = {finding.fingerprint for finding in new}
    return Recorded(scan=scan, new=tuple(finding for finding in kept if finding.fingerprint in fresh))


def verdict_of(result: Result) -> str:
    """`clean` only where everything was checked."""
    return "findings" if result.found else "not checked" if result.unchecked else "clean"


def _known_names(tx: Tx, scope: Scope, result: Result) -> tuple[Found, ...]:
    """What was found, under the fingerprint by which it is known already where that is another of its names."""
    named = []
    for one in merge(result.found):
        known = (
            rows.finding_by_fingerprint(tx, scope.scanner, scope.repository, (one.fingerprint, *one.also))
            if one.also
            else None
        )
        named.append(replace(one, fingerprint=known.fingerprint) if known else one)
    return tuple(named)


def _is_older(plane: Plane, repository: str, commit: str, than: str) -> bool:
    if commit == than or not commit or not than:
        return False
    try:
        return not plane.repos.log(repository, commit, before=than, limit=1)
    except NotFound:
        # History that cannot be asked (a repository no longer watched) orders nothing.
        return False


def _finding(
    plane: Plane, tx: Tx, scope: Scope, found: Found, *, commit: str, digest: str, service: str, older: bool
) -> Finding:
    now = plane.clock.now()
    known = rows.finding_by_fingerprint(tx, scope.scanner, scope.repository, (found.fingerprint,))
    if known is None:
        return Finding(
            id=plane.clock.new_id("fnd"), scanner=scope.scanner, repository=scope.repository, fingerprint=found.fingerprint,
            rule=found.rule, severity=found.severity, title=found.title, fix=found.fix, service=service, places=found.places,
            covers=found.covers, state="closed", commit=commit, digest=digest, opened=now, seen=now, closed=None,
            opened_event="", closed_event="",
        )  # fmt: skip
    if older:
        return known
    return replace(
        known, rule=found.rule, severity=found.severity, title=found.title, fix=found.fix, service=service or known.service,
        places=found.places, covers=found.covers, commit=commit, digest=digest, seen=now,
    )  # fmt: skip


def _live(plane: Plane, tx: Tx, scan: Scan, findings: Sequence[Finding], event: Event) -> list[Finding]:
    """The findings of a scan as they stand after it: each open, those that were not told of."""
    kept = []
    for finding in findings:
        if finding.state == "open":
            rows.update_finding(tx, finding)
            kept.append(finding)
            continue
        known, again = rows.get_finding(tx, finding.id) is not None, bool(finding.opened_event)
        told = plane.ledger.record(
            tx, "finding.opened", actor=f"run:{scan.run}" if scan.run else "system:security", cause=event.id,
            key=f"finding.opened:{finding.id}:{scan.id}", subjects=_subjects(finding, run=scan.run),
            data=_data(finding, again=again, why=f"scan {scan.id} found it"),
        )  # fmt: skip
        opened = replace(
            finding, state="open", opened=scan.finished, closed=None, opened_event=told.id, closed_event=""
        )
        (rows.update_finding if known else rows.add_finding)(tx, opened)
        kept.append(opened)
    return kept


def _keep(tx: Tx, finding: Finding) -> None:
    """What an older commit had and nobody knew of is kept as closed: newer commits were scanned, and have it not."""
    if rows.get_finding(tx, finding.id) is None:
        rows.add_finding(tx, replace(finding, closed=finding.seen))


def _close(plane: Plane, tx: Tx, finding: Finding, cause: Event, *, why: str) -> None:
    told = plane.ledger.record(
        tx, "finding.closed", actor=cause.actor, cause=cause.id, key=f"finding.closed:{finding.id}:{cause.id}",
        subjects=_subjects(finding), data=_data(finding, again=False, why=why),
    )  # fmt: skip
    now = plane.clock.now()
    rows.update_finding(tx, replace(finding, state="closed", closed=now, closed_event=told.id))


def _tell(call: ActionCall, tx: Tx, scan: Scan) -> Event:
    subjects = {
        "service": scan.service,
        "commit": scan.commit,
        "run": scan.run,
        "digest": scan.digest,
        "repository": scan.repository,
    }
    return call.call.plane.ledger.record(
        tx, "scan.finished", actor=call.call.actor.id, cause=call.call.cause, key=f"scan:{scan.key}",
        subjects=[f"{kind}:{value}" for kind, value in subjects.items() if value],
        data={"scan": scan.id, "scanner": scan.scanner, "target": scan.target, "ref": scan.ref, "verdict": scan.verdict,
              "checked": [scan.scanner] if scan.looked_at or not scan.unchecked else [], "looked_at": scan.looked_at, "new": scan.new, "open": scan.open,
              "unchecked": [{"what": one.what, "why": one.why} for one in scan.unchecked[:100]],
              "unchecked_count": len(scan.unchecked), "older": scan.older},
    )  # fmt: skip


def _subjects(finding: Finding, *, run: str = "") -> list[str]:
    named = {"finding": finding.id, "service": finding.service, "repository": finding.repository, "commit": finding.commit,
             "digest": finding.digest, "run": run}  # fmt: skip
    return [f"{kind}:{value}" for kind, value in named.items() if value]


def _data(finding: Finding, *, again: bool, why: str) -> dict[str, object]:
    return {
        "scanner": finding.scanner, "rule": finding.rule, "severity": finding.severity, "title": finding.title,
        "places": list(finding.places[:PLACES_TOLD]), "again": again, "why": why,
    }  # fmt: skip


def _accepted_before(tx: Tx, scan: Scan) -> set[str]:
    found = rows.accepted_scan(
        tx, scope=scan.scope, scanner=scan.scanner, repository=scan.repository, target=scan.target, before=scan.id
    )
    return rows.fingerprints_of(tx, found.id) if found else set()


def _new(findings: Sequence[Finding], accepted: set[str], waivers: Sequence[Waiver]) -> list[Finding]:
    return [one for one in findings if one.fingerprint not in accepted and waiver_of(waivers, one) is None]
