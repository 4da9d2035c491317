"""A Git server that only asks who is there, and refuses everybody; it keeps what they said."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Door:
    """The address of a repository behind it, and the Authorization headers it saw."""

    url: str
    seen: list[str] = field(default_factory=list)


@contextmanager
def git_door() -> Iterator[Door]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            door.seen.append(self.headers.get("Authorization", ""))
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    door = Door(f"http://127.0.0.1:{server.server_address[1]}/shop.git")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield door
    finally:
        server.shutdown()
        server.server_close()
