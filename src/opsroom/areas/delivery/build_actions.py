"""What workflows may `uses:` to keep what they built and tested: opsroom/publish-artifact and opsroom/test-report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from opsroom.areas.delivery import artifact_store as rows
from opsroom.areas.delivery import provenance, signing
from opsroom.areas.delivery.junit import Failure, Results, read_junit
from opsroom.areas.delivery.model import Artifact, TestReport
from opsroom.areas.delivery.workspace import find_files, open_file
from opsroom.contracts.actions import Action, ActionCall, ActionFailed, ActionInput
from opsroom.kernel.counting import counted
from opsroom.kernel.errors import Invalid

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.workflows.views import Run

ARTIFACT_LIMIT = 2_000_000_000
SBOM_LIMIT = 64_000_000
FAILURES_KEPT = 200
FAILURES_SHOWN = 20


def publish(call: ActionCall) -> Mapping[str, str]:
    """Keeps one file by its digest, with its SBOM and signed provenance; the same key publishes once."""
    plane = call.call.plane
    with plane.store.read() as tx:
        if known := rows.by_key(tx, call.key):
            return _published(known)
    run = plane.engine.get(call.run).run
    sbom = _sbom(call)
    with open_file(call.workspace, call.inputs["path"]) as file:
        digest = plane.blobs.put(file, limit=ARTIFACT_LIMIT)
    name, now = call.inputs["name"], plane.clock.now()
    statement = provenance.statement_of(plane, run, name=name, digest=digest, sbom=sbom, now=now)
    envelope = plane.blobs.put(signing.sign(plane.settings.keys, statement))
    artifact = _record(call, run, name=name, digest=digest, sbom=sbom, envelope=envelope)
    call.port.log(f"published {name} {artifact.version} as {digest}")
    call.port.log(f"SBOM {sbom or 'none was given'}, provenance {envelope}")
    return _published(artifact)


def recover_publish(call: ActionCall) -> Mapping[str, str] | None:
    """The outputs of the publication under this key; None: there was none."""
    with call.call.plane.store.read() as tx:
        known = rows.by_key(tx, call.key)
    return _published(known) if known else None


def report_tests(call: ActionCall) -> Mapping[str, str]:
    """Reads JUnit XML; the step itself does not fail by a failed test, since the step that ran them has."""
    plane = call.call.plane
    paths = find_files(call.workspace, call.inputs["path"])
    results = Results()
    for path in paths:
        with open_file(call.workspace, path) as file:
            try:
                results += read_junit(file, path)
            except Invalid as error:
                raise ActionFailed(str(error)) from None
    report = _record_tests(call, plane.engine.get(call.run).run, results)
    call.port.log(f"{_told(report)} in {counted(len(paths), 'file')}")
    for failure in report.failures[:FAILURES_SHOWN]:
        call.port.log(f"failed: {failure['suite']} {failure['name']}: {failure['message']}")
    call.port.summary(summary_of(report))
    return _outputs(report)


def recover_tests(call: ActionCall) -> Mapping[str, str] | None:
    """The outputs of the report under this key; None: there was none."""
    with call.call.plane.store.read() as tx:
        known = rows.report_by_key(tx, call.key)
    if known is None:
        return None
    call.port.summary(summary_of(known))
    return _outputs(known)


def summary_of(report: TestReport) -> str:
    """The report as Markdown for the run's page."""
    lines = ["### Tests", "", _told(report)]
    if report.failures:
        lines += ["", "| test | message |", "| --- | --- |"]
        lines += [
            f"| {_cell(one['suite'])} {_cell(one['name'])} | {_cell(one['message'])} |"
            for one in report.failures[:FAILURES_SHOWN]
        ]
    left = report.failed - min(len(report.failures), FAILURES_SHOWN)
    return "\n".join([*lines, *([f"\n… and {left} more"] if left > 0 else [])]) + "\n"


def _sbom(call: ActionCall) -> str:
    """The digest of the bill of materials, kept; "" where none was given."""
    path = call.inputs.get("sbom", "")
    if not path:
        return ""
    with open_file(call.workspace, path) as file:
        content = file.read(SBOM_LIMIT + 1)
    if len(content) > SBOM_LIMIT:
        raise ActionFailed(f"{path} is over the limit of {SBOM_LIMIT} bytes")
    try:
        value = json.loads(content)
    except ValueError as error:
        raise ActionFailed(f"{path} is no JSON: {error}") from None
    if not isinstance(value, dict) or value.get("bomFormat") != "CycloneDX":
        raise ActionFailed(f"{path} is no CycloneDX document: bomFormat is not CycloneDX; opsroom/sbom writes one")
    return call.call.plane.blobs.put(content)


