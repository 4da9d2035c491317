"""The pages of delivery, and what it adds to those of others."""

from __future__ import annotations

from opsroom.areas.delivery.pages import artifacts, deployments, environments, repositories, runs, workflows
from opsroom.areas.delivery.pages.parts import PARTS
from opsroom.contracts.pages import PageDeclaration

__all__ = ["PAGES", "PARTS"]

PAGES = (
    PageDeclaration(path="/runs", title="Runs", render=runs.listing, nav="Runs", key="r"),
    PageDeclaration(path="/runs/{id}", title="Run", render=runs.show),
    PageDeclaration(path="/runs/{id}/log", title="Log", render=runs.log),
    PageDeclaration(path="/workflows", title="Workflows", render=workflows.listing, nav="Workflows", key="w"),
    PageDeclaration(path="/workflows/start", title="Start a workflow", render=workflows.start),
    PageDeclaration(path="/deployments", title="Deployments", render=deployments.listing, nav="Deployments", key="d"),
    PageDeclaration(path="/deployments/{id}", title="Deployment", render=deployments.show),
    PageDeclaration(
        path="/environments", title="Environments", render=environments.listing, nav="Environments", key="v"
    ),
    PageDeclaration(path="/environments/{id}", title="Environment", render=environments.show),
    PageDeclaration(path="/artifacts", title="Artefacts", render=artifacts.listing, nav="Artefacts"),
    PageDeclaration(path="/artifacts/{digest}", title="Artefact", render=artifacts.show),
    PageDeclaration(path="/repositories", title="Repositories", render=repositories.listing, nav="Repositories"),
    PageDeclaration(path="/repositories/{id}", title="Repository", render=repositories.show),
)
