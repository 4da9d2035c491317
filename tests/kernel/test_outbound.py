"""The one way out: guarded addresses, read-only clients that refuse writes, retries, ETags and pages, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from opsroom.kernel.errors import Forbidden, Invalid, Unavailable
from opsroom.kernel.outbound import Guard, Outbound, Read, graphql_reads_only


class Tool:
    """A server that answers from a script and keeps what it was sent."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.script: list[tuple[int, dict[str, str], bytes]] = []
        tool = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                tool.seen.append((self.command, self.path, dict(self.headers)))
                status, headers, body = tool.script.pop(0) if tool.script else (200, {}, b"{}")
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def tool() -> Iterator[Tool]:
    made = Tool()
    yield made
    made.close()


def outbound(waits: list[float] | None = None) -> Outbound:
    return Outbound(allow="127.0.0.0/8", sleep=(waits if waits is not None else []).append)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "192.168.0.1",
        "::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "100.64.0.1",
    ],
)
def test_internal_addresses_are_refused(address: str) -> None:
    guard = Guard(resolve=lambda host, port: [address])
    with pytest.raises(Forbidden, match="internal"):
        guard.address("innocent.example", 80)


def test_one_internal_address_among_public_ones_is_refused() -> None:
    guard = Guard(resolve=lambda host, port: ["93.184.216.34", "127.0.0.1"])
    with pytest.raises(Forbidden):
        guard.address("both.example", 80)


def test_the_checked_address_is_the_one_connected_to(tool: Tool) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    out = Outbound(allow="127.0.0.1/32", resolve=lambda host, port: next(answers))
    port = tool.url.rsplit(":", 1)[1]
    assert out.open(f"http://changing.example:{port}").request("GET", "/").status == 200
    assert tool.seen[0][2]["Host"] == f"changing.example:{port}"


@pytest.mark.parametrize("url", ["ftp://a", "file:///etc/passwd", "http://", "http://u:p@host/"])
def test_an_address_that_is_none_or_holds_a_password_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        Outbound().open(url)


def test_redirects_are_not_followed(tool: Tool) -> None:
    tool.script = [(302, {"Location": "http://169.254.169.254/"}, b"")]
    assert outbound().open(tool.url).request("GET", "/").status == 302


def test_a_read_only_client_sends_no_write(tool: Tool) -> None:
    reads = [Read(method="GET", path="/items.*"), Read(method="POST", path="/graphql", body=graphql_reads_only)]
    client = outbound().open(tool.url, reads=reads)
    client.request("GET", "/items/1")
    client.request("POST", "/graphql", json={"query": "query { a }"})
    for method, path, body in (
        ("POST", "/items", None),
        ("DELETE", "/items/1", None),
        ("GET", "/other", None),
        ("POST", "/graphql", {"query": "mutation { a }"}),
    ):
        with pytest.raises(Forbidden, match="cannot write"):
            client.request(method, path, json=body)
    assert [(method, path) for method, path, _ in tool.seen] == [("GET", "/items/1"), ("POST", "/graphql")]


@pytest.mark.parametrize(
    ("document", "reads"),
    [
        ("{ a }", True),
        ("query Q($x: Int) { mutation: a(x: $x) }", True),
        ('{ a(text: "} mutation {") }', True),
        ("query A { a } mutation B { b }", False),
        ("# a comment\nmutation { b }", False),
        ("subscription { b }", False),
        ("query { a", False),
    ],
)
def test_graphql_operations_are_told_apart(document: str, reads: bool) -> None:
    assert graphql_reads_only(json.dumps({"query": document}).encode()) is reads


def test_what_failed_in_passing_is_tried_again_and_retry_after_is_honoured(tool: Tool) -> None:
    waits: list[float] = []
    tool.script = [(503, {}, b""), (429, {"Retry-After": "7"}, b""), (200, {}, b"1")]
    assert outbound(waits).open(tool.url).request("GET", "/").json() == 1
    assert waits == [0.4, 7.0]


def test_a_write_is_not_sent_twice_unless_it_may_be(tool: Tool) -> None:
    tool.script = [(503, {}, b""), (503, {}, b"")]
    assert outbound().open(tool.url).request("POST", "/", json={}).status == 503
    assert len(tool.seen) == 1


def test_a_known_answer_is_asked_for_by_its_etag(tool: Tool) -> None:
    tool.script = [(200, {"ETag": '"a"'}, b"[1]"), (304, {}, b"")]
    client = outbound().open(tool.url)
    assert client.request("GET", "/x").json() == client.request("GET", "/x").json() == [1]
    assert tool.seen[1][2]["If-None-Match"] == '"a"'


def test_pages_are_followed_on_the_same_host_only(tool: Tool) -> None:
    tool.script = [
        (200, {"Link": f'<{tool.url}/p?page=2>; rel="next"'}, b"[1]"),
        (200, {"Link": '<http://elsewhere.example/p>; rel="next"'}, b"[2]"),
    ]
    pages = outbound().open(tool.url).pages("/p")
    assert next(pages).json() == [1] and next(pages).json() == [2]
    with pytest.raises(Forbidden, match="is not on"):
        next(pages)


def test_a_tool_that_is_not_there_is_named() -> None:
    with pytest.raises(Unavailable, match="127.0.0.1:9"):
        outbound().open("http://127.0.0.1:9").request("GET", "/")
