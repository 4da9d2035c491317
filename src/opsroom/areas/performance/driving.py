"""Running the generator as a child process, and reading what it counts as it counts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import opsroom
from opsroom.areas.performance.kinds import LoadTestSpec
from opsroom.kernel.errors import Invalid, Unavailable
from opsroom.kernel.settings import child_environment


def plan_of(spec: LoadTestSpec, url: str, *, duration: float | None = None) -> dict[str, Any]:
    """The generator's plan for a test against a service's address. `duration` 0: until it is told to end."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise Invalid(f"{url!r} is no http address; load tests speak HTTP/1.1 to what Opsroom deployed")
    return {
        "host": parts.hostname, "port": parts.port or 80, "rate": spec.rate, "warmup": spec.warmup,
        "duration": spec.duration if duration is None else duration, "timeout": spec.timeout,
        "connections": spec.connections,
        "requests": [
            {"method": one.method, "path": one.path, "headers": dict(one.headers), "weight": one.weight,
             "body": "" if one.json_body is None else json.dumps(one.json_body)}
            for one in spec.requests
        ],
    }  # fmt: skip


class Generating:
    """A running generator: iterate for its windows; `end` asks it to finish in order. Unavailable: it ended by itself before its time.

    `beat` is called at least once a second, however long a window takes; what it raises ends the iteration."""

    def __init__(self, process: subprocess.Popen[str], beat: Callable[[], None]) -> None:
        self._process = process
        self._beat = beat
        self._told_to_end = False

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "end" in said:
                return
            self._beat()
            if "at" in said:
                yield said
        if not self._told_to_end:
            raise Unavailable(
                f"the load generator ended before its time (exit status {self._process.wait()}); run it again"
            )

    def end(self) -> None:
        self._told_to_end = True
        self._process.terminate()


@contextmanager
def generate(plan: Mapping[str, Any], *, beat: Callable[[], None] = lambda: None) -> Iterator[Generating]:
    """Starts the generator for a plan; it is ended when the block is left."""
    package = str(Path(opsroom.__file__).resolve().parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "opsroom.areas.performance.generator"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env={**child_environment(), "PYTHONPATH": package},
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps(plan))
    process.stdin.close()
    try:
        yield Generating(process, beat)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
