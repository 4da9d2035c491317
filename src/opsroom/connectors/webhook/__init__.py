"""Webhooks: messages as JSON by POST to an address of the user's, signed where the channel has a key.

The body is one JSON object: `title`, `body`, `url`, `key`, and the message's fields (of a page: `page`, `incident`, `severity`,
`service`, `environment`, `runbook`, `people`, `suspects`). `Idempotency-Key` is the message's key. With a signing key,
`X-Opsroom-Signature` is `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits.
"""

from __future__ import annotations

from opsroom.connectors.webhook.notifier import Webhook
from opsroom.contracts.ports import Connector

CONNECTOR = Connector(
    name="webhook",
    promise="Messages as signed JSON to any address that takes a POST",
    notifiers=(Webhook(),),
)
