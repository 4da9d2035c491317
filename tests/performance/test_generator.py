"""The generator against a real server: exact counts, an open model, failures by reason."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_server import BROKEN, CHUNKED, NONSENSE, OK, UNTIL_CLOSE, SmallServer, serving

from opsroom.areas.performance.driving import Generating, generate
from opsroom.areas.performance.model import Counts
from opsroom.kernel.errors import Unavailable

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with serving() as made:
        yield made


def plan(server: SmallServer, **given: Any) -> dict[str, Any]:
    usual = {"rate": 100, "duration": 1.0, "requests": [{"path": "/"}], "timeout": 1.0}
    return {"host": "127.0.0.1", "port": server.port, **usual, **given}


def run(plan: Mapping[str, Any]) -> tuple[Counts, list[Mapping[str, Any]]]:
    counts, windows = Counts(), []
    with generate(plan) as generating:
        for window in generating:
            counts = counts.plus(window)
            windows.append(window)
    return counts, windows


def test_every_request_is_counted_once(server: SmallServer) -> None:
    requests = [
        {"path": "/a", "weight": 3},
        {"path": "/b", "method": "POST", "body": "{}"},
        {"path": "/c", "method": "HEAD"},
    ]
    counts, windows = run(plan(server, rate=200, duration=1.5, warmup=0.5, requests=requests))
    assert counts.requests == sum(counts.buckets.values()) == 300
    assert counts.failed == 0
    assert sum(server.paths.values()) == 400  # The warm-up is sent, and not counted.
    assert [window["at"] for window in windows] == sorted({window["at"] for window in windows})
    assert server.paths["/a"] > server.paths["/b"] + server.paths["/c"] > 0


def test_the_same_plan_draws_the_same_requests(server: SmallServer) -> None:
    drawn = []
    for _ in range(2):
        run(plan(server, duration=0.3, requests=[{"path": f"/{n}"} for n in range(5)]))
        drawn.append(dict(server.paths))
        server.paths.clear()
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("answer", [OK, CHUNKED, UNTIL_CLOSE])
def test_answers_are_framed_whatever_their_form(server: SmallServer, answer: bytes) -> None:
    server.answer = lambda path: answer
    counts, _ = run(plan(server, duration=0.5))
    assert (counts.requests, counts.failed) == (50, 0)
    assert (server.connections == 50) is (answer == UNTIL_CLOSE)


def test_failures_are_told_by_reason(server: SmallServer) -> None:
    answers = {"/ok": OK, "/broken": BROKEN, "/nonsense": NONSENSE, "/none": b""}
    server.answer = lambda path: answers[path]
    counts, _ = run(plan(server, rate=200, requests=[{"path": path} for path in answers]))
    assert counts.requests == 200
    assert counts.reasons["status 500"] == server.paths["/broken"]
    assert counts.reasons["malformed answer: no HTTP/1 status line"] == server.paths["/nonsense"]
    # On a kept connection it might have been the idle end of it, so it is tried once more; on a new one it is a failure.
    assert counts.reasons["connection closed before the answer"] == server.paths["/none"] - counts.resent
    assert counts.failed == sum(counts.reasons.values()) == 200 - server.paths["/ok"]


def test_a_stall_shows_in_the_latency_from_the_intended_time(server: SmallServer) -> None:
    def answer(path: str) -> bytes:
        if server.paths.total() == 50:
            server.stalled.set()
            threading.Timer(0.6, server.stalled.clear).start()
        return OK

    server.answer = answer
    counts, _ = run(plan(server, duration=2.0, connections=1, timeout=3.0))
    assert (counts.requests, counts.failed) == (200, 0)
    p50, p99 = counts.latency(0.5), counts.latency(0.99)
    # One connection: a closed model would have sent one slow request; here all 60 of the stall were late.
    assert p99 is not None and p99 > 0.4
    assert p50 is not None and p50 < 0.3
    assert sum(count for number, count in counts.buckets.items() if number >= 100) > 30


def test_what_no_connection_was_free_for_is_a_timeout_and_the_run_ends(server: SmallServer) -> None:
    server.stalled.set()
    counts, _ = run(plan(server, rate=50, duration=0.6, connections=2, timeout=0.3))
    server.stalled.clear()
    assert (counts.requests, counts.failed, counts.reasons["timeout"]) == (30, 30, 30)


def test_a_killed_server_fails_requests_and_comes_back(server: SmallServer) -> None:
    port = server.port

    served = threading.Event()

    def answer(path: str) -> bytes:
        if server.paths.total() == 50:
            served.set()
        return OK

    def restart() -> None:
        served.wait(20)
        server.kill()
        time.sleep(0.4)
        server.start(port)

    server.answer = answer
    restarting = threading.Thread(target=restart)
    restarting.start()
    counts, _ = run(plan(server, duration=2.0, connections=4))
    restarting.join()
    assert counts.requests == 200
    assert 10 <= counts.failed <= 100
    assert counts.reasons["connection refused"] >= 10
    assert counts.requests - counts.failed == sum(server.paths.values())


def test_a_kept_connection_that_the_server_closed_is_not_a_failure(server: SmallServer) -> None:
    stop = threading.Event()

    def close_idle() -> None:
        while not stop.wait(0.035):
            server.close_idle()

    closer = threading.Thread(target=close_idle)
    closer.start()
    counts, _ = run(plan(server, rate=20, duration=2.0))
    stop.set()
    closer.join()
    assert (counts.requests, counts.failed) == (40, 0)
    assert server.connections > 10


def test_it_ends_early_and_in_order(server: SmallServer) -> None:
    counts = Counts()
    with generate(plan(server, duration=0)) as generating:
        for window in generating:
            counts = counts.plus(window)
            generating.end()
    assert counts.requests == sum(server.paths.values()) > 0
    assert counts.failed == 0


def test_a_generator_that_dies_is_not_taken_for_one_that_finished(server: SmallServer) -> None:
    with generate(plan(server, duration=0)) as generating:
        windows = iter(generating)
        next(windows)
        os.kill(generating._process.pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match="ended before its time"):
            list(windows)


def test_a_beat_comes_while_no_window_does(server: SmallServer) -> None:
    class Enough(Exception):
        pass

    beats: list[float] = []

    def beat() -> None:
        beats.append(time.monotonic())
        if len(beats) == 2:
            raise Enough

    begun = time.monotonic()
    with pytest.raises(Enough), generate(plan(server, warmup=30.0), beat=beat) as generating:
        list(generating)
    assert time.monotonic() - begun < 20


def test_it_ends_when_who_asked_for_it_is_gone(server: SmallServer) -> None:
    with generate(plan(server, duration=0)) as generating:
        next(iter(generating))
        assert generating._process.stdout is not None
        generating._process.stdout.close()
        assert _ends(generating) == 1


def _ends(generating: Generating) -> int | None:
    try:
        return generating._process.wait(5)
    except subprocess.TimeoutExpired:
        return None
