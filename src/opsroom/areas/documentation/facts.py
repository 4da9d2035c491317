"""The question documentation answers: which runbook is for an alert of a service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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


def runbook_urls(rules: Resource) -> Iterator[tuple[str, str]]:
    """The alerts of a rule file that name a runbook, and what they name."""
    raw = rules.raw if isinstance(rules.raw, Mapping) else {}
    for rule in [rule for group in raw.get("groups") or [] for rule in group.get("rules") or []]:
        if target := str((rule.get("annotations") or {}).get("runbook_url") or ""):
            yield str(rule.get("alert") or ""), target


def _by_rule(plane: Plane, alert: str) -> Resource | None:
    catalog = plane.catalogs.current()
    named = (path for rules in catalog.all("Rules") for name, path in runbook_urls(rules) if name == alert)
    return next((found for path in named if (found := catalog.find("Runbook", path))), None)


def _by_service(plane: Plane, service: str) -> Resource | None:
    component = plane.catalogs.current().find("Component", service)
    path = component.annotation("opsroom.dev/runbook") if component else ""
    return plane.catalogs.current().find("Runbook", path) if path else None
