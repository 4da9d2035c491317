"""Incidents: from an alert to the people who can help, with the changes that could have caused it, to what was learnt.

Nouns: incident, page, schedule, action item, postmortem. Verbs: open, acknowledge, resolve, start the runbook, page, confirm,
close. It decides who is called and says what is suspect; it is *not* the watcher (observability fires alerts), not the deliverer
(a connector sends each page), and it rolls nothing back (the runbook's workflow does).
"""

from __future__ import annotations

from opsroom.areas.incidents import facts, jobs, kinds, migrations
from opsroom.areas.incidents.operations import OPERATIONS
from opsroom.areas.incidents.pages import PAGES, PARTS
from opsroom.contracts.area import Area
from opsroom.contracts.events import EventType
from opsroom.contracts.facts import OnCall, OpenIncidents

EVENTS: tuple[EventType, ...] = (
    EventType(
        name="incident.opened", sentence="incident {incident} opened, {severity}: {title}",
        cdevents="dev.cdevents.incident.detected",
    ),
    EventType(name="incident.joined", sentence="alert {alert} joined incident {incident}: {summary}"),
    EventType(name="incident.acknowledged", sentence="{actor} is on incident {incident}: {title}"),
    EventType(
        name="incident.resolved", sentence="incident {incident} resolved {seconds_to_recover:.0f} s after it began: {title}",
        cdevents="dev.cdevents.incident.resolved",
    ),
    EventType(name="page.sent", sentence="page to {person} taken by {provider} {address}"),
    EventType(name="page.delivered", sentence="page to {person} by {provider} arrived"),
    EventType(name="page.failed", sentence="page to {person} by {provider} failed: {detail}"),
    EventType(name="runbook.started", sentence="runbook {title} started by {actor} for incident {incident}"),
    EventType(name="postmortem.drafted", sentence="postmortem of incident {incident} drafted from {events} events"),
    EventType(name="action.opened", sentence="action item opened: {title}"),
    EventType(name="action.closed", sentence="action item closed by {actor}: {title}"),
)  # fmt: skip

AREA = Area(
    name="incidents",
    promise="Trouble reaches the right person with what changed before it, and leaves something learnt",
    nouns=("incidents", "pages", "oncall", "postmortems", "action-items"),
    kinds=kinds.KINDS,
    events=EVENTS,
    operations=OPERATIONS,
    migrations=migrations.MIGRATIONS,
    facts={OnCall: facts.on_call, OpenIncidents: facts.open_incidents},
    subscriptions=(jobs.ALERTS,),
    duties=(jobs.PAGING,),
    pages=PAGES,
    parts=PARTS,
)
