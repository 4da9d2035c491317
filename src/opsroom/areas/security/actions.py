"""What workflows may `uses:` from security: opsroom/scan-secrets, opsroom/sbom, opsroom/scan-dependencies, opsroom/gate."""

from __future__ import annotations

import os
from collections.abc import Mapping

from opsroom.areas.security import store as rows
from opsroom.areas.security.files import open_folder, read_file, write_file
from opsroom.areas.security.gating import gate, recover_gate
from opsroom.areas.security.model import EVERYTHING, Result, Scan, Scanner, Scope
from opsroom.areas.security.recording import Recorded, recall, record_scan
from opsroom.contracts.actions import Action, ActionCall, ActionFailed, ActionInput
from opsroom.kernel.errors import Invalid

SBOM_LIMIT = 64_000_000
SHOWN = 20


def scan_secrets(call: ActionCall) -> Mapping[str, str]:
    """Looks through the files of the workspace; what it finds is kept without its value, and hidden from now on."""
    from opsroom.areas.security import secret_scan

    _check_fail_on(call)
    secrets, path = call.call.plane.secrets, call.inputs["path"]
    started = call.call.plane.clock.now()
    result = secret_scan.scan_secrets(
        call.workspace, path, fingerprint=lambda value: secrets.keyring.fingerprint(value.encode("utf-8", "surrogatepass")),
        hide=lambda value: secrets.redactor.add(value, "found in a repository"), redact=secrets.redact,
        cancelled=call.port.cancelled,
    )  # fmt: skip
    scope = _scope(call, Scanner.SECRETS, path)
    return _told(call, record_scan(call, scope, result, fail_on=call.inputs["fail-on"], started=started), "files")


def scan_dependencies(call: ActionCall) -> Mapping[str, str]:
    """Holds the packages of a CycloneDX file against the advisories that are here."""
    from opsroom.areas.security.dependencies import match_bill
    from opsroom.areas.security.sbom import read_bill

    _check_fail_on(call)
    plane, path = call.call.plane, call.inputs["sbom"]
    started = plane.clock.now()
    try:
        bill = read_bill(read_file(call.workspace, path, limit=SBOM_LIMIT), path)
    except Invalid as error:
        raise ActionFailed(str(error)) from None
    result: Result = match_bill(bill, plane.settings.state.absolute() / "advisories", cancelled=call.port.cancelled)
    if call.port.cancelled():
        raise ActionFailed("the scan of dependencies was cancelled")
    scope = _scope(call, Scanner.DEPENDENCIES, bill.name or path)
    recorded = record_scan(call, scope, result, fail_on=call.inputs["fail-on"], started=started)
    return {"verdict": recorded.scan.verdict, **_told(call, recorded, "packages")}


def recover_scan(call: ActionCall) -> Mapping[str, str] | None:
    """The outputs of the scan under this key; None: it was cut off, and is done again."""
    with call.call.plane.store.read() as tx:
        known = rows.scan_by_key(tx, call.key)
        recorded = recall(call.call.plane, known, tx=tx) if known else None
    if recorded is None:
        return None
    told = _told(call, recorded, "")
    return {"verdict": recorded.scan.verdict, **told} if recorded.scan.scanner == Scanner.DEPENDENCIES else told


def write_sbom(call: ActionCall) -> Mapping[str, str]:
    """Lists what a Python project is made of, by its lock and requirements files, as CycloneDX."""
    from opsroom.areas.security.manifests import read_manifests
    from opsroom.areas.security.sbom import installed_python, write_bill

    inputs = call.inputs
    with open_folder(call.workspace, inputs["path"]) as folder, os.scandir(folder) as entries:
        packages, unreadable = read_manifests(folder, [entry.name for entry in entries])
    python = installed_python()
    for one in unreadable:
        call.port.log(f"not read: {one.source}: {one.why}")
    if not python:
        call.port.log("no python3 was found on the PATH; the runtime is not listed")
    write_file(
        call.workspace, inputs["output"],
        write_bill(inputs["name"], call.commit[:12], packages, python=python, unreadable=unreadable),
    )  # fmt: skip
    loose = sum(not package.version for package in packages)
    call.port.log(
        f"{len(packages)} packages, {loose} of them without a pinned version, {f'Python {python}, ' if python else ''}"
        f"written to {inputs['output']}"
    )
    return {"path": inputs["output"], "components": str(len(packages) + bool(python))}


