"""Services: one row each with the columns areas add, and the page of one service made of their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.contracts.facts import OwnerOf
from opsroom.contracts.pages import PageDeclaration, PageRequest, View
from opsroom.kernel.errors import NotFound
from opsroom.surfaces.web.catalogue import Catalogue

if TYPE_CHECKING:
    from opsroom.surfaces.web.frame import Web

RECENT = 8


class ServicesPages:
    """`/services` and `/services/{name}`."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self.pages = (
            PageDeclaration(path="/services", title="Services", render=self._list, nav="Services", key="s"),
            PageDeclaration(path="/services/{name}", title="Service", render=self._show),
        )

    def _list(self, asked: PageRequest) -> View:
        catalogue = Catalogue(self._web.plane)
        owners = {name: asked.call.ask(OwnerOf(name)).value or "" for name in catalogue.services()}
        scope = asked.scope
        names = [
            name for name in catalogue.services() if scope.service in ("", name) and scope.team in ("", owners[name])
        ]
        return View(
            template="pages/services.html",
            values={
                "names": names,
                "owners": owners,
                "columns": [part for part in self._web.parts if part.where == "services.column"],
                "graph": catalogue.diagram(names),
            },
            title="Services",
            api="/api/v1/services",
            live=(
                "deployment.",
                "run.finished",
                "alert.",
                "incident.",
                "slo.",
                "drift.",
                "finding.",
                "catalog.",
                "target.",
            ),
        )

    def _show(self, asked: PageRequest) -> View:
        catalogue, name = Catalogue(self._web.plane), asked.params["name"]
        if name not in catalogue.services():
            known = ", ".join(catalogue.services()) or "none yet"
            raise NotFound(f"service {name!r} is not in the catalog; the services are: {known}")
        sight = asked.call.sight
        found = self._web.plane.ledger.find(
            types=self._web.sentences.changes() or ("change.pushed",), subjects=[f"service:{name}"], limit=4 * RECENT
        )
        owner = asked.call.ask(OwnerOf(name))
        return View(
            template="pages/service.html",
            values={
                "name": name,
                "about": catalogue.about(name),
                "owner": owner,
                "changes": [event for event in found if sight.shows(event)][:RECENT],
                "depends_on": catalogue.depends_on(name),
                "used_by": catalogue.used_by(name),
            },
            title=name,
            code=catalogue.place(name),
            api=f"/api/v1/services/{name}",
            live=(
                "deployment.",
                "run.",
                "alert.",
                "incident.",
                "slo.",
                "drift.",
                "finding.",
                "catalog.",
                "change.",
                "target.",
            ),
        )
