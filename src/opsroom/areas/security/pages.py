"""The pages of security: what is new first, controls with dated evidence, what was not checked said plainly; parts for others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

from opsroom.areas.security import store as rows
from opsroom.areas.security.model import SEVERITIES, Finding
from opsroom.areas.security.operations import (
    FindingView,
    finding_view,
    list_controls,
    list_findings,
    list_gates,
    list_scans,
    show_finding,
)
from opsroom.areas.security.waiving import KIND, covers, holding, unwaived, waiver_of
from opsroom.contracts.facts import FindingsOn, WhatRuns
from opsroom.contracts.kernel_operations.waivers import shows_waiver
from opsroom.contracts.pages import PageDeclaration, PageRequest, Part, View
from opsroom.kernel.ledger import Event

LIVE = ("finding.", "scan.", "gate.", "evidence.", "waiver.")
SOON = timedelta(days=7)
_WORST = frozenset({"critical", "high"})
_MOST = 1000
MOST_WAIVERS = 20


def show_security(asked: PageRequest) -> View:
    """Findings, controls, gates and scans of the scope."""
    call, scope = asked.call, asked.scope
    page = list_findings(call, service=scope.service, limit=100, after=asked.query.get("after", ""))
    open_now = _open(asked, service=scope.service)
    scans = list_scans(call, service=scope.service, limit=20).items
    resource = next(iter(call.plane.catalogs.current().all("Baseline")), None)
    return View(
        template="security/security.html",
        values={
            "findings": [_row(one, since=scope.since) for one in page.items],
            "next": page.next, "counts": Counter(one.severity for one in open_now), "severities": SEVERITIES,
            "new": sum(one.opened >= scope.since for one in open_now), "controls": list_controls(call) if call.sight.everything else [], "scans": scans,
            "unchecked": [(scan, one) for scan in _latest(scans) for one in scan.unchecked],
            "gates": list_gates(call, service=scope.service, environment=scope.environment, limit=10).items,
        },
        title="Security", code=getattr(resource, "place", None), api="/api/v1/findings", live=LIVE,
    )  # fmt: skip


def show_one(asked: PageRequest) -> View:
    """One finding: where it stands, where it runs, how to mend it, and its life."""
    call, id = asked.call, asked.params["id"]
    finding = show_finding(call, id)
    with call.plane.store.read() as tx:
        scans = call.sight.only(rows.scans_of_finding(tx, id))
    running = call.ask(WhatRuns(finding.service)) if finding.service else None
    if running and running.value:
        running = replace(running, value=tuple(call.sight.only(running.value)))
    digests = {scan.digest for scan in scans if scan.digest}
    return View(
        template="security/finding.html",
        values={
            "finding": finding, "scans": scans, "running": running,
            "here": [one for one in (running.value or ()) if one.digest in digests] if running else [],
            "events": _life(asked, id),
        },
        title=finding.title, api=f"/api/v1/findings/{id}", live=LIVE,
    )  # fmt: skip


def of_services(asked: PageRequest) -> View | None:
    """Open findings of a service, as a cell of the table of services; nothing where no scan looked."""
    service = asked.params["service"]
    with asked.call.plane.store.read() as tx:
        scans = rows.find_scans(tx, service=service, limit=1)
    if not asked.call.sight.only(scans):
        return None
    found = _open(asked, service=service)
    return View(
        template="security/cell.html",
        values={"counts": Counter(one.severity for one in found), "severities": SEVERITIES},
    )


def of_service(asked: PageRequest) -> View | None:
    """A service's open findings, as a part of its page."""
    service = asked.params["service"]
    scans = list_scans(asked.call, service=service, limit=20).items
    if not scans:
        return None
    items = list_findings(asked.call, service=service, state="open", limit=10).items
    return View(
        template="security/part_findings.html",
        values={"findings": [_row(one) for one in items], "scans": _latest(scans)},
    )


def of_run(asked: PageRequest) -> View | None:
    """What a run scanned and decided."""
    run = asked.params["id"]
    scans, gates = list_scans(asked.call, run=run).items, list_gates(asked.call, run=run).items
    if not scans and not gates:
        return None
    with asked.call.plane.store.read() as tx:
        seen = rows.seen_in(tx, [scan.id for scan in scans])
    waivers = holding(asked.call.plane)
    found = [_row(finding_view(one, waiver_of(waivers, one))) for one in asked.call.sight.only(seen)]
    return View(template="security/part_run.html", values={"scans": scans, "gates": gates, "findings": found})


