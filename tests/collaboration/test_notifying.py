"""Channels are told what they asked for, once, however often it had to be tried; and channels are checked before they are in force."""

from __future__ import annotations

from datetime import timedelta

import pytest

from area_plane import AreaPlane
from opsroom.areas.collaboration.notifying import ATTEMPTS, send_due
from opsroom.areas.collaboration.operations.figures import list_notifications

CHANNELS = """\
apiVersion: opsroom.dev/v1
kind: NotificationChannel
metadata: {name: chat}
spec: {type: webhook, url: "https://chat.example.com/${{ secrets.CHAT }}", events: [deployment.finished, run.finished]}
---
apiVersion: opsroom.dev/v1
kind: NotificationChannel
metadata: {name: mail}
spec: {type: smtp, server: "mail.example.com:25", sender: opsroom@example.com, events: [deployment.finished]}
"""


@pytest.fixture
def ready(room: AreaPlane) -> AreaPlane:
    room.decide({"opsroom/channels.yaml": CHANNELS})
    return room


def test_each_channel_is_told_what_it_asked_for(ready: AreaPlane) -> None:
    deployed = ready.deployed(cause=ready.push("storefront", "c" * 40).id)
    ready.record("run.finished", "run:run_1")
    ready.settle()
    send_due(ready.plane)
    assert len(ready.webhook.taken) == 2
    ((channel, message, recipients),) = ready.mail.taken
    assert channel["name"] == "mail" and channel["sender"] == "opsroom@example.com"
    # Those of the owner of the service, jonas being in a group below it.
    assert recipients == ("jonas@example.com", "maria@example.com")
    assert message.url.endswith(f"/changes/{deployed.id}") and message.cause == deployed.id
    sent = ready.events("notification.sent")
    assert len(sent) == 3
    assert ready.plane.ledger.chain(sent[0].id)[-1].type == "change.pushed"


def test_a_service_of_another_team_is_told_to_that_team(ready: AreaPlane) -> None:
    ready.deployed(service="inventory")
    ready.settle()
    send_due(ready.plane)
    assert ready.mail.taken[0][2] == ("jonas@example.com",)


def test_a_failing_notifier_is_tried_again_until_it_takes_the_message(ready: AreaPlane) -> None:
    ready.webhook.refuses = "the receiver answered 503"
    ready.record("run.finished", "run:run_1")
    ready.settle()
    tries = []
    for second in range(120):
        if second == 60:
            ready.webhook.refuses = ""
        send_due(ready.plane)
        tries.append(len(ready.webhook.attempts))
        ready.plane.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]
    # At 0, 2, 6, 14, 30 and 62 seconds: the pauses double.
    assert [second for second in range(120) if tries[second] > (tries[second - 1] if second else 0)] == [
        0,
        2,
        6,
        14,
        30,
        62,
    ]
    assert len(set(ready.webhook.attempts)) == 1 and len(ready.webhook.taken) == 1
    assert len(ready.events("notification.sent")) == 1
    (shown,) = list_notifications(ready.call).items
    assert (shown.state, shown.attempts, shown.detail) == ("sent", 6, "202 Accepted")


def test_a_notifier_that_never_takes_it_is_given_up_and_seen(ready: AreaPlane) -> None:
    ready.webhook.refuses = "the receiver answered 404"
    ready.record("run.finished", "run:run_1")
    ready.settle()
    for _ in range(400):
        send_due(ready.plane)
        ready.plane.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]
    assert len(ready.webhook.attempts) == ATTEMPTS
    (shown,) = list_notifications(ready.call, channel="chat").items
    assert shown.state == "failed" and shown.detail == "the receiver answered 404"
    assert not ready.events("notification.sent")
    assert "the receiver answered 404" in ready.page("/teams", raw=True)


def test_one_channel_that_fails_holds_up_no_other(ready: AreaPlane) -> None:
    ready.webhook.refuses = "away"
    ready.deployed()
    ready.settle()
    send_due(ready.plane)
    assert len(ready.mail.taken) == 1


def test_an_event_read_twice_is_told_once(ready: AreaPlane) -> None:
    from opsroom.areas.collaboration.notifying import queue_for_channels

    event = ready.record("run.finished", "run:run_1")
    for _ in range(3):
        queue_for_channels(ready.plane, event)
    send_due(ready.plane)
    assert len(ready.webhook.taken) == 1


def test_a_channel_that_is_gone_or_of_no_kind_here_says_so(ready: AreaPlane) -> None:
    ready.deployed()
    ready.settle()
    ready.plane.notifiers = {"smtp": ready.mail}
    ready.decide(drop=["opsroom/channels.yaml"])
    send_due(ready.plane)
    details = {one.channel: one.detail for one in list_notifications(ready.call).items}
    assert details["chat"] == "NotificationChannel 'chat' is not in the ops repo any more"
    ready.decide({"opsroom/channels.yaml": CHANNELS})
    ready.plane.clock.advance(10)  # type: ignore[attr-defined]
    send_due(ready.plane)
    details = {one.channel: one.detail for one in list_notifications(ready.call).items}
    assert "nothing here delivers by webhook; there are: smtp" in details["chat"]


HEAD = "apiVersion: opsroom.dev/v1\nkind: NotificationChannel\nmetadata: {name: x}\nspec: "


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("{type: webhook}", "needs `url`"),
        ("{type: smtp, sender: a@example.com}", "needs `server`"),
        ('{type: smtp, server: "m:25"}', "needs `sender`"),
        ('{type: webhook, url: "https://x", server: "m:25"}', "`server` goes with type smtp"),
        ('{type: smtp, server: "m:25", sender: a@example.com, signingKey: x}', "`signingKey` goes with type webhook"),
        ('{type: smtp, server: "m:25", sender: "a@example.com\\nBcc: b@example.com"}', "sender"),
        ('{type: smtp, server: "m:25", sender: a@example.com, to: [nobody]}', "to"),
        ('{type: smtp, server: "m", sender: a@example.com}', "host:port"),
        ('{type: webhook, url: "https://x", events: [notification.sent]}', "told without end"),
        ("{type: pigeon}", "type"),
        ('{type: webhook, url: "https://x", timeout: 0s}', "timeout"),
    ],
)
def test_a_malformed_channel_is_a_problem_with_its_place(room: AreaPlane, spec: str, words: str) -> None:
    found = room.problems({"opsroom/channel.yaml": HEAD + spec})
    assert found and all(one.startswith("opsroom/channel.yaml:") for one in found)
    assert any(words in one for one in found), found
