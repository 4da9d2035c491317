"""Provenance of an artefact: an in-toto v1 statement with the SLSA v1 predicate, made of what the run is, and its check.

Sources: in-toto Attestation Framework, Statement v1; SLSA Provenance v1 (slsa.dev/spec/v1.0/provenance).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from opsroom import __version__
from opsroom.areas.delivery import signing
from opsroom.contracts.repositories import repositories
from opsroom.kernel.clock import stamp
from opsroom.kernel.errors import NotFound

if TYPE_CHECKING:
    from opsroom.areas.delivery.model import Artifact
    from opsroom.contracts.plane import Plane
    from opsroom.workflows.views import Run

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://opsroom.dev/build-types/workflow/v1"
"""externalParameters: workflow {path, ref, repository}; internalParameters: event, actor, number; resolvedDependencies: the commit."""
CHUNK = 1 << 20


def statement_of(plane: Plane, run: Run, *, name: str, digest: str, sbom: str, now: datetime) -> dict[str, Any]:
    """What this run says it made. `sbom` is the digest of the bill of materials ("" : none)."""
    from opsroom.kernel.git import shown_url

    uri = f"git+{shown_url(repositories(plane).get(run.repository, run.repository))}@{run.ref}"
    products = (
        [{"name": f"{name}.cdx.json", "mediaType": "application/vnd.cyclonedx+json", "digest": _hex(sbom)}]
        if sbom
        else []
    )
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": _hex(digest)}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "workflow": {"path": run.workflow, "ref": run.ref, "repository": run.repository}
                },
                "internalParameters": {"event": run.event, "actor": run.actor, "number": run.number, "trigger": run.trigger},
                "resolvedDependencies": [{"uri": uri, "digest": {"gitCommit": run.commit}}],
            },
            "runDetails": {
                "builder": {"id": f"{plane.settings.base_url}/", "version": {"opsroom": __version__}},
                "metadata": {
                    "invocationId": f"{plane.settings.base_url}/runs/{run.id}/attempts/{run.attempt}",
                    "startedOn": stamp(run.started or run.created),
                    "finishedOn": stamp(now),
                },
                "byproducts": products,
            },
        },
    }  # fmt: skip


def fault_of(plane: Plane, artifact: Artifact) -> str:
    """Why an artefact is not what its provenance says it is; "" when signature, subject, commit and every byte agree."""
    try:
        statement = signing.opened(plane.settings.keys, plane.blobs.read(artifact.provenance))
    except (signing.BadSignature, NotFound) as error:
        return f"its provenance does not verify: {error}"
    if statement.get("_type") != STATEMENT or statement.get("predicateType") != PREDICATE:
        return f"its provenance is of type {statement.get('predicateType')!r}, not {PREDICATE}"
    if _hex(artifact.digest) not in [_mapping(one).get("digest") for one in _list(statement.get("subject"))]:
        return "its provenance is that of another artefact"
    if artifact.commit not in _commits(statement):
        return f"its provenance is of another commit than {artifact.commit[:12]}"
    if not plane.blobs.has(artifact.digest):
        return "its archive is not kept any more (the setting artifact_days says how long archives are)"
    if (found := content_digest(plane, artifact.digest)) != artifact.digest:
        return f"its bytes are those of {found[:19]}: they were changed in the store"
    return ""


def content_digest(plane: Plane, digest: str) -> str:
    """The digest of the bytes that are kept under a digest; "nothing" when there are none."""
    hasher = hashlib.sha256()
    try:
        with plane.blobs.open(digest) as blob:
            while chunk := blob.read(CHUNK):
                hasher.update(chunk)
    except NotFound:
        return "nothing"
    return f"sha256:{hasher.hexdigest()}"


def _commits(statement: Mapping[str, Any]) -> list[Any]:
    definition = _mapping(_mapping(statement.get("predicate")).get("buildDefinition"))
    found = [_mapping(one).get("digest") for one in _list(definition.get("resolvedDependencies"))]
    return [_mapping(one).get("gitCommit") for one in found]


def _hex(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
