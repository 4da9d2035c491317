"""The frame over ASGI: identity, scope, other areas' parts, errors as pages, headers, forms."""

from __future__ import annotations

import re

import pytest

from opsroom.contracts.area import Area
from opsroom.contracts.pages import PageDeclaration, View
from opsroom.kernel.actors import csrf_token
from opsroom.surfaces.web import assets, navigation
from opsroom.surfaces.web.app import build_web
from opsroom.surfaces.web.security import COOKIE

PAGES = ("/", "/changes", "/changes/compare", "/services", "/services/storefront", "/search?q=store", "/runs", "/look")


@pytest.mark.parametrize("path", [*PAGES, "/verbs/runs.cancel", "/nowhere"])
def test_nobody_sees_a_page_without_signing_in(anonymous, path):
    answer = anonymous.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=")


@pytest.mark.parametrize("path", ["/data/series?query=up", "/data/changes", "/verbs", "/live", "/diagram"])
def test_nobody_gets_data_without_signing_in(anonymous, path):
    assert anonymous.get(path).status_code == 401


def test_a_session_that_ended_is_nobody(client, plane):
    plane.actors.sign_in.end(client.cookies[COOKIE])
    assert client.get("/").status_code == 303


@pytest.mark.parametrize("path", PAGES)
def test_pages_answer_small(client, history, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert len(answer.content) < 100_000
    assert "<main" in answer.text


def test_first_page_weighs_under_300_kb(client, history):
    page = client.get("/")
    total = len(page.content)
    addresses = set(re.findall(r'(?:src|href)="(/static/[^"#]+)', page.text))
    for address in addresses:
        total += len(client.get(address).content)
    assert len(addresses) > 4
    assert total < 300_000


def test_security_headers(client):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)[1]
    for part in (
        "default-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "object-src 'none'",
    ):
        assert part in policy
    assert "unsafe" not in policy
    assert all(f'nonce="{nonce}"' in tag for tag in re.findall(r"<script[^>]*>", answer.text))
    assert " style=" not in answer.text and "onclick" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert client.get("/").headers["content-security-policy"] != policy


def test_static_files_are_cached_by_content_and_need_no_identity(anonymous):
    answer = anonymous.get(assets.address("app.css"))
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert anonymous.get("/static/other/app.css").headers["cache-control"] == "no-cache"
    assert anonymous.get("/static/other/../../app.py").status_code in {303, 404}
    assert anonymous.get(assets.address("%2e%2e/app.py")).status_code == 404


def test_a_foreign_host_is_refused(client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421


def test_scope_stands_in_every_link(client, history):
    text = client.get("/changes?since=6h&service=storefront").text
    assert 'href="/services?since=6h&amp;service=storefront"' in text
    assert "/changes/evt_" in text and "since=6h&amp;service=storefront" in text.split("/changes/evt_")[1][:80]
    assert "settings applied" not in text


@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=2026-01-05T09:00:00", "since=1h&until=2h", "since=999999999d"]
)
def test_a_scope_that_cannot_be_read_is_a_page_that_says_so(client, query):
    answer = client.get(f"/changes?{query}")
    assert answer.status_code == 422
    assert "since=" in answer.text or "until=" in answer.text


def test_unknown_page(client):
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert "there is no page /nowhere" in answer.text


def test_a_bug_is_a_page_with_an_id_that_the_log_has(client, journal_text):
    answer = client.get("/bug")
    assert answer.status_code == 500
    id = re.search(r"err_\w+", answer.text)[0]
    assert id in journal_text.getvalue() and "planted bug" in journal_text.getvalue()
    assert "planted bug" not in answer.text


def test_a_broken_part_leaves_the_page_standing(client):
    text = client.get("/").text
    assert "Broken part: this part failed" in text
    assert "storefront is slow" in text


def test_parts_of_others(client):
    assert "41.5\xa0req/s</a> for storefront" in client.get("/services/storefront").text
    assert "for r1" in client.get("/runs/r1").text
    assert "run with store" in client.get("/search?q=store").text
    assert client.get("/services").text.count("is-ok") >= 2


