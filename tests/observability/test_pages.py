"""The pages: with nothing, with something, and with telemetry away; and what is added to the pages of others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from observed_plane import RULES, Scene
from starlette.testclient import TestClient
from test_alerts import step, watch
from test_slos import FILES as SLO_FILES
from test_slos import step as slo_step

from opsroom.app.application import Application
from opsroom.areas.observability.operations.alerts import list_alerts
from opsroom.areas.observability.pages.alerts import watched
from opsroom.areas.observability.scraping import watch as watch_targets
from opsroom.kernel.actors import csrf_token
from opsroom.surfaces.api.guards import COOKIE
from opsroom.surfaces.web import assets
from opsroom.telemetry.port import LogRecord

HOST = "http://127.0.0.1:8600"
PLACE = {"service": "storefront", "environment": "production"}


@pytest.fixture
def page(scene: Scene) -> Iterator[TestClient]:
    """Signed in as an admin."""
    if missing := assets.missing_assets():
        pytest.skip(f"front-end files are missing ({', '.join(missing)}); `python hatch_build.py` fetches them")
    actors = scene.plane.actors
    link = actors.sign_in.make_link("person:admin", actors.people.actor("person:admin"))
    session = actors.redeem(link.text, "test").text
    application = Application(scene.plane)
    client = TestClient(application, base_url=HOST, follow_redirects=False, cookies={COOKIE: session})
    client.headers["x-csrf-token"] = csrf_token(session)
    yield client


def text(page: TestClient, path: str, status: int = 200) -> str:
    answer = page.get(path)
    assert answer.status_code == status, answer.text[:2000]
    return answer.text


def lively(scene: Scene) -> None:
    """Requests, an alert that fires, a log, targets."""
    watch(scene)
    for second in range(20):
        step(scene, 0.3)
        for code, each in (("200", 10.0), ("500", 1.0)):
            scene.sample("http_requests_total", each * second, code=code, **PLACE)
        for le, each in (("0.1", 5.0), ("0.5", 11.0), ("+Inf", 11.0)):
            scene.sample("http_request_duration_seconds_bucket", each * second, le=le, version="v1", **PLACE)
    now = scene.clock.now().timestamp()
    scene.telemetry.lines = [
        LogRecord(time=now - 5, message="ordered <b>tea</b>", service="storefront", environment="production", level="info", trace_id="4bf92f35"),
        LogRecord(time=now - 3, message="timed out", service="storefront", environment="production", level="error", attributes={"path": "/"}),
    ]  # fmt: skip
    watch_targets(scene.plane).scraper.round()
    watch_targets(scene.plane).note()


def test_empty_pages_teach(scene: Scene, page: TestClient) -> None:
    assert "No log lines in this time" in text(page, "/explore")
    assert "No rules yet" in text(page, "/alerts")
    assert "Nothing is scraped yet" in text(page, "/targets")
    assert "No objectives yet" in text(page, "/slos")
    assert "Nothing is wrong that Opsroom can see" in text(page, "/")


def test_explore_shows_metrics_above_logs(scene: Scene, page: TestClient) -> None:
    lively(scene)
    shown = text(page, "/explore?since=5m")
    assert 'value="sum by (service) (rate(http_requests_total[1m]))"' in shown
    assert "histogram_quantile(0.95, sum by (le, service) (rate(http_request_duration_seconds_bucket[1m])))" in shown
    assert shown.index('id="chart-requests"') < shown.index('id="chart-log-lines"') < shown.rindex("timed out")
    assert "ordered &lt;b&gt;tea&lt;/b&gt;" in shown and "trace 4bf92f35" in shown
    assert "2 lines in this time" in shown
    asked = text(page, "/explore?query=up%20%3D%3D%200&logs=level:error&level=error&service=storefront")
    assert 'value="up == 0"' in asked and 'id="chart-result"' in asked
    assert '(service:"storefront") AND (level:error) AND level:"error"' in scene.telemetry.asked
    scene.telemetry.down = True
    scene.clock.advance(5)
    away = text(page, "/explore")
    assert "Telemetry is down: it does not answer." in away and "unknown, not absent" in away


def test_alerts_and_one_alert(scene: Scene, page: TestClient) -> None:
    lively(scene)
    shown = text(page, "/alerts")
    assert "StorefrontSlow" in shown and "storefront is slow: 300ms" in shown and "rules/storefront.yml:7:9" in shown
    (alert,) = list_alerts(scene.call).items
    one = text(page, f"/alerts/{alert.id}")
    assert "What led to it" in one and "fires above" in one and "Silence for 2 hours" in one
    assert text(page, "/alerts/StorefrontSlow").count("StorefrontSlow") > 3
    step(scene, 0.1)
    over = text(page, f"/alerts/{alert.id}")
    assert "is over after" in over and "Silence for" not in over
    assert "alert &#39;Nope&#39; does not exist" in text(page, "/alerts/Nope", 404)
    scene.telemetry.down = True
    scene.clock.advance(5)
    assert "nothing fires and nothing ends until it does" in text(page, "/alerts")


def test_a_rule_that_never_fired_has_a_page(scene: Scene, page: TestClient) -> None:
    scene.offer({"rules/storefront.yml": RULES})
    assert "never fired" in text(page, "/alerts/StorefrontSlow") or "was not evaluated" in text(
        page, "/alerts/StorefrontSlow"
    )


def test_a_silence_from_the_page(scene: Scene, page: TestClient) -> None:
    lively(scene)
    (alert,) = list_alerts(scene.call).items
    import html
    import re

    form = re.search(r'<form class="action".*?</form>', text(page, f"/alerts/{alert.id}"), re.DOTALL)
    assert form
    given = {name: html.unescape(value) for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form[0])}
    answer = page.post("/verbs/waivers.create", data={**given, "reason": "load test"})
    assert answer.status_code == 303, answer.text[:500]
    (waiver,) = scene.plane.waivers.all(kind="silence")
    assert {str(one) for one in waiver.matchers} == {
        'alert="StorefrontSlow"', 'service="storefront"', 'environment="production"',
    }  # fmt: skip
    assert "silenced" in text(page, f"/alerts/{alert.id}")
    assert "StorefrontSlow" not in text(page, "/").split("What changed")[0]


def test_targets_and_objectives(scene: Scene, page: TestClient) -> None:
    scene.offer(SLO_FILES)
    scene.deploy("storefront")
    slo_step(scene, 0, 0)
    slo_step(scene, 999, 1)
    watch_targets(scene.plane).scraper.round()
    shown = text(page, "/slos")
    assert "Storefront answers" in shown and "90 %" in shown.replace("\u00a0", " ")
    assert "connection refused" in text(page, "/targets")
    overview = text(page, "/")
    assert "storefront in production does not answer" in overview
    slo_step(scene, 1998, 100)
    assert "of the error budget left" in text(page, "/")


def test_parts_of_other_pages(scene: Scene, page: TestClient) -> None:
    lively(scene)
    service = text(page, "/services/storefront")
    assert "Golden signals" in service and 'id="chart-p95"' in service
    services = text(page, "/services").replace("\u00a0", " ")
    assert "req/s" in services and "9.09 % fail" in services
    assert "StorefrontSlow" in text(page, "/")
    scene.offer({"rules/storefront.yml": RULES, **SLO_FILES})
    slo_step(scene, 0, 0)
    slo_step(scene, 999, 0)
    assert "Objectives" in text(page, "/services/storefront")


def test_before_and_after_a_deployment(scene: Scene) -> None:
    from opsroom.areas.observability.pages.parts import around_deployment
    from opsroom.contracts.pages import PageRequest, Scope

    def asked(id: str) -> PageRequest:
        now = scene.clock.now()
        return PageRequest(call=scene.call, params={"id": id}, query={}, scope=Scope(since=now, until=now))

    scene.offer({})
    totals = {"0.1": 0.0, "0.5": 0.0, "+Inf": 0.0}

    def serve(seconds: int, version: str, slow: float) -> None:
        for _ in range(seconds):
            scene.clock.advance(1)
            for le, share in (("0.1", 1 - slow), ("0.5", 1.0), ("+Inf", 1.0)):
                totals[le] += 10 * share
                scene.sample("http_request_duration_seconds_bucket", totals[le], le=le, version=version, **PLACE)
            scene.sample("http_requests_total", totals["+Inf"], code="200", version=version, **PLACE)

    serve(60, "v1", 0.0)
    scene.deploy("storefront", version="v2")
    totals = dict.fromkeys(totals, 0.0)
    serve(60, "v2", 0.5)
    view = around_deployment(asked("dep_v2"))
    assert view is not None
    p95 = view.values["compared"][2]
    assert p95.before < 0.1 < p95.after and p95.change > 1
    assert [one["name"] for one in view.values["chart"]["series"]] == ["v1", "v2"]
    assert around_deployment(asked("dep_none")) is None
    scene.telemetry.down = True
    scene.clock.advance(5)
    away = around_deployment(asked("dep_v2"))
    assert away is not None and away.values["unknown"] == "telemetry is down"


@pytest.mark.parametrize(
    ("expr", "shown", "bound"),
    [
        ("latency > 0.15", "latency", [{"value": 0.15, "label": "fires above"}]),
        ("(up < 1)", "up", [{"value": 1.0, "label": "fires below"}]),
        ("up == 0", "up == 0", []),
        ("a > b", "a > b", []),
        ("absent(up)", "absent(up)", []),
    ],
)
def test_what_an_alert_watches(expr: str, shown: str, bound: list[dict[str, object]]) -> None:
    assert watched(expr) == (shown, bound)
