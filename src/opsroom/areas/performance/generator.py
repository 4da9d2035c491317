"""The load generator, a process of its own: open model, latency from the intended send time, one JSON line a second.

`python -m opsroom.areas.performance.generator` reads a plan as JSON on standard input (`Plan`), sends, and writes a
`Window` a line for every second in which requests were planned, then `{"end": …}`. A window counts a request in the second
it was *planned* for, once its outcome is known, so windows sum to what was planned. SIGTERM ends it early and in order.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opsroom.areas.performance.buckets import bucket_of
from opsroom.areas.performance.http1 import Connection

LATE_SECONDS = 0.05


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
    that left over 50 ms after their time because the generator itself was behind."""

    at: int
    sent: int = 0
    failed: int = 0
    late: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    buckets: Counter[int] = field(default_factory=Counter)
    planned: int = 0

    @property
    def settled(self) -> bool:
        return self.sent == self.planned

    def to_json(self) -> dict[str, Any]:
        return {
            "at": self.at, "sent": self.sent, "failed": self.failed, "late": self.late, "reasons": self.reasons,
            "buckets": self.buckets,
        }  # fmt: skip


class Generator:
    """Sends a plan. Connections are kept alive; a failure closes its connection, never the run."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._idle: deque[Connection] = deque()
        self._open = 0
        self._waiting: deque[tuple[Request, float, Window | None]] = deque()
        self._windows: dict[int, Window] = {}
        self._stop = asyncio.Event()
        self._choices = _draw(plan)
        self._encoded = {id(request): _encode(request, plan) for request in plan.requests}

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        reporting = asyncio.create_task(self._report())
        await self._send_all()
        self._stop.set()
        ends = time.monotonic() + self._plan.timeout + 1
        while self._pending() and time.monotonic() < ends:
            await asyncio.sleep(0.02)
        await reporting
        self._flush(everything=True)

    async def _send_all(self) -> None:
        plan, began = self._plan, time.monotonic()
        wall = time.time() - began
        for number in itertools.count():
            due = began + number / plan.rate
            if plan.duration and due - began >= plan.warmup + plan.duration:
                return
            while (pause := due - time.monotonic()) > 0 and not self._stop.is_set():
                await asyncio.sleep(min(pause, 0.1))
            if self._stop.is_set():
                return
            window = self._window(due + wall) if due - began >= plan.warmup else None
            if window is not None and time.monotonic() - due > LATE_SECONDS:
                window.late += 1
            self._begin(next(self._choices), due, window)
            if number % 50 == 0:
                await asyncio.sleep(0)

    def _window(self, at: float) -> Window:
        window = self._windows.setdefault(int(at), Window(at=int(at)))
        window.planned += 1
        return window

    def _begin(self, request: Request, due: float, window: Window | None) -> None:
        while self._idle:
            connection = self._idle.popleft()
            if connection.usable:
                self._send(connection, request, due, window)
                return
            self._open -= 1
        if self._open < self._plan.connections:
            self._open += 1
            asyncio.get_running_loop().create_task(self._connect(request, due, window))
        else:
            self._waiting.append((request, due, window))

    async def _connect(self, request: Request, due: float, window: Window | None) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._plan.timeout):
                _, connection = await loop.create_connection(Connection, self._plan.host, self._plan.port)
        except (OSError, TimeoutError) as error:
            self._open -= 1
            self._count(window, due, 0, "timeout" if isinstance(error, TimeoutError) else "connection refused")
            return
        self._send(connection, request, due, window)

    def _send(self, connection: Connection, request: Request, due: float, window: Window | None) -> None:
        remaining = max(0.0, due + self._plan.timeout - time.monotonic())
        timer = asyncio.get_running_loop().call_later(remaining, lambda: expired())

        def expired() -> None:
            connection.abandon()
            self._open -= 1
            self._count(window, due, 0, "timeout")
            self._next()

        def answered(status: int, reason: str) -> None:
            timer.cancel()
            self._count(window, due, status, reason)
            if connection.usable:
                self._idle.append(connection)
            else:
                self._open -= 1
            self._next()

        connection.send(self._encoded[id(request)], answered, head=request.method == "HEAD")

    def _next(self) -> None:
        if self._waiting:
            self._begin(*self._waiting.popleft())

    def _count(self, window: Window | None, due: float, status: int, reason: str) -> None:
        if window is None:
            return
        window.sent += 1
        window.buckets[bucket_of(time.monotonic() - due)] += 1
        if reason or status >= 400:
            window.failed += 1
            window.reasons[reason or f"status {status}"] += 1

    def _pending(self) -> bool:
        return any(not window.settled for window in self._windows.values())

    async def _report(self) -> None:
        while not self._stop.is_set() or self._pending():
            await asyncio.sleep(0.2)
            self._flush()
            if self._stop.is_set() and not self._pending():
                return

    def _flush(self, *, everything: bool = False) -> None:
        now = int(time.time())
        for at in sorted(self._windows):
            window = self._windows[at]
            if everything and not window.settled:
                lost = window.planned - window.sent
                window.sent, window.failed = window.planned, window.failed + lost
                window.reasons["no answer when the run ended"] += lost
            if (window.settled and at < now) or everything:
                del self._windows[at]
                print(json.dumps(window.to_json()), flush=True)


def plan_from_json(value: Mapping[str, Any]) -> Plan:
    return Plan(**{**value, "requests": tuple(Request(**item) for item in value["requests"])})


def _draw(plan: Plan) -> Iterator[Request]:
    # The same plan draws the same requests in the same order, so two runs compare. Nothing secret hangs on it.
    source = random.Random(plan.seed)  # noqa: S311
    weights = [request.weight for request in plan.requests]
    while True:
        yield from source.choices(plan.requests, weights, k=1000)


def _encode(request: Request, plan: Plan) -> bytes:
    body = request.body.encode()
    headers = {"Host": f"{plan.host}:{plan.port}", "User-Agent": "opsroom-load", **request.headers}
    if body:
        headers = {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}
    lines = [f"{request.method} {request.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def main() -> None:
    import uvloop

    plan = plan_from_json(json.load(sys.stdin))
    began = time.time()
    uvloop.run(Generator(plan).run())
    print(json.dumps({"end": time.time(), "began": began}), flush=True)


if __name__ == "__main__":
    main()