def _scope(call: ActionCall, scanner: Scanner, target: str) -> Scope:
    return Scope(scanner=scanner, repository=call.repository, ref=call.ref, target=target)


def _check_fail_on(call: ActionCall) -> None:
    if call.inputs["fail-on"] not in ("none", "new"):
        raise ActionFailed(f"fail-on: {call.inputs['fail-on']!r} is neither none nor new")


def _told(call: ActionCall, recorded: Recorded, what: str) -> dict[str, str]:
    """The log and the summary of a scan, its outputs; ActionFailed where it is to fail."""
    scan = recorded.scan
    call.port.log(
        f"{scan.scanner}: {scan.verdict}; {scan.looked_at} {what or 'items'} looked at, {scan.open} open, {scan.new} new"
    )
    for one in scan.unchecked[:SHOWN]:
        call.port.log(f"not checked: {'all of it' if one.what == EVERYTHING else one.what}: {one.why}")
    if len(scan.unchecked) > SHOWN:
        call.port.log(f"not checked: {len(scan.unchecked) - SHOWN} more; see scan {scan.id}")
    for finding in recorded.new[:SHOWN]:
        call.port.log(f"new: {finding.severity} {finding.title} in {finding.places[0]} ({finding.rule}, {finding.id})")
    call.port.summary(_summary(recorded))
    fails = call.inputs["fail-on"] == "new" and recorded.new
    if fails:
        raise ActionFailed(
            f"{len(recorded.new)} new {'finding' if len(recorded.new) == 1 else 'findings'} by the scan of {scan.scanner}: "
            f"{recorded.new[0].title} in {recorded.new[0].places[0]}; mend it, or waive {recorded.new[0].id}"
        )
    return {"findings": str(scan.open), "new": str(scan.new)}


def _summary(recorded: Recorded) -> str:
    scan: Scan = recorded.scan
    lines = [
        f"### Scan of {scan.scanner}: {scan.verdict}",
        "",
        f"{scan.looked_at} looked at, {scan.open} open, {scan.new} new",
    ]
    if recorded.new:
        lines += ["", "| severity | finding | where |", "| --- | --- | --- |"]
        lines += [f"| {one.severity} | {_cell(one.title)} | {_cell(one.places[0])} |" for one in recorded.new[:SHOWN]]
    lines += ["", *(f"- not checked: {_cell(one.what)}: {_cell(one.why)}" for one in scan.unchecked[:SHOWN])]
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())[:300]


_FAIL_ON = ActionInput(
    name="fail-on", default="new", help="`new`: fail where there is something new; `none`: never fail"
)
_COUNTS = {"findings": "how many are open", "new": "how many of them are new"}

ACTIONS = (
    Action(
        name="opsroom/scan-secrets",
        help="Looks through the workspace for secrets.",
        inputs=(ActionInput(name="path", default=".", help="a folder of the workspace"), _FAIL_ON),
        outputs=_COUNTS,
        permission=("security-events", "write"),
        run=scan_secrets,
        recover=recover_scan,
    ),
    Action(
        name="opsroom/scan-dependencies",
        help="Holds the packages of an SBOM against advisories.",
        inputs=(ActionInput(name="sbom", required=True, help="a CycloneDX JSON file in the workspace"), _FAIL_ON),
        outputs={"verdict": "clean, findings or not checked", **_COUNTS},
        permission=("security-events", "write"),
        run=scan_dependencies,
        recover=recover_scan,
    ),
    Action(
        name="opsroom/sbom",
        help="Writes what a Python project is made of as CycloneDX 1.6.",
        inputs=(
            ActionInput(name="path", default=".", help="a folder of the workspace"),
            ActionInput(name="name", required=True, help="what the whole is called, such as its service"),
            ActionInput(name="output", default="sbom.cdx.json", help="the file to write in the workspace"),
        ),
        outputs={"path": "the file", "components": "how many it lists"},
        permission=("contents", "read"),
        run=write_sbom,
    ),
    Action(
        name="opsroom/gate",
        help="Decides on evidence whether a digest may be deployed to an environment.",
        inputs=(
            ActionInput(name="service", required=True, help="the Component"),
            ActionInput(name="environment", required=True, help="where it is to go; its Gate is asked"),
            ActionInput(name="digest", required=True, help="the artefact, sha256:…"),
        ),
        outputs={"verdict": "pass or not checked"},
        permission=("security-events", "read"),
        run=gate,
        recover=recover_gate,
    ),
)  # fmt: skip
