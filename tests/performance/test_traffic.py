"""Steady traffic: each second counts once, and what could not be reported is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from area_plane import AreaPlane
from opsroom.areas.performance.operations import WindowReport, record_traffic, show_traffic
from opsroom.contracts.facts import TrafficDuring
from opsroom.kernel.actors import Actor
from opsroom.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from opsroom.surfaces.cli.load import Reporter


def window(at: int, sent: int = 10, failed: int = 0) -> WindowReport:
    return WindowReport(
        at=at, sent=sent, failed=failed, buckets={"3": sent}, reasons={"timeout": failed} if failed else {}
    )


@pytest.fixture
def began(room: AreaPlane) -> int:
    room.decide()
    room.deployed(cause=room.push("storefront", "c" * 40).id)
    return int(room.plane.clock.now().timestamp())


def send(room: AreaPlane, *windows: WindowReport, session: str = "trf_1", **given: Any) -> int:
    usual = {"service": "storefront", "environment": "production", **given}
    return record_traffic(room.call, session=session, windows=list(windows), **usual).new


def test_a_second_of_a_session_counts_once(room: AreaPlane, began: int) -> None:
    assert send(room, window(began), window(began + 1, failed=3)) == 2
    assert send(room, window(began + 1, failed=3), window(began + 2)) == 1
    assert send(room, window(began), session="trf_2") == 1
    shown = show_traffic(
        room.call, service="storefront", environment="production", until=room.plane.clock.now() + timedelta(seconds=9)
    )
    assert (shown.requests, shown.failed) == (40, 3)
    assert shown.until is not None and shown.until.timestamp() == began + 3


def test_events_sum_to_what_was_recorded_and_lead_to_the_push(room: AreaPlane, began: int) -> None:
    for first in range(0, 90, 7):
        send(room, *(window(began + second, failed=second % 2) for second in range(first, min(first + 7, 90))))
    send(room, ended=True)
    send(room, ended=True)
    told = room.events("traffic.measured")
    assert sum(event.data["requests"] for event in told) == 900
    assert sum(event.data["failed"] for event in told) == 45
    assert 2 <= len(told) <= 6
    assert [one["until"] for one in (event.data for event in told)][:-1] == [event.data["since"] for event in told][1:]
    assert room.plane.ledger.chain(told[-1].id)[-1].type == "change.pushed"


def test_the_fact_sums_whole_seconds_and_is_unknown_without_any(room: AreaPlane, began: int) -> None:
    now = room.plane.clock.now()
    send(room, window(began), window(began + 1, failed=1), window(began + 2))
    asked = TrafficDuring("storefront", "production", now + timedelta(seconds=1.5), now + timedelta(seconds=2.5))
    answer = room.plane.ask(asked)
    assert answer.value is not None and (answer.value.requests, answer.value.failed) == (20, 1)
    later = room.plane.ask(
        TrafficDuring("storefront", "production", now + timedelta(hours=1), now + timedelta(hours=2))
    )
    assert later.value is None and "no load generator" in later.unknown


def test_bad_reports_are_refused_whole(room: AreaPlane, began: int) -> None:
    send(room, window(began))
    with pytest.raises(NotFound, match="nowhere"):
        send(room, window(began + 1), environment="nowhere")
    with pytest.raises(NotFound, match="store-front"):
        send(room, window(began + 1), service="store-front")
    with pytest.raises(Conflict, match="trf_1"):
        send(room, window(began + 1), environment="staging")
    with pytest.raises(Conflict, match="trf_1"):
        record_traffic(
            room.call_as(Actor(id="person:eve", name="eve")), session="trf_1", service="storefront", environment="production",
            windows=[window(began + 1)],
        )  # fmt: skip
    with pytest.raises(Invalid, match="600"):
        send(room, *(window(began + n) for n in range(601)))
    answer = room.api().post(
        "/api/v1/traffic/record",
        json={
            "session": "s",
            "service": "storefront",
            "environment": "production",
            "windows": [{"at": -1, "sent": 1, "failed": 0}],
        },
    )
    assert answer.status_code == 422 and "at" in answer.text
    assert show_traffic(room.call, service="storefront", environment="production").requests == 10


class Server:
    """Takes what is posted, unless it is away; can be told to lose the answer after it took the body."""

    def __init__(self) -> None:
        self.away = threading.Event()
        self.loses_answers = False
        self.seconds: dict[int, int] = {}
        self.took = threading.Event()
        self.ended = 0

    def post(self, body: Mapping[str, Any]) -> None:
        if self.away.is_set():
            raise Unavailable("no server answers")
        for one in body["windows"]:
            self.seconds.setdefault(one["at"], one["sent"])
        self.ended += body["ended"]
        self.took.set()
        if self.loses_answers:
            self.loses_answers = False
            raise Unavailable("the connection was lost")


def wait_until(held: Any) -> None:
    end = time.monotonic() + 10
    while not held():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_windows_are_kept_while_the_server_is_away() -> None:
    server = Server()
    reporter = Reporter(server.post, {"session": "s"}, every=0.01)
    reporter.add({"at": 1, "sent": 5})
    assert server.took.wait(10)
    server.away.set()
    for at in range(2, 700):
        reporter.add({"at": at, "sent": 5})
    wait_until(lambda: reporter.fault)
    assert list(server.seconds) == [1]
    server.away.clear()
    wait_until(lambda: len(server.seconds) == 699)
    server.loses_answers = True
    reporter.add({"at": 700, "sent": 5})
    assert reporter.close() == 0
    assert server.seconds == dict.fromkeys(range(1, 701), 5)
    assert server.ended >= 1


def test_what_could_not_be_sent_is_said() -> None:
    server = Server()
    server.away.set()
    reporter = Reporter(server.post, {"session": "s"}, every=0.01)
    for at in range(3):
        reporter.add({"at": at, "sent": 5})
    assert reporter.close(within=0.2) == 3
    assert reporter.fault == "no server answers"
