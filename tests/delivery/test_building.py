"""What a workflow builds and tests: kept by digest with signed provenance, told, and deployed; through the real engine and runner."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.areas.delivery import signing
from opsroom.areas.delivery.build_actions import publish, recover_publish, recover_tests, report_tests
from opsroom.areas.delivery.junit import read_junit
from opsroom.areas.delivery.operations.artifacts import list_artifacts, show_artifact, show_provenance
from opsroom.areas.delivery.operations.deployments import list_deployments
from opsroom.areas.delivery.operations.runs import (
    cancel_run,
    list_runs,
    rerun_run,
    show_log,
    show_run,
    show_waiting,
)
from opsroom.areas.delivery.triggering import start_runs
from opsroom.areas.delivery.watching import watch
from opsroom.areas.delivery.workspace import find_files, open_file
from opsroom.contracts.actions import ActionCall, ActionFailed
from opsroom.contracts.repositories import repository_of
from opsroom.kernel.errors import Conflict, Invalid, NotFound
from opsroom.workflows.planning import TriggerEvent

JUNIT = """<?xml version="1.0"?>
<testsuites><testsuite name="shop"><testcase classname="t.Basket" name="adds" time="0.5"/>
<testcase classname="t.Basket" name="pays" time="1.25"><failure message="402 | no">Traceback: s3cret-token</failure></testcase>
<testcase classname="t.Basket" name="later"><skipped/></testcase></testsuite></testsuites>
"""
SBOM = json.dumps(
    {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "tea", "version": "1", "type": "library"}]}
)
PIPELINE = """\
name: pipeline
on: push
jobs:
  build:
    runs-on: ubuntu-latest
    permissions: {contents: read, packages: write, checks: write}
    outputs: {digest: "${{ steps.publish.outputs.digest }}"}
    steps:
      - uses: actions/checkout@v4
      - uses: opsroom/test-report
        with: {path: "reports/*.xml"}
      - run: tar --create --file tiny.tar service.py version broken
      - uses: opsroom/publish-artifact
        id: publish
        with: {name: tiny, path: tiny.tar, sbom: sbom.json}
  deploy:
    runs-on: ubuntu-latest
    needs: build
    permissions: {deployments: write}
    steps:
      - uses: opsroom/deploy
        with: {service: tiny, environment: production, digest: "${{ needs.build.outputs.digest }}"}
