"""Targets and objectives: what is scraped and answers, and what is left of what was promised."""

from __future__ import annotations

from opsroom.areas.observability.operations.slos import SloView, slo_views
from opsroom.areas.observability.operations.targets import target_views
from opsroom.areas.observability.pages.seen import seen, telemetry_problem
from opsroom.contracts.pages import PageRequest, View
from opsroom.kernel.errors import Place
from opsroom.kernel.resources import Resource

TREND = 24


def listing(asked: PageRequest) -> View:
    """Every target with the state and figures of its last scrape."""
    values = {"targets": seen(asked, target_views(asked.call.plane)), "problem": telemetry_problem(asked)}
    scrapes = asked.call.plane.catalogs.current().all("Scrape")
    return View(
        template="observability/targets.html", values=values, title="Targets", api="/api/v1/targets", live=("target.", "deployment."),
        code=scrapes[0].place if scrapes else None,
    )  # fmt: skip


def objectives(asked: PageRequest) -> View:
    """Every objective with its budget, how fast it burns, and how it stood before."""
    found = seen(asked, slo_views(asked.call.plane))
    resources = {one.name: one for one in asked.call.plane.catalogs.current().all("SLO")}
    values = {
        "slos": [_shown(asked, one, resources.get(one.name)) for one in found],
        "problem": telemetry_problem(asked),
    }
    place: Place | None = next((one.place for one in resources.values()), None)
    return View(
        template="observability/slos.html",
        values=values,
        title="Objectives",
        api="/api/v1/slos",
        live=("slo.",),
        code=place,
    )


def _shown(asked: PageRequest, slo: SloView, resource: Resource | None) -> dict[str, object]:
    told = asked.call.plane.ledger.find(types=["slo.evaluated"], subjects=[f"slo:{slo.name}"], limit=TREND)
    return {
        "slo": slo, "name": slo.name, "left": slo.left, "place": resource.place if resource else None,
        "description": resource.spec.description if resource else "",
        "trend": [float(one.data["left"]) for one in reversed(told) if one.data.get("left") is not None],
    }  # fmt: skip
