"""opsroom/gate: evidence gathered from every area by facts, the rules of the Gate judged over it, the decision stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from opsroom.areas.security import gate_store as rows
from opsroom.areas.security.facts import OnDigest, on_digest
from opsroom.areas.security.kinds import GateRule, GateSpec
from opsroom.areas.security.model import SEVERITIES, GateDecision, GateInput
from opsroom.contracts.actions import ActionCall, ActionFailed
from opsroom.contracts.facts import BudgetLeft, DriftOf, OpenIncidents, OwnerOf, WhatRuns
from opsroom.contracts.plane import Plane

PASS, FAIL, NOT_CHECKED = "pass", "fail", "not checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a gate knows: values by the name an expression begins with, why one is unknown or not whole, and the events behind."""

    values: Mapping[str, Any]
    unknown: Mapping[str, str]
    partial: Mapping[str, str]
    unchecked: tuple[str, ...]
    commit: str
    events: tuple[str, ...]


def gate(call: ActionCall) -> Mapping[str, str]:
    """Decides once for each key; a decision against fails the step with one line."""
    plane = call.call.plane
    with plane.store.read() as tx:
        known = rows.by_key(tx, call.key)
    return _told(call, known or _decide(call))


def recover_gate(call: ActionCall) -> Mapping[str, str] | None:
    """The decision taken under this key; None: none was."""
    with call.call.plane.store.read() as tx:
        known = rows.by_key(tx, call.key)
    return _told(call, known) if known else None


def gather(plane: Plane, service: str, environment: str, digest: str) -> Evidence:
    """Asks every area for its part of the evidence."""
    here = on_digest(plane, digest)
    running = plane.ask(WhatRuns(service, environment))
    there = running.value[0].digest if running.value else ""
    values: dict[str, Any] = {}
    unknown: dict[str, str] = {}
    partial: dict[str, str] = {}
    events = list(here.events)
    if here.unknown:
        unknown["findings"] = here.unknown
    else:
        values["findings"], gap = _findings(plane, here, there, running.unknown)
        if here.unchecked or gap:
            partial["findings"] = "; ".join(filter(None, (*here.unchecked, gap)))
    budget = plane.ask(BudgetLeft(service))
    _take(values, unknown, "slo", {"left": min(one.left for one in budget.value)} if budget.value else None,
          budget.unknown or f"no SLO of {service} is evaluated")  # fmt: skip
    incidents = plane.ask(OpenIncidents(service))
    _take(
        values,
        unknown,
        "incidents",
        None if incidents.value is None else {"open": len(incidents.value)},
        incidents.unknown,
    )
    drift = plane.ask(DriftOf())
    objects = None if drift.value is None else {"objects": sum(len(one.objects) for one in drift.value)}
    _take(values, unknown, "drift", objects, drift.unknown)
    freeze = _freeze(plane, service, environment)
    values["freeze"] = {"active": freeze is not None}
    tests = _tests(plane, here.commit)
    _take(values, unknown, "tests", tests, "no test report of the commit it was built from")
    events += [*budget.events, *incidents.events, *drift.events, *([freeze] if freeze else [])]
    return Evidence(
        values=values, unknown=unknown, partial=partial, unchecked=here.unchecked, commit=here.commit,
        events=tuple(dict.fromkeys(events)),
    )  # fmt: skip


def judge(rule: GateRule, evidence: Evidence) -> tuple[GateInput, bool]:
    """The verdict on one rule, and whether it lets pass.

    Evidence that is unknown makes it *not checked*. Evidence that is known in part makes it fail where what is known breaks it
    already, and *not checked* where it does not."""
    from opsroom.areas.security.kinds import EVIDENCE
    from opsroom.workflows.expressions import ExpressionError, evaluate, references, truthy

    try:
        named = references(rule.require)
        value = truthy(evaluate(rule.require, evidence.values, allowed=EVIDENCE))
    except ExpressionError as error:
        return GateInput(name=rule.name, verdict=FAIL, detail=str(error)), False
    seen = _seen(rule.require, evidence)
    missing = [f"{name}: {evidence.unknown[name]}" for name in sorted(named) if name in evidence.unknown]
    blind = [evidence.partial[name] for name in sorted(named) if name in evidence.partial]
    allowed = rule.unknown == "allow"
    if missing:
        return GateInput(
            name=rule.name, verdict=NOT_CHECKED, detail=_joined([*missing, f"unknown: {rule.unknown}"])
        ), allowed
    if not value:
        return GateInput(name=rule.name, verdict=FAIL, detail=seen), False
    if blind:
        return GateInput(
            name=rule.name, verdict=NOT_CHECKED, detail=_joined([seen, *blind, f"unknown: {rule.unknown}"])
        ), allowed
    return GateInput(name=rule.name, verdict=PASS, detail=seen), True


def _decide(call: ActionCall) -> GateDecision:
    plane, inputs = call.call.plane, call.inputs
    service, environment, digest = inputs["service"], inputs["environment"], inputs["digest"]
    name, spec = _gate_of(plane, environment)
    evidence = gather(plane, service, environment, digest)
    judged = [judge(rule, evidence) for rule in spec.rules]
    lines = [
        GateInput(name=line.partition(": ")[0], verdict=NOT_CHECKED, detail=line.partition(": ")[2])
        for line in evidence.unchecked
    ]
    bare = GateDecision(
        id=plane.clock.new_id("gat"), key=call.key, gate=name, service=service, environment=environment, digest=digest,
        commit=evidence.commit, run=call.run, verdict=PASS if all(passes for _, passes in judged) else FAIL,
        inputs=(*(one for one, _ in judged), *lines), evidence={**evidence.values, "unknown": dict(evidence.unknown)},
        created=plane.clock.now(), event="",
    )  # fmt: skip
    return _record(call, bare, evidence, refused=[one.name for one, passes in judged if not passes])


