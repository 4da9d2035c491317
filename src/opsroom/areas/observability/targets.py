"""What is to be scraped: everything delivery runs, and what the Scrapes of the ops repo add or change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opsroom.contracts.facts import Running, WhatRuns
from opsroom.kernel.errors import Unavailable
from opsroom.telemetry.port import Labels, labels
from opsroom.telemetry.scrape import Target

if TYPE_CHECKING:
    from opsroom.areas.observability.kinds import Scrape
    from opsroom.contracts.plane import Plane

DEFAULT_PATH = "/metrics"
DEFAULT_SAMPLES = 20_000
_NAMED = ("service", "environment", "instance")


def wanted(plane: Plane) -> list[Target]:
    """The targets as of now. Unavailable: what runs is unknown; the targets known before stay."""
    answer = plane.ask(WhatRuns())
    if answer.value is None:
        raise Unavailable(f"what runs is unknown: {answer.unknown}")
    scrapes = [resource.spec for resource in plane.catalogs.current().all("Scrape")]
    running = [one for one in answer.value if one.url and not _replaced(one, scrapes)]
    found = [_of_running(plane, one, _scrape_of(one.service, one.environment, scrapes)) for one in running]
    found += [target for scrape in scrapes for target in _of_scrape(plane, scrape)]
    return list({target.key: target for target in found}.values())


def place_of(target: Target) -> tuple[str, str, str]:
    """Service, environment and instance: what stays the same from one version to the next."""
    named = dict(target.labels)
    return named.get("service", ""), named.get("environment", ""), named.get("instance", "")


def _of_running(plane: Plane, running: Running, scrape: Scrape | None) -> Target:
    own = {
        "service": running.service, "environment": running.environment, "instance": _instance(running.url),
        "version": running.version, "deployment": running.deployment,
    }  # fmt: skip
    return _target(plane, running.url, own, scrape)


def _of_scrape(plane: Plane, scrape: Scrape) -> Iterator[Target]:
    for url in scrape.targets:
        own = {"service": scrape.service, "environment": scrape.environment or "", "instance": _instance(url)}
        yield replace(_target(plane, url, own, scrape), supplied=True)


def _target(plane: Plane, url: str, own: dict[str, str], scrape: Scrape | None) -> Target:
    interval = (scrape.interval if scrape else None) or plane.settings.scrape_seconds
    return Target(
        url=_with_path(url, scrape.path if scrape else DEFAULT_PATH), interval=interval,
        labels=labels({**(dict(scrape.labels) if scrape else {}), **own}), report=_report(own),
        timeout=(scrape.timeout if scrape else None) or interval,
        sample_limit=scrape.sample_limit if scrape else DEFAULT_SAMPLES,
    )  # fmt: skip


def _report(own: dict[str, str]) -> Labels:
    return labels({name: own[name] for name in _NAMED})


def _scrape_of(service: str, environment: str, scrapes: list[Scrape]) -> Scrape | None:
    """The Scrape of exactly this environment, else that of the service wherever it runs."""
    fitting = [one for one in scrapes if one.service == service and not one.targets]
    exact = [one for one in fitting if one.environment == environment]
    anywhere = [one for one in fitting if one.environment is None]
    return next(iter([*exact, *anywhere]), None)


def _replaced(running: Running, scrapes: list[Scrape]) -> bool:
    """Whether a Scrape names targets of its own for this place: they are scraped instead."""
    return any(
        one.targets and (one.service, one.environment) == (running.service, running.environment) for one in scrapes
    )


def _with_path(url: str, path: str) -> str:
    parts = urlsplit(url)
    return url if parts.path not in ("", "/") else f"{parts.scheme}://{parts.netloc}{path}"


def _instance(url: str) -> str:
    parts = urlsplit(url)
    return (
        parts.netloc.rpartition("@")[2] if parts.port else f"{parts.hostname}:{443 if parts.scheme == 'https' else 80}"
    )
