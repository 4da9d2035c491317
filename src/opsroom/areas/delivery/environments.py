"""Environments as the ops repo has them in force: which services may be deployed there, and how each runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opsroom.areas.delivery.model import ServiceSpec
from opsroom.areas.delivery.proxy import Site
from opsroom.contracts.plane import Plane
from opsroom.kernel.errors import NotFound


def environment(plane: Plane, name: str) -> Any:
    """The Environment resource; NotFound names those there are."""
    catalog = plane.catalogs.current()
    found = catalog.find("Environment", name)
    if found is None:
        known = ", ".join(resource.name for resource in catalog.all("Environment")) or "none"
        raise NotFound(f"environment {name!r} is not in the ops repo; there are: {known}")
    return found


def service_spec(plane: Plane, environment_name: str, service: str) -> ServiceSpec:
    """How a service runs there; NotFound when the environment does not list it."""
    resource = environment(plane, environment_name)
    for entry in resource.spec.services:
        if entry.service == service:
            return _spec(resource.spec, entry)
    known = ", ".join(entry.service for entry in resource.spec.services) or "none"
    raise NotFound(f"service {service!r} is not listed in environment {environment_name}; it lists: {known}")


def sites(plane: Plane) -> list[Site]:
    """Every service of every environment as the proxy serves it."""
    return list(_sites(plane))


def _sites(plane: Plane) -> Iterator[Site]:
    for resource in plane.catalogs.current().all("Environment"):
        for entry in resource.spec.services:
            yield Site(name=f"{resource.name}.{entry.service}", address=entry.address, slots=entry.instances)


def _spec(environment_spec: Any, entry: Any) -> ServiceSpec:
    return ServiceSpec(
        address=entry.address, command=tuple(entry.command), env=dict(entry.env), instances=entry.instances,
        strategy=entry.strategy or environment_spec.strategy, health_path=entry.health.path,
        health_timeout=entry.health.timeout, drain=entry.drain,
    )  # fmt: skip
