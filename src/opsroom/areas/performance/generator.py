"""The load generator, a process of its own: open model, latency from the intended send time, one JSON line a second.

`python -m opsroom.areas.performance.generator` reads a plan as JSON on standard input (`Plan`), sends, and writes a
`Window` a line for every second in which requests were planned, in order, then `{"end": …}`; between them `{"beat": …}`
twice a second. A window counts a request in the second it was *planned* for and is written once all its outcomes are known,
so windows sum to what was planned, and what comes before the last one written is complete. SIGTERM ends it early and in order.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import random
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opsroom.areas.performance.buckets import bucket_of
from opsroom.areas.performance.http1 import CLOSED, Connection

LATE_SECONDS = 0.05
LOOK_SECONDS = 0.05
BEAT_SECONDS = 0.5
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One kind of request and how often it is drawn."""

    method: str = "GET"
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to send: `rate` requests a second for `duration` seconds (0: until told to end), after `warmup` seconds not counted."""

    host: str
    port: int
    rate: float
    duration: float
    requests: Sequence[Request]
    warmup: float = 0.0
    timeout: float = 5.0
    connections: int = 64
    seed: int = 1


@dataclass(slots=True, kw_only=True)
class Window:
    """One second: `at` its start (epoch seconds), counts, failures by reason, latencies as {bucket number: count}, `late` requests
    that left over 50 ms after their time because the generator itself was behind, `resent` those sent once more because the other
    side had just ended the kept connection (RFC 9112 section 9.3.1), which is no failure."""

    at: int
    sent: int = 0
    failed: int = 0
    late: int = 0
    resent: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)
    planned: int = 0

    @property
    def settled(self) -> bool:
        return self.sent == self.planned

    def to_json(self) -> dict[str, Any]:
        return {
            "at": self.at, "sent": self.sent, "failed": self.failed, "late": self.late, "resent": self.resent, "reasons": self.reasons,
            "buckets": self.buckets,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sending:
    """One request on its way: `due` is its intended time (monotonic); `window` None: it is warm-up and not counted; `again`: it is sent
    for the second time."""

    request: Request
    due: float
    window: Window | None
    again: bool = False


class Generator:
    """Sends a plan. Connections are kept alive; a failure closes its connection, never the run."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._idle: deque[Connection] = deque()
        self._open = 0
        self._waiting: deque[Sending] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._windows: dict[int, Window] = {}
        self._planned_until = 0
        self._stop = asyncio.Event()
        self._beat = 0.0
        self._choices = _draw(plan)
        self._encoded = {id(request): _encode(request, plan) for request in plan.requests}

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        looking = asyncio.create_task(self._look())
        await self._send_all()
        ends = time.monotonic() + self._plan.timeout + 1
        while self._windows and time.monotonic() < ends:
            await asyncio.sleep(LOOK_SECONDS / 2)
        looking.cancel()
        self._write_windows(everything=True)

    async def _send_all(self) -> None:
        plan, began = self._plan, time.monotonic()
        wall = time.time() - began
        first, end = _count(plan.warmup * plan.rate), _count((plan.warmup + plan.duration) * plan.rate)
        for number in range(end) if plan.duration else itertools.count():
            due = began + number / plan.rate
            self._planned_until = int(due + wall)
            while (pause := due - time.monotonic()) > 0 and not self._stop.is_set():
                await asyncio.sleep(min(pause, 0.1))
            if self._stop.is_set():
                break
            window = self._window(due + wall) if number >= first else None
            if window is not None and time.monotonic() - due > LATE_SECONDS:
                window.late += 1
            self._begin(Sending(next(self._choices), due, window))
            if number % 50 == 0:
                await asyncio.sleep(0)
        self._planned_until = sys.maxsize

    def _window(self, at: float) -> Window:
        window = self._windows.setdefault(int(at), Window(at=int(at)))
        window.planned += 1
        return window

    def _begin(self, sending: Sending) -> None:
        while self._idle:
            # The one used last is the least likely to have been closed by the other side.
            connection = self._idle.pop()
            if connection.fresh():
                self._send(connection, sending)
                return
            self._open -= 1
        if self._open < self._plan.connections:
            self._begin_anew(sending)
        else:
            self._waiting.append(sending)

    def _begin_anew(self, sending: Sending) -> None:
        self._open += 1
        task = asyncio.get_running_loop().create_task(self._connect(sending))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, sending: Sending) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._left(sending)):
                _, connection = await loop.create_connection(Connection, self._plan.host, self._plan.port)
        except (OSError, TimeoutError) as error:
            self._open -= 1
            self._count(sending, 0, _reason(error))
            self._next()
            return
        self._send(connection, sending)

    def _send(self, connection: Connection, sending: Sending) -> None:
        timer = asyncio.get_running_loop().call_later(self._left(sending), lambda: expired())

        def expired() -> None:
            connection.abandon()
            self._open -= 1
            self._count(sending, 0, "timeout")
            self._next()

        def answered(status: int, reason: str) -> None:
            timer.cancel()
            if reason == CLOSED and connection.kept and not sending.again and sending.request.method in IDEMPOTENT:
                self._open -= 1
                self._resend(sending)
                return
            self._count(sending, status, reason)
            if connection.usable:
                self._idle.append(connection)
            else:
                self._open -= 1
            self._next()

        connection.send(self._encoded[id(sending.request)], answered, head=sending.request.method == "HEAD")

    def _resend(self, sending: Sending) -> None:
        """The other side ended the kept connection while this was on its way, and so never took it: its time goes on counting."""
        if sending.window is not None:
            sending.window.resent += 1
        self._begin_anew(replace(sending, again=True))

    def _next(self) -> None:
        self._expire_waiting()
        if self._waiting:
            self._begin(self._waiting.popleft())

    def _expire_waiting(self) -> None:
        """Gives up those that no connection was free for in all their time."""
        while self._waiting and not self._left(self._waiting[0]):
            self._count(self._waiting.popleft(), 0, "timeout")

    def _left(self, sending: Sending) -> float:
        return max(0.0, sending.due + self._plan.timeout - time.monotonic())

    def _count(self, sending: Sending, status: int, reason: str) -> None:
        window = sending.window
        if window is None:
            return
        window.sent += 1
        window.buckets[bucket_of(time.monotonic() - sending.due)] += 1
        if reason or status >= 400:
            window.failed += 1
            window.reasons[reason or f"status {status}"] += 1

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._expire_waiting()
            self._write_windows()
            if time.monotonic() - self._beat > BEAT_SECONDS:
                self._beat = time.monotonic()
                self._write({"beat": time.time()})

    def _write_windows(self, *, everything: bool = False) -> None:
        """Writes the windows that are whole, oldest first and none before one that is not."""
        for at in sorted(self._windows):
            window = self._windows[at]
            if not everything and (at >= self._planned_until or not window.settled):
                return
            if lost := window.planned - window.sent:
                window.sent, window.failed = window.planned, window.failed + lost
                window.reasons["no answer when the run ended"] += lost
            del self._windows[at]
            self._write(window.to_json())

    def _write(self, line: Mapping[str, Any]) -> None:
        try:
            print(json.dumps(line), flush=True)
        except BrokenPipeError:
            # Who asked for this load is gone; nobody would count it, and nobody would end it.
            os._exit(1)


