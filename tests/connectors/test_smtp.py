"""The SMTP connector against a real mail server, with and without encryption."""

from __future__ import annotations

import ssl
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opsroom.connectors.smtp import CONNECTOR
from opsroom.connectors.smtp.notifier import Smtp
from opsroom.contracts.plane import Plane
from opsroom.contracts.ports import Message
from opsroom.kernel.errors import Forbidden, Invalid, Unavailable
from opsroom.kernel.outbound import Outbound

PAGE = Message(
    title="SEV2 Bücher sind langsam:\nder Laden [pag_1]", body="Er ist langsam.\n.\nEnde", key="pag_1",
    url="http://127.0.0.1:8600/incidents/inc_1",
)  # fmt: skip
NOTIFIER = CONNECTOR.notifiers[0]
TO = ("maria@example.com", "jonas@example.com")


def channel(mail: Any, **given: Any) -> dict[str, Any]:
    return {
        "name": "mail",
        "server": mail.server,
        "security": "none",
        "sender": "Opsroom <opsroom@example.com>",
        "to": (),
        "timeout": 2.0,
        **given,
    }


def trusting(certificate: tuple[Path, Path], mail: Any) -> Smtp:
    """The server shows the certificate, and the notifier trusts it and nothing else."""
    mail.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    mail.tls.load_cert_chain(*certificate)
    return Smtp(trust=lambda: ssl.create_default_context(cafile=str(certificate[0])))


def test_a_message_arrives_as_plain_text_for_the_people(plane: Plane, mail: Any) -> None:
    receipt = NOTIFIER.send(plane, channel(mail), PAGE, TO)
    assert receipt.detail == "250 queued as 4711"
    [(to, message)] = mail.taken
    assert [line.upper() for line in to] == [f"RCPT TO:<{address.upper()}>" for address in TO]
    assert message["Subject"] == "SEV2 Bücher sind langsam: der Laden [pag_1]"
    assert message["Message-ID"] == "<pag_1@example.com>"
    assert message["To"] == "maria@example.com, jonas@example.com"
    assert message.get_content_type() == "text/plain"
    assert message.get_content().splitlines() == ["Er ist langsam.", ".", "Ende", "", PAGE.url]


def test_the_channels_own_addresses_win(plane: Plane, mail: Any) -> None:
    NOTIFIER.send(plane, channel(mail, to=("team@example.com",)), PAGE, TO)
    assert mail.taken[0][1]["To"] == "team@example.com"


def test_starttls_is_the_default_and_checks_the_name(plane: Plane, mail: Any, certificate: tuple[Path, Path]) -> None:
    notifier = trusting(certificate, mail)
    given = {key: value for key, value in channel(mail).items() if key != "security"}
    notifier.send(plane, given, PAGE, TO)
    assert mail.encrypted == [True]
    with pytest.raises(Unavailable, match="certificate"):
        notifier.send(plane, {**given, "server": f"127.0.0.1:{mail.port}"}, PAGE, TO)
    with pytest.raises(Unavailable, match="certificate"):
        NOTIFIER.send(plane, given, PAGE, TO)
    assert len(mail.taken) == 1


def test_tls_from_the_first_byte(plane: Plane, mail: Any, certificate: tuple[Path, Path]) -> None:
    notifier = trusting(certificate, mail)
    mail.implicit = True
    notifier.send(plane, channel(mail, security="tls"), PAGE, TO)
    assert mail.encrypted == [True]


def test_a_server_without_starttls_gets_nothing(plane: Plane, mail: Any) -> None:
    with pytest.raises(Unavailable, match="offers no STARTTLS"):
        NOTIFIER.send(plane, channel(mail, security="starttls"), PAGE, TO)
    assert not any(command.startswith("MAIL") for command in mail.commands)


def test_a_password_goes_over_tls_and_is_never_shown(plane: Plane, mail: Any, certificate: tuple[Path, Path]) -> None:
    plane.secrets.set("MAIL", "correct horse", "system:test")
    notifier = trusting(certificate, mail)
    mail.user = "opsroom"
    given = channel(mail, security="starttls", username="opsroom", password="${{ secrets.MAIL }}")
    notifier.send(plane, given, PAGE, TO)
    assert any(command.startswith("AUTH") for command in mail.commands)
    reached = replace(plane, outbound=Outbound(resolve=lambda host, port: ["203.0.113.7"], allow="203.0.113.0/24"))
    with pytest.raises(Invalid, match="without encryption"):
        notifier.send(reached, {**given, "security": "none"}, PAGE, TO)


def test_an_address_that_is_refused_is_named_and_the_others_get_it(plane: Plane, mail: Any) -> None:
    mail.refuses = ("jonas",)
    assert NOTIFIER.send(plane, channel(mail), PAGE, TO).detail == "250 queued as 4711; refused: jonas@example.com"
    mail.refuses = ("example.com",)
    with pytest.raises(Unavailable, match="550 no such mailbox"):
        NOTIFIER.send(plane, channel(mail), PAGE, TO)


def test_a_server_that_hangs_is_left_after_the_timeout(plane: Plane, mail: Any) -> None:
    mail.hold = threading.Event()
    with pytest.raises(Unavailable, match="timed out"):
        NOTIFIER.send(plane, channel(mail, timeout=0.2), PAGE, TO)


def test_nobody_to_write_to_and_addresses_that_may_not_be_reached(plane: Plane, mail: Any) -> None:
    with pytest.raises(Invalid, match="nobody to write to"):
        NOTIFIER.send(plane, channel(mail), PAGE, ())
    with pytest.raises(Forbidden, match="OPSROOM_OUTBOUND_ALLOW"):
        NOTIFIER.send(replace(plane, outbound=Outbound()), channel(mail), PAGE, TO)
    assert mail.commands == []
