"""The duties against the real store: a service that turns slow is scraped, its lines collected, its alert fired, its budget counted."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from observed_plane import RULES, Scene
from test_slos import FILES as SLO_FILES

from opsroom.areas.observability import AREA
from opsroom.areas.observability.in_force import tell_rules
from opsroom.areas.observability.operations.alerts import list_alerts
from opsroom.areas.observability.operations.logs import search_logs
from opsroom.areas.observability.operations.slos import list_slos
from opsroom.areas.observability.operations.targets import list_targets
from opsroom.areas.observability.scraping import watch
from opsroom.kernel.clock import SystemClock
from opsroom.kernel.journal import Journal
from opsroom.telemetry.embedded import EmbeddedTelemetry
from opsroom.telemetry.limits import Limits

FAST = RULES.replace("for: 5s", "for: 1s").replace("expr: latency > 0.15", "expr: service:latency > 0.15")


class Shop:
    """A service whose latency a test sets, and whose requests count up."""

    def __init__(self) -> None:
        self.latency, self.requests = 0.1, 0
        shop = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                shop.requests += 50
                body = f'latency {shop.latency}\nhttp_requests_total{{code="200"}} {shop.requests}\n'
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Keeps the test's output quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def shop() -> Iterator[Shop]:
    made = Shop()
    yield made
    made.close()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Scene]:
    pytest.importorskip("chdb", reason="chdb-core is not installed")
    clock = SystemClock()
    telemetry = EmbeddedTelemetry(tmp_path / "t", Limits(), clock, Journal(clock, out=io.StringIO()))
    scene = Scene(folder=tmp_path, clock=cast(Any, clock), telemetry=cast(Any, telemetry))
    scene.start()
    yield scene
    watch(scene.plane).scraper.close()
    telemetry.close()
    scene.plane.store.close()


def carry_on(scene: Scene, until: Callable[[], Any], *, seconds: float = 20) -> Any:
    """Runs every duty at its own pace, as the server does, until something is there."""
    due = dict.fromkeys(AREA.duties, 0.0)
    deadline = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < deadline, "it did not come about in time"
        for duty, at in due.items():
            if at <= time.monotonic():
                duty.run(scene.plane)
                pause = duty.seconds(scene.plane) if callable(duty.seconds) else duty.seconds
                due[duty] = time.monotonic() + pause
        time.sleep(0.02)
    return found


@pytest.mark.slow
def test_a_service_that_turns_slow(live: Scene, shop: Shop) -> None:
    scrape = "---\napiVersion: opsroom.dev/v1\nkind: Scrape\nmetadata: {name: storefront}\nspec: {service: storefront, interval: 500ms}\n"
    files = {"rules/storefront.yml": FAST, "opsroom/slo.yaml": SLO_FILES["opsroom/slo.yaml"] + scrape}
    tell_rules(live.plane, live.offer(files))
    deployed = live.deploy("storefront", url=shop.url)
    log = live.plane.settings.state / "logs" / "production" / "storefront" / "dep_v1.0.log"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"level": "info", "message": "ordered", "trace_id": "4bf9"}) + "\n")

    carry_on(live, lambda: [one for one in list_targets(live.call) if one.state == "up"])
    (line,) = carry_on(live, lambda: search_logs(live.call, query="service:storefront ordered").items)
    assert line.trace_id == "4bf9" and line.attributes["deployment"] == "dep_v1"
    carry_on(live, lambda: [one for one in list_slos(live.call) if one.left is not None])

    shop.latency = 0.4
    carry_on(live, lambda: list_alerts(live.call, state="firing").items)
    shop.latency = 0.1
    carry_on(live, lambda: list_alerts(live.call, state="resolved").items)
    assert [one.type for one in live.events("alert.")] == ["alert.fired", "alert.resolved"]
    assert {one.cause for one in live.events("alert.", "target.", "slo.")} == {deployed.id}
