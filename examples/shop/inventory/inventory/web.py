"""A small HTTP/1.1 server on the standard library: routes, metrics, JSON logs with trace ids, and a stop that drops no request.

The same file stands in every service of the shop.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the latency histogram, in seconds."""

MAX_BODY = 1_000_000
_UNCOUNTED = {"/metrics", "/health"}


@dataclass(frozen=True, slots=True)
class Trace:
    """One step of a W3C trace (www.w3.org/TR/trace-context): ids in lower-case hexadecimal."""

    trace_id: str
    span_id: str
    flags: str = "01"

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    @classmethod
    def continued(cls, header: str | None) -> Trace:
        """A new span of the trace that `header` names; of a new trace where the header is absent or malformed."""
        found = re.fullmatch(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})", header or "")
        trace_id, flags = found.groups() if found else (secrets.token_hex(16), "01")
        return cls(trace_id, secrets.token_hex(8), flags)


@dataclass(frozen=True, slots=True)
class Request:
    """What a route is given: `params` from the path, the first value of each `query` name, and the body."""

    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    trace: Trace

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Error: 400."""
        try:
            value = json.loads(self.body)
        except ValueError:
            raise HttpError(400, "the body is not JSON") from None
        if not isinstance(value, dict):
            raise HttpError(400, "the body is not a JSON object")
        return value


class HttpError(Exception):
    """Answered with this status and one line of reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Response:
    """`value` is sent as JSON unless it is bytes."""

    value: Any
    status: int = 200
    content_type: str = "application/json"

    @property
    def body(self) -> bytes:
        return self.value if isinstance(self.value, bytes) else json.dumps(self.value).encode()


Route = Callable[[Request], Response]


class Metrics:
    """Counts requests and measures them; `text` is the Prometheus exposition format."""

    def __init__(self, version: str) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, int], int] = {}
        self._durations: dict[tuple[str, str], list[float]] = {}
        self._fixed = (
            f"# TYPE build_info gauge\nbuild_info{{version={json.dumps(version)}}} 1\n"
            f"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {time.time():.3f}\n"
        )

    def observe(self, method: str, path: str, status: int, seconds: float) -> None:
        with self._lock:
            key = (method, path, status)
            self._requests[key] = self._requests.get(key, 0) + 1
            counts = self._durations.setdefault((method, path), [0.0] * (len(BUCKETS) + 2))
            for index, bound in enumerate(BUCKETS):
                counts[index] += seconds <= bound
            counts[-2] += 1
            counts[-1] += seconds

    def text(self) -> str:
        with self._lock:
            requests = dict(self._requests)
            durations = {key: list(counts) for key, counts in self._durations.items()}
        lines = [self._fixed + "# TYPE http_requests_total counter"]
        for (method, path, status), count in sorted(requests.items()):
            lines.append(f'http_requests_total{{method="{method}",path="{path}",code="{status}"}} {count}')
        lines.append("# TYPE http_request_duration_seconds histogram")
        for (method, path), counts in sorted(durations.items()):
            labels = f'method="{method}",path="{path}"'
            for bound, count in zip((*BUCKETS, "+Inf"), counts, strict=False):
                lines.append(f'http_request_duration_seconds_bucket{{{labels},le="{bound}"}} {count:.0f}')
            lines.append(f"http_request_duration_seconds_count{{{labels}}} {counts[-2]:.0f}")
            lines.append(f"http_request_duration_seconds_sum{{{labels}}} {counts[-1]:.6f}")
        return "\n".join(lines) + "\n"


