"""SMTP: messages as plain-text e-mail through a mail server of the user's, encrypted unless the channel says otherwise."""

from __future__ import annotations

from opsroom.connectors.smtp.notifier import Smtp
from opsroom.contracts.ports import Connector

CONNECTOR = Connector(
    name="smtp",
    promise="Messages as e-mail through the team's own mail server",
    notifiers=(Smtp(),),
)
