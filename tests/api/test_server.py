"""The server process: it listens, says why it cannot, and ends its streams when told to stop."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import httpx2
import pytest

from opsroom.kernel.clock import FakeClock
from opsroom.kernel.errors import Unavailable
from opsroom.kernel.journal import Journal
from opsroom.kernel.settings import Settings
from opsroom.surfaces.api.guards import is_loopback, own_names
from opsroom.surfaces.api.server import serve

STREAMING = """
import asyncio, sys
sys.path[:0] = {path!r}
from types import SimpleNamespace
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route
from opsroom.kernel.settings import Settings
from opsroom.surfaces.api.server import serve

async def stream(request):
    async def ticks():
        yield b"begun "
        await app.state.stopping.wait()
        yield b"ended"
    return StreamingResponse(ticks())

app = Starlette(routes=[Route("/", stream)])
app.state.stopping = asyncio.Event()
serve(None, app, Settings(port={port}), ready=lambda port: print("ready", flush=True))
print("stopped", flush=True)
"""


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.slow
def test_stopping_ends_streams_by_themselves(port: int) -> None:
    code = STREAMING.format(path=sys.path, port=port)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        with httpx2.stream("GET", f"http://127.0.0.1:{port}/", trust_env=False, timeout=20) as answer:
            chunks = answer.iter_bytes()
            assert next(chunks) == b"begun "
            asked = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert b"".join(chunks) == b"ended"
        assert process.stdout.read() == "stopped\n"
        assert time.monotonic() - asked < 10
    assert process.returncode == 0


def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{taken}: Address already in use"):
            serve(None, None, Settings(port=taken))  # type: ignore[arg-type]


def test_listening_to_others_is_said_in_the_journal(clock: FakeClock) -> None:
    out = io.StringIO()
    plane = SimpleNamespace(journal=Journal(clock, out=out))
    with pytest.raises(Unavailable, match="192.0.2.1"):
        serve(plane, None, Settings(host="192.0.2.1"))  # type: ignore[arg-type]
    assert "without TLS" in out.getvalue()


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


def test_the_name_in_the_url_is_ours() -> None:
    assert "ops.example" in own_names(Settings(url="https://ops.example:8443/"))
    assert socket.gethostname() not in own_names(Settings())
    assert socket.gethostname() in own_names(Settings(host="0.0.0.0"))
