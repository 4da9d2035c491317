"""The one way out of a sandbox: an HTTP proxy in the runner that lets a job reach the hosts it was granted, and no other.

It listens on a Unix socket that is bound into the sandbox; a small forwarder inside makes it 127.0.0.1:3128, which the usual
proxy variables name. Grants are `host`, `*.suffix` (ports 80 and 443) or `host:port`. Whatever a name resolves to, an internal
address is refused, unless a grant names that very host and port.
"""

from __future__ import annotations

import ipaddress
import select
import shlex
import shutil
import socket
import socketserver
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from opsroom.kernel.errors import Invalid

_PORT = 3128
_SOCKET = "proxy.sock"
_HEAD_LIMIT = 65_536
_IDLE_SECONDS = 300.0
_CONNECT_SECONDS = 20.0
_USUAL_PORTS = (80, 443)
_FORWARDER = """
import socket, sys, threading
def pump(a, b):
    try:
        while data := a.recv(65536): b.sendall(data)
    except OSError: pass
    finally:
        try: b.shutdown(socket.SHUT_WR)
        except OSError: pass
def serve(c):
    u = socket.socket(socket.AF_UNIX)
    try: u.connect(sys.argv[1])
    except OSError: c.close(); return
    t = threading.Thread(target=pump, args=(u, c), daemon=True); t.start(); pump(c, u); t.join(); c.close(); u.close()
s = socket.create_server(("127.0.0.1", int(sys.argv[2])), backlog=64)
print("ready", flush=True)
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """One entry of `JobOrder.network`: a host in lower case, `*.suffix` for all below it, and a port (0: 80 and 443)."""

    host: str
    port: int = 0

    @classmethod
    def read(cls, text: str) -> Grant:
        """Invalid: neither `host`, `*.suffix` nor `host:port`."""
        host, _, port = (
            text.strip().lower().rpartition(":") if not text.strip().endswith("]") else (text.strip().lower(), "", "")
        )
        if not host or not port.isdigit():
            host, port = text.strip().lower(), "0"
        host = host.strip("[]")
        if not host or "/" in host or "*" in host.removeprefix("*.") or not 0 <= int(port) < 65536:
            raise Invalid(f"network {text!r} is no host; write example.org, *.example.org or example.org:8443")
        return cls(host, int(port))

    def allows(self, host: str, port: int) -> bool:
        """Whether the grant covers this host (in lower case, without a final dot) and port."""
        if (self.port and port != self.port) or (not self.port and port not in _USUAL_PORTS):
            return False
        return host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host

    def names(self, host: str, port: int) -> bool:
        """Whether it names exactly this host and port, which is what an internal address needs."""
        return self.host == host and self.port == port


class Egress:
    """The proxy of one job. `folder` holds its socket and is what the sandbox gets, as `inside`; `say` writes to the job's log."""

    def __init__(self, network: Sequence[str], *, inside: str, say: Callable[[str], None]) -> None:
        self._inside = inside
        self._grants = tuple(Grant.read(one) for one in network)
        self._say = say
        self.folder = Path(tempfile.mkdtemp(prefix="opsroom-egress-"))
        # A socket's path may have 107 bytes, and a job's folder can be deeper than that.
        self._server = _Server(str(self.folder / _SOCKET), _Connection)
        self._server.egress = self

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Closes the proxy and every connection through it."""
        self._server.shutdown()
        self._server.server_close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def forwarder(self) -> str:
        """What the job's shell runs before its first step; it waits until the forwarder listens."""
        python = str(Path(sys.base_prefix).resolve() / "bin" / f"python3.{sys.version_info.minor}")
        pipe = "/tmp/.egress"  # noqa: S108 - inside
        start = f"{shlex.quote(python)} -I -S -c {shlex.quote(_FORWARDER)} {self._inside}/{_SOCKET} {_PORT} </dev/null >{pipe} 2>/dev/null 3>&- 4>&- &"
        return f"mkfifo {pipe}; {start} read -r _ <{pipe}; rm -f {pipe}; "

    def variables(self) -> dict[str, str]:
        """The usual variables, in both spellings."""
        proxy = f"http://127.0.0.1:{_PORT}"
        names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")
        own = "localhost,127.0.0.1,::1"
        return {**dict.fromkeys(names, proxy), "no_proxy": own, "NO_PROXY": own}

    def connect(self, host: str, port: int) -> socket.socket:
        """A connection to a host that was granted. Refused: it was not, or it is an internal address."""
        host = host.lower().strip("[]").removesuffix(".")
        granted = [grant for grant in self._grants if grant.allows(host, port)]
        if not granted:
            raise self._refused(f"{host}:{port} is not granted; add it to the workflow's network grants")
        internal_too = any(grant.names(host, port) for grant in granted)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Refused(502, f"{host} cannot be resolved: {error.strerror or error}") from error
        last: OSError | None = None
        for family, kind, protocol, _, address in found:
            if not internal_too and is_internal(str(address[0])):
                raise self._refused(
                    f"{host}:{port} is the internal address {address[0]}; grant {host}:{port} to allow it"
                )
            connection = socket.socket(family, kind, protocol)
            connection.settimeout(_CONNECT_SECONDS)
            try:
                connection.connect(address)
            except OSError as error:
                connection.close()
                last = error
            else:
                connection.settimeout(None)
                return connection
        raise Refused(502, f"{host}:{port} cannot be reached: {last}")

    def _refused(self, reason: str) -> Refused:
        self._say(f"network: refused: {reason}")
        return Refused(403, reason)


