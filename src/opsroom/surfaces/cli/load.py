"""`opsroom load`: steady traffic by a load test's requests, each second counted and reported once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import click

REPORT_SECONDS = 0.5
CLOSE_SECONDS = 20.0
KEPT_WINDOWS = 86_400
BATCH = 300


@click.command()
@click.argument("test")
@click.option("--environment", default="", help="Where; default: the test's own environment.")
@click.option("--duration", type=float, default=0.0, help="Seconds; default: until it is told to end.")
def load(test: str, environment: str, duration: float) -> None:
    """Send a load test's requests steadily and report what came back, second by second.

    While the server is away its windows are kept, up to a day of them, and sent when it is back."""
    from opsroom.areas.performance.driving import generate
    from opsroom.kernel.clock import SystemClock
    from opsroom.kernel.settings import load_settings
    from opsroom.surfaces.cli.client import Client

    server = Client(load_settings())
    planned = server.ask(
        "GET", "/loadtests/{id}/plan", id=test, query={"environment": environment} if environment else None
    )
    head = {name: planned[name] for name in ("service", "environment", "test")}
    reporter = Reporter(
        lambda body: server.ask("POST", "/traffic/record", body=body), {**head, "session": SystemClock().new_id("trf")}
    )
    try:
        with generate({**planned["plan"], "duration": duration}) as generating:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: generating.end())
            for window in generating:
                reporter.add(window)
    finally:
        unsent = reporter.close()
    if unsent:
        raise click.ClickException(f"{unsent} seconds of traffic could not be reported: {reporter.fault}")


class Reporter:
    """Keeps windows until the server has taken them. `post(body)` raises a UserError while it cannot; `fault` is the last one's words."""

    def __init__(
        self, post: Callable[[Mapping[str, Any]], Any], head: Mapping[str, Any], *, every: float = REPORT_SECONDS
    ) -> None:
        self.fault = ""
        self._every = every
        self._post = post
        self._head = head
        self._kept: list[Mapping[str, Any]] = []
        self._dropped = 0
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._ends = 0.0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def add(self, window: Mapping[str, Any]) -> None:
        """Keeps a window to be sent; beyond a day of them the newest are dropped, and counted by `close`."""
        with self._lock:
            if len(self._kept) < KEPT_WINDOWS:
                self._kept.append(window)
            else:
                self._dropped += 1

    def close(self, *, within: float = CLOSE_SECONDS) -> int:
        """Sends what is left; returns how many windows could not be sent, in this time or before."""
        self._ends = time.monotonic() + within
        self._done.set()
        self._thread.join(timeout=within + 1)
        return len(self._kept) + self._dropped

    def _work(self) -> None:
        while not self._done.wait(self._every):
            self._send_all(ended=False)
        while not self._send_all(ended=True) and time.monotonic() < self._ends:
            time.sleep(min(self._every, max(0.0, self._ends - time.monotonic())))

    def _send_all(self, *, ended: bool) -> bool:
        """Sends what is kept; False where the server did not take it. `ended`: the last of it says so."""
        from opsroom.kernel.errors import UserError

        while True:
            with self._lock:
                batch = self._kept[:BATCH]
                last = len(batch) == len(self._kept)
            if not batch and not ended:
                return True
            try:
                self._post({**self._head, "windows": batch, "ended": ended and last})
            except UserError as error:
                self.fault = str(error)
                return False
            with self._lock:
                del self._kept[: len(batch)]
            if last:
                return True