"""


@dataclass
class Port:
    logged: list[str] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)

    def log(self, text: str) -> None:
        self.logged.append(text)

    def summary(self, markdown: str) -> None:
        self.summaries.append(markdown)

    def cancelled(self) -> bool:
        return False


@dataclass
class Bench:
    """A run that is stored and does not go on, and actions called for it."""

    shop: Any
    run: str
    workspace: Path
    port: Port = field(default_factory=Port)

    def call(self, key: str = "run/job/1/2", **inputs: str) -> ActionCall:
        found = self.shop.plane.engine.get(self.run).run
        return ActionCall(
            call=self.shop.call, inputs={name.replace("_", "-"): value for name, value in inputs.items()}, key=key, run=self.run,
            job="build", step=2, repository="tiny", commit=found.commit, ref=found.ref, workspace=self.workspace, port=self.port,
        )  # fmt: skip

    def write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            (self.workspace / path).parent.mkdir(parents=True, exist_ok=True)
            (self.workspace / path).write_text(text)


@pytest.fixture
def bench(shop: Any, git: Any, tmp_path: Path) -> Bench:
    for name in ("ops", "tiny"):
        git.create(name)
    shop.environment()
    commit = git.push("tiny", {".opsroom/workflows/p.yml": PIPELINE})
    watch(shop.plane)
    event = TriggerEvent(
        name="push",
        ref="refs/heads/main",
        commit=commit,
        actor="person:maria",
        cause=shop.events("change.pushed")[0].id,
    )
    [run] = shop.plane.engine.trigger(
        event, [(".opsroom/workflows/p.yml", PIPELINE)], repository_of(shop.plane, "tiny")
    )
    (tmp_path / "workspace").mkdir()
    return Bench(shop, run, tmp_path / "workspace")


@pytest.mark.slow
def test_a_push_is_built_tested_and_deployed(make_shop: Any, git: Any) -> None:
    shop = make_shop(unsandboxed="*")
    for name in ("ops", "tiny"):
        git.create(name)
    shop.environment()
    files = {**shop.files("1.0"), "reports/a.xml": JUNIT, "sbom.json": SBOM}
    commit = git.push("tiny", {".opsroom/workflows/pipeline.yml": PIPELINE, **files})
    plane = shop.plane
    plane.engine.start()
    watch(plane)
    start_runs(plane, shop.events("change.pushed")[0])
    run = list_runs(shop.call, commit=commit).items[0].id
    assert plane.engine.wait(run, 60).conclusion == "success", plane.engine.get(run)
    shown = show_run(shop.call, run)
    assert [(job.id, job.conclusion, job.needs) for job in shown.jobs] == [
        ("build", "success", []),
        ("deploy", "success", ["build"]),
    ]
    assert [(one.tests, one.failed, one.skipped) for one in shown.tests] == [
        (3, 1, 1)
    ] and "1 failed" in shown.summaries[0]
    assert [step.name for step in shown.jobs[0].steps][-1] == "Run opsroom/publish-artifact"
    [artifact] = list_artifacts(shop.call, commit=commit).items
    assert list_artifacts(shop.call, commit=commit[:12]).items == [show_artifact(shop.call, artifact.digest[:19])]
    assert artifact.sbom and artifact.version == commit[:12] and artifact.run == run
    [deployment] = list_deployments(shop.call, run=run).items
    assert (deployment.digest, deployment.commit, deployment.live) == (artifact.digest, commit, True)
    chain = [event.type for event in plane.ledger.chain(deployment.events[-1])]
    assert chain == ["deployment.finished", "deployment.started", "run.queued", "change.pushed"]
    log = show_log(shop.call, run, job="build")
    assert log.ended is False or (log.next and any("published tiny" in line.text for line in log.lines))
    assert show_waiting(shop.call, run) == []
    with pytest.raises(Conflict, match="has finished already"):
        cancel_run(shop.call, run)
    rerun_run(shop.call, run, job="deploy")
    assert plane.engine.wait(run, 60).conclusion == "success"
    assert len(list_deployments(shop.call, run=run).items) == 2
    with pytest.raises(NotFound, match="has no job 'nope'"):
        show_log(shop.call, run, job="nope")


def test_published_with_provenance_of_the_run_and_only_once(bench: Bench) -> None:
    bench.write({"tiny.tar": "bytes", "sbom.json": SBOM})
    outputs = publish(bench.call(name="tiny", path="tiny.tar", sbom="sbom.json"))
    again = publish(bench.call(name="tiny", path="tiny.tar", sbom="sbom.json"))
    assert outputs == again == recover_publish(bench.call()) and recover_publish(bench.call("other")) is None
    plane, run = bench.shop.plane, bench.shop.plane.engine.get(bench.run).run
    [event] = bench.shop.events("artifact.published")
    view = show_artifact(bench.shop.call, outputs["digest"])
    assert set(event.data) == {"name", "version", "size", "sbom", "provenance"} and event.subject("service") == "tiny"
    assert json.loads(plane.blobs.read(view.sbom))["bomFormat"] == "CycloneDX"
    found = show_provenance(bench.shop.call, outputs["digest"])
    assert (found.verdict, found.reason) == ("verified", "")
    statement = found.statement
    assert statement["subject"] == [{"name": "tiny", "digest": {"sha256": outputs["digest"][7:]}}]
    build, details = (statement["predicate"][name] for name in ("buildDefinition", "runDetails"))
    assert build["externalParameters"]["workflow"] == {
        "path": ".opsroom/workflows/p.yml",
        "ref": "refs/heads/main",
        "repository": "tiny",
    }
    assert build["resolvedDependencies"][0]["digest"] == {"gitCommit": run.commit}
    assert build["resolvedDependencies"][0]["uri"].endswith("/git/tiny@refs/heads/main")
    assert (
        run.id in details["metadata"]["invocationId"] and details["byproducts"][0]["digest"]["sha256"] == view.sbom[7:]
    )


def test_provenance_that_was_tampered_with_does_not_verify(bench: Bench) -> None:
    bench.write({"tiny.tar": "bytes"})
    digest = publish(bench.call(name="tiny", path="tiny.tar"))["digest"]
    plane = bench.shop.plane
    view = show_artifact(bench.shop.call, digest)
    file, good = plane.blobs.path(view.provenance), plane.blobs.read(view.provenance)
    envelope = json.loads(good)
    statement = signing.opened(plane.settings.keys, good)
    for bad, reason in (
        (b"{}", "no DSSE envelope"),
        (
            json.dumps({**envelope, "payload": envelope["payload"][:-8] + "AAAAAAA="}).encode(),
            "not signed by this plane's key",
        ),
        (json.dumps({**envelope, "signatures": []}).encode(), "not signed"),
        (signing.sign(plane.settings.keys.parent / "other-keys", statement), "not signed by this plane's key"),
        (signing.sign(plane.settings.keys, {**statement, "subject": []}), "that of another artefact"),
        (signing.sign(plane.settings.keys, {**statement, "predicate": {}}), "another commit"),
        (signing.sign(plane.settings.keys, {**statement, "predicateType": "x"}), "not https://slsa.dev/provenance/v1"),
    ):
        file.write_bytes(bad)
        found = show_provenance(bench.shop.call, digest)
        assert found.verdict == "failed" and reason in found.reason
    file.write_bytes(good)
    assert show_provenance(bench.shop.call, digest).verdict == "verified"
    assert oct((plane.settings.keys / signing.KEY_FILE).stat().st_mode)[-3:] == "600"


def test_tests_are_reported_once_and_hidden_values_stay_hidden(bench: Bench) -> None:
    bench.shop.plane.secrets.set("TOKEN", "s3cret-token", "system:test")
    bench.write({"out/one.xml": JUNIT, "out/deep/two.xml": "<testsuite><testcase name='x'/></testsuite>"})
    outputs = report_tests(bench.call(path="out/**/*.xml"))
    assert outputs == {"tests": "4", "failed": "1", "skipped": "1"}
    assert recover_tests(bench.call()) == outputs and len(bench.port.summaries) == 2
    [event] = bench.shop.events("tests.reported")
    assert {"commit", "run", "service"} <= {one.partition(":")[0] for one in event.subjects}
    assert event.data["passed"] == 2 and event.data["failures"] == ["t.Basket pays"]
    shown = show_run(bench.shop.call, bench.run).tests[0]
    assert shown.failures[0]["message"] == "402 | no" and "s3cret" not in str(shown)
    assert "402 \\| no" in bench.port.summaries[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<testsuite>\n<testcase name='a'></testsuite>", "r.xml:2:.* no well-formed XML: mismatched tag"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]>\n<testsuite/>", "r.xml:1:.*a report has no DOCTYPE"),
        ("<html><body/></html>", "<html> is no JUnit report"),
        ("<testsuite>\n\n<testcase time='soon'/></testsuite>", "r.xml:3:1: time='soon' is no number of seconds"),
        ("", "no element found"),
        ("not xml", "r.xml:1:1"),
    ],
)
def test_a_malformed_report_names_file_and_line(bench: Bench, text: str, message: str) -> None:
    bench.write({"r.xml": text})
    with pytest.raises(ActionFailed, match=message):
        report_tests(bench.call(path="r.xml"))
    assert not bench.shop.events("tests.reported")


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    for content in (text, f"<testsuite><testcase name='{text}'/></testsuite>"):
        try:
            read_junit(io.BytesIO(content.encode("utf-8", "surrogatepass")), "r.xml")
        except Invalid as error:
            assert str(error).startswith("r.xml") and "\n" not in str(error)


def test_nothing_outside_the_workspace_is_read(tmp_path: Path) -> None:
    workspace, secret = tmp_path / "work", tmp_path / "master-key"
    workspace.mkdir()
    secret.write_text("key")
    (workspace / "plain.xml").write_text("x")
    (workspace / "link.xml").symlink_to(secret)
    (workspace / "folder").symlink_to(tmp_path)
    os.mkfifo(workspace / "pipe")
    assert open_file(workspace, "./plain.xml").read() == b"x"
    assert find_files(workspace, "*.xml") == ["plain.xml"]
    for path in (
        "link.xml",
        "folder/master-key",
        "../master-key",
        str(secret),
        "~/x",
        "",
        "pipe",
        "missing",
        "a\0b",
        ".",
    ):
        with pytest.raises(ActionFailed):
            open_file(workspace, path)
    for pattern in ("../*", "/etc/*", "folder/*", "*.json"):
        with pytest.raises(ActionFailed):
            [open_file(workspace, one) for one in find_files(workspace, pattern)]


@pytest.mark.parametrize("sbom", ["no json", "[]", '{"bomFormat": "SPDX"}'])
def test_a_bill_of_materials_must_be_one(bench: Bench, sbom: str) -> None:
    bench.write({"tiny.tar": "bytes", "sbom.json": sbom})
    with pytest.raises(ActionFailed, match=r"sbom\.json is no"):
        publish(bench.call(name="tiny", path="tiny.tar", sbom="sbom.json"))
    assert not bench.shop.events("artifact.published")