def of_deployment(asked: PageRequest) -> View | None:
    """The evidence on which a deployment was let through, and what is known of its digest now."""
    deployment = asked.params["id"]
    told = asked.call.plane.ledger.find(types=["deployment."], subjects=[f"deployment:{deployment}"], limit=1)
    if not asked.call.sight.only(told):
        return None
    digest, environment = (told[0].subject("digest"), told[0].subject("environment")) if told else ("", "")
    if not digest:
        return None
    until = asked.call.plane.ledger.find(types=["deployment.started"], subjects=[f"deployment:{deployment}"], limit=1)
    gates = list_gates(asked.call, digest=digest, environment=environment, limit=20).items
    before = [one for one in gates if not until or one.created <= until[0].time]
    return View(
        template="security/part_deployment.html",
        values={"gate": before[0] if before else None, "answer": asked.call.ask(FindingsOn(digest))},
    )


def wrong(asked: PageRequest) -> View | None:
    """Open critical and high findings that came up in the time of the page."""
    found = [
        one
        for one in _open(asked, service=asked.scope.service)
        if one.severity in _WORST and one.opened >= asked.scope.since
    ]
    return (
        View(template="security/wrong.html", values={"findings": found[:10], "more": len(found) - 10})
        if found
        else None
    )


def waiting(asked: PageRequest) -> View | None:
    """Waivers of findings that end within a week."""
    limit = asked.call.plane.clock.now() + SOON
    ending = sorted(
        (one for one in asked.call.sight.only(holding(asked.call.plane), shows_waiver) if one.expires <= limit),
        key=lambda one: one.expires,
    )
    return View(template="security/waiting.html", values={"waivers": ending[:10]}) if ending else None


def search(asked: PageRequest) -> View | None:
    """Findings by a word of their title, rule or place."""
    word = asked.query.get("q", "").strip().lower()
    with asked.call.plane.store.read() as tx:
        found = asked.call.sight.only(rows.find_findings(tx, limit=_MOST))
    hits = [one for one in found if word and word in " ".join((one.id, one.title, one.rule, *one.places)).lower()]
    return View(template="security/search.html", values={"findings": hits[:10]}) if hits else None


def _life(asked: PageRequest, id: str) -> list[Event]:
    """What happened to a finding, newest first: its own events, and the waivers that cover or covered it."""
    plane = asked.call.plane
    with plane.store.read() as tx:
        finding = rows.get_finding(tx, id)
    waivers = [one for one in plane.waivers.all(kind=KIND, ended=True) if finding and covers(one, finding)]
    granted = [plane.ledger.get(one.event) for one in waivers[:MOST_WAIVERS]]
    own = plane.ledger.find(subjects=[f"finding:{id}"], limit=50)
    return sorted(asked.call.sight.only([*own, *granted]), key=lambda event: event.id, reverse=True)


def _open(asked: PageRequest, *, service: str) -> list[Finding]:
    with asked.call.plane.store.read() as tx:
        found = rows.find_findings(tx, state="open", service=service, limit=_MOST)
    return unwaived(asked.call.plane, asked.call.sight.only(found))


def _latest(scans: list[Any]) -> list[Any]:
    """The newest scan of each scanner, repository, branch and target; `scans` are newest first."""
    latest: dict[tuple[str, ...], Any] = {}
    for scan in scans:
        latest.setdefault((scan.scanner, scan.repository, scan.ref, scan.target), scan)
    return list(latest.values())


def _row(finding: FindingView, *, since: Any = None) -> dict[str, Any]:
    """A finding as a row that sorts by how bad it is."""
    return {
        "id": finding.id, "finding": finding, "rank": SEVERITIES.index(finding.severity), "title": finding.title,
        "opened": finding.opened, "new": since is not None and finding.state == "open" and finding.opened >= since,
        "matcher": f'finding="{finding.id}"',
    }  # fmt: skip


PAGES = (
    PageDeclaration(path="/security", title="Security", render=show_security, nav="Security", key="y"),
    PageDeclaration(path="/security/findings/{id}", title="Finding", render=show_one),
)

PARTS = (
    Part(where="overview.wrong", title="New findings", order=40, render=wrong),
    Part(where="overview.waiting", title="Waivers that end", order=40, render=waiting),
    Part(where="services.column", title="Findings", order=40, render=of_services),
    Part(where="service", title="Findings", order=40, render=of_service),
    Part(where="run", title="Scans and gates", order=40, render=of_run),
    Part(where="deployment", title="Evidence", order=20, render=of_deployment),
    Part(where="search", title="Findings", order=50, render=search),
)
