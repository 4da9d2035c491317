"""The pages of collaboration: teams, DORA with its definitions, and parts on the pages of services."""

from __future__ import annotations

from opsroom.areas.collaboration.dora import DEFINITIONS
from opsroom.areas.collaboration.measuring import measure
from opsroom.areas.collaboration.operations.figures import list_notifications
from opsroom.areas.collaboration.operations.services import list_teams
from opsroom.contracts.facts import OnCall, OwnerOf
from opsroom.contracts.pages import PageDeclaration, PageRequest, Part, View


def show_teams(asked: PageRequest) -> View:
    """Teams with their people, services and who is on call, and what channels were told."""
    teams = list_teams(asked.call)
    on_call = {name: asked.call.ask(OnCall(name)).value for team in teams for name in team.services}
    return View(
        template="collaboration/teams.html",
        values={"teams": teams, "on_call": on_call, "notifications": list_notifications(asked.call, limit=20).items},
        title="Teams", api="/api/v1/teams", live=("catalog.", "notification."),
    )  # fmt: skip


def show_dora(asked: PageRequest) -> View:
    """The four keys of every service over the scope's time."""
    scope, plane = asked.scope, asked.call.plane
    names = [
        one.name
        for one in plane.catalogs.current().all("Component")
        if scope.service in ("", one.name) and asked.call.sight.sees(service=one.name)
    ]
    rows = [{"service": name, "figures": measure(plane, name, scope.since, scope.until)} for name in names]
    return View(
        template="collaboration/dora.html", values={"rows": rows, "definitions": DEFINITIONS}, title="DORA",
        api="/api/v1/dora/all", live=("deployment.finished", "incident.resolved"),
    )  # fmt: skip


def of_service(asked: PageRequest) -> View | None:
    """DORA's keys of one service over the scope's time."""
    name = asked.params["service"]
    if not asked.call.sight.sees(service=name):
        return None
    keys = measure(asked.call.plane, name, asked.scope.since, asked.scope.until)
    return View(template="collaboration/part_dora.html", values={"keys": keys, "definitions": DEFINITIONS})


def found(asked: PageRequest) -> View | None:
    """Services and people whose name holds what is searched."""
    wanted, catalog = asked.query.get("q", "").lower(), asked.call.plane.catalogs.current()
    hits = [
        {
            "href": f"/services/{one.name}",
            "title": one.title,
            "note": f"service of {asked.call.ask(OwnerOf(one.name)).value or 'nobody'}",
        }
        for one in catalog.all("Component")
        if wanted and wanted in f"{one.name} {one.title}".lower()
    ]
    hits += [
        {"href": "/teams", "title": one.title, "note": kind.lower()}
        for kind in ("Group", "User")
        for one in catalog.all(kind)
        if wanted and wanted in f"{one.name} {one.title}".lower()
    ]
    return View(template="collaboration/part_found.html", values={"hits": hits[:20]}) if hits else None


PAGES = (
    PageDeclaration(path="/teams", title="Teams", render=show_teams, nav="Teams"),
    PageDeclaration(path="/dora", title="DORA", render=show_dora, nav="DORA"),
)

PARTS = (
    Part(where="service", title="DORA", order=80, render=of_service),
    Part(where="search", title="Catalogue", order=10, render=found),
)