class Refused(Exception):
    """The proxy answers with this HTTP status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        super().__init__(reason)


def is_internal(address: str) -> bool:
    """Whether an address is not one of the public Internet: loopback, private, link-local, shared, reserved, multicast."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            return is_internal(str(inner))
        if found in ipaddress.ip_network("64:ff9b::/96"):
            return is_internal(str(ipaddress.ip_address(int(found) & 0xFFFFFFFF)))
    return not found.is_global or found.is_multicast


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    egress: Egress


class _Connection(socketserver.BaseRequestHandler):
    """One client: CONNECT, or a request with an absolute URL, answered by the host it names and then closed."""

    def handle(self) -> None:
        client = cast(socket.socket, self.request)
        client.settimeout(_IDLE_SECONDS)
        try:
            head, rest = _read_head(client)
            method, target, version = head[0].split(" ", 2)
            if method.upper() == "CONNECT":
                host, port = _authority(target, 443)
                first, answer = rest, b"HTTP/1.1 200 Connection established\r\n\r\n"
            else:
                url = urlsplit(target)
                if url.scheme != "http" or not url.hostname:
                    raise Refused(400, f"{target[:80]!r} is no http URL; https goes by CONNECT")
                host, port = url.hostname, url.port or 80
                first, answer = _rewritten(method, url.path, url.query, version, head[1:]) + rest, b""
            upstream = cast(_Server, self.server).egress.connect(host, port)
        except Refused as refused:
            _answer(client, refused.status, refused.reason)
            return
        except (ValueError, OSError):
            _answer(client, 400, "the request cannot be read")
            return
        with upstream:
            try:
                if answer:
                    client.sendall(answer)
                if first:
                    upstream.sendall(first)
                _relay(client, upstream)
            except OSError:
                return


def _read_head(client: socket.socket) -> tuple[list[str], bytes]:
    raw = b""
    while b"\r\n\r\n" not in raw:
        chunk = client.recv(8192)
        if not chunk:
            raise ValueError("the client went away")
        raw += chunk
        if len(raw) > _HEAD_LIMIT:
            raise Refused(431, "the request's head is too large")
    head, _, rest = raw.partition(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n"), rest


def _authority(text: str, port: int) -> tuple[str, int]:
    url = urlsplit(f"//{text}")
    if not url.hostname:
        raise Refused(400, f"{text[:80]!r} is no host and port")
    return url.hostname, url.port or port


def _rewritten(method: str, path: str, query: str, version: str, headers: list[str]) -> bytes:
    """The request as a server wants it. One request a connection, so that the next cannot go to another host unseen."""
    kept = [
        one
        for one in headers
        if one.partition(":")[0].strip().lower() not in ("proxy-connection", "connection", "proxy-authorization")
    ]
    target = (path or "/") + (f"?{query}" if query else "")
    return "\r\n".join([f"{method} {target} {version}", *kept, "Connection: close", "", ""]).encode("latin-1")


def _answer(client: socket.socket, status: int, reason: str) -> None:
    body = f"{reason}\n".encode()
    head = f"HTTP/1.1 {status} Refused\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    try:
        client.sendall(head.encode() + body)
    except OSError:
        return


def _relay(client: socket.socket, upstream: socket.socket) -> None:
    """Passes bytes both ways until both sides are done, or nothing moves for five minutes."""
    other = {client: upstream, upstream: client}
    open_ = set(other)
    while open_:
        ready, _, _ = select.select(list(open_), [], [], _IDLE_SECONDS)
        if not ready:
            return
        for source in ready:
            data = source.recv(65_536)
            if data:
                other[source].sendall(data)
                continue
            open_.discard(source)
            try:
                other[source].shutdown(socket.SHUT_WR)
            except OSError:
                return
