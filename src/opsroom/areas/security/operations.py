"""Findings: list, show. Scans: list, show. Gates: list, show. Controls: list. Evidence: list."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal

from opsroom.areas.security import evidence_store, gate_store
from opsroom.areas.security import store as rows
from opsroom.areas.security.controls import judge_all
from opsroom.areas.security.model import Finding, GateDecision, Scan
from opsroom.areas.security.waiving import holding, waiver_of
from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import SEEN, WHOLE
from opsroom.kernel.errors import NotFound
from opsroom.kernel.waivers import Waiver


class FindingView(Model):
    """One finding. `state` is waived while a waiver covers it. `commit` and `digest` are the last it was seen on; `digest` is ""
    while nothing was built from that commit. The value of a secret is kept nowhere."""

    columns: ClassVar[tuple[str, ...]] = (
        "id", "severity", "scanner", "rule", "title", "repository", "places", "state", "waiver",
    )  # fmt: skip
    id: str
    scanner: str
    rule: str
    severity: str
    title: str
    fix: str
    service: str
    repository: str
    places: list[str]
    state: Literal["open", "waived", "closed"]
    waiver: str
    waived_until: datetime | None
    waived_by: str
    waived_because: str
    commit: str
    digest: str
    opened: datetime
    seen: datetime
    closed: datetime | None
    opened_event: str
    closed_event: str


class UncheckedView(Model):
    """What a scan did not check: a path, a package, `ecosystem:NAME`, `advisory:ID`, or `*` for what cannot be told."""

    what: str
    why: str


class ScanView(Model):
    """One scan. `verdict`: clean only where everything was checked. `older`: of an earlier commit than one scanned before it, so it
    opened and closed nothing."""

    columns: ClassVar[tuple[str, ...]] = (
        "id", "scanner", "repository", "commit", "verdict", "looked_at", "new", "open", "finished",
    )  # fmt: skip
    id: str
    scanner: str
    target: str
    repository: str
    ref: str
    service: str
    commit: str
    digest: str
    run: str
    verdict: str
    looked_at: int
    unchecked: list[UncheckedView]
    new: int
    open: int
    older: bool
    started: datetime
    finished: datetime
    event: str


class ScanShown(ScanView):
    """A scan with what it saw."""

    findings: list[FindingView]


class GateInputView(Model):
    """A rule, or something that was not checked, and its verdict: pass, fail or not checked."""

    name: str
    verdict: str
    detail: str


class GateView(Model):
    """One decision of a gate; `output` is `not checked` where it passed without all of its evidence."""

    columns: ClassVar[tuple[str, ...]] = ("id", "verdict", "gate", "service", "environment", "commit", "created")
    id: str
    gate: str
    service: str
    environment: str
    digest: str
    commit: str
    run: str
    verdict: str
    output: str
    inputs: list[GateInputView]
    evidence: dict[str, Any]
    created: datetime
    event: str


class ControlView(Model):
    """A control as it stands at `as_of`. `events`: its evidence, newest first, at most 20."""

    columns: ClassVar[tuple[str, ...]] = ("id", "verdict", "title", "reason", "newest")
    id: str
    title: str
    baseline: str
    source: str
    verdict: Literal["met", "not met", "not checked"]
    reason: str
    event_type: str
    within_seconds: float
    at_least: int
    events: list[str]
    newest: datetime | None
    as_of: datetime


class EvidenceView(Model):
    """What stood for a control when it was recorded."""

    columns: ClassVar[tuple[str, ...]] = ("id", "control", "title", "verdict", "as_of")
    id: str
    control: str
    title: str
    baseline: str
    verdict: str
    events: list[str]
    as_of: datetime
    event: str


@operation("findings.list", scope=SEEN)
def list_findings(
    call: Call,
    *,
    state: Literal["open", "waived", "closed"] | None = None,
    severity: Literal["critical", "high", "medium", "low"] | None = None,
    service: str = "",
    repository: str = "",
    scanner: Literal["secrets", "dependencies"] | None = None,
    digest: str = "",
    after: str = "",
    limit: int = 50,
) -> Page[FindingView]:
    """Findings, the newest first; with `digest` those seen on the commit it was built from."""
    kept = "open" if state == "waived" else state or ""
    given: dict[str, Any] = {
        "severity": severity or "", "service": service, "repository": repository, "scanner": scanner or "",
    }  # fmt: skip
    waivers = holding(call.plane)
    found: list[FindingView] = []
    with call.plane.store.read() as tx:
        while len(found) <= limit:
            page = _of_digest(call, digest, given, kept, after) if digest else rows.find_findings(
                tx, state=kept, after=after, limit=limit + 1, **given
            )  # fmt: skip
            views = [finding_view(one, waiver_of(waivers, one)) for one in page]
            found += [view for view in views if state in (None, view.state)]
            if digest or len(page) <= limit:
                break
            after = page[-1].id
    return Page[FindingView](items=found[:limit], next=found[limit - 1].id if len(found) > limit else "")


@operation("findings.show", scope=SEEN)
def show_finding(call: Call, id: str) -> FindingView:
    """One finding. Error: not found."""
    with call.plane.store.read() as tx:
        found = rows.get_finding(tx, id)
    if found is None:
        raise NotFound(f"finding {id!r} is not known; `opsroom findings list` shows those that are")
    return finding_view(found, waiver_of(holding(call.plane), found))


@operation("scans.list", scope=SEEN)
def list_scans(
    call: Call,
    *,
    scanner: Literal["secrets", "dependencies"] | None = None,
    repository: str = "",
    service: str = "",
    commit: str = "",
    run: str = "",
    after: str = "",
    limit: int = 50,
) -> Page[ScanView]:
    """Scans, newest first, each with what it did not check."""
    with call.plane.store.read() as tx:
        found = rows.find_scans(
            tx, scanner=scanner or "", repository=repository, service=service, commit=commit, run=run, after=after,
            limit=limit + 1,
        )  # fmt: skip
    items = [ScanView(**_scan_fields(scan)) for scan in found[:limit]]
    return Page[ScanView](items=items, next=items[-1].id if len(found) > limit else "")


@operation("scans.show", scope=SEEN)
def show_scan(call: Call, id: str) -> ScanShown:
    """One scan with what it saw. Error: not found."""
    with call.plane.store.read() as tx:
        scan = rows.get_scan(tx, id)
        seen = rows.seen_in(tx, [id]) if scan else []
    if scan is None:
        raise NotFound(f"scan {id!r} is not known; `opsroom scans list` shows those that are")
    waivers = holding(call.plane)
    return ScanShown(**_scan_fields(scan), findings=[finding_view(one, waiver_of(waivers, one)) for one in seen])


@operation("gates.list", scope=SEEN)
def list_gates(
    call: Call,
    *,
    service: str = "",
    environment: str = "",
    digest: str = "",
    run: str = "",
    after: str = "",
    limit: int = 50,
) -> Page[GateView]:
    """Decisions of gates with the verdict on each rule, newest first."""
    with call.plane.store.read() as tx:
        found = gate_store.find(
            tx, service=service, environment=environment, digest=digest, run=run, after=after, limit=limit + 1
        )
    items = [gate_view(one) for one in found[:limit]]
    return Page[GateView](items=items, next=items[-1].id if len(found) > limit else "")


@operation("gates.show", scope=SEEN)
def show_gate(call: Call, id: str) -> GateView:
    """One decision of a gate. Error: not found."""
    with call.plane.store.read() as tx:
        found = gate_store.get(tx, id)
    if found is None:
        raise NotFound(f"gate decision {id!r} is not known; `opsroom gates list` shows those that are")
    return gate_view(found)


@operation("controls.list", scope=WHOLE)
def list_controls(call: Call) -> list[ControlView]:
    """Every control of the baselines in force with its verdict and evidence as of now."""
    return [
        ControlView(
            id=one.control.id, title=one.control.title, baseline=one.baseline, source=one.source, verdict=one.verdict,
            reason=one.reason, event_type=one.control.evidence.event, within_seconds=one.control.evidence.within,
            at_least=one.control.evidence.at_least, events=[event.id for event in one.events],
            newest=one.events[0].time if one.events else None, as_of=one.as_of,
        )
        for one in judge_all(call.plane)
    ]  # fmt: skip


@operation("evidence.list", scope=WHOLE)
def list_evidence(call: Call, *, control: str = "", after: str = "", limit: int = 50) -> Page[EvidenceView]:
    """What was recorded of controls over time, newest first."""
    with call.plane.store.read() as tx:
        found = evidence_store.find(tx, control=control, after=after, limit=limit + 1)
    items = [
        EvidenceView(
            id=one.id, control=one.control, title=one.title, baseline=one.baseline, verdict=one.verdict,
            events=list(one.events), as_of=one.as_of, event=one.event,
        )
        for one in found[:limit]
    ]  # fmt: skip
    return Page[EvidenceView](items=items, next=items[-1].id if len(found) > limit else "")


def finding_view(finding: Finding, waiver: Waiver | None) -> FindingView:
    """A finding as surfaces show it, with the waiver that covers it now."""
    waived = waiver if finding.state == "open" else None
    state: Any = "waived" if waived else finding.state
    return FindingView(
        id=finding.id, scanner=finding.scanner, rule=finding.rule, severity=finding.severity, title=finding.title,
        fix=finding.fix, service=finding.service, repository=finding.repository, places=list(finding.places), state=state,
        waiver=waived.id if waived else "", waived_until=waived.expires if waived else None,
        waived_by=waived.owner if waived else "", waived_because=waived.reason if waived else "", commit=finding.commit,
        digest=finding.digest, opened=finding.opened, seen=finding.seen, closed=finding.closed,
        opened_event=finding.opened_event, closed_event=finding.closed_event,
    )  # fmt: skip


def gate_view(decision: GateDecision) -> GateView:
    """A decision as surfaces show it."""
    return GateView(
        id=decision.id, gate=decision.gate, service=decision.service, environment=decision.environment,
        digest=decision.digest, commit=decision.commit, run=decision.run, verdict=decision.verdict, output=decision.output,
        inputs=[GateInputView(name=one.name, verdict=one.verdict, detail=one.detail) for one in decision.inputs],
        evidence=dict(decision.evidence), created=decision.created, event=decision.event,
    )  # fmt: skip


def _of_digest(call: Call, digest: str, given: dict[str, Any], state: str, after: str) -> list[Finding]:
    from opsroom.areas.security.facts import on_digest

    seen = sorted(on_digest(call.plane, digest).findings, key=lambda one: one.id, reverse=True)
    return [
        one
        for one in seen
        if all(not value or getattr(one, name) == value for name, value in given.items())
        and state in ("", one.state)
        and (not after or one.id < after)
    ]


def _scan_fields(scan: Scan) -> dict[str, Any]:
    fields = {name: getattr(scan, name) for name in ScanView.model_fields if name != "unchecked"}
    return {**fields, "unchecked": [UncheckedView(what=one.what, why=one.why) for one in scan.unchecked]}
