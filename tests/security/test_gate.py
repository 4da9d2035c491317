"""opsroom/gate: rules judged over evidence; what is unknown is not checked, and said."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from security_room import CATALOG, ENVIRONMENT, Room

from opsroom.areas.security.gating import Evidence, judge
from opsroom.areas.security.kinds import KINDS, GateRule
from opsroom.areas.security.operations import list_gates, show_gate
from opsroom.contracts.actions import ActionFailed
from opsroom.contracts.facts import Budget, BudgetLeft, Drift, DriftOf, OpenIncident, OpenIncidents
from opsroom.contracts.plane import Call
from opsroom.kernel.actors import Actor
from opsroom.kernel.resources import load_catalog

DIGEST, OLD = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def ask(room: Room, **more: str) -> Any:
    return room.use("gate", **{"service": "storefront", "environment": "production", "digest": DIGEST, **more})


def published(room: Room, *, secret: bool = False, dependencies: bool = True) -> None:
    """A digest whose commit was scanned."""
    room.scan("k" if secret else "", severity="critical", fail_on="none")
    if dependencies:
        room.advisories("Bitnami")
    room.use("sbom", name="storefront")
    room.use("scan-dependencies", commit="c1", sbom="sbom.cdx.json", fail_on="none")
    room.publish(DIGEST, "c1")


def verdicts(room: Room) -> dict[str, str]:
    (event,) = room.events("gate.decided")[-1:]
    return {one["name"]: one["verdict"] for one in event.data["inputs"]}


def test_all_evidence_there_passes(room: Room) -> None:
    published(room)
    room.answers.values[BudgetLeft] = (
        Budget(slo="s", objective=0.99, left=0.4, burn_rate=1),
        Budget(slo="t", objective=0.9, left=0.2, burn_rate=1),
    )
    room.runs(OLD)
    assert ask(room) == {"verdict": "pass"}
    assert set(verdicts(room).values()) == {"pass"}
    (event,) = room.events("gate.decided")
    assert event.data["evidence"]["slo"]["left"] == 0.2
    assert {"service:storefront", "environment:production", f"digest:{DIGEST}", "run:run_1"} <= set(event.subjects)


def test_without_advisory_data_it_says_so_and_passes_where_allowed(room: Room) -> None:
    published(room, dependencies=False)
    assert ask(room) == {"verdict": "not checked"}
    told = verdicts(room)
    assert told["dependencies"] == "not checked" and told["no new critical or high findings"] == "not checked"
    assert told["no freeze"] == "pass" and told["error budget left"] == "not checked"
    assert any("not checked: dependencies" in line and "all.zip" in line for line in room.port.lines)
    assert "| dependencies | not checked |" in room.port.summaries[0]
    assert room.events("gate.decided")[0].data["verdict"] == "pass"


def test_what_is_known_in_part_and_bad_fails_even_where_unknown_is_allowed(room: Room) -> None:
    published(room, secret=True, dependencies=False)
    with pytest.raises(
        ActionFailed, match=r"gate production does not let sha256:a+ into production: no new critical"
    ) as failed:
        ask(room)
    assert "\n" not in str(failed.value) and "findings.new.critical = 1" in str(failed.value)
    assert verdicts(room)["no new critical or high findings"] == "fail"


def test_what_runs_there_already_is_not_new(room: Room) -> None:
    published(room, secret=True)
    room.runs(DIGEST)
    assert ask(room)["verdict"] == "not checked"  # only the budget is unknown
    assert verdicts(room)["no new critical or high findings"] == "pass"


def test_a_waived_finding_passes(room: Room) -> None:
    published(room, secret=True)
    finding = room.events("finding.opened")[0].subject("finding")
    room.plane.waivers.grant(
        "finding-ignored", [f"finding={finding}"], owner="person:maria", reason="revoked", actor="person:maria",
        expires=room.clock.now() + timedelta(days=1),
    )  # fmt: skip
    ask(room)
    (event,) = room.events("gate.decided")
    assert (
        event.data["evidence"]["findings"]["waived"] == 1
        and verdicts(room)["no new critical or high findings"] == "pass"
    )


def test_a_freeze_stops(room: Room) -> None:
    published(room)
    waiver = room.plane.waivers.grant(
        "freeze", ["environment=production"], owner="person:maria", reason="sale", actor="person:maria",
        expires=room.clock.now() + timedelta(days=1),
    )  # fmt: skip
    with pytest.raises(ActionFailed, match=r"no freeze: fail \(freeze.active = true\)"):
        ask(room)
    assert waiver.event in room.events("gate.decided")[0].data["events"]


def test_a_digest_nobody_published_is_unknown(room: Room) -> None:
    assert ask(room)["verdict"] == "not checked"
    assert verdicts(room)["no new critical or high findings"] == "not checked"


def test_a_decision_is_taken_once(room: Room) -> None:
    published(room)
    assert ask(room, key="k", recover=True) is None  # type: ignore[arg-type]
    assert ask(room, key="k") == ask(room, key="k") == ask(room, key="k", recover=True)  # type: ignore[arg-type]
    assert len(room.events("gate.decided")) == 1
    call = Call(plane=room.plane, actor=Actor.run("r"))
    (shown,) = list_gates(call, digest=DIGEST).items
    assert show_gate(call, shown.id) == shown


def test_an_environment_without_a_gate_fails(room: Room) -> None:
    with pytest.raises(ActionFailed, match="no Gate stands for environment 'staging'"):
        ask(room, environment="staging")


def evidence(**values: Any) -> Evidence:
    return Evidence(
        values=values,
        unknown={"slo": "no samples"},
        partial={"findings": "dependencies: none"},
        unchecked=(),
        commit="c",
        events=(),
    )


@pytest.mark.parametrize(
    ("require", "unknown", "verdict", "passes"),
    [
        ("slo.left > 0", "allow", "not checked", True),
        ("slo.left > 0", "deny", "not checked", False),
        ("findings.new.high == 0", "deny", "not checked", False),
        ("findings.new.high == 0", "allow", "not checked", True),
        ("findings.new.high > 0", "allow", "fail", False),
        ("freeze.active", "allow", "fail", False),
        ("!freeze.active", "deny", "pass", True),
        ("incidents.nothing == null", "deny", "pass", True),
        ("tests.failed == 0 && tests.tests > 10", "deny", "pass", True),
        ("fromJSON('{') == 1", "allow", "fail", False),
    ],
)  # fmt: skip
def test_rules(require: str, unknown: Any, verdict: str, passes: bool) -> None:
    known = evidence(
        findings={"new": {"high": 0}},
        freeze={"active": False},
        incidents={"open": 0},
        tests={"tests": 12, "failed": 0, "skipped": 0},
    )
    line, let = judge(GateRule(name="r", require=require, unknown=unknown), known)
    assert (line.verdict, let) == (verdict, passes)


def test_incidents_drift_and_tests_are_seen(room: Room) -> None:
    published(room)
    incident = OpenIncident(
        id="i", title="t", severity="SEV1", service="storefront", environment="", since=datetime.now().astimezone()
    )
    room.answers.values |= {OpenIncidents: (incident,), DriftOf: (Drift(target="host", objects=("a", "b")),)}
    room.record("tests.reported", "commit:c1", "run:r1", tests=5, failed=5, skipped=0)
    room.record("tests.reported", "commit:c1", "run:r2", tests=10, failed=1, skipped=2)
    room.record("tests.reported", "commit:c1", "run:r2", tests=4, failed=0, skipped=0)
    ask(room)
    seen = room.events("gate.decided")[0].data["evidence"]
    assert (seen["incidents"], seen["drift"], seen["tests"]) == (
        {"open": 1},
        {"objects": 2},
        {"tests": 14, "failed": 1, "skipped": 2},
    )


GATE = """apiVersion: opsroom.dev/v1
kind: Gate
metadata: {{name: {name}}}
spec: {{environment: production, rules: [{{name: r, require: '{require}'}}]}}
---
"""


def test_bad_kinds_are_said_with_their_place(room: Room) -> None:
    text = (
        CATALOG
        + "---\n"
        + GATE.format(name="second", require="findings.new.high ==")
        + GATE.format(name="third", require="secrets.X")
    )
    baseline = """apiVersion: opsroom.dev/v1
kind: Baseline
metadata: {name: z}
spec:
  title: t
  controls:
    - {id: CHG-1, title: t, evidence: {event: x.y, subjects: [nothing], within: 1d}}
"""
    _, problems = load_catalog({"opsroom/a.yaml": text, "opsroom/b.yaml": baseline}, "c", (*KINDS, ENVIRONMENT))
    told = "\n".join(map(str, problems))
    assert "has the gate production already" in told and "secrets" in told and "is not kind:value" in told
    assert all(problem.place.line for problem in problems)