def plan_from_json(value: Mapping[str, Any]) -> Plan:
    return Plan(**{**value, "requests": tuple(Request(**item) for item in value["requests"])})


def _count(planned: float) -> int:
    """How many requests lie before a moment; what binary fractions leave above a whole number is none (50/s for 0.6 s are 30)."""
    return math.ceil(planned - 1e-6)


def _draw(plan: Plan) -> Iterator[Request]:
    # The same plan draws the same requests in the same order, so two runs compare. Nothing secret hangs on it.
    source = random.Random(plan.seed)  # noqa: S311
    weights = [request.weight for request in plan.requests]
    while True:
        yield from source.choices(plan.requests, weights, k=1000)


def _encode(request: Request, plan: Plan) -> bytes:
    body = request.body.encode()
    headers = {"host": ("Host", f"{plan.host}:{plan.port}"), "user-agent": ("User-Agent", "opsroom-load")}
    if body:
        headers["content-type"] = ("Content-Type", "application/json")
    headers |= {name.lower(): (name, value) for name, value in request.headers.items()}
    if body or request.method in WITH_BODY:
        headers["content-length"] = ("Content-Length", str(len(body)))
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.values())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return f"no connection: {error.strerror or type(error).__name__}"


def main() -> None:
    import uvloop

    plan = plan_from_json(json.load(sys.stdin))
    uvloop.run(Generator(plan).run())
    print(json.dumps({"end": time.time()}), flush=True)


if __name__ == "__main__":
    main()
