"""Real receivers on loopback: a web server and a mail server that keep what they took, and a plane that may reach them."""

from __future__ import annotations

import email
import email.policy
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from opsroom.contracts.plane import Plane
from opsroom.kernel import secrets
from opsroom.kernel.clock import FakeClock
from opsroom.kernel.ledger import Ledger
from opsroom.kernel.migrations import KERNEL_MIGRATIONS, migrate
from opsroom.kernel.outbound import Outbound
from opsroom.kernel.redaction import Redactor
from opsroom.kernel.store import Store

ABSENT = cast(Any, None)


@dataclass
class WebSink:
    """Answers each POST with `status`; keeps path, headers and body."""

    status: int = 202
    answer: bytes = b""
    hold: threading.Event | None = None
    taken: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass
class MailSink:
    """Speaks as much SMTP (RFC 5321) as a client needs; `tls` lets it offer STARTTLS, `refuses` are addresses it does not know."""

    tls: ssl.SSLContext | None = None
    implicit: bool = False
    refuses: tuple[str, ...] = ()
    user: str = ""
    hold: threading.Event | None = None
    taken: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    port: int = 0

    @property
    def server(self) -> str:
        return f"localhost:{self.port}"


@pytest.fixture
def web() -> Iterator[WebSink]:
    sink = WebSink()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if sink.hold is not None:
                sink.hold.wait(5)
            sink.taken.append((self.path, dict(self.headers.items()), body))
            self.send_response(sink.status)
            if 300 <= sink.status < 400:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", str(len(sink.answer)))
            self.end_headers()
            self.wfile.write(sink.answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    yield from _serving(server, sink)


@pytest.fixture
def mail() -> Iterator[MailSink]:
    sink = MailSink()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if sink.hold is not None:
                sink.hold.wait(5)
            try:
                _converse(self.request, sink)
            except OSError:
                return  # the client hung up, as it may

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    yield from _serving(Server(("127.0.0.1", 0), Handler), sink)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost, signed by itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, private = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    return certificate, private


@pytest.fixture
def plane(tmp_path: Path, clock: FakeClock) -> Iterator[Plane]:
    store = Store(f"sqlite:///{tmp_path / 'state.sqlite'}")
    migrate(store, (*KERNEL_MIGRATIONS, *secrets.MIGRATIONS))
    redactor = Redactor()
    ledger = Ledger(store, clock, redact=redactor.redact)
    kept = secrets.Secrets(store, ledger, clock, redactor, keys=tmp_path / "keys")
    yield Plane(
        settings=ABSENT, clock=clock, journal=ABSENT, store=store, ledger=ledger, queue=ABSENT, blobs=ABSENT,
        secrets=kept, actors=ABSENT, waivers=ABSENT, repos=ABSENT, catalogs=ABSENT, telemetry=ABSENT, engine=ABSENT,
        outbound=Outbound(allow="127.0.0.0/8,::1/128", sleep=lambda seconds: None),
    )  # fmt: skip
    store.close()


def _serving(server: Any, sink: Any) -> Iterator[Any]:
    sink.port = int(server.server_address[1])
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield sink
    if sink.hold is not None:
        sink.hold.set()
    server.shutdown()
    server.server_close()


def _converse(connection: Any, sink: MailSink) -> None:
    if sink.implicit and sink.tls is not None:
        connection = sink.tls.wrap_socket(connection, server_side=True)
    encrypted, to, stream = sink.implicit, [], connection.makefile("rwb")

    def say(line: str) -> None:
        stream.write(f"{line}\r\n".encode())
        stream.flush()

    say("220 mail.example.test ready")
    while line := stream.readline().decode(errors="replace").strip():
        sink.commands.append(line)
        verb = line.split(" ")[0].upper()
        if verb == "EHLO":
            offers = [
                *(["STARTTLS"] if sink.tls and not encrypted else []),
                *(["AUTH PLAIN"] if sink.user else []),
                "8BITMIME",
            ]
            for offer in ["mail.example.test", *offers[:-1]]:
                say(f"250-{offer}")
            say(f"250 {offers[-1]}")
        elif verb == "STARTTLS" and sink.tls:
            say("220 go ahead")
            connection = sink.tls.wrap_socket(connection, server_side=True)
            encrypted, stream = True, connection.makefile("rwb")
        elif verb == "AUTH":
            say("235 welcome" if sink.user in line or sink.user else "535 no")
        elif verb == "RCPT":
            refused = any(address in line for address in sink.refuses)
            to += [] if refused else [line]
            say("550 no such mailbox" if refused else "250 ok")
        elif verb == "DATA":
            say("354 end with a dot")
            lines = []
            while (part := stream.readline()) not in (b".\r\n", b""):
                lines.append(part.removeprefix(b"."))  # dot-stuffing, RFC 5321 section 4.5.2
            message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
            sink.taken.append((to, cast(EmailMessage, message)))
            sink.encrypted.append(encrypted)
            say("250 queued as 4711")
        elif verb == "QUIT":
            say("221 bye")
            return
        else:
            say("250 ok")
