"""The ledger as pages, and the data of charts."""

from __future__ import annotations

import pytest

from opsroom.surfaces.web.data import series_name
from opsroom.telemetry.port import Points, labels


def test_events_are_sentences_with_links(client, history):
    text = client.get("/changes").text
    assert ">storefront</a> 3f2a1c9 to production, blue-green: 0 of 48,211 requests failed" in text
    assert 'href="/services/storefront"' in text


def test_an_event_has_its_causes_above_and_its_effects_below(client, history):
    pushed, deployed, alert = history
    text = client.get(f"/changes/{deployed.id}").text
    assert (
        text.index("Because")
        < text.index(pushed.id)
        < text.index("event-itself")
        < text.index("What it caused")
        < text.index(alert.id)
    )
    assert "and 1\xa0thing more from it" not in text
    assert "and 1\xa0thing more from it" in client.get(f"/changes/{pushed.id}").text


def test_filters(client, history):
    assert "settings applied" in client.get("/changes?actor=person:jan").text
    assert "pushed to" not in client.get("/changes?actor=person:jan").text
    assert "SlowCheckout fires" not in client.get("/changes?only=changes").text
    assert "Nothing matches" in client.get("/changes?type=run.finished").text


def test_pages_of_the_ledger(client, record):
    for number in range(70):
        record("run.finished", f"run:r{number}")
    first = client.get("/changes?type=run.finished").text
    assert first.count('class="event"') == 60
    after = first.split("after=")[1].split('"')[0]
    assert client.get(f"/changes?type=run.finished&after={after}").text.count('class="event"') == 10


def test_two_moments_compared(client, history):
    text = client.get("/changes/compare?from=1h&to=20m").text
    assert "2\xa0changes" in text and "settings applied" not in text


def test_an_unknown_event(client):
    assert client.get("/changes/evt_nope").status_code == 404


def test_who_may_see_one_team_sees_its_events_alone(plane, signed_in_as, record):
    person = plane.actors.people.add("otto", "system:test")
    plane.actors.people.grant(person.id, "viewer", "system:test", team="shop")
    record("deployment.finished", "service:storefront", "environment:production", version="v1")
    other = record("configuration.applied", "host:web-1", count=3, host="web-1")
    client = signed_in_as(person.id)
    text = client.get("/changes").text
    assert "storefront" in text.split("<main")[1] and "settings applied" not in text
    assert client.get(f"/changes/{other.id}").status_code == 404
    assert [change["type"] for change in client.get("/data/changes").json()["changes"]] == ["deployment.finished"]


def test_search_finds_services_events_verbs_and_pages(client, history):
    text = client.get("/search?q=slowcheckout").text
    assert "SlowCheckout fires" in text
    assert "runs.cancel" in client.get("/search?q=cancel").text
    assert "Nothing found" not in client.get(f"/search?q={history[0].id}").text
    assert client.get("/search?q=%3Cscript%3Ealert(1)").text.count("<script>alert") == 0


def test_series_stand_on_one_grid(client):
    told = client.get("/data/series?query=up&since=1h&name={{service}}").json()
    assert [one["name"] for one in told["series"]] == ["inventory", "storefront"] or len(told["series"]) == 2
    assert len(told["times"]) == len(told["series"][0]["values"]) <= 241
    assert told["times"][1] - told["times"][0] == told["step"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "query is missing"),
        ("query=broken(", "is no PromQL"),
        ("query=up&step=0", "step="),
        ("query=up&step=0.1", "step="),
    ],
)
def test_a_series_that_cannot_be_drawn_says_why(client, query, said):
    answer = client.get(f"/data/series?{query}")
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_changes_for_charts(client, history):
    changes = client.get("/data/changes").json()["changes"]
    assert [change["shape"] for change in changes] == ["diamond", "triangle", "circle"]
    assert changes[1]["text"].startswith("storefront 3f2a1c9 to production")
    assert [change["type"] for change in client.get("/data/changes?service=storefront").json()["changes"]] == [
        "deployment.finished", "change.pushed",
    ]  # fmt: skip


def test_names_of_series():
    one = Points(labels({"__name__": "up", "job": "shop", "le": "+Inf"}), (), ())
    assert series_name(one, "") == 'up{job="shop", le="+Inf"}'
    assert series_name(one, "{{ job }} {{nothing}}") == "shop"


def test_the_ledger_is_verified_from_its_page(client):
    assert "Verify the ledger" in client.get("/changes").text
    sent = client.post("/verbs/ledger.verify", data={"_back": "/changes"})
    assert sent.status_code == 303
    assert "ledger.verify" in client.get("/changes").text.split("data-toasts")[1]