def test_a_fragment_comes_without_the_frame(client):
    text = client.get("/runs/r1/log?after=1&fragment=1").text
    assert "<html" not in text
    assert 'id="L2"' in text and 'id="L1"' not in text


def test_as_code_and_api(client):
    text = client.get("/services/storefront").text
    assert "catalog/storefront.yaml:1" in text and "3f2a1c9" in text
    assert "GET /api/v1/services/storefront" in text


def test_a_service_that_is_not_there(client):
    answer = client.get("/services/storefrunt")
    assert answer.status_code == 404
    assert "the services are: inventory, storefront" in answer.text


def test_menu_keys_are_unique():
    def page(path):
        return PageDeclaration(path=path, title="x", render=lambda asked: View(template="x"), nav="x", key="x")

    with pytest.raises(ValueError, match="both want the keys g x"):
        navigation.menu([page("/a"), page("/b")])


def test_the_menu_is_grouped_and_opens_the_section_at_hand():
    def page(path):
        return PageDeclaration(path=path, title=path, render=lambda asked: View(template="x"), nav=path)

    entries = navigation.menu([page(path) for path in ("/own", "/schedules", "/", "/workflows", "/runs", "/services")])
    current = navigation.current(entries, "/workflows/start")
    groups = navigation.grouped(entries, current)
    drawn = [[(one.entry.path, [sub.path for sub in one.under], one.open) for one in group] for group in groups]
    assert drawn == [
        [("/", [], False), ("/services", [], False)],
        [("/runs", ["/workflows"], True)],
        [("/own", [], False), ("/schedules", [], False)],
    ]
    assert [one.path for one in navigation.crumbs(entries, "/workflows/start", "x")] == ["/runs", "/workflows", ""]


def test_breadcrumbs_follow_the_longest_entry():
    entries = [navigation.Entry(path=path, words=path, key="", icon="") for path in ("/", "/runs")]
    assert [crumb.path for crumb in navigation.crumbs(entries, "/runs/r1", "r1")] == ["/runs", ""]
    assert navigation.current(entries, "/runsheet") is None


def test_secrets_do_not_reach_a_page(client, plane, record):
    plane.secrets.set("API_KEY", "hunter2-hunter2", "system:test")
    assert "hunter2-hunter2" not in client.get("/search?q=hunter2-hunter2").text


def test_sign_in_link_works_once(anonymous, plane):
    link = plane.actors.sign_in.make_link("person:admin", plane.actors.people.actor("person:admin")).text
    shown = anonymous.get(f"/sign-in?link={link}&next=/services")
    assert link in shown.text and COOKIE not in shown.cookies
    sent = anonymous.post("/sign-in", data={"link": f"http://x/sign-in?link={link}", "next": "/services"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/services")
    cookie = sent.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    assert anonymous.get("/services").status_code == 200
    anonymous.cookies.clear()
    again = anonymous.post("/sign-in", data={"link": link})
    assert again.status_code == 401 and "was used or has expired" in again.text


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", ""])
def test_sign_in_never_forwards_elsewhere(anonymous, plane, target):
    link = plane.actors.sign_in.make_link("person:admin", plane.actors.people.actor("person:admin")).text
    assert anonymous.post("/sign-in", data={"link": link, "next": target}).headers["location"] == "/"


def test_sign_out(client):
    assert client.post("/sign-out").headers["location"] == "/sign-in"
    assert client.get("/").status_code == 303


def test_sign_out_needs_the_token(client):
    client.headers.pop("x-csrf-token")
    assert client.post("/sign-out").status_code == 403


def test_the_gallery_is_for_admins(client, viewer):
    assert client.get("/look").status_code == 200
    refused = viewer.get("/look")
    assert refused.status_code == 403 and "needs admin" in refused.text


def test_two_areas_with_one_key_cannot_be_built(plane, front_end_files):
    area = Area(
        name="x",
        promise="x",
        nouns=(),
        pages=(PageDeclaration(path="/x", title="x", render=lambda asked: View(template="x"), nav="x", key="s"),),
    )
    with pytest.raises(ValueError, match="both want the keys g s"):
        build_web(plane, [area])


def test_the_token_of_forms_is_of_the_session(client):
    assert csrf_token(client.cookies[COOKIE]) in client.get("/changes").text
