"""From an alert to an incident and back: one incident for what belongs together, opened with all that is known, resolved by recovery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from opsroom.areas.incidents import store as rows
from opsroom.areas.incidents.changes import suspects
from opsroom.areas.incidents.escalation import start_timers
from opsroom.areas.incidents.model import Incident, IncidentAlert, Severity, severity_of, worse
from opsroom.areas.incidents.on_call import owner_of
from opsroom.areas.incidents.resolving import resolve
from opsroom.contracts.facts import RunbookFor
from opsroom.contracts.plane import Plane
from opsroom.kernel.clock import parse_stamp
from opsroom.kernel.ledger import Event
from opsroom.kernel.store import Tx

SYSTEM = "system:incidents"
JOIN_WINDOW = timedelta(minutes=15)
"""How long after an incident opened other alerts of the service, or of what it needs, are taken for the same trouble."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What an incident is opened for. `key` makes opening twice one incident. `alert` is None where a person reports it."""

    key: str
    title: str
    severity: Severity
    service: str
    environment: str
    onset: datetime
    actor: str
    cause: str
    alert: IncidentAlert | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    runbook_url: str = ""


def on_fired(plane: Plane, event: Event) -> None:
    """Takes an alert.fired or alert.unmuted in: it joins an incident, or opens one; handling it again changes nothing."""
    trouble = _trouble(plane, event)
    if trouble is None or trouble.alert is None:
        return
    with plane.store.read() as tx:
        if rows.knows_firing(tx, event.id):
            return
        home = _home(tx, plane, trouble.alert, event.time)
    if home is None or not _join(plane, home, trouble.alert, event):
        open_incident(plane, trouble)


def on_resolved(plane: Plane, event: Event) -> None:
    """Takes an alert.resolved in: the incident is resolved with the last of its alerts."""
    fingerprint = str(event.data.get("fingerprint", ""))
    with plane.store.begin() as tx:
        incident = rows.unresolved_with(tx, fingerprint)
        if incident is None:
            return
        known = {alert.fingerprint: alert for alert in rows.alerts(tx, incident.id)}
        # A firing that came after this end is still going on.
        if known[fingerprint].fired > event.time:
            return
        rows.end_alert(tx, incident.id, fingerprint, resolved=event.time, event=event.id)
        over = all(alert.resolved or alert.fingerprint == fingerprint for alert in known.values())
    if over:
        resolve(plane, incident.id, at=event.time, actor=SYSTEM, cause=event.id, automatic=True)


def open_incident(plane: Plane, trouble: Trouble) -> Incident:
    """Opens an incident with its owner, runbook and suspects, and starts its escalation; the same key again gives the first one."""
    alert = trouble.alert
    ranked = suspects(
        plane, service=trouble.service, environment=trouble.environment, onset=trouble.onset,
        expr=alert.expr if alert else "", labels=trouble.labels,
    )  # fmt: skip
    owner = owner_of(plane, trouble.service)
    runbook = _runbook(plane, trouble)
    with plane.store.begin() as tx:
        if known := rows.by_key(tx, trouble.key):
            return known
        name = alert.name if alert else ""
        incident = Incident(
            id=plane.clock.new_id("inc"), key=trouble.key, title=trouble.title, state="open", severity=trouble.severity,
            service=trouble.service, environment=trouble.environment, alert=name, owner=owner, onset=trouble.onset,
            opened=plane.clock.now(), runbook=runbook, suspects=tuple(one.plain() for one in ranked),
            previous=rows.previous(tx, alert=name, service=trouble.service, environment=trouble.environment) if name else "",
        )  # fmt: skip
        event = plane.ledger.record(
            tx, "incident.opened", actor=trouble.actor, cause=trouble.cause, subjects=incident.subjects,
            key=f"incident.opened:{trouble.key}", data=_opened(incident),
        )  # fmt: skip
        rows.add(tx, replace(incident, opened_event=event.id))
        if alert is not None:
            rows.put_alert(tx, replace(alert, incident=incident.id))
        return start_timers(tx, plane, replace(incident, opened_event=event.id))


