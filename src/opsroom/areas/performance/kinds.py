"""The kind LoadTest: what is sent, how fast, and what must hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from opsroom.kernel.resources import Kind, Reference
from opsroom.kernel.resources.fields import Duration, Share, Spec


class LoadRequest(Spec):
    """One kind of request; `weight` says how often it is drawn beside the others."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: str = Field(pattern=r"^/[^\s]*$")
    headers: Mapping[
        Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")],
        Annotated[str, Field(pattern=r"^[^\r\n\x00]*$")],
    ] = {}
    json_body: Any = Field(default=None, alias="json")
    weight: int = Field(default=1, ge=1, le=1000)


class Thresholds(Spec):
    """What a run must not pass: latencies in seconds, shares from 0 to 1."""

    p50: Duration | None = None
    p95: Duration | None = None
    p99: Duration | None = None
    max: Duration | None = None
    error_share: Share | None = None
    p95_growth: float | None = Field(default=None, ge=0)


class LoadTestSpec(Spec):
    """An open model: requests leave at their planned times whatever the answers take. `alerts`: whether an alert that it causes calls people;
    None: it does where the environment's tier is production, and nowhere else."""

    service: str
    environment: str = ""
    rate: float = Field(gt=0, le=100_000)
    duration: Duration = Field(gt=0)
    warmup: Duration = 0.0
    timeout: Duration = Field(default=5.0, gt=0)
    connections: int = Field(default=64, ge=1, le=10_000)
    requests: tuple[LoadRequest, ...] = Field(min_length=1)
    thresholds: Thresholds = Thresholds()
    alerts: Literal["mute", "page"] | None = None


LOAD_TEST = Kind(
    name="LoadTest",
    api_version="opsroom.dev/v1",
    model=LoadTestSpec,
    area="performance",
    references=(Reference("service", "Component"), Reference("environment", "Environment")),
)
