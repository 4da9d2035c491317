"""Running the application: one uvicorn server that ends its streams when it is told to stop."""

from __future__ import annotations

import errno
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from opsroom.contracts.plane import Plane
from opsroom.kernel.errors import Unavailable
from opsroom.kernel.settings import Settings
from opsroom.surfaces.api.guards import is_loopback

GRACE_SECONDS = 2


def serve(plane: Plane, app: Any, settings: Settings, *, ready: Callable[[int], None] = lambda port: None) -> None:
    """Listens on `settings.host` and `port` until SIGINT or SIGTERM; `ready` is called with the port once connections are taken.

    `app.state.stopping`, an asyncio.Event, is set first when stopping, so that event streams end by themselves; what is
    still open after two seconds is cut. Unavailable: the address is taken or is not this machine's."""
    if not is_loopback(settings.host):
        plane.journal.warning(
            "listening beyond this machine without TLS: tokens cross the network in clear unless a proxy in front adds it",
            host=settings.host,
        )
    listener = _bound(settings.host, settings.port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="off",
        ws="none",
        h11_max_incomplete_event_size=64_000,
    )
    try:
        port = listener.getsockname()[1]
        _Server(config, app=app, ready=lambda: ready(port)).run(sockets=[listener])
    finally:
        listener.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, app: Any, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._application = app
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops at SIGINT and SIGTERM and then returns; uvicorn's own would raise them again and skip our caller's clean-up."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._application.state.stopping.set()
        await super().shutdown(sockets)


_WAYS_OUT = {
    errno.EADDRINUSE: "stop what does, or choose another by --port or OPSROOM_PORT",
    errno.EACCES: "choose a port above 1023 by --port or OPSROOM_PORT",
}


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        way_out = _WAYS_OUT.get(error.errno or 0, "set OPSROOM_HOST and OPSROOM_PORT to an address of this machine")
        raise Unavailable(f"cannot listen on {host}:{port}: {error.strerror}; {way_out}") from None
    return listener
