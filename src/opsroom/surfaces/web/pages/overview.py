"""The first glance: what is wrong, what waits for me, what changed, over the traffic of all services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsroom.contracts.pages import PageDeclaration, PageRequest, View
from opsroom.surfaces.web.data import as_query

if TYPE_CHECKING:
    from opsroom.surfaces.web.frame import Web

RECENT = 12


class OverviewPage:
    """`/`: the strip of what is wrong, what waits, and the timeline. What areas add arrives by `overview.*` parts."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self.pages = (PageDeclaration(path="/", title="Overview", render=self._render, nav="Overview", key="o"),)

    def _render(self, asked: PageRequest) -> View:
        scope, sight = asked.scope, asked.call.sight
        matchers = as_query({"service": scope.service, "environment": scope.environment})
        subjects = [
            f"{kind}:{value}"
            for kind, value in (("service", scope.service), ("environment", scope.environment))
            if value
        ]
        types = self._web.sentences.changes()
        found = (
            self._web.plane.ledger.find(types=types, subjects=subjects, since=scope.since, until=scope.until, limit=100)
            if types
            else []
        )
        return View(
            template="pages/overview.html",
            values={
                "in_force": bool(self._web.plane.catalogs.current().commit),
                "changes": [event for event in found if sight.shows(event)][:RECENT],
                "rate": f"sum by (service) (rate(http_requests_total{{{matchers}}}[1m]))",
                "errors": _errors(matchers),
            },
            title="Overview",
            api="/api/v1/events",
            live=(
                "deployment.", "run.", "incident.", "alert.", "slo.", "drift.", "finding.", "expiry.", "waiver.", "change.",
                "configuration.", "page.", "action.", "budget.", "target.", "gate.",
            ),
        )  # fmt: skip


def _errors(matchers: str) -> str:
    """Errors a second; where there are requests and none of them failed, 0."""
    failing = ",".join(part for part in (matchers, 'code=~"5.."') if part)
    failed, all_of_them = (f"sum by (service) (rate(http_requests_total{{{one}}}[1m]))" for one in (failing, matchers))
    return f"{failed} or 0 * {all_of_them}"
