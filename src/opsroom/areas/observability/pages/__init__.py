"""The pages of observability, and what it adds to the pages of others."""

from __future__ import annotations

from opsroom.areas.observability.pages import alerts, explore, parts, targets
from opsroom.contracts.pages import PageDeclaration, Part

PAGES: tuple[PageDeclaration, ...] = (
    PageDeclaration(path="/explore", title="Explore", render=explore.explore, nav="Explore", key="e"),
    PageDeclaration(path="/alerts", title="Alerts", render=alerts.listing, nav="Alerts", key="a"),
    PageDeclaration(path="/alerts/{id}", title="Alert", render=alerts.show),
    PageDeclaration(path="/slos", title="Objectives", render=targets.objectives, nav="Objectives", key="b"),
    PageDeclaration(path="/targets", title="Targets", render=targets.listing, nav="Targets"),
)

PARTS: tuple[Part, ...] = (
    Part(where="overview.wrong", title="Alerts", order=20, render=parts.wrong),
    Part(where="service", title="Golden signals", order=10, render=parts.signals_of_service),
    Part(where="service", title="Objectives", order=20, render=parts.objectives_of_service),
    Part(where="services.column", title="Health", order=10, render=parts.health_cell),
    Part(where="services.column", title="Budget left", order=20, render=parts.budget_cell),
    Part(where="deployment", title="Before and after", order=20, render=parts.around_deployment),
)
