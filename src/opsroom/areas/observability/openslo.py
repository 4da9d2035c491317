"""The kind SLO: the part of OpenSLO v1 that is evaluated; the rest of the format is refused by name.

Format: https://github.com/OpenSLO/OpenSLO (openslo/v1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from opsroom.kernel.errors import Invalid, Problem
from opsroom.kernel.resources import Catalog, Resource
from opsroom.kernel.resources.fields import Duration, OpenSpec, Text
from opsroom.telemetry.promql.parse import parse

ENVIRONMENT = "opsroom.dev/environment"
"""The annotation that says for which environment an SLO speaks."""

Op = Literal["lt", "lte", "gt", "gte"]


class Part(OpenSpec):
    """A part of the format. `refused` are fields of OpenSLO that are not evaluated, and would change what the figure means."""

    refused: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def only_what_is_evaluated(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            for name in cls.refused:
                if name in value:
                    raise ValueError(f"{name} of OpenSLO is not evaluated here; remove it")
        return value


class Query(Part):
    """PromQL, as metric sources of the type Prometheus have it."""

    query: Text


class MetricSource(Part):
    """Where a figure comes from."""

    refused = ("metricSourceRef", "connectionDetails")
    type: Literal["Prometheus", "prometheus"] = "Prometheus"
    spec: Query


class Metric(Part):
    """A figure."""

    metric_source: MetricSource

    @property
    def query(self) -> str:
        return self.metric_source.spec.query


class RatioMetric(Part):
    """Good (or bad) of all. `counter`: the queries give counters, of which increases are taken; otherwise they give rates."""

    refused = ("raw", "rawType")
    counter: bool = False
    good: Metric | None = None
    bad: Metric | None = None
    total: Metric

    @model_validator(mode="after")
    def one_of_good_and_bad(self) -> Self:
        if (self.good is None) == (self.bad is None):
            raise ValueError("exactly one of good and bad is needed")
        return self


class IndicatorSpec(Part):
    """What is measured."""

    ratio_metric: RatioMetric | None = None
    threshold_metric: Metric | None = None

    @model_validator(mode="after")
    def one_of_the_two(self) -> Self:
        if (self.ratio_metric is None) == (self.threshold_metric is None):
            raise ValueError("exactly one of ratioMetric and thresholdMetric is needed")
        return self


class Indicator(Part):
    """An SLI, written in place."""

    metadata: Mapping[str, Any] = {}
    spec: IndicatorSpec


class TimeWindow(Part):
    """How far back the objective looks, in seconds. Calendar windows are not evaluated."""

    refused = ("calendar",)
    duration: Duration = Field(ge=60)
    is_rolling: Literal[True] = True


class Objective(Part):
    """What must hold."""

    refused = ("compositeWeight", "indicator", "indicatorRef")
    display_name: str = ""
    target: float | None = Field(default=None, gt=0, lt=1)
    target_percent: float | None = Field(default=None, gt=0, lt=100)
    op: Op | None = None
    value: float | None = None
    time_slice_target: float | None = Field(default=None, gt=0, le=1)
    time_slice_window: Duration | None = Field(default=None, ge=10)

    @model_validator(mode="after")
    def one_target(self) -> Self:
        if (self.target is None) == (self.target_percent is None):
            raise ValueError("exactly one of target and targetPercent is needed")
        if (self.op is None) != (self.value is None):
            raise ValueError("op and value belong together")
        return self

    @property
    def share(self) -> float:
        """The target as a share of 1."""
        return self.target if self.target is not None else (self.target_percent or 0.0) / 100


class SLO(Part):
    """One objective of one service over one rolling window."""

    refused = ("indicatorRef", "alertPolicies")
    description: str = ""
    service: Text
    indicator: Indicator
    time_window: tuple[TimeWindow, ...] = Field(min_length=1, max_length=1)
    budgeting_method: Literal["Occurrences", "Timeslices"]
    objectives: tuple[Objective, ...] = Field(min_length=1, max_length=1)

    @model_validator(mode="after")
    def fits_together(self) -> Self:
        objective, threshold = self.objectives[0], self.indicator.spec.threshold_metric is not None
        if threshold != (objective.op is not None):
            raise ValueError("op and value of the objective belong to a thresholdMetric, and it needs them")
        sliced = objective.time_slice_target is not None and objective.time_slice_window is not None
        if self.budgeting_method == "Timeslices" and not sliced:
            raise ValueError("Timeslices need timeSliceTarget and timeSliceWindow in the objective")
        return self

    @property
    def objective(self) -> Objective:
        return self.objectives[0]

    @property
    def window(self) -> float:
        """Seconds."""
        return self.time_window[0].duration

    @property
    def queries(self) -> tuple[tuple[tuple[str | int, ...], str], ...]:
        """Every query with its path as in YAML."""
        ratio, threshold = self.indicator.spec.ratio_metric, self.indicator.spec.threshold_metric
        metrics = (
            [("ratioMetric", name, getattr(ratio, name)) for name in ("good", "bad", "total")]
            if ratio
            else [("thresholdMetric", "", threshold)]
        )
        return tuple(
            (("indicator", "spec", kind, *((name,) if name else ()), "metricSource", "spec", "query"), metric.query)
            for kind, name, metric in metrics
            if metric is not None
        )


def check_slo(resource: Resource, catalog: Catalog) -> Iterator[Problem]:
    """Queries that are no PromQL, and an environment that does not exist."""
    for path, query in resource.spec.queries:
        try:
            parse(query)
        except Invalid as error:
            yield Problem(resource.place_of(*path), str(error))
    environment = resource.annotation(ENVIRONMENT)
    if environment and catalog.find("Environment", environment) is None:
        known = ", ".join(one.name for one in catalog.all("Environment")) or "none"
        place = resource.node.place(("metadata", "annotations", ENVIRONMENT))
        yield Problem(place, f"{ENVIRONMENT} {environment!r} refers to no Environment", f"there are: {known}")
