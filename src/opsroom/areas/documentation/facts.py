"""The question documentation answers: which runbook is for an alert of a service."""

from __future__ import annotations

from opsroom.contracts.facts import Answer, Runbook, RunbookFor
from opsroom.contracts.plane import Plane
from opsroom.kernel.resources import Resource


def runbook_for(plane: Plane, question: RunbookFor) -> Answer[Runbook]:
    """The runbook that names the alert, of that service first; else the one its rule names; else the service's own."""
    catalog, now = plane.catalogs.current(), plane.clock.now()
    found = _by_alert(plane, question) or _by_rule(plane, question.alert) or _by_service(plane, question.service)
    if found is None:
        return Answer(value=None, unknown=f"no runbook names {question.alert}, and {question.service} has none", at=now)
    changed = plane.ledger.find(types=["catalog.changed"], subjects=[f"commit:{catalog.commit}"], limit=1)
    value = Runbook(title=found.spec.title, path=found.name, workflow=found.spec.workflow)
    return Answer(value=value, at=now, events=tuple(event.id for event in changed))


def _by_alert(plane: Plane, question: RunbookFor) -> Resource | None:
    named = [one for one in plane.catalogs.current().all("Runbook") if question.alert in one.spec.alerts]
    own = [one for one in named if one.spec.service == question.service]
    return next(iter(own or named), None)


def _by_rule(plane: Plane, alert: str) -> Resource | None:
    for resource in plane.catalogs.current().all("Rules"):
        raw = resource.raw if isinstance(resource.raw, dict) else {}
        for rule in [rule for group in raw.get("groups") or [] for rule in group.get("rules") or []]:
            if rule.get("alert") == alert:
                path = str((rule.get("annotations") or {}).get("runbook_url") or "")
                return plane.catalogs.current().find("Runbook", path)
    return None


def _by_service(plane: Plane, service: str) -> Resource | None:
    component = plane.catalogs.current().find("Component", service)
    path = component.annotation("opsroom.dev/runbook") if component else ""
    return plane.catalogs.current().find("Runbook", path) if path else None
