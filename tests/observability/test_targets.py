"""Scraping through real HTTP: what is scraped, how it is labelled, and what is told when it goes down and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from observed_plane import Scene

from opsroom.areas.observability.kinds import KINDS
from opsroom.areas.observability.operations.targets import list_targets
from opsroom.areas.observability.scraping import Watch, pause, scrape, watch
from opsroom.areas.observability.targets import wanted
from opsroom.kernel.errors import Unavailable
from opsroom.kernel.resources import Catalog, load_catalog
from opsroom.telemetry.port import is_stale


@dataclass
class Site:
    """A service that exposes metrics; `slow` holds its answers until the event is set."""

    port: int = 0
    body: bytes = b"http_requests_total 7\n"
    answers: bool = True
    slow: threading.Event | None = None
    seen: int = 0
    paths: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def serve() -> Iterator[Callable[[], Site]]:
    servers = []

    def make() -> Site:
        site = Site()

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.seen += 1
                site.paths.append(self.path)
                if site.slow:
                    site.slow.wait(5)
                self.send_response(200 if site.answers else 503)
                self.end_headers()
                self.wfile.write(site.body)

            def log_message(self, format: str, *args: object) -> None:
                """Keeps the test's output quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        site.port = server.server_port
        return site

    yield make
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def rounds(scene: Scene, count: int = 1) -> Watch:
    one = watch(scene.plane)
    for _ in range(count):
        scene.clock.advance(1)
        one._known = (-1e9, [])
        one.scraper.round()
        one.note()
    return one


def test_what_runs_is_scraped_with_its_labels(scene: Scene, serve: Callable[[], Site]) -> None:
    site = serve()
    scene.offer({})
    deployed = scene.deploy("storefront", url=site.url)
    rounds(scene)
    (requests,) = [one for one in scene.telemetry.samples if ("__name__", "http_requests_total") in one.labels]
    assert dict(requests.labels) == {
        "__name__": "http_requests_total", "service": "storefront", "environment": "production",
        "instance": f"127.0.0.1:{site.port}", "version": "v1", "deployment": "dep_v1",
    }  # fmt: skip
    (up,) = [one for one in scene.telemetry.samples if ("__name__", "up") in one.labels]
    assert set(dict(up.labels)) == {"__name__", "service", "environment", "instance"} and up.value == 1.0
    (told,) = scene.events("target.")
    assert (told.type, told.cause) == ("target.up", deployed.id)
    (view,) = list_targets(scene.call)
    assert (view.service, view.state, view.error, view.samples) == ("storefront", "up", "", 1)
    assert site.paths == ["/metrics"]


def test_down_and_up_are_told_on_change_only(scene: Scene, serve: Callable[[], Site]) -> None:
    site = serve()
    scene.offer({})
    scene.deploy("storefront", url=site.url)
    rounds(scene, 3)
    site.answers = False
    rounds(scene, 3)
    assert [one.type for one in scene.events("target.")] == ["target.up", "target.down"]
    assert scene.events("target.")[1].data["error"] == "answered HTTP 503 Service Unavailable"
    (view,) = list_targets(scene.call)
    assert view.state == "down" and "503" in view.error
    scene.start()
    rounds(scene, 2)
    site.answers = True
    rounds(scene, 2)
    scene.start()
    rounds(scene, 2)
    assert [one.type for one in scene.events("target.")] == ["target.up", "target.down", "target.up"]


def test_a_new_version_is_the_same_target(scene: Scene, serve: Callable[[], Site]) -> None:
    site = serve()
    scene.offer({})
    scene.deploy("storefront", url=site.url)
    rounds(scene, 2)
    scene.deploy("storefront", version="v2", url=site.url)
    rounds(scene, 2)
    assert len(scene.events("target.")) == 1
    ups = [one for one in scene.telemetry.samples if ("__name__", "up") in one.labels]
    assert [one.value for one in ups] == [1.0] * 4
    old = [one for one in scene.telemetry.samples if ("deployment", "dep_v1") in one.labels]
    assert is_stale(old[-1].value)


def test_a_target_that_was_not_looked_at_is_unknown(scene: Scene, serve: Callable[[], Site]) -> None:
    site = serve()
    scene.offer({})
    scene.deploy("storefront", url=site.url)
    assert [one.state for one in list_targets(scene.call)] == ["unknown"]
    rounds(scene)
    scene.clock.advance(60)
    (view,) = list_targets(scene.call)
    assert view.state == "unknown" and "was up then" in view.error


