"""Load tests: list, show, compare, plan. Traffic: record, show."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import Field

from opsroom.areas.performance import store as rows
from opsroom.areas.performance.actions import spec_of, what_runs
from opsroom.areas.performance.driving import plan_of
from opsroom.areas.performance.model import Result
from opsroom.contracts.facts import WhatRuns
from opsroom.contracts.operations import Model, Page, operation
from opsroom.contracts.plane import Call
from opsroom.contracts.scopes import NAMED, SEEN, Seen
from opsroom.contracts.sight import Sight
from opsroom.kernel.actors import Resource
from opsroom.kernel.errors import Invalid, NotFound

WINDOWS_LIMIT = 600
TELL_SECONDS = 30
LAST_SECOND = 4_102_444_800
"""The year 2100: a later second is no second anyone has counted."""
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class LoadTestView(Model):
    """One finished load test; latencies in seconds, None without requests. `late`: left after their time; `resent`: sent once more
    because the other side had just ended the kept connection."""

    columns: ClassVar[tuple[str, ...]] = (
        "id", "test", "service", "environment", "verdict", "rate", "requests", "failed", "p50", "p95", "p99", "finished",
    )  # fmt: skip
    id: str
    test: str
    service: str
    environment: str
    digest: str
    run: str
    verdict: str
    broken: list[str]
    rate: float
    requests: int
    failed: int
    late: int
    resent: int
    reasons: dict[str, int]
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None
    started: datetime
    finished: datetime
    event: str


class Comparison(Model):
    """Two results side by side: `change` by percentile is (after / before - 1), None where either is missing. A change below 4 %
    is within the width of the buckets and says nothing."""

    before: LoadTestView
    after: LoadTestView
    change: dict[str, float | None]
    note: str


class TrafficPlan(Model):
    """What `opsroom traffic` sends, and to whom."""

    service: str
    environment: str
    test: str
    plan: dict[str, Any]


class WindowReport(Model):
    """One second as a generator counted it: `at` its start in epoch seconds."""

    at: int = Field(ge=0, le=LAST_SECOND)
    sent: Count
    failed: Count
    late: Count = 0
    resent: Count = 0
    reasons: dict[str, Count] = Field(default_factory=dict)
    buckets: dict[Annotated[str, Field(pattern=r"^[0-9]{1,3}$")], Count] = Field(default_factory=dict)


class Recorded(Model):
    """How many of the windows were new; the others had been recorded before."""

    new: int


class TrafficView(Model):
    """Traffic to a service as generators counted it. `until` is the end of the last second counted, None where there is none."""

    service: str
    environment: str
    requests: int
    failed: int
    since: datetime | None
    until: datetime | None
    windows: list[WindowReport]


@operation("loadtests.list", scope=SEEN)
def list_load_tests(
    call: Call,
    *,
    test: str = "",
    service: str = "",
    environment: str = "",
    run: str = "",
    after: str = "",
    limit: int = 50,
) -> Page[LoadTestView]:
    """Finished load tests, newest first."""
    with call.plane.store.read() as tx:
        found = rows.find_results(
            tx, test=test, service=service, environment=environment, run=run, after=after, limit=limit + 1
        )
    items = [_view(result) for result in found[:limit]]
    return Page[LoadTestView](items=items, next=items[-1].id if len(found) > limit else "")


@operation("loadtests.show", scope=SEEN)
def show_load_test(call: Call, id: str) -> LoadTestView:
    """One finished load test."""
    return _view(_get(call, id))


def _shows_both(sight: Sight, compared: Comparison) -> bool:
    return sight.shows(compared.before) and sight.shows(compared.after)


def _of_test(call: Call, given: Mapping[str, Any]) -> Resource:
    spec = spec_of(call.plane, str(given["id"]))
    where = str(given.get("environment") or spec.environment)
    return Resource(kind="loadtest", id=str(given["id"]), team=call.sight.owner(spec.service), environment=where)


@operation("loadtests.compare", scope=Seen(_shows_both))
def compare_load_tests(call: Call, id: str, *, before: str = "") -> Comparison:
    """This load test beside an earlier one; by default the last of the same test and environment before it."""
    after = _get(call, id)
    earlier = _get(call, before) if before else _last_before(call, after)
    change = {name: _change(earlier.counts.latency(q), after.counts.latency(q)) for name, q in PERCENTILES.items()}
    small = min(earlier.counts.requests, after.counts.requests)
    note = f"p99 rests on the slowest {max(1, small // 100):,} of {small:,} requests" if small < 10_000 else ""
    return Comparison(before=_view(earlier), after=_view(after), change=change, note=note)


@operation("loadtests.plan", scope=_of_test)
def plan_load_test(call: Call, id: str, *, environment: str = "") -> TrafficPlan:
    """What a load test of the ops repo would send to what runs in an environment."""
    spec = spec_of(call.plane, id)
    where = environment or spec.environment
    if not where:
        raise Invalid(f"load test {id} names no environment; give one")
    running = what_runs(call.plane, spec.service, where)
    return TrafficPlan(service=spec.service, environment=where, test=id, plan=plan_of(spec, running.url, duration=0.0))


@operation("traffic.record", needs="operate", scope=NAMED)
def record_traffic(
    call: Call,
    *,
    session: str,
    service: str,
    environment: str,
    windows: list[WindowReport],
    test: str = "",
    ended: bool = False,
) -> Recorded:
    """Record seconds of traffic that a load generator has counted; each second of a session counts once.

    Error: the service or environment is not in the catalog; more than 600 windows; the session is someone else's."""
    if len(windows) > WINDOWS_LIMIT:
        raise Invalid(f"{len(windows)} windows at once; send at most {WINDOWS_LIMIT}")
    plane = call.plane
    plane.catalogs.current().get("Component", service)
    plane.catalogs.current().get("Environment", environment)
    running = plane.ask(WhatRuns(service, environment))
    head = {"id": session, "service": service, "environment": environment, "test": test, "actor": call.actor.id,
            "started": plane.clock.now()}  # fmt: skip
    with plane.store.begin() as tx:
        new = rows.add_windows(tx, head, [window.model_dump() for window in windows])
        told, flow = rows.untold(tx, session)
        if flow is not None and (ended or flow.seconds >= TELL_SECONDS or not told):
            plane.ledger.record(
                tx, "traffic.measured", actor=call.actor.id, cause=running.value[0].event if running.value else "",
                subjects=[f"service:{service}", f"environment:{environment}"], key=f"traffic:{session}:{flow.last}",
                data={"requests": flow.requests, "failed": flow.failed, "session": session,
                      "since": _moment(flow.first).isoformat(), "until": _moment(flow.last + 1).isoformat()},
            )  # fmt: skip
            rows.set_told(tx, session, flow.last)
    return Recorded(new=new)


