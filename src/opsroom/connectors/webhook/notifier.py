"""Sends one message as JSON; whatever is not a 2xx answer is a failure that says what the receiver answered."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from opsroom.contracts.ports import Message, Receipt
from opsroom.kernel.errors import Invalid, Unavailable, UserError

if TYPE_CHECKING:
    from opsroom.contracts.plane import Plane
    from opsroom.kernel.outbound import Reply

ACTOR = "system:webhook"
SIGNATURE = "X-Opsroom-Signature"
DEFAULT_TIMEOUT = 10.0
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Webhook:
    """Channels of type `webhook`: `url` and `signing_key` (secret texts), `timeout` in seconds."""

    kind: str = "webhook"

    def send(self, plane: Plane, channel: Mapping[str, Any], message: Message, recipients: tuple[str, ...]) -> Receipt:
        """See ports.Notifier; recipients are for the receiver to find in the body, which the channel's own address gets."""
        url = plane.secrets.fill(str(channel["url"] or ""), ACTOR, message.cause)
        body = payload(message)
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.key}
        if channel.get("signing_key"):
            key = plane.secrets.fill(str(channel["signing_key"]), ACTOR, message.cause)
            headers[SIGNATURE] = signature(key, body)
        try:
            base, path = _split(url)
            client = plane.outbound.open(
                base, user_supplied=True, timeout=float(channel.get("timeout") or DEFAULT_TIMEOUT)
            )
            try:
                reply = client.request("POST", path, body=body, headers=headers, idempotent=False)
            finally:
                client.close()
        except UserError as error:
            # The address may hold a token, in its path or its query.
            raise type(error)(plane.secrets.redact(str(error))) from None
        return _receipt(reply, base, plane)


def payload(message: Message) -> bytes:
    """The body: the message's own names win over fields of the same name."""
    own = {"title": message.title, "body": message.body, "url": message.url, "key": message.key}
    return json.dumps({**message.fields, **own}, ensure_ascii=False, sort_keys=True).encode()


def signature(key: str, body: bytes) -> str:
    """What `X-Opsroom-Signature` holds."""
    return f"sha256={hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}"


def _split(url: str) -> tuple[str, str]:
    """The server, and the rest exactly as it is written: a slash at its end means something to some receivers."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise Invalid("the channel's url is no address; write http:// or https:// and a host") from None
    return urlunsplit((parts.scheme, parts.netloc, "", "", "")), urlunsplit(("", "", parts.path, parts.query, ""))


def _receipt(reply: Reply, base: str, plane: Plane) -> Receipt:
    words = HTTPStatus(reply.status).phrase if reply.status in HTTPStatus._value2member_map_ else ""
    said = _said(reply)
    if 200 <= reply.status < 300:
        return Receipt(detail=f"{reply.status} {words}".strip())
    way_out = "; give the address it names" if 300 <= reply.status < 400 else f": {said}" if said else ""
    raise Unavailable(plane.secrets.redact(f"webhook {base} answered {reply.status} {words}{way_out}"))


def _said(reply: Reply) -> str:
    """The first words of an answer in plain text; of a page for browsers, none."""
    text = " ".join(reply.body[: 4 * _SHOWN].decode("utf-8", "replace").split())
    is_page = "html" in reply.headers.get("content-type", "") or text.startswith("<")
    return "" if is_page else text[:_SHOWN]
