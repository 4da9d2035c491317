"""opsroom/load-test as a step, what becomes of its result, and the pages that show it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_server import OK, SmallServer, serving

from area_plane import AreaPlane, build_area_plane
from opsroom.areas.performance.actions import load_test, recover, spec_of, what_runs
from opsroom.areas.performance.operations import (
    WindowReport,
    compare_load_tests,
    list_load_tests,
    plan_load_test,
    record_traffic,
)
from opsroom.areas.performance.windows import mutes, window
from opsroom.contracts.actions import ActionCall, ActionFailed
from opsroom.contracts.facts import LoadDuring
from opsroom.kernel.actors import Actor
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import Invalid, NotFound

LOAD_TEST = """\
apiVersion: opsroom.dev/v1
kind: LoadTest
metadata: {name: smoke}
spec:
  service: storefront
  environment: staging
  rate: 60
  duration: 500ms
  requests: [{path: /, headers: {Accept: text/html}}]
  thresholds: {p95: 30s, errorShare: 0.5}
"""


@dataclass
class Port:
    lines: list[str] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)
    stop: bool = False

    def log(self, text: str) -> None:
        self.lines.append(text)

    def summary(self, markdown: str) -> None:
        self.summaries.append(markdown)

    def cancelled(self) -> bool:
        return self.stop


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with serving() as made:
        yield made


@pytest.fixture
def step(room: AreaPlane, server: SmallServer, tmp_path: Path) -> Callable[..., ActionCall]:
    room.decide({"opsroom/load-tests.yaml": LOAD_TEST})
    room.deployed(
        environment="staging", url=f"http://127.0.0.1:{server.port}", cause=room.push("storefront", "c" * 40).id
    )

    def make(key: str = "run_1/load/1/0", **inputs: str) -> ActionCall:
        given = {"test": "smoke", "environment": "", "digest": "", **inputs}
        return ActionCall(
            call=room.call_as(Actor.run("run_1")), inputs=given, key=key, run="run_1", job="load", step=0, repository="storefront",
            commit="c" * 40, ref="refs/heads/main", workspace=tmp_path, port=Port(),
        )  # fmt: skip

    return make


@pytest.mark.slow
def test_a_load_test_is_recorded_once_and_looked_up_after_a_crash(
    room: AreaPlane, step: Any, server: SmallServer
) -> None:
    call = step()
    assert recover(call) is None
    outputs = load_test(call)
    assert outputs["passed"] == "true" and outputs["requests"] == "30" and outputs["failed"] == "0"
    assert float(outputs["p95"]) > 0
    sent = server.paths.total()
    assert recover(call) == outputs
    assert server.paths.total() == sent
    (event,) = room.events("loadtest.finished")
    assert event.data["verdict"] == "passed" and event.data["requests"] == 30
    assert {"service:storefront", "environment:staging", "run:run_1"} <= set(event.subjects)
    assert room.plane.ledger.chain(event.id)[-1].type == "change.pushed"
    (began,) = room.events("loadtest.started")
    assert began.time <= event.time and began.data["test"] == "smoke" and "environment:staging" in began.subjects
    now = room.plane.clock.now()
    (load,) = room.plane.ask(LoadDuring(now - timedelta(minutes=1), now)).value or ()
    assert (load.test, load.environment, load.event, load.going_on) == ("smoke", "staging", began.id, False)
    assert call.port.lines[-1].startswith("30 sent, 0 failed") and "smoke: passed" in call.port.summaries[0]


@pytest.mark.slow
def test_a_threshold_that_is_passed_fails_the_step_now_and_after_a_crash(
    room: AreaPlane, step: Any, server: SmallServer
) -> None:
    load_test(step("a"))
    server.answer = lambda path: b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(ActionFailed, match=r"smoke failed: 30 of 30 requests failed \(status 503: 30\)"):
        load_test(step("b"))
    with pytest.raises(Invalid, match="30 of 30"):
        recover(step("b"))
    last, first = list_load_tests(room.call).items
    compared = compare_load_tests(room.call, last.id)
    assert (compared.before.id, compared.after.verdict) == (first.id, "failed")
    assert compared.note == "p99 rests on the slowest 1 of 30 requests"
    with pytest.raises(NotFound, match="nothing to compare"):
        compare_load_tests(room.call, first.id)
    shown = room.page(f"/performance/{last.id}")
    assert "30 of 30 requests failed" in shown and "Beside the run before" in shown
    assert "smoke" in room.page("/performance")


@pytest.mark.slow
def test_figures_of_two_versions_are_those_of_none(room: AreaPlane, step: Any, server: SmallServer) -> None:
    def answer(path: str) -> bytes:
        if server.paths.total() == 10:
            room.deployed(environment="staging", url=f"http://127.0.0.1:{server.port}")
        return OK

    server.answer = answer
    with pytest.raises(ActionFailed, match="not measured: another deployment of storefront took over"):
        load_test(step())


@pytest.mark.slow
def test_a_cancelled_test_ends_soon_and_records_nothing(room: AreaPlane, step: Any) -> None:
    call = step()
    call.port.stop = True
    with pytest.raises(ActionFailed, match="cancelled"):
        load_test(call)
    assert not room.events("loadtest.finished")


def test_what_cannot_be_tested_is_said_before_a_request_is_sent(
    room: AreaPlane, step: Any, server: SmallServer
) -> None:
    with pytest.raises(NotFound, match=r"'nope' is not in the ops repo; there are: smoke"):
        load_test(step(test="nope"))
    with pytest.raises(Invalid, match="nothing of storefront runs in production"):
        load_test(step(environment="production"))
    with pytest.raises(ActionFailed, match="deploy that first"):
        load_test(step(digest="sha256:" + "e" * 64))
    assert not server.paths


def test_a_plan_is_what_the_command_sends(room: AreaPlane, step: Any, server: SmallServer) -> None:
    step()
    planned = plan_load_test(room.call, "smoke")
    assert planned.plan["port"] == server.port and planned.plan["duration"] == 0
    answer = room.api().get("/api/v1/loadtests/smoke/plan", params={"environment": "staging"})
    assert answer.status_code == 200 and answer.json()["plan"]["requests"][0]["headers"] == {"Accept": "text/html"}


def test_the_empty_page_teaches(room: AreaPlane) -> None:
    room.decide()
    assert "opsroom/load-tests.yaml" in room.page("/performance")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rate: 60", "rate: 0"),
        ("path: /,", "path: no-slash,"),
        ("Accept: text/html", '"Bad Name": x'),
        ("p95: 30s", "p95: soon"),
    ],
)
def test_a_malformed_test_is_a_problem_with_its_place(room: AreaPlane, line: str, words: str) -> None:
    found = room.problems({"opsroom/load-tests.yaml": LOAD_TEST.replace(line, words)})
    assert found and all(one.startswith("opsroom/load-tests.yaml:") for one in found)


def test_load_is_known_while_it_is_sent_and_ends_by_itself_where_the_server_was_killed(
    room: AreaPlane, step: Any, clock: FakeClock
) -> None:
    call, spec = step(), spec_of(room.plane, "smoke")
    running = what_runs(room.plane, "storefront", "staging")
    began = clock.now()

    def loads() -> list[tuple[bool, float]]:
        answer = room.plane.ask(LoadDuring(began - timedelta(seconds=1), clock.now(), "staging"))
        return [(one.going_on, (one.until - began).total_seconds()) for one in answer.value or ()]

    killed = window(call, "smoke", spec, running, times=3)
    killed.__enter__()
    clock.advance(1)
    assert loads() == [(True, 1.0)]
    clock.advance(60)
    assert loads() == [(False, 16.5)], "three measurements of 0.5 s with a timeout of 5 s"
    with window(call, "smoke", spec, running, times=3):
        clock.advance(2)
    assert loads() == [(False, 63.0)]
    assert len(room.events("loadtest.started")) == 1
    other = LoadDuring(began, clock.now(), "production")
    assert room.plane.ask(other).value == ()


def test_steady_traffic_is_load_from_its_first_second_to_its_last(room: AreaPlane, step: Any, clock: FakeClock) -> None:
    step()
    at = int(clock.now().timestamp())
    windows = [WindowReport(at=at + second, sent=30, failed=0) for second in range(5)]
    record_traffic(room.call, session="s1", service="storefront", environment="staging", windows=windows, test="steady")
    clock.advance(7)
    (load,) = room.plane.ask(LoadDuring(clock.now() - timedelta(minutes=1), clock.now())).value or ()
    assert (load.kind, load.test, load.mutes, load.going_on) == ("traffic", "steady", False, True)
    assert room.plane.ledger.get(load.event).type == "traffic.measured"
    clock.advance(60)
    assert room.plane.ask(LoadDuring(clock.now() - timedelta(seconds=30), clock.now())).value == ()


@pytest.mark.parametrize(
    ("written", "tier", "expected"),
    [("", "staging", True), ("", "production", False), ("page", "staging", False), ("mute", "production", True)],
)
def test_alerts_are_muted_outside_production_unless_the_file_says_otherwise(
    tmp_path: Path, clock: FakeClock, written: str, tier: str, expected: bool
) -> None:
    room = build_area_plane(tmp_path, ("performance", "delivery"), clock)
    said = f"  alerts: {written}\n" if written else ""
    environment = f"""\
apiVersion: opsroom.dev/v1
kind: Environment
metadata: {{name: staging}}
spec: {{tier: {tier}, services: [{{service: storefront, address: "127.0.0.1:8711", command: [python3]}}]}}
"""
    room.decide({"opsroom/load-tests.yaml": LOAD_TEST + said, "opsroom/environments.yaml": environment})
    assert mutes(room.plane, spec_of(room.plane, "smoke"), "staging") is expected
    room.plane.store.close()
