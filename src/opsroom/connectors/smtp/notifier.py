"""Sends one message as an e-mail (RFC 5321, RFC 5322): guarded address, STARTTLS by default, one time limit for each step."""

from __future__ import annotations

import ipaddress
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from opsroom.contracts.ports import Message, Receipt
from opsroom.kernel.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane

ACTOR = "system:smtp"
DEFAULT_TIMEOUT = 10.0
MANY = 100


@dataclass(frozen=True, slots=True)
class Smtp:
    """Channels of type `smtp`: `server` host:port, `security` none, starttls or tls, `username` and `password` (secret texts), `sender`,
    `to`, `timeout` in seconds. `trust` makes the TLS context; by default the system's authorities are trusted."""

    kind: str = "smtp"
    trust: Callable[[], ssl.SSLContext] = ssl.create_default_context

    def send(self, plane: Plane, channel: Mapping[str, Any], message: Message, recipients: tuple[str, ...]) -> Receipt:
        """See ports.Notifier; `recipients` are written to where the channel has no `to`."""
        to = tuple(dict.fromkeys(channel.get("to") or recipients))
        if not to:
            raise Invalid(
                f"channel {channel.get('name', 'smtp')} has nobody to write to: set spec.to, or profile.email of the people"
            )
        host, _, port = str(channel["server"]).rpartition(":")
        address = plane.outbound.address(host, int(port))
        mail = compose(message, str(channel["sender"]), to, date=format_datetime(plane.clock.now()))
        user, password = (
            plane.secrets.fill(str(channel.get(name) or ""), ACTOR, message.cause) for name in ("username", "password")
        )
        timeout, security = float(channel.get("timeout") or DEFAULT_TIMEOUT), str(channel.get("security") or "starttls")
        _check_password(user, security, address, host)
        try:
            with self._connect(host, int(port), address, security, timeout) as server:
                if user:
                    server.login(user, password)
                return _deliver(server, str(channel["sender"]), to, mail)
        except (smtplib.SMTPException, OSError) as error:
            raise Unavailable(plane.secrets.redact(f"mail server {host}:{port}: {_told(error)}")) from None

    def _connect(self, host: str, port: int, address: str, security: str, timeout: float) -> smtplib.SMTP:
        context = self.trust() if security != "none" else None
        server = _Guarded(host, port, address, timeout, context if security == "tls" else None)
        if security == "starttls":
            try:
                server.starttls(context=context)
                server.ehlo()
            except BaseException as error:
                server.close()
                if isinstance(error, smtplib.SMTPNotSupportedError):
                    raise Unavailable(
                        f"mail server {host}:{port} offers no STARTTLS; set security: tls, or none on a network you trust"
                    ) from None
                raise
        return server


def compose(message: Message, sender: str, to: Sequence[str], *, date: str) -> bytes:
    """The e-mail, with one Message-ID for every attempt, so that a mailbox can drop the second."""
    mail = EmailMessage(policy=SMTP_POLICY.clone(cte_type="7bit"))
    mail["From"], mail["To"] = sender, ", ".join(to)
    mail["Subject"] = " ".join(message.title.split())
    mail["Date"] = date
    domain = sender.rpartition("@")[2].strip("<> ") or "localhost"
    mail["Message-ID"] = f"<{re.sub(r'[^A-Za-z0-9_.-]', '-', message.key)}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"{message.body}\n\n{message.url}\n" if message.url not in message.body else f"{message.body}\n")
    return mail.as_bytes()


class _Guarded(smtplib.SMTP):
    """Connects to the address that was checked, and shows the host's own name to TLS. `tls`: encrypted from the first byte."""

    def __init__(self, host: str, port: int, address: str, timeout: float, tls: ssl.SSLContext | None) -> None:
        self._address = address
        self._tls = tls
        super().__init__(host, port, local_hostname="[127.0.0.1]", timeout=timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = socket.create_connection((self._address, port), timeout)
        if self._tls is None:
            return plain
        try:
            return self._tls.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise


def _deliver(server: smtplib.SMTP, sender: str, to: Sequence[str], mail: bytes) -> Receipt:
    """One transaction; the mail is delivered when the server takes it for at least one address."""
    server.ehlo_or_helo_if_needed()
    code, answer = server.mail(sender)
    if code != 250:
        raise smtplib.SMTPSenderRefused(code, answer, sender)
    refused: dict[str, tuple[int, bytes]] = {}
    for one in to[:MANY]:
        code, answer = server.rcpt(one)
        if code not in (250, 251):
            refused[one] = (code, answer)
    if len(refused) == len(to[:MANY]):
        raise smtplib.SMTPRecipientsRefused(refused)
    code, answer = server.data(mail)
    if code != 250:
        raise smtplib.SMTPDataError(code, answer)
    left_out = f"; refused: {', '.join(refused)}" if refused else ""
    return Receipt(detail=f"{code} {_plain(answer)}{left_out}")


def _check_password(user: str, security: str, address: str, host: str) -> None:
    if user and security == "none" and not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        raise Invalid(f"a password is not sent to mail server {host} without encryption; set security: starttls or tls")


def _told(error: Exception) -> str:
    """What the server said, without the addresses and objects around it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        one, (code, answer) = next(iter(error.recipients.items()))
        return f"{code} {_plain(answer)} (for {one})"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_plain(error.smtp_error)}"
    return str(error) or type(error).__name__


def _plain(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return " ".join(text.split())[:300]