def _trouble(plane: Plane, event: Event) -> Trouble | None:
    """What an alert.fired or alert.unmuted says; None where its severity opens no incident, a silence covers it, or a load test causes it."""
    data = event.data
    labels = {str(name): str(value) for name, value in dict(data.get("labels") or {}).items()}
    annotations = {str(name): str(value) for name, value in dict(data.get("annotations") or {}).items()}
    severity = severity_of(labels)
    muted = event.type == "alert.fired" and bool(data.get("muted_by"))
    if severity is None or data.get("silenced") or muted:
        return None
    name = str(data.get("name") or event.subject("alert"))
    service, environment = event.subject("service"), event.subject("environment")
    title = " ".join(annotations.get("summary", "").split()) or " ".join(
        part for part in (name, service, environment) if part
    )
    alert = IncidentAlert(
        incident="", fingerprint=str(data.get("fingerprint") or event.id), name=name, service=service,
        environment=environment, severity=severity, summary=title, value=_number(data.get("value")),
        expr=str(data.get("expr") or ""), fired=event.time, resolved=None, fired_event=event.id, resolved_event="",
    )  # fmt: skip
    return Trouble(
        key=f"alert:{event.id}", title=title, severity=severity, service=service, environment=environment,
        onset=_onset(data, event), actor=SYSTEM, cause=event.id, alert=alert, labels=labels,
        runbook_url=annotations.get("runbook_url", ""),
    )  # fmt: skip


def _onset(data: Mapping[str, Any], event: Event) -> datetime:
    try:
        return min(parse_stamp(str(data.get("active_at"))), event.time)
    except ValueError:
        return event.time


def _home(tx: Tx, plane: Plane, alert: IncidentAlert, at: datetime) -> Incident | None:
    """The unresolved incident this alert belongs to: the one that has the same alert of the same place; else, while it is young, one of
    the same service or of a service that needs this one, for what fails below shows above."""
    near = rows.find(tx, states=rows.UNRESOLVED, environment=alert.environment)
    for incident in near:
        same = (alert.name, alert.service, alert.environment)
        if any((one.name, one.service, one.environment) == same for one in rows.alerts(tx, incident.id)):
            return incident
    above = set(plane.catalogs.current().graph().dependents(alert.service)) if alert.service else set()
    for incident in near:
        young = at - incident.opened <= JOIN_WINDOW
        if young and incident.service and (incident.service == alert.service or incident.service in above):
            return incident
    return None


def _join(plane: Plane, home: Incident, alert: IncidentAlert, event: Event) -> bool:
    """Adds an alert to an incident: no second page, unless it makes worse what was not worth a page. False: it was resolved meanwhile."""
    with plane.store.begin() as tx:
        incident = rows.get(tx, home.id)
        if incident is None or incident.state == "resolved":
            return False
        rows.put_alert(tx, replace(alert, incident=incident.id))
        severity = alert.severity if worse(alert.severity, incident.severity) else incident.severity
        plane.ledger.record(
            tx, "incident.joined", actor=SYSTEM, cause=event.id, key=f"incident.joined:{event.id}",
            subjects=(*incident.subjects, f"alert:{alert.name}"),
            data={"alert": alert.name, "summary": alert.summary, "severity": severity, "before": incident.severity},
        )  # fmt: skip
        if severity != incident.severity:
            rows.change(tx, incident.id, severity=severity)
            if incident.state == "open" and not incident.timers:
                start_timers(tx, plane, replace(incident, severity=severity))
    return True


def _runbook(plane: Plane, trouble: Trouble) -> dict[str, str]:
    """The runbook the alert names, else the one that is for it; `unknown` says why there is none."""
    url, name = trouble.runbook_url, trouble.alert.name if trouble.alert else ""
    named = plane.catalogs.current().find("Runbook", url) if url else None
    if named is not None:
        return {
            "title": str(named.spec.title),
            "path": named.name,
            "workflow": str(named.spec.workflow or ""),
            "unknown": "",
        }
    if url.startswith(("http://", "https://")):
        return {"title": url, "path": url, "workflow": "", "unknown": ""}
    answer = plane.ask(RunbookFor(trouble.service, name))
    if answer.value is None:
        return {"title": "", "path": "", "workflow": "", "unknown": answer.unknown}
    found = answer.value
    return {"title": found.title, "path": found.path, "workflow": found.workflow, "unknown": ""}


def _opened(incident: Incident) -> dict[str, Any]:
    return {
        "title": incident.title, "severity": incident.severity, "owner": incident.owner,
        "onset": incident.onset.isoformat(), "seconds_to_detect": incident.seconds_to_detect,
        "runbook": incident.runbook.get("path", ""), "suspects": list(incident.suspects), "previous": incident.previous,
    }  # fmt: skip


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None
