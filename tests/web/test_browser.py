"""The pages in a real Chromium: nothing from elsewhere, the keyboard, live refresh, themes, widths, screen readers' view."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

import fake_plane as fake
import pytest

from opsroom.workflows.protocol import LogLine

pytestmark = pytest.mark.slow

PAGES = (
    "/",
    "/changes",
    "/changes/compare",
    "/services",
    "/services/storefront",
    "/runs",
    "/runs/r1",
    "/look",
    "/verbs/runs.cancel",
)


@pytest.mark.parametrize("width", [390, 1280, 1920])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_fits_asks_nobody_else_and_has_no_fault(visit, width, theme):
    seen = visit("/", width=width, theme=theme)
    for path in PAGES:
        seen.go(path)
        seen.page.wait_for_load_state("load")
        if seen.page.locator(".chart").count():
            seen.page.locator(".chart-note").first.wait_for(state="detached")
        size = seen.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert size[0] <= size[1], f"{path} is {size[0]} wide in {size[1]}"
    hosts = {urlsplit(url).netloc for url in seen.requests if not url.startswith(("data:", "blob:"))}
    assert hosts == {urlsplit(seen.url).netloc}
    assert seen.problems == []


def test_charts_are_drawn_with_their_changes_marked(visit):
    seen = visit("/")
    seen.page.wait_for_selector(".chart canvas")
    marks = seen.page.locator(".chart").first.locator(".chart-mark")
    assert marks.count() == 3
    assert "blue-green" in marks.nth(1).get_attribute("title")
    body = seen.page.locator(".chart-body").first.bounding_box()
    seen.page.mouse.move(body["x"] + body["width"] / 2, body["y"] + 70)
    card = seen.page.locator(".chart-card")
    assert re.search(r"storefront\s*[\d.]+\sreq/s", card.inner_text().replace("\n", " "))
    seen.page.locator(".chart-table summary").first.click()
    seen.page.locator(".chart-table").first.locator("tbody tr").nth(30).wait_for()
    marks.nth(1).click()
    seen.page.wait_for_url(re.compile("/changes/evt_"))


def test_marks_that_would_lie_over_each_other_become_one(visit, running):
    for number in range(9):
        fake.record(running.plane, "change.pushed", "repository:ops", ago=500 - number, commit="a" * 40)
    seen = visit("/?since=1h")
    several = seen.page.locator(".chart").first.locator(".chart-mark.several")
    several.wait_for()
    assert several.inner_text() == "9"
    assert "and 1 more" in several.get_attribute("title")
    several.click()
    seen.page.wait_for_url(re.compile(r"/changes\?.*since=.*until=.*only=changes"))
    assert seen.page.locator(".event").count() == 9


def test_a_chart_without_samples_or_with_a_bad_query_says_so(visit):
    seen = visit("/look")
    seen.page.evaluate(
        """() => { for (const [at, query] of [[0, 'nothing'], [1, 'broken(']]) { const figure = document.querySelectorAll('.chart')[at];
            figure.dataset.chart = JSON.stringify({queries: [{query}]}); } }"""
    )
    seen.page.keyboard.press("t")
    seen.page.evaluate("async () => (await import(document.body.dataset.static + 'charts.js')).drawCharts(document)")
    seen.page.get_by_text("No samples in this time.").wait_for()


def test_dragging_over_a_chart_sets_the_time_range(visit):
    seen = visit("/")
    seen.page.wait_for_selector(".chart canvas")
    body = seen.page.locator(".chart-body .u-over").first.bounding_box()
    seen.page.mouse.move(body["x"] + 50, body["y"] + 60)
    seen.page.mouse.down()
    seen.page.mouse.move(body["x"] + 200, body["y"] + 60, steps=5)
    seen.page.mouse.up()
    seen.page.wait_for_url(re.compile(r"since=.*until="))
    assert "until" in seen.page.locator("select[name=until]").inner_text()


def test_keys(visit):
    seen = visit("/")
    page = seen.page
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/services")
    page.wait_for_selector("html[data-ready]")
    page.keyboard.press("?")
    assert page.locator("dialog.keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/services/inventory")
    page.wait_for_selector("html[data-ready]")
    page.keyboard.press("/")
    page.keyboard.type("slowcheckout")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=slowcheckout")
    assert "SlowCheckout fires" in page.locator("main").inner_text()


def test_the_palette_runs_a_verb(visit, running):
    seen = visit("/runs?since=6h")
    page = seen.page
    page.keyboard.press("Control+k")
    page.locator("#palette-list li").first.wait_for()
    page.keyboard.type("cancel")
    assert page.locator("#palette-list [aria-selected=true]").inner_text().startswith("runs.cancel")
    page.keyboard.press("Enter")
    page.wait_for_url("**/verbs/runs.cancel?since=6h")
    page.get_by_label("Id").fill("r1")
    page.get_by_label("Reason").fill("wrong branch")
    page.get_by_role("button", name="Run runs.cancel").click()
    page.locator(".facts").get_by_text("cancelled").wait_for()
    assert running.plane.ledger.find(types=["run.finished"])[0].data["reason"] == "wrong branch"


def test_a_button_acts_and_the_page_says_so(visit):
    seen = visit("/runs/r1")
    seen.page.get_by_role("button", name="Cancel the run").click()
    seen.page.locator(".toast", has_text="runs.cancel: id r1, state cancelled").wait_for()
    assert seen.page.url.endswith("/runs/r1")


def test_pages_follow_by_themselves_and_mark_what_changed(visit, running):
    seen = visit("/runs")
    seen.wait_live()
    seen.page.evaluate("document.querySelector('[data-key=r1]').kept = true")
    running.floor.rows[1] |= {"state": "success", "reason": ""}
    running.floor.rows.append({"id": "r4", "name": "new one", "state": "running", "reason": "", "seconds": None})
    fake.record(running.plane, "run.finished", "run:r2")
    changed = seen.page.locator("tr.changed")
    changed.first.wait_for()
    assert sorted(row.get_attribute("data-key") for row in changed.all()) == ["r2", "r4"]
    assert seen.page.evaluate("document.querySelector('[data-key=r1]').kept") is True
    assert seen.page.locator("[data-key=r2]").inner_text().split() == ["inventory", "success", "–"]
    changed.first.wait_for(state="detached")
    assert seen.problems == []


def test_what_does_not_concern_a_page_leaves_it_alone(visit, running):
    seen = visit("/runs")
    seen.wait_live()
    asked = len(seen.requests)
    fake.record(running.plane, "alert.fired", "alert:Other")
    fake.record(running.plane, "run.finished", "run:r2")
    with seen.page.expect_event("request", predicate=lambda request: request.url.endswith("/runs")):
        pass
    assert len(seen.requests) - asked <= 3


def test_typing_is_not_disturbed_by_a_refresh(visit, running):
    seen = visit("/changes")
    seen.wait_live()
    field = seen.page.get_by_label("Who, such as person:maria")
    field.fill("person:j")
    with seen.page.expect_event("response", predicate=lambda response: response.url.endswith("/changes")):
        fake.record(running.plane, "run.finished", "run:r2")
    seen.page.keyboard.type("an")
    assert field.input_value() == "person:jan"


def test_a_lost_connection_says_so_and_comes_back(visit, running):
    seen = visit("/runs")
    seen.wait_live()
    assert running.stop() < 2
    lost = seen.page.get_by_text("The connection is lost")
    lost.wait_for()
    running.floor.rows[0]["name"] = "renamed while away"
    running.start()
    seen.page.wait_for_selector("[data-live-state=on]", timeout=20_000)
    lost.wait_for(state="hidden")
    seen.page.get_by_text("renamed while away").wait_for()


def test_theme_follows_the_system_and_can_be_chosen(visit):
    seen = visit("/", theme="dark")

    def ground():
        return seen.page.evaluate("getComputedStyle(document.body).backgroundColor")

    dark = ground()
    seen.page.keyboard.press("t")
    light = ground()
    assert light == "rgb(255, 255, 255)" != dark
    seen.go("/services")
    assert ground() == light
    assert seen.page.get_by_text("Theme: light").is_visible()
    seen.page.keyboard.press("t")
    assert ground() == dark


def test_less_motion(visit):
    seen = visit("/look", motion="reduce")
    moving = seen.page.evaluate("document.getAnimations().filter(one => one.playState === 'running').length")
    assert moving == 0


def test_what_a_screen_reader_sees(visit):
    seen = visit("/services")
    tree = seen.page.locator("body").aria_snapshot()
    for part in (
        'link "Skip to the content"',
        'navigation "Main"',
        'navigation "Breadcrumb"',
        "main",
        'heading "Services" [level=1]',
        'searchbox "Search all"',
        'combobox "Time range"',
        'columnheader "Service"',
        'link "storefront"',
    ):
        assert part in tree, f"{part} is not in\n{tree}"
    nameless = seen.page.evaluate(
        "[...document.querySelectorAll('button, a[href], input:not([type=hidden]), select, textarea')].filter(one => one.checkVisibility() && "
        "!(one.innerText.trim() || one.ariaLabel || one.title || one.labels?.length || one.querySelector('[aria-label]'))).map(one => one.outerHTML)"
    )
    assert nameless == []


def test_focus_is_seen_and_the_first_stop_skips_to_the_content(visit):
    seen = visit("/services")
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.activeElement.id") == "main"
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_diagrams_are_drawn_apart_from_the_page(visit):
    seen = visit("/services")
    image = seen.page.locator(".mermaid-drawing img")
    image.wait_for()
    assert image.get_attribute("alt") == "Service graph"
    light = image.get_attribute("src")
    seen.page.evaluate("opsroomTheme.choose('dark')")
    seen.page.locator(f".mermaid-drawing img:not([src={json.dumps(light)}])").wait_for()
    frame = next(frame for frame in seen.page.frames if frame.url.endswith("/diagram"))
    assert frame.evaluate("origin") == "null"
    assert seen.problems == []


def test_the_log_folds_searches_links_and_shows_the_error_first(visit):
    seen = visit("/look")
    page = seen.page
    page.locator("#L11.log-at-focus").wait_for()
    assert page.locator("#L3").is_hidden()
    page.get_by_role("button", name="Run make test").click()
    assert page.locator("#L3").is_visible()
    page.get_by_placeholder("Search this log").fill("python")
    page.locator(".log mark").first.wait_for()
    assert page.locator(".log-hits").inner_text() == "1 of 1"
    assert page.locator("#L6").is_visible()
    page.get_by_role("button", name="Times").click()
    assert page.locator("#L6 .log-at").is_visible()
    page.locator("#L8 .log-number").click()
    assert page.url.endswith("#L8")
    page.reload()
    page.locator("#L8.log-at-focus").wait_for()


def test_the_log_follows_until_the_end(visit, running):
    seen = visit("/runs/r1")
    assert seen.page.locator(".log-line").count() == 3
    running.floor.lines.append(LogLine(at="2026-01-05T09:00:01.000000Z", step=0, text="\x1b[32mline four\x1b[0m"))
    seen.page.locator("#L4 .ansi-green", has_text="line four").wait_for()
    running.floor.done = True
    seen.page.get_by_role("button", name="Follow").wait_for(state="detached")
    assert seen.page.get_by_role("status").get_by_text("the log is complete").count() == 1
    assert seen.page.locator(".log-line").count() == 4


def test_signing_in_by_a_link(chromium, running):
    link = running.plane.actors.sign_in.make_link(
        "person:admin", running.plane.actors.people.actor("person:admin")
    ).text
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{running.url}/changes")
    assert page.get_by_role("heading", name="Sign in").is_visible()
    page.goto(f"{running.url}/sign-in?link={link}&next=/changes")
    page.wait_for_url("**/changes")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    context.close()


def test_rows_are_sorted_by_a_heading(visit):
    seen = visit("/runs")
    seen.page.get_by_role("link", name="Took").click()
    seen.page.wait_for_url("**/runs?sort=seconds")
    rows = seen.page.locator("tbody tr")
    assert [row.get_attribute("data-key") for row in rows.all()] == ["r3", "r1", "r2"]
    assert seen.page.locator("th[aria-sort=ascending]").inner_text().startswith("Took")


def test_the_scope_is_chosen_at_the_top(visit):
    seen = visit("/changes")
    seen.page.get_by_label("Time range").select_option("24h")
    seen.page.wait_for_url("**/changes?since=24h")
    seen.page.wait_for_selector("html[data-ready]")
    seen.page.get_by_role("combobox", name="Service").select_option("inventory")
    seen.page.wait_for_url("**/changes?service=inventory&since=24h")
    assert "since=24h" in seen.page.get_by_role("link", name="Overview").get_attribute("href")


def test_the_menu_on_a_phone(visit):
    seen = visit("/", width=390)
    assert not seen.page.get_by_role("link", name="Services").is_visible()
    seen.page.get_by_role("button", name="Menu").click()
    seen.page.get_by_role("link", name="Services").click()
    seen.page.wait_for_url("**/services")
