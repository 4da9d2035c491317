"""The way out of a sandbox: granted hosts are reached, all else is refused and said."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.kernel.errors import Invalid
from opsroom.workflows.egress import Grant, is_internal

Run = Any


class _Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # noqa: N802 - named by the library
        body = f"hello {self.path} {self.headers.get('Host')} {self.headers.get('Proxy-Connection')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Tests print enough."""


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a web server on loopback, which stands for an internal one."""
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hello)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made.server_port
    made.shutdown()
    made.server_close()


FETCH = """
import os, sys, urllib.request, urllib.error
os.environ.pop("no_proxy"), os.environ.pop("NO_PROXY")
for url in sys.argv[1:]:
    try: print(urllib.request.urlopen(url, timeout=10).read().decode())
    except urllib.error.HTTPError as error: print(error.code, error.read().decode().strip())
    except OSError as error: print("error", error)
"""


def fetch(*urls: str) -> str:
    return f"cat > f.py <<'E'\n{FETCH}\nE\npython3 f.py {' '.join(urls)}"


def test_a_host_and_port_granted_by_name_is_reached(run_sandboxed: Run, server: int) -> None:
    said = run_sandboxed(
        [fetch(f"http://127.0.0.1:{server}/a?b=c"), "echo $HTTPS_PROXY"], network=(f"127.0.0.1:{server}",)
    )
    assert said.out.split("\n") == [f"hello /a?b=c 127.0.0.1:{server} None", "http://127.0.0.1:3128"]


def test_what_was_not_granted_is_refused_and_logged(run_sandboxed: Run, server: int) -> None:
    said = run_sandboxed(
        [
            fetch(
                f"http://127.0.0.1:{server}/",
                "http://other.example/",
                "https://example.org:8443/",
                f"http://localhost:{server}/",
            )
        ],
        network=("example.org", "localhost"),
    )
    lines = said.out.split("\n")
    assert lines[0].startswith("403") and lines[1].startswith("403 other.example:80 is not granted")
    assert "403" in lines[2] and lines[3].startswith("403")
    assert any(stream == "warning" and "network: refused: other.example:80" in text for _, stream, text in said.log)


def test_an_internal_address_is_refused_behind_a_granted_name(run_sandboxed: Run) -> None:
    said = run_sandboxed([fetch("http://localhost/")], network=("localhost",))
    assert "is the internal address" in said.out


def test_connect_goes_through(run_sandboxed: Run, server: int) -> None:
    script = f"""
import socket
c = socket.create_connection(("127.0.0.1", 3128))
c.sendall(b"CONNECT localhost:{server} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
print(c.recv(100).split(b"\\r")[0].decode())
c.sendall(b"GET /inner HTTP/1.0\\r\\nHost: inner\\r\\n\\r\\n")
print(c.makefile("rb").read().split(b"\\r\\n\\r\\n")[1].decode())
d = socket.create_connection(("127.0.0.1", 3128)); d.sendall(b"nonsense\\r\\n\\r\\n"); print(d.recv(100).split(b"\\r")[0].decode())
e = socket.create_connection(("127.0.0.1", 3128)); e.sendall(b"CONNECT 169.254.169.254:80 HTTP/1.1\\r\\n\\r\\n"); print(e.recv(100).split(b"\\r")[0].decode())
"""
    said = run_sandboxed([{"run": script, "shell": "python"}], network=(f"localhost:{server}",))
    assert said.out.split("\n") == [
        "HTTP/1.1 200 Connection established",
        "hello /inner inner None",
        "HTTP/1.1 400 Refused",
        "HTTP/1.1 403 Refused",
    ]


def test_nothing_is_left_when_the_job_ends(run_sandboxed: Run) -> None:
    before = threading.active_count()
    run_sandboxed(["true"], network=("example.org",))
    assert threading.active_count() <= before + 1


@pytest.mark.parametrize(
    ("grant", "host", "port", "allowed"),
    [
        ("example.org", "example.org", 443, True), ("example.org", "example.org", 8080, False), ("example.org", "a.example.org", 443, False),
        ("*.example.org", "a.b.example.org", 80, True), ("*.example.org", "example.org", 80, False), ("*.example.org", "badexample.org", 80, False),
        ("example.org:22", "example.org", 22, True), ("example.org:22", "example.org", 443, False), ("EXAMPLE.org", "example.org", 80, True),
    ],
)  # fmt: skip
def test_grants(grant: str, host: str, port: int, allowed: bool) -> None:
    assert Grant.read(grant).allows(host, port) is allowed


@pytest.mark.parametrize("text", ["", "*", "a*.org", "http://example.org", "example.org/path", "x:99999"])
def test_bad_grants(text: str) -> None:
    with pytest.raises(Invalid, match="is no host"):
        Grant.read(text)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1%eth0",
     "fd00::1", "::ffff:10.0.0.1", "2002:7f00:0001::", "64:ff9b::a9fe:a9fe", "::"],
)  # fmt: skip
def test_internal_addresses(address: str) -> None:
    assert is_internal(address)


def test_public_addresses() -> None:
    assert not is_internal("1.1.1.1") and not is_internal("2606:4700::1111") and not is_internal("::ffff:1.1.1.1")


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_as_internal_as_its_inner(address: Any) -> None:
    assert is_internal(f"::ffff:{address}") == is_internal(str(address))
