"""Artefacts: list, show, and the provenance that says what each was made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from opsroom.areas.delivery import artifact_store as rows
from opsroom.areas.delivery import signing
from opsroom.areas.delivery.model import Artifact
from opsroom.areas.delivery.places import place_of
from opsroom.areas.delivery.provenance import fault_of
from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import SEEN
from opsroom.kernel.actors import Resource
from opsroom.kernel.errors import Invalid, NotFound


class ArtifactView(Model):
    """One artefact. `sbom` and `provenance` are digests of blobs ("" : none); `event` is its artifact.published."""

    columns: ClassVar[tuple[str, ...]] = ("digest", "service", "version", "repository", "commit", "run", "created")
    digest: str
    name: str
    service: str
    version: str
    commit: str
    repository: str
    run: str
    size: int
    sbom: str
    provenance: str
    created: datetime
    event: str


class ProvenanceView(Model):
    """An artefact's in-toto statement, and whether signature, subject, commit and bytes agree; `reason` says what does not.

    `envelope` is the digest of the DSSE envelope, `key` the id of the public key that must have signed it."""

    digest: str
    verdict: str
    reason: str
    key: str
    envelope: str
    statement: dict[str, Any]


def scope_of_artifact(call: Call, arguments: Mapping[str, Any]) -> Resource:
    """An artefact belongs to the team of its service. Error: not found."""
    artifact = _artifact(call, str(arguments["id"]))
    return place_of(call, "artifact", artifact.service, id=artifact.digest)


@operation("artifacts.list", scope=SEEN)
def list_artifacts(
    call: Call, *, service: str = "", commit: str = "", run: str = "", name: str = "", after: str = "", limit: int = 50
) -> Page[ArtifactView]:
    """Artefacts, newest first."""
    if limit < 1:
        raise Invalid(f"limit {limit} is not at least 1")
    with call.plane.store.read() as tx:
        found = rows.find(tx, service=service, commit=commit, run=run, name=name, after=after, limit=limit + 1)
    more = found[limit - 1].id if len(found) > limit else ""
    return Page[ArtifactView](items=[_view(artifact) for artifact in found[:limit]], next=more)


@operation("artifacts.show", scope=SEEN)
def show_artifact(call: Call, id: str) -> ArtifactView:
    """One artefact by its digest: as it was published last. Error: not found."""
    return _view(_artifact(call, id))


@operation("artifacts.provenance", scope=scope_of_artifact)
def show_provenance(call: Call, id: str) -> ProvenanceView:
    """What an artefact was made of, as signed, and whether that verifies for its bytes as they are now. Error: not found."""
    plane, artifact = call.plane, _artifact(call, id)
    fault = fault_of(plane, artifact)
    statement = (
        signing.unverified(plane.blobs.read(artifact.provenance)) if plane.blobs.has(artifact.provenance) else {}
    )
    return ProvenanceView(
        digest=artifact.digest, verdict="failed" if fault else "verified", reason=fault,
        key=signing.key_id(plane.settings.keys), envelope=artifact.provenance, statement=dict(statement),
    )  # fmt: skip


def _artifact(call: Call, digest: str) -> Artifact:
    with call.plane.store.read() as tx:
        found = rows.newest(tx, digest)
    if found is None:
        raise NotFound(f"artefact {digest!r} was never published here; `opsroom artifacts list` shows those that were")
    return found


def _view(artifact: Artifact) -> ArtifactView:
    return ArtifactView(
        digest=artifact.digest, name=artifact.name, service=artifact.service, version=artifact.version,
        commit=artifact.commit, repository=artifact.repository, run=artifact.run, size=artifact.size, sbom=artifact.sbom,
        provenance=artifact.provenance, created=artifact.created, event=artifact.event,
    )  # fmt: skip
