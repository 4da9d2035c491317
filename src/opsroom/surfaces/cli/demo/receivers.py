"""Where pages arrive: a webhook and a mail server, each confirming to Opsroom what it took; one can be told to fail."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Confirm = Callable[[str, str], None]
"""Called with the page's id and the receiver's name once a message has been taken."""

_PAGE = re.compile(r"\bpag_[0-9a-z]{22}\b")


class Receivers:
    """A webhook receiver and an SMTP receiver (RFC 5321, the few verbs a client needs) on loopback ports of their own."""

    def __init__(self, confirm: Confirm, *, failing: str = "webhook") -> None:
        self._confirm = confirm
        self.failing = failing
        self.taken: list[tuple[str, str]] = []
        receivers = self

        class Webhook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                if receivers.failing == "webhook":
                    self.send_error(503, "the receiver is down")
                    return
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                receivers.take("webhook", json.dumps(json.loads(body)))

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing: Opsroom's own record is the one that counts."""

        class Mail(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                receivers.converse(self)

        self._servers: list[socketserver.BaseServer] = [
            ThreadingHTTPServer(("127.0.0.1", 0), Webhook),
            socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail),
        ]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self._port(0)}/page"

    @property
    def smtp_address(self) -> str:
        return f"127.0.0.1:{self._port(1)}"

    def take(self, receiver: str, text: str) -> None:
        """Notes a message and confirms the page that it names, if it is one."""
        for page in dict.fromkeys(_PAGE.findall(text)):
            self.taken.append((receiver, page))
            self._confirm(page, receiver)

    def converse(self, session: socketserver.StreamRequestHandler) -> None:
        """One SMTP conversation; the message is confirmed after its final 250, as a mail server would hand it on."""

        def say(line: str) -> None:
            session.wfile.write(f"{line}\r\n".encode())

        say("220 mail.example.test ready")
        while line := session.rfile.readline().decode(errors="replace").strip():
            verb = line.split(" ")[0].upper()
            if verb in {"EHLO", "HELO"}:
                say("250 mail.example.test")
            elif verb in {"MAIL", "RCPT", "RSET", "NOOP"}:
                say("451 try again later" if self.failing == "smtp" else "250 ok")
            elif verb == "DATA":
                say("354 end with a dot")
                text = _until_dot(session)
                say("250 taken")
                self.take("smtp", text)
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("502 not known here")

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _port(self, index: int) -> int:
        address: Any = self._servers[index].server_address
        return int(address[1])


def _until_dot(session: socketserver.StreamRequestHandler) -> str:
    import email
    import email.policy

    lines = []
    while (line := session.rfile.readline()) not in (b".\r\n", b".\n", b""):
        lines.append(line)
    message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
    body = message.get_body(("plain",))
    return f"{message['Subject']}\n{body.get_content() if body else ''}"