def test_what_is_gone_is_no_target_any_more(scene: Scene, serve: Callable[[], Site]) -> None:
    site = serve()
    scene.offer({})
    scene.deploy("storefront", url=site.url)
    rounds(scene)
    scene.running.clear()
    rounds(scene)
    assert list_targets(scene.call) == []
    up = [one for one in scene.telemetry.samples if ("__name__", "up") in one.labels]
    assert is_stale(up[-1].value)


SCRAPES = """apiVersion: opsroom.dev/v1
kind: Scrape
metadata: {name: storefront}
spec: {service: storefront, interval: 1s, path: /own, sampleLimit: 1, labels: {team: shop-team}}
---
apiVersion: opsroom.dev/v1
kind: Scrape
metadata: {name: elsewhere}
spec:
  service: inventory
  environment: production
  targets: [http://db.example:9187, 'https://db.example/own']
"""


def test_scrapes_change_and_add_targets(scene: Scene, serve: Callable[[], Site]) -> None:
    site = serve()
    scene.plane.catalogs.offer("c", _catalog(), ())
    scene.deploy("storefront", url=site.url)
    scene.deploy("inventory", url="http://127.0.0.1:1")
    targets = {target.url: target for target in wanted(scene.plane)}
    assert set(targets) == {f"{site.url}/own", "http://db.example:9187/metrics", "https://db.example/own"}
    assert targets[f"{site.url}/own"].interval == targets[f"{site.url}/own"].timeout == 1.0
    assert dict(targets[f"{site.url}/own"].labels)["team"] == "shop-team"
    assert dict(targets["https://db.example/own"].labels)["instance"] == "db.example:443"
    site.body = b"a 1\nb 2\n"
    one = watch(scene.plane)
    one.scraper._targets = lambda: [targets[f"{site.url}/own"]]
    one.scraper.round()
    assert one.scraper.states()[0].error == "exposed 2 samples, the limit is 1"


def _catalog() -> Catalog:
    environment = "apiVersion: opsroom.dev/v1\nkind: Environment\nmetadata: {name: production}\nspec: {}\n"
    catalog, _ = load_catalog({"opsroom/a.yaml": SCRAPES + "---\n" + environment}, "c", KINDS)
    return catalog


def test_problems_of_a_scrape() -> None:
    _, problems = load_catalog({"opsroom/a.yaml": SCRAPES.replace("  environment: production\n", "")}, "c", KINDS)
    assert any("targets are given without an environment" in str(one) for one in problems)
    text = SCRAPES.replace("team: shop-team", "instance: x")
    again = text + "---\n" + text.split("---")[0].replace("name: storefront", "name: twice")
    _, problems = load_catalog({"opsroom/a.yaml": again}, "c", KINDS)
    said = "\n".join(map(str, problems))
    assert "opsroom/a.yaml:4:90: label 'instance' is set by Opsroom" in said
    assert "storefront has a Scrape already, 'storefront'" in said


def test_when_what_runs_is_unknown_the_targets_stay(scene: Scene, serve: Callable[[], Site]) -> None:
    site = serve()
    scene.offer({})
    scene.deploy("storefront", url=site.url)
    rounds(scene)
    scene.unknown = "delivery is away"
    with pytest.raises(Unavailable, match="what runs is unknown: delivery is away"):
        wanted(scene.plane)
    assert [one.state for one in list_targets(scene.call)] == ["up"]


def test_a_slow_target_holds_nobody_up(scene: Scene, serve: Callable[[], Site]) -> None:
    slow, quick = serve(), serve()
    slow.slow = threading.Event()
    scene.offer({})
    scene.deploy("inventory", url=slow.url)
    scene.deploy("storefront", url=quick.url)
    began = time.monotonic()
    scrape(scene.plane)
    assert time.monotonic() - began < 1 and 0 < pause(scene.plane) <= 0.5
    deadline = time.monotonic() + 4
    while not scene.events("target.up"):
        assert time.monotonic() < deadline, "the quick target was not scraped"
        threading.Event().wait(0.01)
    assert scene.events("target.up")[0].subject("service") == "storefront"
    slow.slow.set()
    watch(scene.plane).scraper.close()


def test_two_targets_with_one_instance_would_be_one() -> None:
    targets = "targets: ['http://127.0.0.1:9/a', 'http://127.0.0.1:8/a', 'http://127.0.0.1:9/b']"
    text = (
        "apiVersion: opsroom.dev/v1\nkind: Scrape\nmetadata: {name: x}\n"
        f"spec:\n  service: shop\n  environment: production\n  {targets}\n"
    )
    _, problems = load_catalog({"opsroom/a.yaml": text}, "c", KINDS)
    (told,) = [str(one) for one in problems if "instance" in one.message]
    assert told.startswith(
        "opsroom/a.yaml:7:61: http://127.0.0.1:9/b has the instance 127.0.0.1:9 of a target before it"
    )