@operation("traffic.show", scope=NAMED)
def show_traffic(
    call: Call,
    *,
    service: str,
    environment: str,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 120,
) -> TrafficView:
    """The traffic of a service as load generators counted it, by default of the last hour."""
    end = until or call.plane.clock.now() + timedelta(seconds=1)
    begin = since or end - timedelta(hours=1)
    with call.plane.store.read() as tx:
        found = rows.flow(tx, service, environment, begin, end)
        windows = rows.windows(tx, service, environment, begin, end, limit)
    return TrafficView(
        service=service, environment=environment, requests=found.requests if found else 0, failed=found.failed if found else 0,
        since=_moment(found.first) if found else None, until=_moment(found.last + 1) if found else None,
        windows=[
            WindowReport(at=row["second"], sent=row["sent"], failed=row["failed"], resent=row["resent"], reasons=row["reasons"], buckets=row["buckets"])
            for row in windows
        ],
    )  # fmt: skip


def _get(call: Call, id: str) -> Result:
    with call.plane.store.read() as tx:
        found = rows.get_result(tx, id)
    if found is None:
        raise NotFound(f"load test {id!r} was never run; `opsroom loadtests list` shows those that were")
    return found


def _last_before(call: Call, result: Result) -> Result:
    with call.plane.store.read() as tx:
        found = rows.find_results(tx, test=result.test, environment=result.environment, after=result.id, limit=1)
    if not found:
        raise NotFound(
            f"{result.test} in {result.environment} was not run before {result.id}; there is nothing to compare with"
        )
    return found[0]


def _view(result: Result) -> LoadTestView:
    counts = result.counts
    return LoadTestView(
        id=result.id, test=result.test, service=result.service, environment=result.environment, digest=result.digest,
        run=result.run, verdict=result.verdict, broken=list(result.broken), rate=result.rate, requests=counts.requests,
        failed=counts.failed, late=counts.late, resent=counts.resent, reasons=dict(counts.reasons), p50=counts.latency(0.5), p95=counts.latency(0.95),
        p99=counts.latency(0.99), max=counts.slowest, started=result.started, finished=result.finished, event=result.event,
    )  # fmt: skip


def _change(before: float | None, after: float | None) -> float | None:
    return None if not before or after is None else round(after / before - 1, 4)


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
