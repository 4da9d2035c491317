"""The webhook connector against a real web server."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from opsroom.connectors.webhook import CONNECTOR
from opsroom.contracts.plane import Plane
from opsroom.contracts.ports import Message
from opsroom.kernel.errors import Forbidden, Invalid, NotFound, Unavailable
from opsroom.kernel.outbound import Outbound

PAGE = Message(
    title="SEV2 storefront is slow [pag_1]", body="It is slow.", url="http://127.0.0.1:8600/incidents/inc_1", key="pag_1",
    fields={"page": "pag_1", "incident": "inc_1", "severity": "SEV2", "service": "storefront", "suspects": [{"score": 0.9}]},
)  # fmt: skip
NOTIFIER = CONNECTOR.notifiers[0]


def test_a_message_arrives_as_json_exactly_where_the_address_says(plane: Plane, web: Any) -> None:
    receipt = NOTIFIER.send(plane, {"url": f"{web.url}/hooks/?team=shop"}, PAGE, ())
    assert receipt.detail == "202 Accepted"
    [(path, headers, body)] = web.taken
    assert path == "/hooks/?team=shop"
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == "pag_1"
    assert "X-Opsroom-Signature" not in headers
    assert json.loads(body) == {
        "title": PAGE.title, "body": PAGE.body, "url": PAGE.url, "key": "pag_1", "page": "pag_1", "incident": "inc_1",
        "severity": "SEV2", "service": "storefront", "suspects": [{"score": 0.9}],
    }  # fmt: skip


def test_the_body_is_signed_with_the_channels_key(plane: Plane, web: Any) -> None:
    plane.secrets.set("SIGNING", "correct horse", "system:test")
    plane.secrets.set("HOOK", "t0ken-in-the-path", "system:test")
    channel = {"url": f"{web.url}/${{{{ secrets.HOOK }}}}", "signing_key": "${{ secrets.SIGNING }}"}
    NOTIFIER.send(plane, channel, replace(PAGE, cause="evt_1"), ())
    [(path, headers, body)] = web.taken
    assert path == "/t0ken-in-the-path"
    assert headers["X-Opsroom-Signature"] == f"sha256={hmac.new(b'correct horse', body, hashlib.sha256).hexdigest()}"
    reads = plane.ledger.find(types=["secret.read"])
    assert {(event.actor, event.cause) for event in reads} == {("system:webhook", "evt_1")}


@pytest.mark.parametrize("status", [500, 404, 302, 429])
def test_anything_but_success_is_a_failure_that_says_so(plane: Plane, web: Any, status: int) -> None:
    web.status, web.answer = status, b"try  again\nlater"
    with pytest.raises(Unavailable, match=f"answered {status}") as caught:
        NOTIFIER.send(plane, {"url": web.url}, PAGE, ())
    assert "\n" not in str(caught.value)
    assert status == 302 or "try again later" in str(caught.value)


def test_a_receiver_that_hangs_is_left_after_the_timeout(plane: Plane, web: Any) -> None:
    web.hold = threading.Event()
    with pytest.raises(Unavailable, match="timed out"):
        NOTIFIER.send(plane, {"url": web.url, "timeout": 0.2}, PAGE, ())


def test_nobody_there_is_a_failure_without_the_secret_of_the_address(plane: Plane) -> None:
    plane.secrets.set("HOOK", "t0ken-in-the-path", "system:test")
    with pytest.raises(Unavailable) as caught:
        NOTIFIER.send(plane, {"url": "http://127.0.0.1:9/${{ secrets.HOOK }}"}, PAGE, ())
    assert "t0ken" not in str(caught.value)
    assert "127.0.0.1:9" in str(caught.value)


def test_internal_addresses_and_bad_ones_are_refused(plane: Plane, web: Any) -> None:
    guarded = replace(plane, outbound=Outbound())
    with pytest.raises(Forbidden, match="OPSROOM_OUTBOUND_ALLOW"):
        NOTIFIER.send(guarded, {"url": web.url}, PAGE, ())
    assert web.taken == []
    for url in ("", "ftp://example.com", "http://[::1"):
        with pytest.raises(Invalid, match="address"):
            NOTIFIER.send(plane, {"url": url}, PAGE, ())
    with pytest.raises(NotFound, match="opsroom secrets set GONE"):
        NOTIFIER.send(plane, {"url": "https://example.com/${{ secrets.GONE }}"}, PAGE, ())
