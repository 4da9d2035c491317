"""From alerts to incidents and back, through the subscription and the operations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsroom.areas.incidents import AREA
from opsroom.areas.incidents.jobs import on_alert
from opsroom.areas.incidents.model import TRANSITIONS, after, severity_of, worse
from opsroom.areas.incidents.operations.follow_up import close_action_item, list_action_items, show_postmortem
from opsroom.areas.incidents.operations.incidents import (
    acknowledge_incident,
    create_incident,
    list_incidents,
    resolve_incident,
    show_incident,
    start_runbook,
)
from opsroom.contracts.facts import OpenIncidents
from opsroom.kernel.actors import Actor
from opsroom.kernel.errors import Conflict, Invalid, NotFound
from opsroom.surfaces.derived import derive_all

JONAS = Actor(id="person:jonas", name="jonas", roles=("operator",))


def only(world: Any) -> Any:
    found = list_incidents(world.call()).items
    assert len(found) == 1, [one.title for one in found]
    return show_incident(world.call(), found[0].id)


def test_an_alert_opens_one_incident_with_all_that_is_known(world: Any) -> None:
    push = world.push("storefront", "Stock per product")
    world.at(60)
    bad = world.deploy("storefront", cause=push.id)
    world.at(75)
    later = world.deploy("inventory", cause=world.push("inventory", "Log the start").id)
    world.at(90)
    fired = world.fire(since=80, cause=bad.id)

    incident = only(world)
    assert (incident.severity, incident.state, incident.title) == ("SEV2", "open", "storefront is slow")
    assert (incident.owner, incident.runbook) == ("shop-team", "runbooks/slow.md")
    assert [one.event for one in incident.suspects] == [bad.id, later.id]
    assert incident.suspects[0].change == "storefront 3f2a1c to production, blue-green"
    assert any("“Stock per product” by aylin" in reason for reason in incident.suspects[0].reasons)
    assert incident.seconds_to_detect == 10.0
    assert incident.seconds_to_recover is None
    opened = world.events("incident.opened")
    assert [event.cause for event in opened] == [fired.id]
    assert opened[0].data["suspects"][0]["event"] == bad.id
    assert [event.id for event in world.plane.ledger.chain(opened[0].id)][-1] == push.id
    assert f"incident:{incident.id}" in opened[0].subjects


def test_the_same_event_twice_opens_one_incident(world: Any) -> None:
    fired = world.fire()
    on_alert(world.plane, fired)
    assert len(world.events("incident.opened")) == 1
    assert world.events("incident.joined") == []


@pytest.mark.parametrize(
    ("label", "expected"),
    [("critical", "SEV1"), ("error", "SEV2"), ("warning", "SEV3"), ("page-me", "SEV3"), ("info", None)],
)
def test_severity_is_that_of_the_label(label: str, expected: str | None) -> None:
    assert severity_of({"severity": label}) == expected
    assert severity_of({}) == "SEV3"


def test_an_alert_for_information_opens_nothing(world: Any) -> None:
    world.fire(severity="info")
    assert list_incidents(world.call()).items == []


def test_a_silenced_alert_calls_nobody(world: Any) -> None:
    world.fire(silenced=True)
    assert list_incidents(world.call()).items == []


def test_the_same_alert_of_another_instance_joins(world: Any) -> None:
    world.fire("TargetDown", fingerprint="one")
    world.fire("TargetDown", fingerprint="two")
    incident = only(world)
    assert len(incident.alerts) == 2
    assert len(world.events("incident.joined")) == 1
    world.end("TargetDown", fingerprint="one")
    assert only(world).state == "open"
    world.end("TargetDown", fingerprint="two")
    assert only(world).state == "resolved"


def test_an_alert_on_what_the_service_needs_joins_while_the_incident_is_young(world: Any) -> None:
    world.fire()
    world.at(120)
    world.fire("InventoryErrors", "inventory")
    world.fire("WarehouseErrors", "warehouse")
    assert [alert.name for alert in only(world).alerts] == ["StorefrontSlow", "InventoryErrors", "WarehouseErrors"]
    world.at(1200)
    world.fire("InventoryDown", "inventory")
    assert len(list_incidents(world.call()).items) == 2


def test_an_alert_of_another_environment_or_of_what_stands_above_opens_its_own(world: Any) -> None:
    world.fire("InventoryErrors", "inventory")
    world.fire("InventoryErrors", "inventory", "staging")
    world.fire("StorefrontSlow", "storefront")
    assert len(list_incidents(world.call()).items) == 3


def test_a_worse_alert_raises_the_severity_and_pages_where_nobody_was(world: Any) -> None:
    world.fire("StorefrontOdd", severity="warning")
    assert "does not page for SEV3" in only(world).unpaged
    world.work()
    assert world.webhook.taken == []
    world.fire("StorefrontErrors", severity="critical")
    incident = only(world)
    assert (incident.severity, incident.unpaged) == ("SEV1", "")
    world.work()
    assert len(world.webhook.taken) == 1
    joined = world.events("incident.joined")
    assert (joined[0].data["before"], joined[0].data["severity"]) == ("SEV3", "SEV1")


def test_an_alert_that_joins_is_no_second_page(world: Any) -> None:
    world.fire()
    world.fire("StorefrontErrors", severity="critical")
    world.work()
    assert len(world.webhook.taken) == 1


def test_recovery_resolves_the_incident_by_itself(world: Any) -> None:
    world.at(10)
    world.fire(since=4)
    world.at(64)
    ended = world.end()
    incident = only(world)
    assert (incident.state, incident.automatic, incident.resolved_by) == ("resolved", True, "system:incidents")
    assert incident.seconds_to_recover == 60.0
    resolved = world.events("incident.resolved")
    assert [event.cause for event in resolved] == [ended.id]
    assert resolved[0].data["seconds_to_recover"] == 60.0
    on_alert(world.plane, ended)
    assert len(world.events("incident.resolved")) == 1


def test_an_alert_that_fires_again_keeps_the_incident_open(world: Any) -> None:
    first = world.fire()
    world.at(30)
    late = world.record(
        "alert.resolved", "alert:StorefrontSlow", name="StorefrontSlow", fingerprint=first.data["fingerprint"]
    )
    world.at(31)
    world.fire()
    on_alert(world.plane, late)
    assert only(world).state == "open", "its end is older than its last beginning"


def test_trouble_that_comes_back_is_a_new_incident_that_knows_the_last(world: Any) -> None:
    world.fire()
    world.end()
    world.at(60)
    world.fire()
    newest, first = list_incidents(world.call()).items
    assert newest.previous == first.id
    assert [one.id for one in list_incidents(world.call(), state="unresolved").items] == [newest.id]


def test_a_person_opens_acknowledges_and_resolves(world: Any) -> None:
    created = create_incident(
        world.call(JONAS), title="Checkout  fails", service="storefront", environment="", severity="SEV1", key="k"
    )
    again = create_incident(world.call(JONAS), title="Checkout fails", service="storefront", key="k")
    assert (created.id, created.title) == (again.id, "Checkout fails")
    world.at(30)
    taken = acknowledge_incident(world.call(JONAS), created.id, note="looking")
    assert (taken.state, taken.acknowledged_by, taken.note) == ("acknowledged", "person:jonas", "looking")
    assert acknowledge_incident(world.call(JONAS), created.id).state == "acknowledged"
    with pytest.raises(Conflict, match="jonas is on incident"):
        acknowledge_incident(world.call(), created.id)
    world.at(90)
    assert resolve_incident(world.call(JONAS), created.id, note="restarted it").automatic is False
    with pytest.raises(Conflict, match="resolved already"):
        resolve_incident(world.call(JONAS), created.id)
    with pytest.raises(Conflict, match="resolved already"):
        acknowledge_incident(world.call(JONAS), created.id)
    acknowledged = world.events("incident.acknowledged")
    assert [(event.actor, event.cause) for event in acknowledged] == [
        ("person:jonas", world.events("incident.opened")[0].id)
    ]


def test_bad_input_is_named(world: Any) -> None:
    with pytest.raises(Invalid, match="title"):
        create_incident(world.call(), title="  ", service="storefront")
    with pytest.raises(NotFound, match="storefrnt"):
        create_incident(world.call(), title="It fails", service="storefrnt")
    with pytest.raises(NotFound, match="inc_none"):
        show_incident(world.call(), "inc_none")


def test_open_incidents_are_a_fact(world: Any) -> None:
    world.fire()
    answer = world.plane.ask(OpenIncidents("storefront"))
    assert [(one.title, one.severity) for one in answer.value] == [("storefront is slow", "SEV2")]
    assert answer.events == (world.events("incident.opened")[0].id,)
    assert world.plane.ask(OpenIncidents("inventory")).value == ()


def test_a_resolved_incident_leaves_a_postmortem_and_one_action_item(world: Any) -> None:
    bad = world.deploy("storefront", cause=world.push("storefront", "Stock *per* product").id)
    world.at(20)
    world.fire(since=12, cause=bad.id)
    id = only(world).id
    growing = show_postmortem(world.call(), id)
    assert growing.state == "growing"
    assert "Resolved: not yet" in growing.markdown
    acknowledge_incident(world.call(), id, note="the last deployment")
    start_runbook(world.call(), id)
    world.at(40)
    back = world.deploy("storefront", cause=world.events("runbook.started")[0].id)
    world.at(50)
    world.end()

    draft = show_postmortem(world.call(), id)
    assert draft.state == "drafted"
    text = draft.markdown
    for heading in ("## Impact", "## Suspects", "## Timeline", "## What helped", "## Action items"):
        assert heading in text
    assert "17 of 48,211 requests failed" in text
    assert "Acknowledged" in text
    assert f"10 s before the end (`{back.id}`)" in text
    assert "incident" in text.split("## Timeline")[1]
    timeline = text.split("## Timeline")[1].split("## What helped")[0]
    kinds = ("to production, blue-green", "fires", "opened, SEV2", "is on incident", "runbook", "resolved")
    positions = [timeline.index(word) for word in kinds]
    assert positions == sorted(positions), timeline
    assert "Stock \\*per\\* product" in text, "what people wrote is no markup"

    items = list_action_items(world.call(), incident=id).items
    assert [(item.state, item.owner) for item in items] == [("open", "shop-team")]
    assert "storefront 3f2a1c to production" in items[0].title
    drafted, opened = world.events("postmortem.drafted"), world.events("action.opened")
    assert drafted[0].cause == world.events("incident.resolved")[0].id
    assert opened[0].cause == drafted[0].id
    closed = close_action_item(world.call(), items[0].id, note="added a load test")
    assert closed.state == "closed"
    assert list_action_items(world.call(), state="open").items == []
    with pytest.raises(Conflict, match="closed already"):
        close_action_item(world.call(), items[0].id)
    assert world.events("action.closed")[0].cause == opened[0].id


def test_the_runbook_is_started_with_the_inputs_it_declares(world: Any) -> None:
    world.fire()
    incident = only(world)
    started = start_runbook(world.call(), incident.id)
    event = world.events("runbook.started")[0]
    assert (started.noun, started.id) == ("runs", "run_1")
    assert event.cause == world.events("incident.opened")[0].id
    assert world.engine.started[0]["inputs"] == {
        "service": "storefront",
        "environment": "production",
        "incident": incident.id,
    }
    assert world.engine.started[0]["cause"] == event.id
    assert world.engine.started[0]["commit"] == "abc"
    assert only(world).runs == ["run_1"]


def test_the_runbook_that_the_alert_names_comes_first(world: Any) -> None:
    world.fire(
        annotations={"summary": "slow", "runbook_url": "runbooks/slow.md"}, service="inventory", name="InventorySlow"
    )
    assert only(world).runbook_title == "The storefront is slow"
    world.fire(
        annotations={"summary": "slow", "runbook_url": "https://wiki.example.com/x"},
        service="newsletter",
        name="NewsSlow",
    )
    newest = list_incidents(world.call(), service="newsletter").items[0]
    assert (newest.runbook, newest.runbook_workflow) == ("https://wiki.example.com/x", "")
    with pytest.raises(Conflict, match="names no workflow"):
        start_runbook(world.call(), newest.id)


def test_an_incident_without_a_runbook_says_why(world: Any) -> None:
    world.fire("InventorySlow", "inventory")
    incident = only(world)
    assert incident.runbook_unknown == "no runbook names this alert"
    with pytest.raises(Conflict, match="no runbook names this alert"):
        start_runbook(world.call(), incident.id)
    assert world.events("runbook.started") == []


acts = st.lists(st.sampled_from(["acknowledge", "resolve"]), max_size=6)


@given(acts)
def test_only_allowed_transitions_happen_and_the_end_is_final(given_acts: list[Any]) -> None:
    state: Any = "open"
    for act in given_acts:
        expected = TRANSITIONS.get((state, act))
        if expected is None:
            with pytest.raises(Conflict, match=f"inc_1 is {state} already"):
                after(state, act, "inc_1")
            continue
        state = after(state, act, "inc_1")
    assert ("resolve" in given_acts) == (state == "resolved")


def test_severities_are_ordered() -> None:
    assert worse("SEV1", "SEV2")
    assert not worse("SEV2", "SEV2")
    assert not worse("SEV3", "SEV1")


def test_every_verb_is_derived_for_all_surfaces() -> None:
    routes = {one.operation.name: f"{one.method} {one.path}" for one in derive_all(AREA.operations)}
    assert routes == {
        "incidents.list": "GET /incidents", "incidents.show": "GET /incidents/{id}", "incidents.create": "POST /incidents",
        "incidents.acknowledge": "POST /incidents/{id}/acknowledge", "incidents.resolve": "POST /incidents/{id}/resolve",
        "incidents.runbook": "POST /incidents/{id}/runbook", "pages.list": "GET /pages", "pages.show": "GET /pages/{id}",
        "pages.confirm": "POST /pages/{id}/confirm", "oncall.show": "GET /oncall/show",
        "postmortems.show": "GET /postmortems/{id}", "action-items.list": "GET /action-items",
        "action-items.close": "POST /action-items/{id}/close",
    }  # fmt: skip


def test_an_alert_of_a_load_test_calls_nobody_until_it_outlasts_it(world: Any) -> None:
    onset = world.clock.now()
    fired = world.fire(muted_by="load test peak in staging from 09:00:00 UTC")
    assert list_incidents(world.call()).items == []
    world.at(90)
    unmuted = world.fire(type="alert.unmuted", since=0, cause=fired.id, muted_by="load test peak in staging")
    (incident,) = list_incidents(world.call()).items
    assert incident.onset == onset
    assert world.plane.ledger.get(incident.events[0]).cause == unmuted.id
    world.end()
    assert list_incidents(world.call()).items[0].state == "resolved"


def test_the_timeline_of_an_incident_reads_as_sentences(world: Any) -> None:
    fired = world.fire()
    id = list_incidents(world.call()).items[0].id
    acknowledge_incident(world.call(), id)
    told = show_incident(world.call(), id).timeline
    assert told[0].event == fired.id and told[0].what == "StorefrontSlow fires"
    assert "maria is on incident" in told[-1].what
    assert [one.at for one in told] == sorted(one.at for one in told)
