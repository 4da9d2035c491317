"""The kinds Gate and Baseline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator

from opsroom.kernel.errors import Problem
from opsroom.kernel.resources import Catalog, Duration, Kind, Positive, Reference, Resource, Spec, Text

EVIDENCE = ("findings", "slo", "incidents", "drift", "freeze", "tests")
"""What a gate's expression may name first."""


class GateRule(Spec):
    """One thing that must hold. `unknown`: what becomes of the gate while evidence that the expression names is unknown."""

    name: Text
    require: Text
    unknown: Literal["allow", "deny"] = "deny"


class GateSpec(Spec):
    """What must hold before a digest is deployed to an environment."""

    environment: Text
    rules: Annotated[tuple[GateRule, ...], Field(min_length=1)]


class EvidenceQuery(Spec):
    """Which events of the ledger prove a control; `within` in seconds."""

    event: Text
    subjects: tuple[str, ...] = ()
    where: str = ""
    within: Duration
    at_least: Positive = 1

    @field_validator("subjects")
    @classmethod
    def _kind_and_value(cls, subjects: tuple[str, ...]) -> tuple[str, ...]:
        for subject in subjects:
            if not all(subject.partition(":")[::2]):
                raise ValueError(f"{subject!r} is not kind:value, such as environment:production")
        return subjects


class Control(Spec):
    """One control and the evidence that proves it."""

    id: Text
    title: Text
    evidence: EvidenceQuery


class BaselineSpec(Spec):
    """Controls that a team answers for."""

    title: Text
    source: str = ""
    controls: Annotated[tuple[Control, ...], Field(min_length=1)]


def check_gate(resource: Resource, catalog: Catalog) -> Iterator[Problem]:
    """A second gate of an environment, a rule named twice, or an expression that cannot be read."""
    earlier = [
        one.name for one in catalog.all("Gate")
        if one.spec.environment == resource.spec.environment and one.name < resource.name
    ]  # fmt: skip
    if earlier:
        place = resource.place_of("environment")
        yield Problem(
            place, f"environment {resource.spec.environment} has the gate {earlier[0]} already", "put the rules there"
        )
    names: set[str] = set()
    for index, rule in enumerate(resource.spec.rules):
        if rule.name in names:
            yield Problem(
                resource.place_of("rules", index, "name"), f"rule {rule.name!r} stands twice", "give it another name"
            )
        names.add(rule.name)
        yield from _flaws(resource, ("rules", index, "require"), rule.require, EVIDENCE)


def check_baseline(resource: Resource, catalog: Catalog) -> Iterator[Problem]:
    """A control whose id another has, in this baseline or one before, or an expression that cannot be read."""
    taken = {
        control.id: other.name
        for other in catalog.all("Baseline")
        if other.name < resource.name
        for control in other.spec.controls
    }
    for index, control in enumerate(resource.spec.controls):
        if control.id in taken:
            place = resource.place_of("controls", index, "id")
            yield Problem(place, f"control {control.id!r} stands in {taken[control.id]} already", "give it another id")
        taken[control.id] = resource.name
        if control.evidence.where:
            yield from _flaws(resource, ("controls", index, "evidence", "where"), control.evidence.where, ("event",))


def _flaws(resource: Resource, path: tuple[str | int, ...], text: str, contexts: tuple[str, ...]) -> Iterator[Problem]:
    from opsroom.workflows.expressions import check

    for flaw in check(text, allowed_contexts=contexts):
        way_out = flaw.way_out or f"an expression may name {', '.join(contexts)}"
        yield Problem(resource.place_of(*path), " ".join(flaw.message.split()), way_out)


GATE = Kind(
    name="Gate", api_version="opsroom.dev/v1", model=GateSpec, area="security",
    references=(Reference("environment", "Environment"),), check=check_gate,
)  # fmt: skip
BASELINE = Kind(
    name="Baseline",
    api_version="opsroom.dev/v1",
    model=BaselineSpec,
    area="security",
    events=("controls[].evidence.event",),
    check=check_baseline,
)
KINDS = (GATE, BASELINE)
