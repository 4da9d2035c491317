"""The kinds Scrape and Rules: what is scraped beyond the default, and Prometheus rule files checked as they are pushed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field

from opsroom.areas.observability.openslo import SLO, check_slo
from opsroom.kernel.errors import Problem
from opsroom.kernel.resources import Catalog, Kind, Reference, Resource
from opsroom.kernel.resources.fields import Duration, OpenSpec, Positive, Spec, Text
from opsroom.telemetry.rulefiles import Rule, check_rules

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$")]
LabelName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_SET_BY_US = ("service", "environment", "instance", "version", "deployment")


class Scrape(Spec):
    """How a service is scraped where the default does not fit. Times in seconds."""

    service: Text
    environment: Text | None = None
    targets: tuple[HttpUrl, ...] = ()
    path: str = Field(default="/metrics", pattern=r"^/\S*$")
    interval: Duration | None = Field(default=None, ge=0.1)
    timeout: Duration | None = Field(default=None, ge=0.01)
    labels: Mapping[LabelName, str] = {}
    sample_limit: Positive = 20_000


class Rules(OpenSpec):
    """A Prometheus rule file. It is read and checked by telemetry's own reader, which knows the format; here it is any mapping."""

    groups: Any = None


def check_scrape(resource: Resource, catalog: Catalog) -> Iterator[Problem]:
    """Targets without an environment or with one instance, labels that Opsroom sets itself, and a second Scrape for the same place."""
    spec = resource.spec
    if spec.targets and not spec.environment:
        place = resource.place_of("targets")
        yield Problem(
            place, "targets are given without an environment", "write environment: with the one they belong to"
        )
    instances = [urlsplit(url).netloc for url in spec.targets]
    for index, instance in enumerate(instances):
        if instance in instances[:index]:
            message = (
                f"{spec.targets[index]} has the instance {instance} of a target before it, so only one would be scraped"
            )
            yield Problem(resource.place_of("targets", index), message, "give it a host or port of its own")
    for name in spec.labels:
        if name in _SET_BY_US:
            place = resource.place_of("labels", name)
            yield Problem(place, f"label {name!r} is set by Opsroom", f"use another name than {', '.join(_SET_BY_US)}")
    for other in catalog.all("Scrape"):
        same = (other.spec.service, other.spec.environment) == (spec.service, spec.environment)
        if same and other.name < resource.name and not (spec.targets or other.spec.targets):
            where = f" in {spec.environment}" if spec.environment else ""
            message = f"{spec.service}{where} has a Scrape already, {other.name!r}"
            yield Problem(resource.place_of("service"), message, "keep one of the two")


def check_rule_file(resource: Resource, catalog: Catalog) -> Iterator[Problem]:
    """Everything wrong with a rule file, and runbooks that are not there."""
    text = catalog.read(resource.name).decode("utf-8-sig")
    groups, problems = check_rules(text, resource.name)
    yield from problems
    for group in groups:
        for rule in group.rules:
            yield from _runbook_problem(rule, catalog)


def _runbook_problem(rule: Rule, catalog: Catalog) -> Iterator[Problem]:
    template = rule.annotations.get("runbook_url")
    url = template.text if template else ""
    if not url or "{{" in url or url.startswith(("http://", "https://")) or url in catalog.files:
        return
    books = ", ".join(path for path in sorted(catalog.files) if path.startswith("runbooks/")) or "none"
    yield Problem(
        rule.place, f"the runbook {url!r} of {rule.name} is no file of this repository", f"there are: {books}"
    )


KINDS: tuple[Kind, ...] = (
    Kind(
        name="Scrape", api_version="opsroom.dev/v1", model=Scrape, area="observability", check=check_scrape,
        references=(Reference("service", "Component"), Reference("environment", "Environment")),
    ),
    Kind(
        name="SLO", api_version="openslo/v1", model=SLO, area="observability", check=check_slo,
        references=(Reference("service", "Component"),),
    ),
    Kind(
        name="Rules", api_version="prometheus/v1", model=Rules, area="observability", plural="Rules",
        where=("rules/*.yml", "rules/*.yaml"), check=check_rule_file,
    ),
)  # fmt: skip
