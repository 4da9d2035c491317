"""Artefacts: the list, and one with its provenance as it verifies now, its bill of materials, and where it runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from opsroom.areas.delivery.operations.artifacts import ArtifactView, list_artifacts, show_artifact, show_provenance
from opsroom.areas.delivery.operations.deployments import list_deployments
from opsroom.contracts.pages import PageRequest, View

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane

COMPONENTS_SHOWN = 200


def listing(asked: PageRequest) -> View:
    page = list_artifacts(asked.call, service=asked.scope.service, after=asked.query.get("after", ""))
    return View(
        template="delivery/artifacts.html",
        values={"artifacts": page.items, "next": page.next, "filtered": bool(asked.scope.service)},
        title="Artefacts", api="/api/v1/artifacts", live=("artifact.",),
    )  # fmt: skip


def show(asked: PageRequest) -> View:
    call, digest = asked.call, asked.params["digest"]
    artifact = show_artifact(call, digest)
    return View(
        template="delivery/artifact.html",
        values={
            "artifact": artifact, "provenance": (found := show_provenance(call, digest)),
            "statement": json.dumps(found.statement, indent=2, ensure_ascii=False),
            "components": _components(call.plane, artifact), "deployments": list_deployments(call, digest=digest).items,
            "environments": _environments(call.plane, artifact.service),
        },
        title=f"{artifact.name} {artifact.version}",
        api=f"/api/v1/artifacts/{digest}",
        live=("deployment.", "finding.", "scan."),
    )  # fmt: skip


def _components(plane: Plane, artifact: ArtifactView) -> list[dict[str, Any]] | None:
    """What the bill of materials lists; None where there is none."""
    if not artifact.sbom or not plane.blobs.has(artifact.sbom):
        return None
    found = json.loads(plane.blobs.read(artifact.sbom)).get("components")
    listed = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return listed[:COMPONENTS_SHOWN]


def _environments(plane: Plane, service: str) -> list[str]:
    """Where this service may be deployed, in the order of the ops repo."""
    found = sorted(plane.catalogs.current().all("Environment"), key=lambda one: (one.spec.order, one.name))
    return [one.name for one in found if any(entry.service == service for entry in one.spec.services)]
