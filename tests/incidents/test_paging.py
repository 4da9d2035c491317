"""Escalation and paging: durable timers, every channel for itself, retries, confirmation by the receiver alone."""

from __future__ import annotations

from typing import Any

import pytest

from opsroom.areas.incidents.escalation import address_of, calls
from opsroom.areas.incidents.kinds import EscalationPolicySpec
from opsroom.areas.incidents.operations.incidents import acknowledge_incident, list_incidents, show_incident
from opsroom.areas.incidents.operations.on_call import show_on_call
from opsroom.areas.incidents.operations.pages import confirm_page, list_pages, show_page
from opsroom.areas.incidents.paging import PAUSES, Pager
from opsroom.contracts.facts import OnCall
from opsroom.kernel.errors import Conflict, Invalid, NotFound


def incident(world: Any) -> Any:
    return show_incident(world.call(), list_incidents(world.call()).items[0].id)


def test_a_step_pages_by_all_its_channels(world: Any) -> None:
    world.fire()
    world.work()
    opened = incident(world)
    assert [(page.provider, page.person, page.state) for page in opened.pages] == [
        ("webhook", "maria", "sent"),
        ("smtp", "maria", "sent"),
    ]
    _, message, recipients = world.mail.taken[0]
    page = opened.pages[1]
    assert recipients == ("maria@example.com",)
    assert page.id.startswith("pag_")
    assert page.id in message.title
    assert page.id in message.body
    assert message.key == page.id
    assert message.fields["incident"] == opened.id
    assert message.url == f"http://127.0.0.1:8600/incidents/{opened.id}"
    sent = world.events("page.sent")
    assert {event.cause for event in sent} == {world.events("incident.opened")[0].id}
    assert sent[0].data["address"] == "pager.example.com"


def test_one_failing_provider_keeps_no_other_waiting_and_is_tried_again(world: Any) -> None:
    world.webhook.refuses = "the receiver is down"
    world.fire()
    world.work()
    assert len(world.mail.taken) == 1
    first = list_pages(world.call()).items[-1]
    assert (first.state, first.attempts, first.error) == ("waiting", 1, "the receiver is down")
    failed = world.events("page.failed")
    assert [(event.data["detail"], event.data["attempt"], event.data["final"]) for event in failed] == [
        ("the receiver is down", 1, False)
    ]
    world.work()
    assert len(world.webhook.attempts) == 1, "it is not tried before its time"
    world.at(PAUSES[0] + 0.1)
    world.webhook.refuses = ""
    world.work()
    assert [message.key for _, message, _ in world.webhook.taken] == [first.id], "every attempt has the same key"
    assert show_page(world.call(), first.id).state == "sent"
    assert len(world.mail.taken) == 1


def test_a_page_that_never_gets_through_has_failed_after_its_last_attempt(world: Any) -> None:
    world.webhook.refuses = "no"
    world.fire()
    seconds = 0.0
    world.work()
    for pause in PAUSES:
        seconds += pause + 0.1
        world.at(seconds)
        world.work()
    page = next(one for one in list_pages(world.call()).items if one.provider == "webhook")
    assert (page.state, page.attempts) == ("failed", len(PAUSES) + 1)
    assert [event.data["final"] for event in world.events("page.failed")] == [False] * len(PAUSES) + [True]
    assert all(item.kind != "incidents.page" for item in world.plane.queue.waiting())


def test_delivered_is_the_receivers_own_word(world: Any) -> None:
    world.fire()
    world.work()
    page = incident(world).pages[0]
    assert page.delivered is False
    for _ in range(2):
        confirmed = confirm_page(world.call(), page.id, receiver="pager")
        assert (confirmed.delivered, confirmed.receiver) == (True, "pager")
    delivered = world.events("page.delivered")
    assert [event.cause for event in delivered] == [world.events("page.sent")[0].id]
    with pytest.raises(Invalid, match="receiver"):
        confirm_page(world.call(), page.id, receiver=" ")
    with pytest.raises(NotFound, match="pag_none"):
        confirm_page(world.call(), "pag_none", receiver="pager")


def test_a_receiver_may_confirm_before_its_answer_has_come(world: Any) -> None:
    world.webhook.during = lambda message: confirm_page(world.call(), message.key, receiver="pager")
    world.fire()
    world.work()
    page = incident(world).pages[0]
    assert (page.state, page.sent_at is not None) == ("delivered", True)
    assert len(world.events("page.sent")) == 2


def test_acknowledging_ends_the_escalation_and_the_retries(world: Any) -> None:
    world.webhook.refuses = "down"
    world.fire()
    world.work()
    acknowledge_incident(world.call(), incident(world).id)
    world.at(3600)
    world.webhook.refuses = ""
    world.work()
    assert len(world.webhook.attempts) == 1
    assert world.webhook.taken == []
    assert len(world.mail.taken) == 1
    assert incident(world).pages[0].state == "dropped"
    assert world.plane.queue.waiting() == []
    with pytest.raises(Conflict, match="never sent"):
        confirm_page(world.call(), incident(world).pages[0].id, receiver="pager")


def test_without_an_answer_the_next_step_follows_and_the_last_is_repeated(world: Any) -> None:
    world.fire()
    for seconds in (0, 299, 301, 601, 901, 5000):
        world.at(seconds)
        world.work()
    mails = [(message.fields["people"], recipients) for _, message, recipients in world.mail.taken]
    everyone = ("aylin@example.com", "jonas@example.com", "maria@example.com")
    assert [recipients for _, recipients in mails] == [("maria@example.com",), everyone, everyone, everyone]
    assert len(world.webhook.taken) == 1


