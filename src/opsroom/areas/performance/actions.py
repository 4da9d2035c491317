"""opsroom/load-test: a load test as a step, its result recorded, its thresholds judged."""

from __future__ import annotations

import time
from collections.abc import Mapping

from opsroom.areas.performance import store as rows
from opsroom.areas.performance.driving import generate, plan_of
from opsroom.areas.performance.kinds import LoadTestSpec
from opsroom.areas.performance.model import Counts, Result, judge
from opsroom.areas.performance.windows import window
from opsroom.contracts.actions import Action, ActionCall, ActionFailed, ActionInput
from opsroom.contracts.facts import Running, WhatRuns
from opsroom.contracts.plane import Plane
from opsroom.kernel.errors import Invalid, NotFound

MEASURES = 3


def load_test(call: ActionCall) -> Mapping[str, str]:
    """Sends the test's traffic at what runs in the environment and fails the step where a threshold is passed."""
    plane, name = call.call.plane, call.inputs["test"]
    spec = spec_of(plane, name)
    environment = call.inputs["environment"] or spec.environment
    if not environment:
        raise ActionFailed(f"load test {name} names no environment; give one under `with:`")
    running = what_runs(plane, spec.service, environment)
    if call.inputs["digest"] and running.digest != call.inputs["digest"]:
        raise ActionFailed(
            f"{spec.service} in {environment} runs {running.digest[:19]}, not {call.inputs['digest'][:19]}; deploy that first"
        )
    started = plane.clock.now()
    with window(call, name, spec, running, times=MEASURES):
        counts, verdict, broken = _measure(call, spec, running)
    bare = Result(
        id=plane.clock.new_id("ldt"), key=call.key, test=name, service=spec.service, environment=environment,
        digest=running.digest, run=call.run, verdict=verdict, rate=spec.rate, counts=counts, broken=broken,
        started=started, finished=plane.clock.now(), event="",
    )  # fmt: skip
    _record(call, bare, running)
    call.port.summary(_summary(bare))
    return _outputs(bare)


def recover(call: ActionCall) -> Mapping[str, str] | None:
    """A finished test is looked up; one that was cut off is run again, since half a test says nothing."""
    with call.call.plane.store.read() as tx:
        known = rows.result_by_key(tx, call.key)
    try:
        return None if known is None else _outputs(known)
    except ActionFailed as failure:
        raise Invalid(str(failure)) from None


def spec_of(plane: Plane, name: str) -> LoadTestSpec:
    """The LoadTest of the ops repo in force; NotFound names those there are."""
    resource = plane.catalogs.current().find("LoadTest", name)
    if resource is None:
        known = ", ".join(one.name for one in plane.catalogs.current().all("LoadTest")) or "none"
        raise NotFound(f"load test {name!r} is not in the ops repo; there are: {known}")
    spec: LoadTestSpec = resource.spec
    return spec


def what_runs(plane: Plane, service: str, environment: str) -> Running:
    """What serves there now; Invalid says why there is nothing to send to."""
    answer = plane.ask(WhatRuns(service, environment))
    if not answer.value:
        raise Invalid(
            f"nothing of {service} runs in {environment}{f' ({answer.unknown})' if answer.unknown else ''}; deploy it first"
        )
    return answer.value[0]


def _measure(call: ActionCall, spec: LoadTestSpec, running: Running) -> tuple[Counts, str, tuple[str, ...]]:
    """Sends and judges. A run that says more of this machine than of the service is measured again, at most three times."""
    plane, name = call.call.plane, call.inputs["test"]
    with plane.store.read() as tx:
        last = rows.find_results(tx, test=name, environment=running.environment, verdict="passed", limit=1)
    for attempt in range(1, MEASURES + 1):
        counts = _send(call, spec, running.url)
        verdict, broken = judge(
            counts, spec.thresholds, last[0].counts if last else None, disturbed=_disturbed(plane, running)
        )
        if verdict != "not measured" or attempt == MEASURES:
            break
        call.port.log(f"not measured: {'; '.join(broken)}; measuring again, {attempt + 1} of {MEASURES}")
    return counts, verdict, broken


