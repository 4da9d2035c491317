"""The pages of performance: load tests with their trend, one test beside the run before it, and parts for others."""

from __future__ import annotations

from opsroom.areas.performance import store as rows
from opsroom.areas.performance.buckets import BOUNDS
from opsroom.areas.performance.model import Result
from opsroom.areas.performance.operations import compare_load_tests, show_load_test
from opsroom.contracts.pages import PageDeclaration, PageRequest, Part, View
from opsroom.kernel.errors import NotFound, Place

TREND = 20
LIVE = ("loadtest.", "traffic.")


def show_all(asked: PageRequest) -> View:
    """Every load test of the ops repo with its last verdict and the trend of its p95, then the runs."""
    with asked.call.plane.store.read() as tx:
        results = rows.find_results(tx, service=asked.scope.service, environment=asked.scope.environment, limit=100)
    results, sight = asked.call.sight.only(results), asked.call.sight
    tests = []
    for resource in asked.call.plane.catalogs.current().all("LoadTest"):
        own = [result for result in results if result.test == resource.name][:TREND]
        if asked.scope.service in ("", resource.spec.service) and sight.sees(
            service=resource.spec.service, environment=resource.spec.environment
        ):
            tests.append(
                {"name": resource.name, "spec": resource.spec, "last": own[0] if own else None, "trend": _trend(own)}
            )
    return View(
        template="performance/load_tests.html", values={"tests": tests, "results": results}, title="Performance",
        api="/api/v1/loadtests", live=LIVE,
    )  # fmt: skip


def show_one(asked: PageRequest) -> View:
    """One run of a load test beside the one before it."""
    id = asked.params["id"]
    shown = show_load_test(asked.call, id)
    try:
        comparison = compare_load_tests(asked.call, id)
    except NotFound:
        comparison = None
    with asked.call.plane.store.read() as tx:
        result = rows.get_result(tx, id)
    resource = asked.call.plane.catalogs.current().find("LoadTest", shown.test)
    return View(
        template="performance/load_test.html",
        values={"shown": shown, "comparison": comparison, "histogram": _histogram(result) if result else []},
        title=f"{shown.test} in {shown.environment}", code=_place(resource), api=f"/api/v1/loadtests/{id}",
    )  # fmt: skip


def of_service(asked: PageRequest) -> View | None:
    """The load tests of a service, as a part of its page."""
    with asked.call.plane.store.read() as tx:
        results = rows.find_results(tx, service=asked.params["service"], limit=5)
    results = asked.call.sight.only(results)
    return View(template="performance/part_results.html", values={"results": results}) if results else None


def of_run(asked: PageRequest) -> View | None:
    """The load tests a run carried out."""
    with asked.call.plane.store.read() as tx:
        results = rows.find_results(tx, run=asked.params["id"], limit=10)
    results = asked.call.sight.only(results)
    return View(template="performance/part_results.html", values={"results": results}) if results else None


def _trend(results: list[Result]) -> list[float | None]:
    values = [result.counts.latency(0.95) for result in reversed(results)]
    return [None if value is None else value * 1000 for value in values]


def _histogram(result: Result) -> list[tuple[float, int]]:
    """Each bucket's upper bound in seconds, with the requests that fell into it."""
    buckets = result.counts.buckets
    between = range(min(buckets), max(buckets) + 1) if buckets else ()
    return [(BOUNDS[number], buckets.get(number, 0)) for number in between]


def _place(resource: object) -> Place | None:
    return getattr(resource, "place", None)


PAGES = (
    PageDeclaration(path="/performance", title="Performance", render=show_all, nav="Performance", key="p"),
    PageDeclaration(path="/performance/{id}", title="Load test", render=show_one),
)

PARTS = (
    Part(where="service", title="Load tests", order=60, render=of_service),
    Part(where="run", title="Load tests", order=60, render=of_run),
)
