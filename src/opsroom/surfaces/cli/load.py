"""`opsroom load`: steady traffic by a load test's requests, each second counted and reported once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from typing import Any

import click

REPORT_SECONDS = 0.5
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
    with generate({**planned["plan"], "duration": duration}) as generating:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: generating.end())
        for window in generating:
            reporter.add(window)
    unsent = reporter.close()
    if unsent:
        raise click.ClickException(f"{unsent} seconds of traffic could not be reported: the server did not answer")


class Reporter:
    """Keeps windows until the server has taken them. `post(body)` raises a UserError while it cannot."""

    def __init__(self, post: Any, head: Mapping[str, Any]) -> None:
        self._post = post
        self._head = head
        self._kept: list[Mapping[str, Any]] = []
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def add(self, window: Mapping[str, Any]) -> None:
        with self._lock:
            self._kept.append(window)
            del self._kept[:-KEPT_WINDOWS]

    def close(self, *, within: float = 20.0) -> int:
        """Sends what is left; returns how many windows could not be sent in time."""
        self._done.set()
        self._thread.join(timeout=within)
        return len(self._kept)

    def _work(self) -> None:
        ends = 0.0
        while True:
            ended = self._done.is_set()
            ends = ends or (time.monotonic() + 20.0 if ended else 0.0)
            sent = self._send(ended=ended)
            if ended and ((sent and not self._kept) or time.monotonic() > ends):
                return
            self._done.wait(REPORT_SECONDS) if not ended else time.sleep(REPORT_SECONDS)

    def _send(self, *, ended: bool) -> bool:
        from opsroom.kernel.errors import UserError

        with self._lock:
            batch = self._kept[:BATCH]
        if not batch and not ended:
            return True
        try:
            last = ended and len(batch) == len(self._kept)
            self._post({**self._head, "windows": batch, "ended": last})
        except UserError:
            return False  # The server is away; the windows stay and are sent again.
        with self._lock:
            del self._kept[: len(batch)]
        return True
