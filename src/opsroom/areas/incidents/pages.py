"""The pages of incidents, and what they add to the pages of others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from opsroom.areas.incidents import runbook
from opsroom.areas.incidents import store as rows
from opsroom.areas.incidents.model import Incident
from opsroom.areas.incidents.on_call import schedules
from opsroom.areas.incidents.operations.follow_up import show_postmortem, shows_item
from opsroom.areas.incidents.operations.incidents import find_incident
from opsroom.areas.incidents.operations.on_call import show_on_call
from opsroom.areas.incidents.readings import measured
from opsroom.areas.incidents.timeline import timeline
from opsroom.areas.incidents.weights import WEIGHTS
from opsroom.contracts.facts import OnCall
from opsroom.contracts.pages import PageDeclaration, PageRequest, Part, View
from opsroom.kernel.clock import stamp
from opsroom.kernel.errors import Invalid, Place

LIVE = ("incident.", "page.", "runbook.", "postmortem.", "action.", "run.", "deployment.")
SHOWN_RESOLVED = 50
AROUND = timedelta(minutes=5)


def list_page(asked: PageRequest) -> View:
    """What is open, whenever it began, and what was resolved in the scope's time."""
    scope = asked.scope
    with asked.call.plane.store.read() as tx:
        found = [
            *rows.find(tx, states=rows.UNRESOLVED, service=scope.service, environment=scope.environment, limit=200),
            *rows.find(
                tx, states=("resolved",), service=scope.service, environment=scope.environment, since=scope.since,
                limit=SHOWN_RESOLVED,
            ),
        ]  # fmt: skip
        items = rows.items(tx, state="open", limit=50)
    items = asked.call.sight.only(items, shows_item)
    seen = [one for one in found if asked.call.sight.shows(one) and scope.team in ("", one.team)]
    values = {
        "unresolved": [one for one in seen if one.state != "resolved"],
        "resolved": [one for one in seen if one.state == "resolved"],
        "items": items, "now": asked.call.plane.clock.now(),
    }  # fmt: skip
    return View(
        template="incidents/list.html", values=values, title="Incidents", code=_schedule_place(asked), api="/api/v1/incidents",
        live=("incident.", "action."),
    )  # fmt: skip


def incident_page(asked: PageRequest) -> View:
    """One incident: its head, suspects with their reasons, timeline, runbook, people called, postmortem."""
    plane = asked.call.plane
    incident = find_incident(plane, asked.params["id"])
    asked.call.sight.require(incident)
    with plane.store.read() as tx:
        alerts, pages = rows.alerts(tx, incident.id), rows.pages(tx, incident=incident.id)
        items = rows.items(tx, incident=incident.id)
    path, told = incident.runbook.get("path", ""), show_postmortem(asked.call, incident.id)
    values: dict[str, Any] = {
        "incident": incident, "alerts": alerts, "pages": list(reversed(pages)), "items": items,
        "events": asked.call.sight.only(timeline(plane, incident, alerts)), "runs": runbook.runs_of(plane, incident),
        "postmortem": told, "draft": _html(told.markdown),
        "queries": _queries(alerts), "weights": WEIGHTS, "suspect_events": {str(one["event"]) for one in incident.suspects},
        "lasts": ((incident.resolved or plane.clock.now()) - incident.onset) / timedelta(seconds=1),
    }  # fmt: skip
    around = (incident.onset - AROUND, min(plane.clock.now(), (incident.resolved or plane.clock.now()) + AROUND))
    values["around"] = {"since": stamp(around[0]), "until": stamp(around[1])}
    in_repository = bool(path) and "://" not in path
    return View(
        template="incidents/incident.html", values=values, title=incident.title,
        code=Place(path) if in_repository else None, api=f"/api/v1/incidents/{incident.id}", live=LIVE,
    )  # fmt: skip


def on_call_page(asked: PageRequest) -> View:
    """Who has the duty now, who follows, and which overrides are written."""
    shown = show_on_call(asked.call, service=asked.scope.service, team=asked.scope.team)
    catalog = asked.call.plane.catalogs.current()
    places = {resource.name: resource.place for resource in catalog.all("OnCallSchedule")}
    policies = {resource.name: resource.spec for resource in catalog.all("EscalationPolicy")}
    return View(
        template="incidents/on_call.html", values={"schedules": shown, "policies": policies, "places": places},
        title="On call", code=_schedule_place(asked), api="/api/v1/oncall/show", live=("catalog.",),
    )  # fmt: skip


def wrong_part(asked: PageRequest) -> View | None:
    """Open incidents, for the strip of what is wrong now."""
    found = [one for one in _unresolved(asked) if asked.call.sight.shows(one)]
    return View(template="incidents/wrong.html", values={"incidents": found}) if found else None


def waiting_part(asked: PageRequest) -> View | None:
    """Incidents that nobody is on, and open action items."""
    with asked.call.plane.store.read() as tx:
        items = rows.items(tx, state="open", limit=20)
    items = asked.call.sight.only(items, shows_item)
    found = [one for one in _unresolved(asked) if one.state == "open" and asked.call.sight.shows(one)]
    return (
        View(template="incidents/waiting.html", values={"incidents": found, "items": items}) if found or items else None
    )


def service_part(asked: PageRequest) -> View | None:
    """The incidents of a service and who is on call for it."""
    service, plane = asked.params["service"], asked.call.plane
    with plane.store.read() as tx:
        found = rows.find(tx, service=service, environment=asked.scope.environment, limit=8)
    duty = asked.call.ask(OnCall(service))
    seen = [one for one in found if asked.call.sight.shows(one)]
    return View(template="incidents/service.html", values={"incidents": seen, "duty": duty})


def column_part(asked: PageRequest) -> View | None:
    """Who is on call, as a cell of the table of services."""
    return View(template="incidents/column.html", values={"duty": asked.call.ask(OnCall(asked.params["service"]))})


PAGES = (
    PageDeclaration(path="/incidents", title="Incidents", render=list_page, nav="Incidents", key="i"),
    PageDeclaration(path="/incidents/{id}", title="Incident", render=incident_page),
    PageDeclaration(path="/on-call", title="On call", render=on_call_page, nav="On call", key="n"),
)
PARTS = (
    Part(where="overview.wrong", title="Incidents", order=10, render=wrong_part),
    Part(where="overview.waiting", title="Incidents", order=10, render=waiting_part),
    Part(where="service", title="Incidents", order=50, render=service_part),
    Part(where="services.column", title="On call", order=90, render=column_part),
)


def _unresolved(asked: PageRequest) -> list[Incident]:
    scope = asked.scope
    with asked.call.plane.store.read() as tx:
        return rows.find(
            tx, states=rows.UNRESOLVED, service=scope.service, environment=scope.environment, owner=scope.team, limit=50
        )


def _schedule_place(asked: PageRequest) -> Place | None:
    catalog = asked.call.plane.catalogs.current()
    found = schedules(catalog)
    return catalog.get("OnCallSchedule", found[0].name).place if found else None


def _queries(alerts: list[Any]) -> list[dict[str, str]]:
    """What the alerts measure, for a chart; an expression that cannot be read is left out."""
    found: dict[str, str] = {}
    for alert in alerts:
        try:
            found.setdefault(measured(alert.expr), alert.name)
        except Invalid:
            continue
    return [{"query": query, "name": name} for query, name in found.items()]


def _html(markdown: str) -> Any:
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    return Markup(MarkdownIt("commonmark", {"html": False}).render(markdown))  # noqa: S704 - raw HTML is off, links are checked