@dataclass
class App:
    """Routes by method and path; `{name}` in a path is one segment. `environment` gives SERVICE, ENVIRONMENT and VERSION."""

    environment: Mapping[str, str]
    log_to: Any = field(default_factory=lambda: sys.stdout)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.environment.get("VERSION", "dev"))
        self._routes: list[tuple[str, str, re.Pattern[str], Route]] = []
        self._log_lock = threading.Lock()
        self._names = {name.lower(): self.environment.get(name, "") for name in ("SERVICE", "ENVIRONMENT", "VERSION")}
        self.route("GET", "/metrics")(lambda _: Response(self.metrics.text().encode(), 200, "text/plain; version=0.0.4"))
        self.route("GET", "/health")(lambda _: Response({"status": "ok", "version": self._names["version"]}))

    def route(self, method: str, path: str) -> Callable[[Route], Route]:
        """Registers the function for this method and path."""
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

        def register(function: Route) -> Route:
            self._routes.append((method, path, pattern, function))
            return function

        return register

    def answer(self, method: str, target: str, traceparent: str | None = None, body: bytes = b"") -> Response:
        """Routes, measures and logs one request; an error of the route becomes a JSON answer."""
        started = time.perf_counter()
        trace = Trace.continued(traceparent)
        parts = urlsplit(target)
        label, function, params = self._find("GET" if method == "HEAD" else method, unquote(parts.path))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        failure: BaseException | None = None
        try:
            response = function(Request(method, parts.path, params, query, body, trace))
        except HttpError as error:
            response = Response({"error": str(error)}, error.status)
        except Exception as error:
            failure, response = error, Response({"error": "internal error"}, 500)
        seconds = time.perf_counter() - started
        if label not in _UNCOUNTED:
            self.metrics.observe(method, label, response.status, seconds)
            level = "error" if response.status >= 500 else "info"
            self.log(
                f"{method} {parts.path} {response.status}", level, trace=trace, path=label, status=response.status,
                duration_ms=round(seconds * 1000, 2), **({"error": repr(failure)} if failure else {}),
            )  # fmt: skip
        return response

    def log(self, message: str, level: str = "info", *, trace: Trace | None = None, **fields: Any) -> None:
        """One JSON object on a line of standard output."""
        ids = {"trace_id": trace.trace_id, "span_id": trace.span_id} if trace else {}
        now = time.time()
        moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1e6):06d}Z"
        line = json.dumps({"time": moment, "level": level, "message": message, **self._names, **ids, **fields})
        with self._log_lock:
            self.log_to.write(line + "\n")
            self.log_to.flush()

    def _find(self, method: str, path: str) -> tuple[str, Route, dict[str, str]]:
        allowed = []
        for route_method, label, pattern, function in self._routes:
            found = pattern.fullmatch(path)
            if found and route_method == method:
                return label, function, found.groupdict()
            if found:
                allowed.append(route_method)
        status, reason = (405, f"use {', '.join(allowed)}") if allowed else (404, f"nothing at {path}")
        return "other", _refuse(status, reason), {}


def _refuse(status: int, reason: str) -> Route:
    def refuse(_: Request) -> Response:
        raise HttpError(status, reason)

    return refuse


class Server(ThreadingHTTPServer):
    """Serves an App on 127.0.0.1; port 0 takes a free one. A thread for each connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, app: App, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.app = app
        self.draining = False
        self._idle = threading.Condition()
        self._in_flight = 0
        self.last_request = 0.0

    def begin(self) -> None:
        with self._idle:
            self._in_flight += 1

    def end(self) -> None:
        with self._idle:
            self._in_flight -= 1
            self.last_request = time.monotonic()
            self._idle.notify_all()

    def drain(self, seconds: float) -> bool:
        """Takes what already knocked, accepts no more, and waits for the answers; whether all were given in time."""
        self.draining = True
        self.shutdown()
        self.socket.setblocking(False)
        while True:
            try:
                connection, address = self.socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                break
            connection.setblocking(True)
            self.process_request(connection, address)
        self.server_close()
        # A request may stand unread on a connection kept alive: only a quiet moment says that there is none.
        quiet, deadline = 0.2, time.monotonic() + seconds
        with self._idle:
            began = time.monotonic()
            while (now := time.monotonic()) < deadline:
                if not self._in_flight and now - max(began, self.last_request) >= quiet:
                    return True
                self._idle.wait(quiet / 4)
            return not self._in_flight

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            self.app.log("connection failed", "error", error=repr(error))


class _Handler(BaseHTTPRequestHandler):
    """Reads requests from one connection and writes each answer in one piece."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 75

    def parse_request(self) -> bool:
        self.server.begin()
        try:
            if super().parse_request():
                return True
        except BaseException:
            self.server.end()
            raise
        self.server.end()
        return False

    def log_message(self, format: str, *args: Any) -> None:
        self.server.app.log(format % args, "warning")

    def _serve(self) -> None:
        try:
            self._answer()
        finally:
            self.server.end()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _answer(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal() or int(length) > MAX_BODY:
            self.close_connection = True
            return self._send(Response({"error": f"send a Content-Length of at most {MAX_BODY}"}, 411))
        body = self.rfile.read(int(length))
        return self._send(self.server.app.answer(self.command, self.path, self.headers.get("traceparent"), body))

    def _send(self, response: Response) -> None:
        body = response.body
        self.send_response_only(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.server.draining:
            self.close_connection = True
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()


def run(app: App, *, close: Callable[[], None] = lambda: None) -> None:
    """Serves on PORT until SIGTERM or SIGINT, answers what is in flight (DRAIN_SECONDS, default 10), then calls `close`."""
    server = Server(app, int(app.environment.get("PORT", "8080")))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    thread = threading.Thread(target=server.serve_forever, name="accept", kwargs={"poll_interval": 0.05})
    thread.start()
    app.log("listening", port=server.server_address[1], pid=os.getpid(), host=socket.gethostname())
    stop.wait()
    answered = server.drain(float(app.environment.get("DRAIN_SECONDS", "10")))
    thread.join()
    close()
    app.log("stopped" if answered else "stopped with requests unanswered", "info" if answered else "error")