def _record(call: ActionCall, run: Run, *, name: str, digest: str, sbom: str, envelope: str) -> Artifact:
    plane = call.call.plane
    service, version, size = run.service or name, run.commit[:12], plane.blobs.size(digest)
    subjects = {"digest": digest, "service": service, "commit": run.commit, "run": run.id, "repository": run.repository}
    with plane.store.begin() as tx:
        if known := rows.by_key(tx, call.key):
            return known
        event = plane.ledger.record(
            tx, "artifact.published", actor=call.call.actor.id, cause=call.call.cause, key=f"artifact:{call.key}",
            subjects=[f"{kind}:{value}" for kind, value in subjects.items() if value],
            data={"name": name, "version": version, "size": size, "sbom": sbom, "provenance": envelope},
        )  # fmt: skip
        artifact = Artifact(
            id=plane.clock.new_id("art"), key=call.key, digest=digest, name=name, service=service, version=version,
            commit=run.commit, repository=run.repository, run=run.id, size=size, sbom=sbom, provenance=envelope,
            created=plane.clock.now(), event=event.id,
        )  # fmt: skip
        rows.add(tx, artifact)
    return artifact


def _record_tests(call: ActionCall, run: Run, results: Results) -> TestReport:
    plane = call.call.plane
    counts = {"tests": results.tests, "failed": results.failed, "skipped": results.skipped}
    subjects = {"commit": run.commit, "run": run.id, "service": run.service, "repository": run.repository}
    failures = [_redacted(plane, one) for one in results.failures[:FAILURES_KEPT]]
    with plane.store.begin() as tx:
        if known := rows.report_by_key(tx, call.key):
            return known
        event = plane.ledger.record(
            tx, "tests.reported", actor=call.call.actor.id, cause=call.call.cause, key=f"tests:{call.key}",
            subjects=[f"{kind}:{value}" for kind, value in subjects.items() if value],
            data={**counts, "seconds": results.seconds, "job": call.job, "passed": results.tests - results.failed - results.skipped,
                  "failures": [f"{one['suite']} {one['name']}".strip() for one in failures[:FAILURES_SHOWN]]},
        )  # fmt: skip
        report = TestReport(
            id=plane.clock.new_id("tst"), key=call.key, run=run.id, job=call.job, repository=run.repository,
            commit=run.commit, service=run.service, seconds=results.seconds, failures=failures, created=plane.clock.now(),
            event=event.id, **counts,
        )  # fmt: skip
        rows.add_report(tx, report)
    return report


def _redacted(plane: Plane, failure: Failure) -> dict[str, Any]:
    return {
        key: plane.secrets.redact(value) if isinstance(value, str) else value for key, value in asdict(failure).items()
    }


def _published(artifact: Artifact) -> Mapping[str, str]:
    return {"digest": artifact.digest, "version": artifact.version}


def _outputs(report: TestReport) -> Mapping[str, str]:
    return {"tests": str(report.tests), "failed": str(report.failed), "skipped": str(report.skipped)}


def _told(report: TestReport) -> str:
    passed = report.tests - report.failed - report.skipped
    return f"{passed} passed, {report.failed} failed, {report.skipped} skipped, {report.seconds:.2f} s"


def _cell(text: str) -> str:
    return " ".join(str(text).replace("|", "\\|").split())[:200]


BUILD_ACTIONS = (
    Action(
        name="opsroom/publish-artifact",
        help="Keeps one file as an artefact by its digest, with its SBOM and signed provenance.",
        inputs=(
            ActionInput(name="name", required=True, help="what the artefact is called, such as its service"),
            ActionInput(name="path", required=True, help="one file in the workspace: a tar file, plain or gzip"),
            ActionInput(name="sbom", help="a CycloneDX JSON file in the workspace"),
        ),
        outputs={"digest": "sha256:…", "version": "first 12 characters of the commit"},
        permission=("packages", "write"),
        run=publish,
        recover=recover_publish,
    ),
    Action(
        name="opsroom/test-report",
        help="Reads JUnit XML files and keeps what passed, failed and was skipped.",
        inputs=(ActionInput(name="path", required=True, help="JUnit XML files: a glob in the workspace"),),
        outputs={"tests": "how many ran", "failed": "how many failed", "skipped": "how many were skipped"},
        permission=("checks", "write"),
        run=report_tests,
        recover=recover_tests,
    ),
)
