"""The kind Environment: where services run, and how each of them is started, checked and replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from opsroom.kernel.errors import Problem
from opsroom.kernel.resources import (
    Address,
    Catalog,
    Duration,
    Kind,
    Positive,
    Reference,
    Resource,
    SecretText,
    Spec,
    Text,
)

StrategyName = Literal["recreate", "rolling", "blue-green"]


class Health(Spec):
    """How a new process says that it is ready: an answer 200 at `path` within `timeout` seconds."""

    path: Annotated[str, Field(pattern=r"^/")] = "/health"
    timeout: Duration = 15.0


class ServiceHere(Spec):
    """One service as it runs in an environment. `drain` in seconds; `strategy` None: that of the environment."""

    service: Text
    address: Address
    command: Annotated[tuple[Text, ...], Field(min_length=1)]
    env: Mapping[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], SecretText] = {}
    instances: Positive = 1
    strategy: StrategyName | None = None
    health: Health = Health()
    drain: Duration = 10.0


class Environment(Spec):
    """A place where services run: processes on this machine behind one proxy."""

    tier: Literal["development", "testing", "staging", "production"]
    order: int = 0
    strategy: StrategyName = "recreate"
    services: tuple[ServiceHere, ...]


def check_environment(resource: Resource, catalog: Catalog) -> Iterator[Problem]:
    """A service listed twice, or an address that another entry has, here or in an environment before."""
    taken = {
        entry.address: f"{other.name}: {entry.service}"
        for other in catalog.all("Environment")
        if other.name < resource.name
        for entry in other.spec.services
    }
    seen: set[str] = set()
    for index, entry in enumerate(resource.spec.services):
        if entry.service in seen:
            place = resource.place_of("services", index, "service")
            yield Problem(place, f"service {entry.service!r} is listed twice", "keep one of the two")
        if entry.address in taken:
            place = resource.place_of("services", index, "address")
            yield Problem(
                place, f"address {entry.address} is that of {taken[entry.address]} too", "give it another port"
            )
        seen.add(entry.service)
        taken[entry.address] = f"{resource.name}: {entry.service}"


ENVIRONMENT = Kind(
    name="Environment", api_version="opsroom.dev/v1", model=Environment, area="delivery",
    references=(Reference("services[].service", "Component"),), secrets=("services[].env.*",), check=check_environment,
)  # fmt: skip