def test_the_end_of_the_incident_ends_its_escalation(world: Any) -> None:
    world.fire()
    world.work()
    world.at(60)
    world.end()
    world.at(5000)
    world.work()
    assert len(world.mail.taken) == 1
    assert world.plane.queue.waiting() == []


def test_a_page_goes_out_though_the_leader_was_killed_while_it_sent(world: Any) -> None:
    """Another process claimed the page and died: when its lease is over, this one sends it."""
    world.fire()
    item = world.plane.queue.claim(("incidents.escalate",), "dead", 15)
    assert item is not None
    world.work()
    assert world.webhook.taken == []
    world.at(16)
    world.work()
    assert len(world.webhook.taken) == 1
    dead = world.plane.queue.claim(("incidents.page",), "dead", 15)
    assert dead is None, "nothing is left to send"


def test_timers_outlive_the_process(world: Any) -> None:
    world.fire()
    world.work()
    world.at(301)
    Pager(world.plane).work()
    assert len(world.mail.taken) == 2


def test_a_bug_in_a_provider_costs_one_attempt_and_no_page(world: Any) -> None:
    def broken(message: Any) -> None:
        raise ZeroDivisionError

    world.webhook.during = broken
    world.fire()
    world.work()
    assert world.events("page.failed")[0].data["detail"] == "webhook broke: ZeroDivisionError"
    world.webhook.during = None
    world.at(2)
    world.work()
    assert incident(world).pages[0].state == "sent"


def test_whom_nobody_covers_is_a_page_that_failed(world: Any) -> None:
    world.fire("NewsDown", "newsletter")
    world.work()
    assert "no OnCallSchedule covers newsletter of lonely-team" in incident(world).unpaged
    assert [event.data["detail"] for event in world.events("page.failed")] == [incident(world).unpaged]


def test_the_policy_in_force_when_a_step_comes_due_says_who_is_on_call(world: Any) -> None:
    world.fire(deliver=True)
    override = "  overrides:\n    - {person: jonas, from: 2026-01-05T00:00:00Z, until: 2026-01-06T00:00:00Z}\n---"
    world.write(world.on_call.replace("---", override, 1))
    world.work()
    assert [recipients for _, _, recipients in world.mail.taken] == [("jonas@example.com",)]
    shown = show_on_call(world.call(), service="storefront")[0].rotations[0].now
    assert shown is not None
    assert (shown.person, shown.instead_of) == ("jonas", "maria")


def test_a_channel_that_is_gone_fails_by_name(world: Any) -> None:
    world.fire()
    broken = world.on_call.replace("channels: [pager, mail]", "channels: [mail]").replace(
        "metadata: {name: pager}", "metadata: {name: other}"
    )
    world.write(broken)
    world.work()
    assert "'pager' is not in the ops repo" in world.events("page.failed")[0].data["detail"]
    assert len(world.mail.taken) == 1


def test_who_is_on_call_is_a_fact(world: Any) -> None:
    answer = world.plane.ask(OnCall("storefront"))
    assert (answer.value.schedule, answer.value.people) == ("shop", ("maria",))
    assert "no OnCallSchedule" in world.plane.ask(OnCall("newsletter")).unknown
    assert [one.schedule for one in show_on_call(world.call())] == ["shop"]
    assert show_on_call(world.call(), service="newsletter") == []


def test_calls_of_a_policy() -> None:
    policy = EscalationPolicySpec.model_validate(
        {"steps": [{"after": "5m", "notify": ["user:b"], "channels": ["x"]}, {"after": "0s", "notify": ["on-call"], "channels": ["x"]}],
         "repeat": 2, "repeatAfter": "1m", "severities": ["SEV1"]}
    )  # fmt: skip
    assert [(call.after, call.notify) for call in calls(policy, "SEV1")] == [
        (0.0, ("on-call",)), (300.0, ("user:b",)), (360.0, ("user:b",)), (420.0, ("user:b",)),
    ]  # fmt: skip
    assert calls(policy, "SEV2") == []


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example.com/a/${{ secrets.T }}", "hooks.example.com"),
        ("https://user@hooks.example.com:8443?x=1", "hooks.example.com:8443"),
        ("${{ secrets.URL }}", "an address kept secret"),
        ("https://${{ secrets.HOST }}/x", "an address kept secret"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert address_of(type("Spec", (), {"type": "webhook", "url": url})()) == shown


def test_problems_of_schedules_are_found_with_their_places(world: Any) -> None:
    bad = world.on_call.replace("every: 1w", "every: 36h").replace(
        "metadata: {name: pager}", "metadata: {name: papers}"
    )
    found = world.problems(bad)
    assert any("not the length of a shift" in one for one in found), found
    assert any("pager" in one and "NotificationChannel" in one for one in found), found
    override = "{person: jonas, from: 2026-01-07T00:00:00Z, until: 2026-01-06T00:00:00Z, rotation: third}"
    found = world.problems(world.on_call.replace("---", f"  overrides:\n    - {override}\n---", 1))
    assert any("ends before it begins" in one for one in found), found
    assert any("no rotation 'third'" in one and "on-call.yaml:" in one for one in found), found