def _record(call: ActionCall, bare: GateDecision, evidence: Evidence, *, refused: list[str]) -> GateDecision:
    plane = call.call.plane
    subjects = {"service": bare.service, "environment": bare.environment, "digest": bare.digest, "run": bare.run,
                "commit": bare.commit}  # fmt: skip
    with plane.store.begin() as tx:
        if known := rows.by_key(tx, call.key):
            return known
        event = plane.ledger.record(
            tx, "gate.decided", actor=call.call.actor.id, cause=call.call.cause, key=f"gate:{call.key}",
            subjects=[f"{kind}:{value}" for kind, value in subjects.items() if value],
            data={"decision": bare.id, "gate": bare.gate, "verdict": bare.verdict, "refused": refused,
                  "inputs": [asdict(one) for one in bare.inputs], "evidence": bare.evidence,
                  "events": list(evidence.events[:100])},
        )  # fmt: skip
        decision = replace(bare, event=event.id)
        rows.add(tx, decision)
    return decision


def _told(call: ActionCall, decision: GateDecision) -> Mapping[str, str]:
    for one in decision.inputs:
        call.port.log(f"{one.verdict}: {one.name}{f' ({one.detail})' if one.detail else ''}")
    lines = [f"### Gate {decision.gate}: {decision.verdict}", "", "| | verdict | |", "| --- | --- | --- |"]
    lines += [f"| {_cell(one.name)} | {one.verdict} | {_cell(one.detail)} |" for one in decision.inputs]
    call.port.summary("\n".join(lines) + "\n")
    if decision.verdict == FAIL:
        failed = [one for one in decision.inputs if one.verdict == FAIL] or [
            one for one in decision.inputs if one.verdict == NOT_CHECKED
        ]
        told = "; ".join(f"{one.name}: {one.verdict}{f' ({one.detail})' if one.detail else ''}" for one in failed)
        raise ActionFailed(
            f"gate {decision.gate} does not let {decision.digest[:19]} into {decision.environment}: {told}"[:1000]
        )
    return {"verdict": decision.output}


def _gate_of(plane: Plane, environment: str) -> tuple[str, GateSpec]:
    gates = plane.catalogs.current().all("Gate")
    for resource in gates:
        if resource.spec.environment == environment:
            return resource.name, resource.spec
    known = ", ".join(one.spec.environment for one in gates) or "none"
    raise ActionFailed(
        f"no Gate stands for environment {environment!r} (there are for: {known}); add one to the ops repo"
    )


def _findings(plane: Plane, here: OnDigest, running: str, unknown_running: str) -> tuple[dict[str, Any], str]:
    """Counts of the digest, and why they are not whole ("" : they are). Without knowledge of what runs there all counts as new."""
    there = on_digest(plane, running) if running else OnDigest()
    old = {one.id for one in there.findings} | (
        {one.id for one in here.findings} if running and there.commit == here.commit else set()
    )
    open_here = [one for one in here.findings if one.id not in here.waived]
    new = [one for one in open_here if one.id not in old]
    totals, fresh = Counter(one.severity for one in open_here), Counter(one.severity for one in new)
    values = {
        "total": {name: totals[name] for name in SEVERITIES},
        "new": {name: fresh[name] for name in SEVERITIES},
        "waived": len(here.waived),
    }
    return values, f"what runs there is unknown: {unknown_running}" if unknown_running else ""


def _freeze(plane: Plane, service: str, environment: str) -> str | None:
    """The event of a freeze that covers this now."""
    owner = (plane.ask(OwnerOf(service)).value or "").removeprefix("group:")
    labels = {"service": service, "environment": environment, "team": owner}
    waiver = plane.waivers.active("freeze", {name: value for name, value in labels.items() if value})
    return waiver.event if waiver else None


def _tests(plane: Plane, commit: str) -> dict[str, int] | None:
    """The reports of the last run that gave any, added up."""
    found = plane.ledger.find(types=["tests.reported"], subjects=[f"commit:{commit}"], limit=100) if commit else []
    last = [event for event in found if event.subject("run") == found[0].subject("run")]
    if not last:
        return None
    return {name: sum(int(event.data.get(name, 0)) for event in last) for name in ("tests", "failed", "skipped")}


def _take(values: dict[str, Any], unknown: dict[str, str], name: str, value: Any, reason: str) -> None:
    if value is None:
        unknown[name] = reason or "unknown"
    else:
        values[name] = value


def _seen(expression: str, evidence: Evidence) -> str:
    """The values that an expression names, as `findings.new.high = 0`."""
    import re

    told = []
    for path in dict.fromkeys(re.findall(r"[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)+", expression)):
        value: Any = evidence.values
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if path.split(".")[0] in evidence.values:
            told.append(f"{path} = {_text(value)}")
    return ", ".join(told)


def _text(value: Any) -> str:
    return "unknown" if value is None else str(value).lower() if isinstance(value, bool) else f"{value:g}"


def _joined(parts: list[str]) -> str:
    return "; ".join(part for part in parts if part)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())[:400]