def _send(call: ActionCall, spec: LoadTestSpec, url: str) -> Counts:
    counts, told = Counts(), time.monotonic()

    def beat() -> None:
        if call.port.cancelled():
            raise ActionFailed("the load test was cancelled")

    call.port.log(
        f"{spec.rate:g} requests a second for {spec.duration:g} s to {url}, after {spec.warmup:g} s of warm-up"
    )
    with generate(plan_of(spec, url), beat=beat) as generating:
        for window in generating:
            counts = counts.plus(window)
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                call.port.log(_line(counts))
    call.port.log(_line(counts))
    return counts


def _disturbed(plane: Plane, before: Running) -> str:
    """Why the figures are not those of what ran when the test began; "" where they are."""
    now = plane.ask(WhatRuns(before.service, before.environment)).value or ()
    if any(one.deployment == before.deployment for one in now):
        return ""
    return f"another deployment of {before.service} took over in {before.environment} while the test ran"


def _record(call: ActionCall, result: Result, running: Running) -> None:
    plane, counts = call.call.plane, result.counts
    subjects = [
        f"service:{result.service}", f"environment:{result.environment}", f"digest:{result.digest}", f"run:{result.run}",
        f"commit:{running.commit}",
    ]  # fmt: skip
    with plane.store.begin() as tx:
        event = plane.ledger.record(
            tx, "loadtest.finished", actor=call.call.actor.id, cause=call.call.cause or running.event, subjects=subjects,
            key=f"loadtest:{call.key}",
            data={"test": result.test, "verdict": result.verdict, "requests": counts.requests, "failed": counts.failed,
                  "error_share": round(counts.error_share, 6), "p50_ms": _ms(counts, 0.5), "p95_ms": _ms(counts, 0.95),
                  "p99_ms": _ms(counts, 0.99), "rate": result.rate, "broken": list(result.broken)},
        )  # fmt: skip
        if rows.result_by_key(tx, result.key) is None:
            fields = {name: getattr(result, name) for name in Result.__dataclass_fields__}
            rows.add_result(tx, Result(**{**fields, "event": event.id}))


def _outputs(result: Result) -> dict[str, str]:
    if result.verdict != "passed":
        raise ActionFailed(f"load test {result.test} {result.verdict}: {'; '.join(result.broken)}")
    p95 = result.counts.latency(0.95)
    return {
        "passed": "true", "requests": str(result.counts.requests), "failed": str(result.counts.failed),
        "p95": "" if p95 is None else f"{p95:.4f}",
    }  # fmt: skip


def _summary(result: Result) -> str:
    counts = result.counts
    head = f"### Load test {result.test}: {result.verdict}\n\n| requests | failed | p50 | p95 | p99 |\n| --- | --- | --- | --- | --- |\n"
    row = f"| {counts.requests} | {counts.failed} | {_ms(counts, 0.5)} ms | {_ms(counts, 0.95)} ms | {_ms(counts, 0.99)} ms |\n"
    return head + row + "".join(f"\n- {reason}" for reason in result.broken)


def _line(counts: Counts) -> str:
    return f"{counts.requests} sent, {counts.failed} failed, p50 {_ms(counts, 0.5)} ms, p95 {_ms(counts, 0.95)} ms"


def _ms(counts: Counts, q: float) -> float | None:
    value = counts.latency(q)
    return None if value is None else round(value * 1000, 2)


ACTIONS = (
    Action(
        name="opsroom/load-test",
        help="Sends a load test's traffic at what runs in an environment, and judges its thresholds.",
        inputs=(
            ActionInput(name="test", required=True, help="a LoadTest of the ops repo"),
            ActionInput(name="environment", help="where; default: the test's own"),
            ActionInput(name="digest", help="fail unless this artefact is what runs there"),
        ),
        outputs={"passed": "true", "requests": "how many", "failed": "how many", "p95": "seconds"},
        permission=("deployments", "read"),
        run=load_test,
        recover=recover,
    ),
)
